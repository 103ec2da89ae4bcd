//! The gradient with respect to the weights of a convolution.

use rayon::prelude::*;

use super::Conv2d;
use super::layout::Layout;
use crate::correlation::{SLACK, channel_block};
use crate::dot_products::Dots;
use crate::epilogue::planes_together;
use crate::memory::with_buffer;

/// Floats of inputs and output gradients that are laid out at a time: about half of a second-level cache.
const GROUP: usize = 256 * 1024;

/// The output's gradient laid out as rows of the input's planes, so that the two can be multiplied position by position.
struct GradientLayout {
    /// Output channels that are computed together, and how many such blocks a group has.
    block: usize,
    blocks: usize,
    /// Floats of a channel: a multiple of every vector length.
    channel: usize,
    /// Floats of an image.
    image: usize,
    /// Positions of a channel from the first to the last that mean something.
    positions: usize,
}

impl GradientLayout {
    /// Channels of an image.
    fn channels(&self) -> usize {
        self.image / self.channel
    }
}

impl Conv2d {
    /// The loss's gradient with respect to the weights, from that with respect to the output.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn weight_gradient(&self, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
        self.check(input, weight_gradient, output_gradient);
        weight_gradient.fill(0.0);
        if output_gradient.is_empty() || weight_gradient.is_empty() {
            return;
        }
        if let Some(winograd) = self.winograd() {
            winograd.weight_gradient(input, output_gradient, weight_gradient);
            return;
        }
        let layout = self.input_layout();
        let laid_out = self.gradient_layout(&layout);
        let offsets: Vec<usize> = layout.taps.iter().map(|tap| tap.offset).collect();
        let mut sums = vec![0.0; laid_out.channels() * self.inputs() * offsets.len()];
        let planes_image = self.channels_in * layout.channel_size();
        // As many images at a time as stay in the cache.
        let together = (GROUP / (planes_image + laid_out.image)).clamp(1, self.batch);
        let image_in = self.channels_in * self.size[0] * self.size[1];
        let image_out = output_gradient.len() / self.batch;
        with_buffer(together * laid_out.image, |gradient| {
            with_buffer(together * planes_image + laid_out.channel + SLACK, |planes| {
                for first in (0..self.batch).step_by(together) {
                    let images = together.min(self.batch - first);
                    let source = &input[first * image_in..][..images * image_in];
                    planes[..images * planes_image]
                        .par_chunks_mut(layout.channel_size())
                        .with_min_len(planes_together(layout.channel_size()))
                        .zip(source.par_chunks(self.size[0] * self.size[1]))
                        .for_each(|(planes, image)| layout.lay_out(image, planes));
                    // Past the last plane there are numbers that are multiplied by zero, so they must be numbers.
                    planes[images * planes_image..].fill(0.0);
                    let gradient = &mut gradient[..images * laid_out.image];
                    let source = &output_gradient[first * image_out..][..images * image_out];
                    self.lay_out_gradient(source, &laid_out, layout.columns.len, gradient);
                    let dots = Dots {
                        planes,
                        planes_image,
                        plane_size: layout.channel_size(),
                        taps: &offsets,
                        gradient,
                        gradient_image: laid_out.image,
                        gradient_size: laid_out.channel,
                        images,
                        positions: laid_out.positions,
                        block: laid_out.block,
                        channels: 0..self.channels_in,
                    };
                    add_dots(&dots, &laid_out, self.inputs(), &mut sums);
                }
            });
        });
        self.sort_sums(&sums, &layout, &laid_out, weight_gradient);
    }

    fn gradient_layout(&self, layout: &Layout) -> GradientLayout {
        let [height, width] = self.output_size();
        let pitch = layout.columns.len;
        let block = channel_block(self.outputs());
        let blocks = self.outputs().div_ceil(block);
        let channel = (height * pitch).next_multiple_of(SLACK);
        let image = self.groups * blocks * block * channel;
        let positions = (height - 1) * pitch + width;
        GradientLayout { block, blocks, channel, image, positions }
    }

    /// Copies images of the output's gradient to rows of `pitch` floats, with zeros between and behind them.
    fn lay_out_gradient(&self, source: &[f32], laid_out: &GradientLayout, pitch: usize, out: &mut [f32]) {
        let [height, width] = self.output_size();
        let channels = laid_out.blocks * laid_out.block;
        let outputs = self.outputs();
        let rows = out.par_chunks_mut(laid_out.channel).with_min_len(planes_together(laid_out.channel));
        rows.enumerate().for_each(|(row, out)| {
            // Groups of an image follow one another.
            let (group, channel) = (row / channels, row % channels);
            out.fill(0.0);
            if channel < outputs {
                let source = &source[(group * outputs + channel) * height * width..];
                for (out, source) in out.chunks_mut(pitch).zip(source.chunks(width)).take(height) {
                    out[..width].copy_from_slice(source);
                }
            }
        });
    }

    /// The sums `[groups, blocks, inputs, taps, block]` in the order of the weights.
    fn sort_sums(
        &self,
        sums: &[f32],
        layout: &Layout,
        laid_out: &GradientLayout,
        weight_gradient: &mut [f32],
    ) {
        let kernel = self.kernel[0] * self.kernel[1];
        let GradientLayout { block, blocks, .. } = *laid_out;
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let of_channel = layout.taps.len() * block;
        for (o, out) in weight_gradient.chunks_exact_mut(inputs * kernel).enumerate() {
            let (group, o) = (o / outputs, o % outputs);
            let sums = &sums[(group * blocks + o / block) * inputs * of_channel..];
            for (i, out) in out.chunks_exact_mut(kernel).enumerate() {
                for (t, tap) in layout.taps.iter().enumerate() {
                    out[tap.index] = sums[i * of_channel + t * block + o % block];
                }
            }
        }
    }
}

/// Adds the dot products of some images, for all blocks of output channels. Each sum is formed by one task, in one order.
fn add_dots(dots: &Dots<'_>, laid_out: &GradientLayout, inputs: usize, sums: &mut [f32]) {
    let of_channel = dots.taps.len() * laid_out.block;
    // So many input channels a task that there are tasks for all threads.
    let wanted = (4 * rayon::current_num_threads()).div_ceil(laid_out.blocks);
    let channels_together = inputs.div_ceil(wanted.max(1)).clamp(1, 8);
    sums.par_chunks_mut(inputs * of_channel).enumerate().for_each(|(b, sums)| {
        let group = b / laid_out.blocks;
        sums.par_chunks_mut(channels_together * of_channel).enumerate().for_each(|(i, sums)| {
            let first = group * inputs + i * channels_together;
            Dots {
                gradient: &dots.gradient[b * laid_out.block * laid_out.channel..],
                channels: first..first + sums.len() / of_channel,
                ..dots.clone()
            }
            .add_to(sums);
        });
    });
}
