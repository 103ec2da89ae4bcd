//! Temporal statistics pooling, as in [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf).

use burn::tensor::Tensor;

use super::{concatenate, mean_and_variance};

/// Added to the variance before the square root, as WeSpeaker does: weights move over unchanged.
const EPSILON: f64 = 1e-7;

/// Mean and unbiased standard deviation of each row over the frames.
///
/// # Shapes
/// - input: `[batch, rows, frames]`
/// - output: `[batch, 2 * rows]`
pub fn temporal_statistics(input: Tensor<3>) -> Tensor<2> {
    with_std(mean_and_variance(input))
}

pub(crate) fn with_std((mean, variance): (Tensor<3>, Tensor<3>)) -> Tensor<2> {
    concatenate(mean, (variance + EPSILON).sqrt())
}
