//! The baseline's `StatsPool`.

use burn::tensor::Tensor;

use super::{concatenate, mean_and_variance};

/// Below any variance that a feature map has in practice: it only keeps the gradient of the square root finite.
pub(crate) const VARIANCE_FLOOR: f64 = 1e-14;

/// Mean and unbiased standard deviation of each channel over all frequencies and frames.
///
/// # Shapes
/// - input: `[batch, channels, frequencies, frames]`
/// - output: `[batch, 2 * channels]`
pub fn statistics_over_all_positions(input: Tensor<4>) -> Tensor<2> {
    let [batch, channels, frequencies, frames] = input.dims();
    with_std(mean_and_variance(input.reshape([batch, channels, frequencies * frames])))
}

/// Mean and standard deviation. A row that is constant has a standard deviation of 1e-7 instead of 0.
pub(crate) fn with_std((mean, variance): (Tensor<3>, Tensor<3>)) -> Tensor<2> {
    concatenate(mean, variance.clamp_min(VARIANCE_FLOOR).sqrt())
}
