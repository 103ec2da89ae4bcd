//! The baseline's `StatsPool`.

use burn::tensor::Tensor;

use super::{VARIANCE_FLOOR, concatenate, mean_and_variance};

/// Mean and unbiased standard deviation of each channel over all frequencies and frames.
///
/// # Shapes
/// - input: `[batch, channels, frequencies, frames]`
/// - output: `[batch, 2 * channels]`
pub fn statistics_over_all_positions(input: Tensor<4>) -> Tensor<2> {
    let [batch, channels, frequencies, frames] = input.dims();
    let (mean, variance) = mean_and_variance(input.reshape([batch, channels, frequencies * frames]));
    concatenate(mean, variance.clamp_min(VARIANCE_FLOOR).sqrt())
}
