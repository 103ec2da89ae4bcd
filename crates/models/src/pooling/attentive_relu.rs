//! Attentive statistics pooling as in WeSpeaker's `ASP`, after [Okabe et al. 2018](https://arxiv.org/abs/1803.10963).

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};

use super::Parameterless;
use super::weighted::weighted_statistics;
use crate::batch_norm::BatchNorm;
use crate::convolution::{conv1d, conv1d_then};

/// Floor of the weighted variance (WeSpeaker's value).
pub(crate) const VARIANCE_FLOOR: f64 = 1e-5;

/// Attention per row and frame, which sees the frame alone: `w = softmax_t(V bn(relu(W h_t + b)) + k)`, then `mean = sum_t w h`,
/// `std = sqrt(sum_t w (h - mean)^2)`. [`AttentiveStatistics`](super::AttentiveStatistics) has tanh in the place of ReLU and
/// BatchNorm.
#[derive(Module, Debug)]
pub struct ReluAttentiveStatistics {
    attention: (Conv1d, Parameterless, BatchNorm, Conv1d),
}

impl ReluAttentiveStatistics {
    /// Attention over `rows` with a hidden layer of `attention_dim`.
    pub fn new(rows: usize, attention_dim: usize, device: &Device) -> Self {
        Self {
            attention: (
                Conv1dConfig::new(rows, attention_dim, 1).init(device),
                Parameterless,
                BatchNorm::new(attention_dim, device),
                Conv1dConfig::new(attention_dim, rows, 1).init(device),
            ),
        }
    }

    /// # Shapes
    /// - input: `[batch, rows, frames]`
    /// - output: `[batch, 2 * rows]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        let (squeeze, _, bn, expand) = &self.attention;
        let logits = |input| conv1d(expand, conv1d_then(squeeze, input, bn.after_relu()));
        weighted_statistics(vec![input], logits, VARIANCE_FLOOR)
    }
}
