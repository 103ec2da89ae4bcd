use rayon::prelude::*;

use crate::correlation::{Correlation, SLACK, channel_block};
use crate::epilogue::Epilogue;
use crate::memory::with_buffer;
use crate::planes::{Axis, lay_out};
use crate::weight_gradient::Dots;
use crate::winograd::Winograd;

/// Floats of inputs and output gradients that are laid out at a time in [`Conv2d::weight_gradient`]: about half of a
/// second-level cache.
const GROUP: usize = 256 * 1024;

/// Channels from which on [`Winograd`] is faster.
const WINOGRAD_CHANNELS: usize = 8;

/// A two-dimensional convolution (cross-correlation, as everywhere in deep learning) without bias or channel groups.
///
/// All tensors are contiguous: input `[batch, channels_in, height, width]`, weights
/// `[channels_out, channels_in, kernel height, kernel width]`, output
/// `[batch, channels_out, output height, output width]`. A one-dimensional convolution has height and kernel height 1.
/// Results do not depend on the number of threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv2d {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Input positions from one output position to the next.
    pub stride: [usize; 2],
    /// Zeros before and after each axis.
    pub padding: [usize; 2],
    /// Input positions from one tap to the next.
    pub dilation: [usize; 2],
}

/// Taps of one axis: `(index in the kernel, phase, shift in positions of the plane)`.
type AxisTaps = Vec<(usize, usize, usize)>;

impl Conv2d {
    /// Height and width of the output; 0 where the kernel does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let reach = self.dilation[axis] * (self.kernel[axis].max(1) - 1) + 1;
            let padded = self.size[axis] + 2 * self.padding[axis];
            if self.kernel[axis] == 0 || padded < reach {
                0
            } else {
                (padded - reach) / self.stride[axis] + 1
            }
        })
    }

    /// Floats of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.channels_in * self.size[0] * self.size[1]
    }

    /// Floats of the weights.
    pub fn weight_len(&self) -> usize {
        self.channels_out * self.channels_in * self.kernel[0] * self.kernel[1]
    }

    /// Floats of the output.
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_size();
        self.batch * self.channels_out * height * width
    }

    /// `output = weights * input`.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn forward(&self, input: &[f32], weights: &[f32], output: &mut [f32]) {
        self.forward_and(input, weights, &Epilogue::default(), output);
    }

    /// `output = epilogue(weights * input)`.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn forward_and(&self, input: &[f32], weights: &[f32], epilogue: &Epilogue<'_>, output: &mut [f32]) {
        self.check(input, weights, output);
        epilogue.check(self.channels_out, output.len());
        if output.is_empty() {
            return;
        }
        if let Some(winograd) = self.winograd() {
            let filters = winograd.filters(weights, |o, i| (o * self.channels_in + i) * 9, false);
            winograd.forward(input, &filters, epilogue, output);
            return;
        }
        let layout = self.input_layout();
        let block = channel_block();
        let packed = pack(weights, self.channels_out, self.channels_in, &layout.taps, block, |o, i, tap| {
            (o * self.channels_in + i) * self.kernel[0] * self.kernel[1] + tap
        });
        let [height, width] = self.output_size();
        let offsets: Vec<usize> = layout.taps.iter().map(|tap| tap.offset).collect();
        let of_channel = height * width;
        let image_in = self.channels_in * self.size[0] * self.size[1];
        let image_out = self.channels_out * of_channel;
        output.par_chunks_mut(image_out).enumerate().for_each(|(n, output)| {
            layout.with_image(&input[n * image_in..][..image_in], self.channels_in, |planes| {
                let blocks = packed.chunk_len(self.channels_in);
                let parts = output.par_chunks_mut(block * of_channel).zip(packed.weights.par_chunks(blocks));
                parts.enumerate().for_each(|(b, (output, weights))| {
                    let channels = output.len() / of_channel;
                    Correlation {
                        planes,
                        plane_size: layout.channel_size(),
                        channels_in: self.channels_in,
                        taps: &offsets,
                        weights,
                        rows: height,
                        pitch: layout.columns.len,
                        columns: width,
                    }
                    .run(|channel, row, values| {
                        if channel < channels {
                            output[channel * of_channel + row * width..][..width].copy_from_slice(values);
                        }
                    });
                    for (channel, plane) in (b * block..).zip(output.chunks_mut(of_channel)) {
                        epilogue.in_place(channel, n * image_out + channel * of_channel, plane);
                    }
                });
            });
        });
    }

    /// The loss's gradient with respect to the input, from that with respect to the output.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn input_gradient(&self, output_gradient: &[f32], weights: &[f32], input_gradient: &mut [f32]) {
        self.check(input_gradient, weights, output_gradient);
        if input_gradient.is_empty() {
            return;
        }
        if self.winograd().is_some() && self.padding.iter().all(|padding| *padding <= 2) {
            // The filters turned round, over the output's gradient with the padding that is missing to 2.
            let (channels_in, channels_out) = (self.channels_out, self.channels_in);
            let padding = self.padding.map(|padding| 2 - padding);
            let turned = Winograd { channels_in, channels_out, size: self.output_size(), padding };
            let filters = turned.filters(weights, |i, o| (o * self.channels_in + i) * 9, true);
            turned.forward(output_gradient, &filters, &Epilogue::default(), input_gradient);
            return;
        }
        let block = channel_block();
        let [output_height, output_width] = self.output_size();
        // Input position (with padding) i = stride j + phase, j from `first`, gets weight k from output position j - shift where
        // dilation k = stride shift + phase. One correlation a phase, over the same padded output gradient.
        let axis = |axis: usize, source: usize| {
            let (stride, padding, dilation) = (self.stride[axis], self.padding[axis], self.dilation[axis]);
            let first = padding / stride;
            let past = (padding + self.size[axis]).div_ceil(stride);
            let reach = dilation * (self.kernel[axis] - 1) / stride;
            let len = past - first + reach;
            (
                Axis { source, step: 1, start: first as isize - reach as isize, len },
                first,
                past - first,
                reach,
            )
        };
        let (rows, first_row, num_rows, row_reach) = axis(0, output_height);
        let (columns, first_column, num_columns, column_reach) = axis(1, output_width);
        let layout = Layout { rows, columns, phases: vec![[0, 0]], taps: Vec::new() };
        struct Phase {
            phase: [usize; 2],
            offsets: Vec<usize>,
            packed: Packed,
        }
        let mut phases = Vec::new();
        for row_phase in 0..self.stride[0] {
            for column_phase in 0..self.stride[1] {
                let mut taps = Vec::new();
                for (k, _, shift) in self.axis_taps(0).into_iter().filter(|tap| tap.1 == row_phase) {
                    for (l, _, across) in self.axis_taps(1).into_iter().filter(|tap| tap.1 == column_phase) {
                        let offset = (row_reach - shift) * columns.len + column_reach - across;
                        taps.push(Tap { index: k * self.kernel[1] + l, offset });
                    }
                }
                let kernel = self.kernel[0] * self.kernel[1];
                let packed = pack(weights, self.channels_in, self.channels_out, &taps, block, |i, o, tap| {
                    (o * self.channels_in + i) * kernel + tap
                });
                let offsets = taps.iter().map(|tap| tap.offset).collect();
                phases.push(Phase { phase: [row_phase, column_phase], offsets, packed });
            }
        }
        let [height, width] = self.size;
        let of_channel = height * width;
        let image_out = self.channels_out * output_height * output_width;
        let image_in = self.channels_in * of_channel;
        input_gradient.par_chunks_mut(image_in).enumerate().for_each(|(n, gradient)| {
            layout.with_image(&output_gradient[n * image_out..][..image_out], self.channels_out, |planes| {
                gradient.par_chunks_mut(block * of_channel).enumerate().for_each(|(b, gradient)| {
                    let channels = gradient.len() / of_channel;
                    for Phase { phase: [row_phase, column_phase], offsets, packed } in &phases {
                        let weights = packed.chunk_len(self.channels_out);
                        let weights = &packed.weights[b * weights..][..weights];
                        Correlation {
                            planes,
                            plane_size: layout.channel_size(),
                            channels_in: self.channels_out,
                            taps: offsets,
                            weights,
                            rows: num_rows,
                            pitch: columns.len,
                            columns: num_columns,
                        }
                        .run(|channel, row, values| {
                            let row = (first_row + row) * self.stride[0] + row_phase;
                            let Some(row) = row.checked_sub(self.padding[0]).filter(|row| *row < height)
                            else {
                                return;
                            };
                            if channel >= channels {
                                return;
                            }
                            let out = &mut gradient[channel * of_channel + row * width..][..width];
                            let start = (first_column * self.stride[1] + column_phase) as isize
                                - self.padding[1] as isize;
                            scatter(values, start, self.stride[1], out);
                        });
                    }
                });
            });
        });
    }

    /// The loss's gradient with respect to the weights, from that with respect to the output.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn weight_gradient(&self, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
        self.check(input, weight_gradient, output_gradient);
        weight_gradient.fill(0.0);
        let [height, width] = self.output_size();
        if output_gradient.is_empty() || weight_gradient.is_empty() {
            return;
        }
        if let Some(winograd) = self.winograd() {
            winograd.weight_gradient(input, output_gradient, weight_gradient);
            return;
        }
        let layout = self.input_layout();
        let block = channel_block();
        let blocks = self.channels_out.div_ceil(block);
        let pitch = layout.columns.len;
        let positions = (height - 1) * pitch + width;
        // A multiple of every vector length.
        let gradient_size = (height * pitch).next_multiple_of(SLACK);
        let gradient_image = blocks * block * gradient_size;
        let planes_image = self.channels_in * layout.channel_size();
        let images = (GROUP / (planes_image + gradient_image)).clamp(1, self.batch);
        let image_in = self.channels_in * self.size[0] * self.size[1];
        let image_out = self.channels_out * height * width;
        let offsets: Vec<usize> = layout.taps.iter().map(|tap| tap.offset).collect();
        let of_channel = offsets.len() * block;
        // So many input channels a task that there are tasks for all threads. Each sum is formed by one task, in one order.
        let wanted = (4 * rayon::current_num_threads()).div_ceil(blocks);
        let channels_together = self.channels_in.div_ceil(wanted.max(1)).clamp(1, 8);
        let mut sums = vec![0.0; blocks * self.channels_in * of_channel];
        with_buffer(images * gradient_image, |gradient| {
            with_buffer(images * planes_image + gradient_size + SLACK, |planes| {
                for first in (0..self.batch).step_by(images) {
                    let images = images.min(self.batch - first);
                    let source = &input[first * image_in..][..images * image_in];
                    planes[..images * planes_image]
                        .par_chunks_mut(layout.channel_size())
                        .zip(source.par_chunks(self.size[0] * self.size[1]))
                        .for_each(|(planes, image)| layout.lay_out(image, planes));
                    // Past the last plane there are numbers that are multiplied by zero, so they must be numbers.
                    planes[images * planes_image..].fill(0.0);
                    gradient[..images * gradient_image].par_chunks_mut(gradient_size).enumerate().for_each(
                        |(row, out)| {
                            let (n, channel) = (row / (blocks * block), row % (blocks * block));
                            out.fill(0.0);
                            if channel < self.channels_out {
                                let source =
                                    &output_gradient[(first + n) * image_out + channel * height * width..];
                                for (out, source) in
                                    out.chunks_mut(pitch).zip(source.chunks(width)).take(height)
                                {
                                    out[..width].copy_from_slice(source);
                                }
                            }
                        },
                    );
                    let (planes, gradient) = (&*planes, &*gradient);
                    sums.par_chunks_mut(self.channels_in * of_channel).enumerate().for_each(|(b, sums)| {
                        sums.par_chunks_mut(channels_together * of_channel).enumerate().for_each(
                            |(i, sums)| {
                                let channels =
                                    i * channels_together..i * channels_together + sums.len() / of_channel;
                                Dots {
                                    planes,
                                    planes_image,
                                    plane_size: layout.channel_size(),
                                    taps: &offsets,
                                    gradient: &gradient[b * block * gradient_size..],
                                    gradient_image,
                                    gradient_size,
                                    images,
                                    positions,
                                    channels,
                                }
                                .add_to(sums);
                            },
                        );
                    });
                }
            });
        });
        let kernel = self.kernel[0] * self.kernel[1];
        for (o, out) in weight_gradient.chunks_exact_mut(self.channels_in * kernel).enumerate() {
            let sums = &sums[o / block * self.channels_in * of_channel..];
            for (i, out) in out.chunks_exact_mut(kernel).enumerate() {
                for (t, tap) in layout.taps.iter().enumerate() {
                    out[tap.index] = sums[i * of_channel + t * block + o % block];
                }
            }
        }
    }

    /// The way with fewer multiplications, where it can be gone and there are enough channels to pay for its sums.
    fn winograd(&self) -> Option<Winograd> {
        let fits = self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1];
        (fits && self.channels_in.min(self.channels_out) >= WINOGRAD_CHANNELS).then_some(Winograd {
            channels_in: self.channels_in,
            channels_out: self.channels_out,
            size: self.size,
            padding: self.padding,
        })
    }

    fn check(&self, input: &[f32], weights: &[f32], output: &[f32]) {
        assert!(
            self.stride.iter().chain(&self.dilation).all(|n| *n > 0),
            "a stride or dilation of 0: {self:?}"
        );
        let found = [input.len(), weights.len(), output.len()];
        let expected = [self.input_len(), self.weight_len(), self.output_len()];
        assert_eq!(found, expected, "floats of input, weights and output of {self:?}");
    }

    fn axis_taps(&self, axis: usize) -> AxisTaps {
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        (0..self.kernel[axis]).map(|k| (k, k * dilation % stride, k * dilation / stride)).collect()
    }

    /// How an input is laid out so that the output's positions are positions of its planes.
    fn input_layout(&self) -> Layout {
        let output = self.output_size();
        let taps = [self.axis_taps(0), self.axis_taps(1)];
        let axis = |axis: usize| {
            let reach = taps[axis].iter().map(|tap| tap.2).max().unwrap_or(0);
            Axis {
                source: self.size[axis],
                step: self.stride[axis],
                start: -(self.padding[axis] as isize),
                len: output[axis] + reach,
            }
        };
        let (rows, columns) = (axis(0), axis(1));
        let mut phases: Vec<[usize; 2]> = Vec::new();
        let mut all = Vec::new();
        for &(k, row_phase, down) in &taps[0] {
            for &(l, column_phase, across) in &taps[1] {
                let phase = [row_phase, column_phase];
                let place = phases.iter().position(|known| *known == phase).unwrap_or_else(|| {
                    phases.push(phase);
                    phases.len() - 1
                });
                let offset = place * rows.len * columns.len + down * columns.len + across;
                all.push(Tap { index: k * self.kernel[1] + l, offset });
            }
        }
        Layout { rows, columns, phases, taps: all }
    }
}

/// Copies every `step`-th position of `out` from `start` on; positions outside of `out` are left out.
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

#[derive(Debug)]
struct Tap {
    /// Place in the kernel, row-major.
    index: usize,
    /// Shift in a channel's planes.
    offset: usize,
}

#[derive(Debug)]
struct Layout {
    rows: Axis,
    columns: Axis,
    phases: Vec<[usize; 2]>,
    taps: Vec<Tap>,
}

impl Layout {
    fn channel_size(&self) -> usize {
        self.phases.len() * self.rows.len * self.columns.len
    }

    fn lay_out(&self, channel: &[f32], planes: &mut [f32]) {
        lay_out(channel, self.rows, self.columns, &self.phases, planes);
    }

    /// Calls `work` with the planes of all channels of an image, and slack.
    fn with_image(&self, image: &[f32], channels: usize, work: impl FnOnce(&[f32])) {
        let size = self.channel_size();
        with_buffer(channels * size + SLACK, |planes| {
            let (channels, slack) = planes.split_at_mut(channels * size);
            slack.fill(0.0);
            channels
                .par_chunks_mut(size)
                .with_min_len((16 * 1024 / size).max(1))
                .zip(image.par_chunks(self.rows.source * self.columns.source))
                .for_each(|(planes, channel)| self.lay_out(channel, planes));
            work(planes);
        });
    }
}

#[derive(Debug)]
struct Packed {
    /// `[blocks, inner channels, taps, block]`
    weights: Vec<f32>,
    num_taps: usize,
    block: usize,
}

impl Packed {
    fn chunk_len(&self, inner: usize) -> usize {
        inner * self.num_taps * self.block
    }
}

/// Weights in the order in which they are used. `at(outer, inner, tap)` is a weight's place in `weights`.
fn pack(
    weights: &[f32],
    outer: usize,
    inner: usize,
    taps: &[Tap],
    block: usize,
    at: impl Fn(usize, usize, usize) -> usize,
) -> Packed {
    let blocks = outer.div_ceil(block);
    let mut packed = vec![0.0; blocks * inner * taps.len() * block];
    let mut out = packed.chunks_exact_mut(block);
    for first in (0..outer).step_by(block) {
        for i in 0..inner {
            for tap in taps {
                let Some(out) = out.next() else { break };
                for (o, out) in (first..outer).zip(out) {
                    *out = weights[at(o, i, tap.index)];
                }
            }
        }
    }
    Packed { weights: packed, num_taps: taps.len(), block }
}
