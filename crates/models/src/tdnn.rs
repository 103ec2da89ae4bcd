//! The x-vector network: [Snyder et al. 2018](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf), table 1 up to
//! `segment6`, whose affine output is the embedding. Parameter names as in WeSpeaker's `XVEC`.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{ReceptiveField, in_blocks};
use crate::convolution::conv1d_then;
use crate::error::{Result, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::padding::Padding;
use crate::pooling::moments::Moments;
use crate::pooling::tstp::{WESPEAKER_EPSILON, with_std};

/// Dilation of the five frame-level layers.
pub(crate) const DILATIONS: [usize; 5] = [1, 2, 3, 1, 1];

/// Options of a [`Tdnn`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TdnnConfig {
    /// Channels of the first four frame-level layers. Default: 512.
    pub hidden_dim: usize,
    /// Channels of the fifth frame-level layer, which is pooled. Default: 1500.
    pub stats_dim: usize,
    /// Size of the embedding. Default: 512.
    pub embedding_size: usize,
}

impl Default for TdnnConfig {
    fn default() -> Self {
        Self { hidden_dim: 512, stats_dim: 1500, embedding_size: 512 }
    }
}

impl TdnnConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.hidden_dim, "model.hidden_dim")?;
        require_size(self.stats_dim, "model.stats_dim")?;
        require_size(self.embedding_size, "model.embedding_size")
    }
}

impl NetworkConfig for TdnnConfig {
    type Network = Tdnn;

    fn min_frames(&self) -> usize {
        Tdnn::MIN_FRAMES
    }

    fn build(&self, num_mels: usize, device: &Device) -> Tdnn {
        let c = self.hidden_dim;
        Tdnn {
            frame_1: TdnnLayer::new(num_mels, c, 5, DILATIONS[0], device),
            frame_2: TdnnLayer::new(c, c, 3, DILATIONS[1], device),
            frame_3: TdnnLayer::new(c, c, 3, DILATIONS[2], device),
            frame_4: TdnnLayer::new(c, c, 1, DILATIONS[3], device),
            frame_5: TdnnLayer::new(c, self.stats_dim, 1, DILATIONS[4], device),
            seg_1: LinearConfig::new(2 * self.stats_dim, self.embedding_size).init(device),
        }
    }
}

/// A dilated convolution over time without padding, ReLU, batch normalisation.
#[derive(Module, Debug)]
pub(crate) struct TdnnLayer {
    conv_1d: Conv1d,
    bn: BatchNorm,
}

impl TdnnLayer {
    fn new(channels_in: usize, channels_out: usize, kernel: usize, dilation: usize, device: &Device) -> Self {
        Self {
            conv_1d: Conv1dConfig::new(channels_in, channels_out, kernel)
                .with_dilation(dilation)
                .init(device),
            bn: BatchNorm::new(channels_out, device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        conv1d_then(&self.conv_1d, input, self.bn.after_relu())
    }
}

/// Five frame-level layers, statistics pooling, linear embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct Tdnn {
    frame_1: TdnnLayer,
    frame_2: TdnnLayer,
    frame_3: TdnnLayer,
    frame_4: TdnnLayer,
    frame_5: TdnnLayer,
    seg_1: Linear,
}

impl Network for Tdnn {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }

    fn supports_padding(&self) -> bool {
        true
    }

    /// The layers have no padding of their own, so no frame of speech sees what lies behind the end.
    fn forward_padded(&self, features: Tensor<3>, padding: Padding) -> Option<Tensor<2>> {
        let padding = padding.shortened(Self::MIN_FRAMES - 1);
        Some(linear(
            &self.seg_1,
            with_std(padding.mean_and_variance(self.frame_level(features), 1), WESPEAKER_EPSILON),
        ))
    }
}

impl Tdnn {
    /// The layers see 2, 2 and 3 frames to each side.
    const MIN_FRAMES: usize = 15;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let seen = |field: ReceptiveField, layer: &TdnnLayer| field.conv1d(&layer.conv_1d);
        let field = self.layers().into_iter().fold(ReceptiveField::FRAME, seen);
        let pieces = in_blocks(features, field, |block| self.frame_level(block));
        linear(&self.seg_1, with_std(Moments::of_all(pieces).mean_and_variance(), WESPEAKER_EPSILON))
    }

    fn layers(&self) -> [&TdnnLayer; 5] {
        [&self.frame_1, &self.frame_2, &self.frame_3, &self.frame_4, &self.frame_5]
    }

    fn frame_level(&self, features: Tensor<3>) -> Tensor<3> {
        self.layers().into_iter().fold(features, |hidden, layer| layer.forward(hidden))
    }
}
