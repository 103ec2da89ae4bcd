//! Channel- and context-dependent statistics pooling,
//! [ECAPA-TDNN, section 3.1](https://arxiv.org/abs/2005.07143), after
//! [Okabe et al. 2018](https://arxiv.org/abs/1803.10963).

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::{mean_and_variance, weighted_statistics};
use crate::convolution::conv1d;

/// Floor of the weighted variance and part of the context's (WeSpeaker's values).
pub(crate) const EPSILON: f64 = 1e-7;

/// Attention per row and frame, which sees the mean and standard deviation of the whole utterance:
/// `w = softmax_t(V tanh(W [h_t; mean; std] + b) + k)`, then `mean = sum_t w h`, `std = sqrt(sum_t w h^2 - mean^2)`.
#[derive(Module, Debug)]
pub struct AttentiveStatistics {
    linear1: Conv1d,
    linear2: Conv1d,
}

impl AttentiveStatistics {
    /// Attention over `rows` with a hidden layer of `attention_dim`.
    pub fn new(rows: usize, attention_dim: usize, device: &Device) -> Self {
        Self {
            linear1: Conv1dConfig::new(3 * rows, attention_dim, 1).init(device),
            linear2: Conv1dConfig::new(attention_dim, rows, 1).init(device),
        }
    }

    /// As [`Self::new`], with an attention that sees the frame alone: `w = softmax_t(V tanh(W h_t + b) + k)`.
    pub fn without_context(rows: usize, attention_dim: usize, device: &Device) -> Self {
        Self {
            linear1: Conv1dConfig::new(rows, attention_dim, 1).init(device),
            linear2: Conv1dConfig::new(attention_dim, rows, 1).init(device),
        }
    }

    /// # Shapes
    /// - input: `[batch, rows, frames]`
    /// - output: `[batch, 2 * rows]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        let hidden = if self.linear1.weight.dims()[1] == input.dims()[1] {
            conv1d(&self.linear1, input.clone())
        } else {
            self.in_context(input.clone())
        };
        let weights = softmax(conv1d(&self.linear2, hidden.tanh()), 2);
        weighted_statistics(input, weights, EPSILON)
    }

    /// `W [h_t; mean; std] + b` for every frame.
    fn in_context(&self, input: Tensor<3>) -> Tensor<3> {
        let rows = input.dims()[1];
        let (mean, variance) = mean_and_variance(input.clone());
        let context = Tensor::cat(vec![mean, (variance + EPSILON).sqrt()], 1);

        // W [h; mean; std] = W_h h + W_c [mean; std]: the context is the same for all frames, so it is multiplied once
        // and never repeated along time.
        let [hidden, _, _] = self.linear1.weight.dims();
        let weight = self.linear1.weight.val().reshape([1, hidden, 3 * rows]);
        let of_frame = weight.clone().narrow(2, 0, rows).matmul(input);
        let mut of_context = weight.narrow(2, rows, 2 * rows).matmul(context);
        if let Some(bias) = &self.linear1.bias {
            of_context = of_context + bias.val().reshape([1, hidden, 1]);
        }
        of_frame + of_context
    }
}
