//! The gradient with respect to the input of a convolution.
//!
//! The padded input position `stride * j + phase` gets the weight of tap `k` from output position `j - shift`, where
//! `dilation * k = stride * shift + phase`. So each phase of the stride is a separate correlation: of the taps of that
//! phase with the output's gradient. The gradient is laid out once for all of them.

use rayon::prelude::*;

use super::Conv2d;
use super::layout::{Layout, Packed, Tap, pack};
use crate::correlation::{Correlation, channel_block};
use crate::epilogue::{Epilogue, planes_together};
use crate::planes::Axis;
use crate::winograd::Winograd;

/// One axis of the input's gradient.
struct GradientAxis {
    /// How the output's gradient is laid out.
    layout: Axis,
    /// The first `j`: those before it give padding alone.
    first: usize,
    /// How many `j` there are.
    len: usize,
    /// Largest shift of a tap.
    reach: usize,
}

/// The taps of one phase of the stride.
struct Phase {
    phase: [usize; 2],
    offsets: Vec<usize>,
    /// Of each group.
    packed: Vec<Packed>,
}

impl Conv2d {
    /// The loss's gradient with respect to the input, from that with respect to the output.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn input_gradient(&self, output_gradient: &[f32], weights: &[f32], input_gradient: &mut [f32]) {
        self.check(input_gradient, weights, output_gradient);
        if output_gradient.is_empty() || weights.is_empty() {
            // The kernel does not fit into the input, or there are no channels.
            input_gradient.fill(0.0);
            return;
        }
        if input_gradient.is_empty() {
            return;
        }
        if self.winograd().is_some() && self.padding.iter().all(|padding| *padding <= 2) {
            return self.input_gradient_by_winograd(output_gradient, weights, input_gradient);
        }
        let [output_height, output_width] = self.output_size();
        let (rows, columns) = (self.gradient_axis(0, output_height), self.gradient_axis(1, output_width));
        let phases = self.gradient_phases(weights, &rows, &columns);
        let layout =
            Layout { rows: rows.layout, columns: columns.layout, phases: vec![[0, 0]], taps: Vec::new() };
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let block = channel_block(inputs);
        let of_channel = self.size[0] * self.size[1];
        let group_out = outputs * output_height * output_width;
        let group_in = inputs * of_channel;
        let groups = input_gradient.par_chunks_mut(group_in).with_min_len(planes_together(group_in));
        groups.enumerate().for_each(|(n, gradient)| {
            layout.with_image(&output_gradient[n * group_out..][..group_out], outputs, |planes| {
                gradient.par_chunks_mut(block * of_channel).enumerate().for_each(|(b, gradient)| {
                    for Phase { phase, offsets, packed } in &phases {
                        let packed = &packed[n % self.groups];
                        let weights = packed.chunk_len(outputs);
                        Correlation {
                            planes,
                            plane_size: layout.channel_size(),
                            channels_in: outputs,
                            block,
                            taps: offsets,
                            weights: &packed.weights[b * weights..][..weights],
                            rows: rows.len,
                            pitch: columns.layout.len,
                            columns: columns.len,
                        }
                        .run(|channel, row, values| {
                            let row = (rows.first + row) * self.stride[0] + phase[0];
                            let start = (columns.first * self.stride[1] + phase[1]) as isize
                                - self.padding[1] as isize;
                            // Rows of padding, and channels that fill the last block, are left out.
                            if let Some(row) = row.checked_sub(self.padding[0])
                                && row < self.size[0]
                                && let Some(plane) = gradient.chunks_mut(of_channel).nth(channel)
                            {
                                let out = &mut plane[row * self.size[1]..][..self.size[1]];
                                scatter(values, start, self.stride[1], out);
                            }
                        });
                    }
                });
            });
        });
    }

    /// The filters turned round, over the output's gradient with the padding that is missing to 2.
    fn input_gradient_by_winograd(
        &self,
        output_gradient: &[f32],
        weights: &[f32],
        input_gradient: &mut [f32],
    ) {
        let turned = Winograd {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            size: self.output_size(),
            padding: self.padding.map(|padding| 2 - padding),
        };
        let filters = turned.filters(weights, |i, o| (o * self.channels_in + i) * 9, true);
        turned.forward(output_gradient, &filters, &Epilogue::default(), input_gradient);
    }

    /// An axis whose output has `source` positions.
    fn gradient_axis(&self, axis: usize, source: usize) -> GradientAxis {
        let (stride, padding, dilation) = (self.stride[axis], self.padding[axis], self.dilation[axis]);
        let first = padding / stride;
        let len = (padding + self.size[axis]).div_ceil(stride) - first;
        let reach = dilation * (self.kernel[axis] - 1) / stride;
        let layout = Axis { source, step: 1, start: first as isize - reach as isize, len: len + reach };
        GradientAxis { layout, first, len, reach }
    }

    /// The taps and weights of every phase of the stride.
    fn gradient_phases(&self, weights: &[f32], rows: &GradientAxis, columns: &GradientAxis) -> Vec<Phase> {
        let kernel = self.kernel[0] * self.kernel[1];
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let mut phases = Vec::new();
        for row_phase in 0..self.stride[0] {
            for column_phase in 0..self.stride[1] {
                let mut taps = Vec::new();
                for row in self.axis_taps(0).into_iter().filter(|tap| tap.phase == row_phase) {
                    for column in self.axis_taps(1).into_iter().filter(|tap| tap.phase == column_phase) {
                        let offset =
                            (rows.reach - row.shift) * columns.layout.len + columns.reach - column.shift;
                        taps.push(Tap { index: row.index * self.kernel[1] + column.index, offset });
                    }
                }
                let at = |i, o, tap| (o * inputs + i) * kernel + tap;
                let packed = weights
                    .chunks(outputs * inputs * kernel)
                    .map(|weights| pack(weights, inputs, outputs, &taps, channel_block(inputs), at))
                    .collect();
                let offsets = taps.iter().map(|tap| tap.offset).collect();
                phases.push(Phase { phase: [row_phase, column_phase], offsets, packed });
            }
        }
        phases
    }
}

/// Writes `values` to every `step`-th position of `out` from `start` on. Positions outside of `out` are left out.
fn scatter(values: &[f32], start: isize, step: usize, out: &mut [f32]) {
    let skip = if start < 0 { start.unsigned_abs().div_ceil(step) } else { 0 };
    let first = (start + (skip * step) as isize) as usize;
    let (Some(values), Some(out)) = (values.get(skip..), out.get_mut(first..)) else { return };
    if step == 1 {
        let n = values.len().min(out.len());
        out[..n].copy_from_slice(&values[..n]);
    } else {
        out.iter_mut().step_by(step).zip(values).for_each(|(o, v)| *o = *v);
    }
}
