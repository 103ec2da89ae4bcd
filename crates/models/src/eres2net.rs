//! ERes2Net: [Chen et al. 2023](https://arxiv.org/abs/2305.12838). Attention fuses the groups inside the blocks of the last two
//! stages (local fusion), and the outputs of all four stages from the bottom up (global fusion). Parameter names as in
//! 3D-Speaker's `ERes2Net`, whose stem and stages are not in `front` but at the top.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::blocks::in_blocks;
use crate::convolution::conv2d;
use crate::error::{Result, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::tstp;
use crate::res2::{AttentiveFusion, Groups, Res2Block, Res2Sizes};
use crate::stages::Stages;

/// Options of an [`ERes2Net`].
///
/// | 3D-Speaker's | `in_planes` | `base_width` | `scale` | `expansion` |
/// | --- | --- | --- | --- | --- |
/// | base (the default) | 32 | 32 | 2 | 2 |
/// | large | 64 | 32 | 2 | 2 |
/// | huge (`ERes2Net_huge`, "aug") | 64 | 24 | 3 | 4 |
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ERes2NetConfig {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C inside their blocks. Default: 32.
    pub in_planes: usize,
    /// Blocks of each stage. Default: 3, 4, 6, 3.
    pub blocks: [usize; 4],
    /// Channels of a group, in 64ths of those of the stage. Default: 32.
    pub base_width: usize,
    /// Groups of channels in a block. Default: 2.
    pub scale: usize,
    /// Channels that leave a block, in those of the stage. Default: 2.
    pub expansion: usize,
    /// Size of the embedding. Default: 192; 3D-Speaker's models of Chinese speech have 512.
    pub embedding_size: usize,
}

impl Default for ERes2NetConfig {
    fn default() -> Self {
        Self {
            in_planes: 32,
            blocks: [3, 4, 6, 3],
            base_width: 32,
            scale: 2,
            expansion: 2,
            embedding_size: 192,
        }
    }
}

impl ERes2NetConfig {
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

impl NetworkConfig for ERes2NetConfig {
    type Network = ERes2Net;

    fn min_frames(&self) -> usize {
        ERes2Net::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        self.sizes().layers()
    }

    fn build(&self, num_mels: usize, device: &Device) -> ERes2Net {
        let sizes = self.sizes();
        let channels = sizes.channels();
        // Three of the four stages halve the frequency axis, rounding up.
        let rows = channels * num_mels.div_ceil(8);
        let groups = |stage| if stage < 2 { Groups::Summed } else { Groups::Fused };
        ERes2Net {
            front: sizes.stages(device, groups),
            layer1_downsample: downsample(channels / 8, device),
            layer2_downsample: downsample(channels / 4, device),
            layer3_downsample: downsample(channels / 2, device),
            fuse_mode12: AttentiveFusion::new(channels / 4, device),
            fuse_mode123: AttentiveFusion::new(channels / 2, device),
            fuse_mode1234: AttentiveFusion::new(channels, device),
            seg_1: LinearConfig::new(2 * rows, self.embedding_size).init(device),
        }
    }
}

/// Half the size and twice the channels: from the output of a stage to the shape of the next one's.
pub(crate) fn downsample(channels: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels, 2 * channels], [3, 3])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(device)
}

/// Four stages, their fusion, statistics over time, linear embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ERes2Net {
    front: Stages<Res2Block>,
    layer1_downsample: Conv2d,
    layer2_downsample: Conv2d,
    layer3_downsample: Conv2d,
    fuse_mode12: AttentiveFusion,
    fuse_mode123: AttentiveFusion,
    fuse_mode1234: AttentiveFusion,
    seg_1: Linear,
}

impl Network for ERes2Net {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl ERes2Net {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// The fused map of all stages.
    fn map(&self, features: Tensor<3>) -> Tensor<4> {
        let [first, second, third, fourth] = self.front.forward_stages(features.unsqueeze_dim(1));
        let fused = self.fuse_mode12.forward(second, conv2d(&self.layer1_downsample, first));
        let fused = self.fuse_mode123.forward(third, conv2d(&self.layer2_downsample, fused));
        self.fuse_mode1234.forward(fourth, conv2d(&self.layer3_downsample, fused))
    }

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        // The way through the stages sees more than the shorter ones through the fusions.
        let maps = in_blocks(features, self.front.receptive_field(), |block| self.map(block));
        linear(&self.seg_1, tstp::of_maps(maps, tstp::THREE_D_SPEAKER_EPSILON))
    }
}
