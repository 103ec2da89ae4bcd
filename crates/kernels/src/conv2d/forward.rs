//! The output of a convolution.

use rayon::prelude::*;

use super::Conv2d;
use super::layout::pack;
use crate::correlation::{Correlation, channel_block};
use crate::epilogue::Epilogue;

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
}
