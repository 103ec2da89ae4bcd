//! The output of a convolution.

use rayon::prelude::*;

use super::Conv2d;
use super::packed_weights::{Form, PackedWeights};
use crate::correlation::{Correlation, channel_block};
use crate::epilogue::{Epilogue, planes_together};

impl Conv2d {
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
        self.forward_packed(input, &PackedWeights::new(self, weights), epilogue, output);
    }

    /// The same, with weights that are packed already: for many inputs with the same weights.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor; weights of another convolution.
    pub fn forward_packed(
        &self,
        input: &[f32],
        weights: &PackedWeights,
        epilogue: &Epilogue<'_>,
        output: &mut [f32],
    ) {
        self.check_data(input, output);
        epilogue.check(self.channels_out, output.len());
        if output.is_empty() {
            return;
        }
        let packed = match weights.of(self) {
            Form::Empty => {
                output.fill(0.0);
                let [height, width] = self.output_size();
                return epilogue.apply(self.channels_out, height * width, output);
            }
            Form::Winograd(filters) => {
                return self.as_winograd().forward(input, filters, epilogue, output);
            }
            Form::Direct(packed) => packed,
        };
        let layout = self.input_layout();
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let block = channel_block(outputs);
        let [height, width] = self.output_size();
        let offsets: Vec<usize> = layout.taps.iter().map(|tap| tap.offset).collect();
        let of_channel = height * width;
        let group_in = inputs * self.size[0] * self.size[1];
        let group_out = outputs * of_channel;
        // The groups of an image follow one another, in the input too.
        let groups = output.par_chunks_mut(group_out).with_min_len(planes_together(group_out));
        groups.enumerate().for_each(|(n, output)| {
            let group = n % self.groups;
            layout.with_image(&input[n * group_in..][..group_in], inputs, |planes| {
                let packed = &packed[group];
                let blocks = packed.chunk_len(inputs);
                let parts = output.par_chunks_mut(block * of_channel).zip(packed.weights.par_chunks(blocks));
                parts.enumerate().for_each(|(b, (output, weights))| {
                    let channels = output.len() / of_channel;
                    Correlation {
                        planes,
                        plane_size: layout.channel_size(),
                        channels_in: inputs,
                        block,
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
                    let first = b * block;
                    let place = n * group_out + first * of_channel;
                    epilogue.in_channels(group * outputs + first, place, of_channel, output);
                });
            });
        });
    }
}
