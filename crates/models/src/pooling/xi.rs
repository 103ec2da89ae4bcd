//! The xi-vector's pooling, [Lee et al. 2021](https://arxiv.org/abs/2108.05679), in the form of WeSpeaker's `XI`.

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::activation::{log_sigmoid, softmax};
use burn::tensor::{Device, Tensor};

use super::Parameterless;
use crate::batch_norm::BatchNorm;
use crate::convolution::{conv1d, conv1d_then};

/// Hidden size of the layer that estimates precisions.
const HIDDEN: usize = 256;
/// Logarithms of precisions stay within this.
pub(crate) const LARGEST_LOG: f64 = 15.0;

/// Mean of a Gaussian posterior: every frame has a precision for each row, and so has a prior that is learned. The output is the mean
/// of the frames and of the prior's mean, weighted by the precisions. Uncertain frames count less.
#[derive(Module, Debug)]
pub struct XiPosterior {
    /// `[1, rows]`
    prior_mean: Param<Tensor<2>>,
    /// `[1, rows]`
    prior_logprec: Param<Tensor<2>>,
    lin1_relu_bn: (Conv1d, Parameterless, BatchNorm),
    lin2: Conv1d,
}

impl XiPosterior {
    /// Over `rows`.
    pub fn new(rows: usize, device: &Device) -> Self {
        Self {
            prior_mean: Initializer::Zeros.init([1, rows], device),
            prior_logprec: Initializer::Zeros.init([1, rows], device),
            lin1_relu_bn: (
                Conv1dConfig::new(rows, HIDDEN, 1).init(device),
                Parameterless,
                BatchNorm::new(HIDDEN, device),
            ),
            lin2: Conv1dConfig::new(HIDDEN, rows, 1).init(device),
        }
    }

    /// # Shapes
    /// - input: `[batch, rows, frames]`
    /// - output: `[batch, rows]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        let (linear, _, bn) = &self.lin1_relu_bn;
        let hidden = conv1d(&self.lin2, conv1d_then(linear, input.clone(), bn.after_relu()));
        // The softplus is the square root of a precision. Bounded before the logarithm, whose slope is infinite at 0.
        let bound = (LARGEST_LOG / 2.0).exp();
        let root = log_sigmoid(hidden.neg()).neg().clamp(1.0 / bound, bound);
        let precisions = root.log() * 2.0;

        let [batch, rows, _] = input.dims();
        let prior = |values: Tensor<2>| values.reshape([1, rows, 1]).repeat_dim(0, batch);
        let precisions = Tensor::cat(vec![precisions, prior(self.prior_logprec.val())], 2);
        let means = Tensor::cat(vec![input, prior(self.prior_mean.val())], 2);
        (means * softmax(precisions, 2)).sum_dim(2).squeeze_dim(2)
    }
}
