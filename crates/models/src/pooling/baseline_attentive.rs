//! The attentive pooling of the baseline's ECAPA-TDNN, as written there.

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::concatenate;
use super::weighted::weighted_mean_and_variance;
use crate::blocks::Pieces;
use crate::multiplications::product;

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
    /// - output: `[batch, 1, frames]`, before the softmax
    fn logits(&self, input: Tensor<3>) -> Tensor<3> {
        let [channels, bottleneck] = self.lin_proj.weight.dims();
        // W^T from the left keeps the frames innermost: the feature map is not transposed.
        let weight = self.lin_proj.weight.val().transpose().reshape([1, bottleneck, channels]);
        let mut projected = product(weight, input);
        if let Some(bias) = &self.lin_proj.bias {
            projected = projected + bias.val().reshape([1, bottleneck, 1]);
        }
        let scores = product(self.v.val().reshape([1, 1, bottleneck]), projected);
        scores.tanh()
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
        self.forward_pieces(vec![input])
    }

    /// As [`forward`](Self::forward), of a sequence in pieces along time.
    pub(crate) fn forward_pieces(&self, pieces: Pieces) -> Tensor<2> {
        let frames: usize = pieces.iter().map(|piece| piece.dims()[2]).sum();
        let logits = |piece| self.attention.logits(piece);
        // With weights that sum to 1: sum_t w h, and sum_t w h^2 less its square.
        let (sum, variance) = weighted_mean_and_variance(pieces, logits);
        let mean = sum.clone() / frames as f64;
        let second = variance + sum.square() - mean.clone().square();
        concatenate(mean, second)
    }
}
