//! A convolution: its sizes here, a pass in each of `forward`, `input_gradient` and `weight_gradient`.

mod forward;
mod input_gradient;
mod layout;
mod packed_weights;
mod weight_gradient;

pub(crate) use layout::Layout;
pub use packed_weights::PackedWeights;

use crate::winograd::Winograd;

/// Channels from which on [`Winograd`] is faster.
const WINOGRAD_CHANNELS: usize = 8;

/// A two-dimensional convolution (cross-correlation, as everywhere in deep learning) without bias.
///
/// All tensors are contiguous: input `[batch, channels_in, height, width]`, weights
/// `[channels_out, channels_in / groups, kernel height, kernel width]`, output
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
    /// Groups of channels, each of which is a convolution of its own: 1 for a plain convolution, as many as there are channels for a
    /// depthwise one.
    pub groups: usize,
}

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
        self.channels_out * self.inputs() * self.kernel[0] * self.kernel[1]
    }

    /// Input channels of a group.
    fn inputs(&self) -> usize {
        self.channels_in / self.groups
    }

    /// Output channels of a group.
    fn outputs(&self) -> usize {
        self.channels_out / self.groups
    }

    /// Floats of the output.
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_size();
        self.batch * self.channels_out * height * width
    }

    /// The way with fewer multiplications, where it can be gone and there are enough channels to pay for its sums.
    fn winograd(&self) -> Option<Winograd> {
        let fits = self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1];
        let is_wide = self.channels_in.min(self.channels_out) >= WINOGRAD_CHANNELS;
        (fits && is_wide && self.groups == 1).then(|| self.as_winograd())
    }

    fn as_winograd(&self) -> Winograd {
        Winograd {
            channels_in: self.channels_in,
            channels_out: self.channels_out,
            size: self.size,
            padding: self.padding,
        }
    }

    fn check(&self, input: &[f32], weights: &[f32], output: &[f32]) {
        self.check_weights(weights);
        self.check_data(input, output);
    }

    pub(crate) fn check_data(&self, input: &[f32], output: &[f32]) {
        let (found, expected) = ([input.len(), output.len()], [self.input_len(), self.output_len()]);
        assert_eq!(found, expected, "floats of input and output of {self:?}");
    }

    fn check_weights(&self, weights: &[f32]) {
        assert!(
            self.stride.iter().chain(&self.dilation).all(|n| *n > 0),
            "a stride or dilation of 0: {self:?}"
        );
        assert!(
            self.groups > 0
                && self.channels_in.is_multiple_of(self.groups)
                && self.channels_out.is_multiple_of(self.groups),
            "channels that do not divide into groups: {self:?}"
        );
        assert_eq!(weights.len(), self.weight_len(), "floats of the weights of {self:?}");
    }
}
