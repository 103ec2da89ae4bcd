//! The attentive pooling of the baseline's ECAPA-TDNN, as written there.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::concatenate;

/// One weight a frame: `softmax_t(tanh(v . (W h_t + b)))`.
#[derive(Module, Debug)]
pub struct BaselineAttention {
    v: Param<Tensor<1>>,
    lin_proj: Linear,
}

/// The baseline's pooling, for its checkpoints; [`AttentiveStatistics`](super::AttentiveStatistics) is the paper's.
///
/// It differs from the paper in three ways:
///
/// - All channels share one weight a frame.
/// - The first half is the time *average* of `w h`, so it shrinks with the utterance's length.
/// - The second half is a variance without the square root.
#[derive(Module, Debug)]
pub struct BaselineAttentivePooling {
    attention: BaselineAttention,
}

impl BaselineAttention {
    fn new(channels: usize, bottleneck: usize, device: &Device) -> Self {
        Self {
            v: Initializer::Normal { mean: 0.0, std: 1.0 }.init([bottleneck], device),
            lin_proj: LinearConfig::new(channels, bottleneck).init(device),
        }
    }

    /// # Shapes
    /// - input: `[batch, channels, frames]`
    /// - output: `[batch, 1, frames]`, sums to 1 over the frames
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [channels, bottleneck] = self.lin_proj.weight.dims();
        // W^T from the left keeps the frames innermost: the feature map is not transposed.
        let weight = self.lin_proj.weight.val().transpose().reshape([1, bottleneck, channels]);
        let mut projected = weight.matmul(input);
        if let Some(bias) = &self.lin_proj.bias {
            projected = projected + bias.val().reshape([1, bottleneck, 1]);
        }
        let scores = self.v.val().reshape([1, 1, bottleneck]).matmul(projected);
        softmax(scores.tanh(), 2)
    }
}

impl BaselineAttentivePooling {
    /// Attention over `channels` with a hidden layer of `bottleneck`.
    pub fn new(channels: usize, bottleneck: usize, device: &Device) -> Self {
        Self { attention: BaselineAttention::new(channels, bottleneck, device) }
    }

    /// # Shapes
    /// - input: `[batch, channels, frames]`
    /// - output: `[batch, 2 * channels]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        let weighted = self.attention.forward(input.clone()) * input.clone();
        let mean = weighted.clone().mean_dim(2);
        let second = (weighted * input).sum_dim(2) - mean.clone().square();
        concatenate(mean, second)
    }
}
