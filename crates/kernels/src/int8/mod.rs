//! Convolutions of 8-bit numbers, for inference: a quarter of the memory, and four products in one instruction where the processor has
//! VNNI.
//!
//! Weights have a scale for each output channel. Inputs have a scale and a zero point for each image, from the image's own
//! smallest and largest value, so nothing has to be calibrated and no image depends on the others of its batch. Sums are exact in
//! 32 bits: every processor gives the same.

mod input;
mod products;
mod weights;

use rayon::prelude::*;

use self::input::Quantisation;
use self::products::{BLOCK, Products};
pub use self::weights::Int8Weights;
use crate::conv2d::Conv2d;
use crate::correlation::SLACK;
use crate::epilogue::{Epilogue, planes_together};
use crate::memory::with_buffer;

/// Channels whose values share a 32-bit lane.
const QUAD: usize = 4;

/// Output positions that pay for making 8-bit numbers of the input.
const LEAST_POSITIONS: usize = 16;

/// The most products of a sum: each is at most 255 * 127 in size.
const MOST_PRODUCTS: usize = (i32::MAX / (255 * 127)) as usize;

impl Conv2d {
    /// Whether 8 bits are of use: one channel group, at least four input channels and 16 output positions, sums that
    /// 32 bits hold.
    pub fn suits_int8(&self) -> bool {
        let positions: usize = self.output_size().iter().product();
        self.groups == 1
            && self.channels_in >= QUAD
            && positions >= LEAST_POSITIONS
            && self.channels_in * self.kernel[0] * self.kernel[1] <= MOST_PRODUCTS
    }

    /// `output = epilogue(weights * input)` in 8 bits. An image with a value that is not finite becomes NaN.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor; weights of another convolution; one that
    /// [does not suit](Self::suits_int8).
    pub fn forward_int8(
        &self,
        input: &[f32],
        weights: &Int8Weights,
        epilogue: &Epilogue<'_>,
        output: &mut [f32],
    ) {
        assert!(self.suits_int8(), "no convolution for 8 bits: {self:?}");
        self.check_data(input, output);
        weights.check(self);
        epilogue.check(self.channels_out, output.len());
        if output.is_empty() {
            return;
        }
        let [rows, columns] = self.output_size();
        let of_channel = rows * columns;
        let layout = self.input_layout();
        let offsets: Vec<usize> = layout.taps.iter().map(|tap| tap.offset).collect();
        let plane = layout.channel_size();
        let quads = self.channels_in.div_ceil(QUAD);
        let image_in = self.channels_in * self.size[0] * self.size[1];
        let image_out = self.channels_out * of_channel;
        let images = output.par_chunks_mut(image_out).with_min_len(planes_together(image_out));
        images.enumerate().for_each(|(n, output)| {
            let image = &input[n * image_in..][..image_in];
            let Some(quantisation) = Quantisation::of(image) else {
                output.fill(f32::NAN);
                return;
            };
            with_buffer(quads * plane + SLACK, |lanes| {
                let lanes: &mut [u32] = pulp::bytemuck::cast_slice_mut(lanes);
                quantisation.lay_out(image, &layout, lanes);
                let lanes = &*lanes;
                output.par_chunks_mut(BLOCK * of_channel).enumerate().for_each(|(b, output)| {
                    let block = weights.block(b);
                    let products = Products {
                        lanes,
                        plane_size: plane,
                        taps: &offsets,
                        weights: block.weights,
                        addends: std::array::from_fn(|c| quantisation.zero.wrapping_mul(block.sums[c])),
                        factors: std::array::from_fn(|c| quantisation.scale * block.scales[c]),
                        rows,
                        pitch: layout.columns.len,
                        columns,
                    };
                    let channels = output.len() / of_channel;
                    products.run(|channel, row, values| {
                        if channel < channels {
                            output[channel * of_channel + row * columns..][..columns].copy_from_slice(values);
                        }
                    });
                    let first = b * BLOCK;
                    epilogue.in_channels(first, n * image_out + first * of_channel, of_channel, output);
                });
            });
        });
    }
}
