//! From a variable number of frames to one vector.
//!
//! To add a pooling: a file here with a module whose `forward` reads like its formula, a variant in [`PoolingConfig`]
//! and in [`Pooling`], and its size in [`Pooling::new`].

pub(crate) mod all_positions;
pub(crate) mod attentive;
pub(crate) mod attentive_relu;
mod baseline_attentive;
pub(crate) mod moments;
pub(crate) mod multi_query;
pub(crate) mod tstp;
pub(crate) mod weighted;
pub(crate) mod xi;

pub use all_positions::statistics_over_all_positions;
pub use attentive::AttentiveStatistics;
pub use attentive_relu::ReluAttentiveStatistics;
pub use baseline_attentive::{BaselineAttention, BaselineAttentivePooling};
pub use multi_query::MultiQueryAttention;
pub use tstp::temporal_statistics;
pub use xi::XiPosterior;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use self::moments::Moments;
use crate::padding::Padding;

/// Size of the hidden layer of [`AttentiveStatistics`] behind a ResNet (the value of the ECAPA-TDNN paper).
const ATTENTION_DIM: usize = 128;

/// How a two-dimensional network (a ResNet) is summarised.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PoolingConfig {
    /// Mean and standard deviation of each channel over all frequencies and frames: the baseline's `StatsPool`.
    StatsAll,
    /// Mean and standard deviation over the frames of each channel and frequency (temporal statistics pooling).
    #[default]
    Tstp,
    /// As [`Tstp`](Self::Tstp), with weights from an attention that sees the whole utterance.
    Attentive,
    /// As [`Attentive`](Self::Attentive), with an attention that sees each frame alone: WeSpeaker's `ASTP` behind a ResNet.
    Astp,
    /// Weighted means and standard deviations by two attentions for each of eight groups of rows (MQMHA).
    Mqmha,
}

/// A pooling of `[batch, channels, frequencies, frames]`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One exists in a network.
pub enum Pooling {
    /// See [`statistics_over_all_positions`].
    StatsAll(Parameterless),
    /// See [`temporal_statistics`].
    Tstp(Parameterless),
    /// See [`AttentiveStatistics`].
    Attentive(AttentiveStatistics),
    /// See [`MultiQueryAttention`].
    Mqmha(MultiQueryAttention),
}

/// Stands where a pooling has nothing to learn.
#[derive(Module, Debug)]
pub struct Parameterless;

impl Pooling {
    /// The pooling and the size of its output. For [`PoolingConfig::Mqmha`] `channels * frequencies` is a multiple of 8.
    pub fn new(config: PoolingConfig, channels: usize, frequencies: usize, device: &Device) -> (Self, usize) {
        match config {
            PoolingConfig::StatsAll => (Self::StatsAll(Parameterless), 2 * channels),
            PoolingConfig::Tstp => (Self::Tstp(Parameterless), 2 * channels * frequencies),
            PoolingConfig::Attentive => {
                let rows = channels * frequencies;
                (Self::Attentive(AttentiveStatistics::new(rows, ATTENTION_DIM, device)), 2 * rows)
            }
            PoolingConfig::Astp => {
                let rows = channels * frequencies;
                let pooling = AttentiveStatistics::without_context(rows, ATTENTION_DIM, device);
                (Self::Attentive(pooling), 2 * rows)
            }
            PoolingConfig::Mqmha => {
                let rows = channels * frequencies;
                let pooling = MultiQueryAttention::new(rows, device);
                (Self::Mqmha(pooling), MultiQueryAttention::output_size(rows))
            }
        }
    }

    /// # Shapes
    /// - input: `[batch, channels, frequencies, frames]`
    /// - output: `[batch, size]`, means first
    pub fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        self.forward_pieces(std::iter::once(input))
    }

    /// As [`forward`](Self::forward), of a map that comes in pieces along time. The attentive poolings hold them all, the others one.
    pub(crate) fn forward_pieces(&self, pieces: impl Iterator<Item = Tensor<4>>) -> Tensor<2> {
        match self {
            Self::StatsAll(_) => {
                let rows = pieces.map(|piece| piece.flatten::<3>(2, 3));
                all_positions::with_std(Moments::of_all(rows).mean_and_variance())
            }
            Self::Tstp(_) => tstp::of_maps(pieces, tstp::WESPEAKER_EPSILON),
            Self::Attentive(attentive) => attentive.forward_pieces(pieces.map(tstp::per_frequency).collect()),
            Self::Mqmha(attentive) => attentive.forward_pieces(pieces.map(tstp::per_frequency).collect()),
        }
    }

    /// Whether [`forward_padded`](Self::forward_padded) gives something.
    pub(crate) fn supports_padding(&self) -> bool {
        !matches!(self, Self::Attentive(_) | Self::Mqmha(_))
    }

    /// As [`forward`](Self::forward), over the speech alone.
    pub(crate) fn forward_padded(&self, input: Tensor<4>, padding: &Padding) -> Option<Tensor<2>> {
        let [batch, channels, frequencies, frames] = input.dims();
        match self {
            Self::StatsAll(_) => {
                let rows = input.reshape([batch, channels, frequencies * frames]);
                Some(all_positions::with_std(padding.mean_and_variance(rows, frequencies)))
            }
            Self::Tstp(_) => Some(tstp::of_padded_map(input, padding)),
            Self::Attentive(_) | Self::Mqmha(_) => None,
        }
    }
}

/// Mean and unbiased variance over the last dimension, which stays with size 1. The variance of one value is 0.
fn mean_and_variance(input: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    Moments::of(input).mean_and_variance()
}

/// `[mean, std]` of shape `[batch, 2 * rows]` from two tensors `[batch, rows, 1]`.
fn concatenate(mean: Tensor<3>, std: Tensor<3>) -> Tensor<2> {
    Tensor::cat(vec![mean, std], 1).squeeze_dim(2)
}
