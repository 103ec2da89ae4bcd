//! ERes2NetV2: [Chen et al. 2024](https://arxiv.org/abs/2406.02167). [ERes2Net](crate::ERes2Net) with wider stages and narrower
//! groups, whose global fusion is that of the last two stages alone. Parameter names as in 3D-Speaker's `ERes2NetV2`, whose stem
//! and stages are not in `front` but at the top.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::blocks::in_blocks;
use crate::convolution::conv2d;
use crate::eres2net::downsample;
use crate::error::{Result, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::tstp;
use crate::res2::{AttentiveFusion, Groups, Res2Block, Res2Sizes};
use crate::stages::Stages;

/// Options of an [`ERes2NetV2`].
///
/// | 3D-Speaker's | `in_planes` | `base_width` | `scale` | `expansion` |
/// | --- | --- | --- | --- | --- |
/// | base (the default) | 64 | 26 | 2 | 2 |
/// | large (`w24s4ep4`) | 64 | 24 | 4 | 4 |
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ERes2NetV2Config {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C inside their blocks. Default: 64.
    pub in_planes: usize,
    /// Blocks of each stage. Default: 3, 4, 6, 3.
    pub blocks: [usize; 4],
    /// Channels of a group, in 64ths of those of the stage. Default: 26.
    pub base_width: usize,
    /// Groups of channels in a block. Default: 2.
    pub scale: usize,
    /// Channels that leave a block, in those of the stage. Default: 2.
    pub expansion: usize,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
}

impl Default for ERes2NetV2Config {
    fn default() -> Self {
        Self {
            in_planes: 64,
            blocks: [3, 4, 6, 3],
            base_width: 26,
            scale: 2,
            expansion: 2,
            embedding_size: 192,
        }
    }
}

impl ERes2NetV2Config {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        self.sizes().validate()?;
        require_size(self.embedding_size, "model.embedding_size")
    }

    pub(crate) fn sizes(&self) -> Res2Sizes {
        let Self { in_planes, blocks, base_width, scale, expansion, .. } = *self;
        Res2Sizes { in_planes, blocks, base_width, scale, expansion }
    }
}

impl NetworkConfig for ERes2NetV2Config {
    type Network = ERes2NetV2;

    fn min_frames(&self) -> usize {
        ERes2NetV2::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        self.sizes().layers()
    }

    fn build(&self, num_mels: usize, device: &Device) -> ERes2NetV2 {
        let sizes = self.sizes();
        let channels = sizes.channels();
        // Three of the four stages halve the frequency axis, rounding up.
        let rows = channels * num_mels.div_ceil(8);
        let groups = |stage| if stage < 2 { Groups::Summed } else { Groups::Fused };
        ERes2NetV2 {
            front: sizes.stages(device, groups),
            layer3_ds: downsample(channels / 2, device),
            fuse34: AttentiveFusion::new(channels, device),
            seg_1: LinearConfig::new(2 * rows, self.embedding_size).init(device),
        }
    }
}

/// Four stages, the fusion of the last two, statistics over time, linear embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ERes2NetV2 {
    front: Stages<Res2Block>,
    layer3_ds: Conv2d,
    fuse34: AttentiveFusion,
    seg_1: Linear,
}

impl Network for ERes2NetV2 {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl ERes2NetV2 {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// The fused map of the last two stages.
    fn map(&self, features: Tensor<3>) -> Tensor<4> {
        let [_, _, third, fourth] = self.front.forward_stages(features.unsqueeze_dim(1));
        self.fuse34.forward(fourth, conv2d(&self.layer3_ds, third))
    }

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        // The way through the stages sees more than the shorter one through the fusion.
        let maps = in_blocks(features, self.front.receptive_field(), |block| self.map(block));
        linear(&self.seg_1, tstp::of_maps(maps, tstp::THREE_D_SPEAKER_EPSILON))
    }
}
