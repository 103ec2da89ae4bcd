//! Channel- and context-dependent statistics pooling,
//! [ECAPA-TDNN, section 3.1](https://arxiv.org/abs/2005.07143), after
//! [Okabe et al. 2018](https://arxiv.org/abs/1803.10963).

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};

use super::moments::Moments;
use super::weighted::weighted_statistics;
use crate::blocks::Pieces;
use crate::convolution::conv1d;
use crate::multiplications::product;

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
        self.forward_pieces(vec![input])
    }

    /// As [`forward`](Self::forward), of a sequence in pieces along time.
    pub(crate) fn forward_pieces(&self, pieces: Pieces) -> Tensor<2> {
        let context = self.sees_context(&pieces).then(|| {
            let (mean, variance) = Moments::of_all(pieces.iter().cloned()).mean_and_variance();
            self.of_context(mean, (variance + EPSILON).sqrt())
        });
        let logits = |piece: Tensor<3>| {
            let hidden = match &context {
                Some(context) => self.of_frame(piece) + context.clone(),
                None => conv1d(&self.linear1, piece),
            };
            conv1d(&self.linear2, hidden.tanh())
        };
        weighted_statistics(pieces, logits, EPSILON)
    }

    fn sees_context(&self, pieces: &[Tensor<3>]) -> bool {
        pieces.first().is_some_and(|piece| piece.dims()[1] != self.linear1.weight.dims()[1])
    }

    // W [h; mean; std] = W_h h + W_c [mean; std]: the context is the same for all frames, so it is multiplied once and never
    // repeated along time.

    /// `W_h h_t` for every frame.
    fn of_frame(&self, input: Tensor<3>) -> Tensor<3> {
        let rows = input.dims()[1];
        product(self.weight().narrow(2, 0, rows), input)
    }

    /// `W_c [mean; std] + b`.
    fn of_context(&self, mean: Tensor<3>, std: Tensor<3>) -> Tensor<3> {
        let rows = mean.dims()[1];
        let product = product(self.weight().narrow(2, rows, 2 * rows), Tensor::cat(vec![mean, std], 1));
        match &self.linear1.bias {
            Some(bias) => product + bias.val().reshape([1, -1, 1]),
            None => product,
        }
    }

    /// Of the first layer, `[1, attention_dim, 3 * rows]`.
    fn weight(&self) -> Tensor<3> {
        self.linear1.weight.val().squeeze_dim::<2>(2).unsqueeze_dim(0)
    }
}
