//! Temporal statistics pooling, as in [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf).

use burn::tensor::Tensor;

use super::moments::Moments;
use super::{concatenate, mean_and_variance};
use crate::padding::Padding;

/// Added to the variance before the square root, as WeSpeaker does: weights move over unchanged.
pub(crate) const WESPEAKER_EPSILON: f64 = 1e-7;
/// The same of 3D-Speaker.
pub(crate) const THREE_D_SPEAKER_EPSILON: f64 = 1e-8;

/// Mean and unbiased standard deviation of each row over the frames.
///
/// # Shapes
/// - input: `[batch, rows, frames]`
/// - output: `[batch, 2 * rows]`
pub fn temporal_statistics(input: Tensor<3>) -> Tensor<2> {
    with_std(mean_and_variance(input), WESPEAKER_EPSILON)
}

/// The same of a map that comes in pieces along time: a row is a channel at a frequency.
///
/// # Shapes
/// - pieces: `[batch, channels, frequencies, frames]`
/// - output: `[batch, 2 * channels * frequencies]`
pub(crate) fn of_maps(pieces: impl Iterator<Item = Tensor<4>>, epsilon: f64) -> Tensor<2> {
    with_std(Moments::of_all(pieces.map(per_frequency)).mean_and_variance(), epsilon)
}

/// The same of a map with padding, over the speech alone, with [`WESPEAKER_EPSILON`].
pub(crate) fn of_padded_map(map: Tensor<4>, padding: &Padding) -> Tensor<2> {
    with_std(padding.mean_and_variance(per_frequency(map), 1), WESPEAKER_EPSILON)
}

/// `[batch, channels * frequencies, frames]`
pub(crate) fn per_frequency(map: Tensor<4>) -> Tensor<3> {
    let [batch, channels, frequencies, frames] = map.dims();
    map.reshape([batch, channels * frequencies, frames])
}

pub(crate) fn with_std((mean, variance): (Tensor<3>, Tensor<3>), epsilon: f64) -> Tensor<2> {
    concatenate(mean, (variance + epsilon).sqrt())
}
