//! Layer normalisation with PyTorch's names. [Ba et al. 2016](https://arxiv.org/abs/1607.06450).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

/// Added to the variance before the square root: the value of the networks here, not PyTorch's default of 1e-5.
pub(crate) const EPSILON: f64 = 1e-6;

/// Normalisation of every position over its channels, with a scale and a shift for each channel.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// A layer with scale 1 and shift 0.
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
        }
    }

    /// # Shapes
    /// - input: `[.., channels, ..]`, the channels in dimension `channels_at`
    /// - output: as the input
    pub(crate) fn forward<const D: usize>(&self, input: Tensor<D>, channels_at: usize) -> Tensor<D> {
        let mean = input.clone().mean_dim(channels_at);
        let centred = input - mean;
        let variance = centred.clone().square().mean_dim(channels_at);
        let mut per_channel = [1; D];
        per_channel[channels_at] = centred.dims()[channels_at];
        let normalised = centred / (variance + EPSILON).sqrt();
        normalised * self.weight.val().reshape(per_channel) + self.bias.val().reshape(per_channel)
    }
}
