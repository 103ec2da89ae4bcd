//! RepVGG over the spectrogram: [Ding et al. 2021](https://arxiv.org/abs/2101.03697), for speakers [Ma et al.
//! 2021](https://arxiv.org/abs/2110.09720). A block has three branches, which are one convolution outside training. Parameter names
//! as in WeSpeaker's `RepVGG`.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{ReceptiveField, in_blocks};
use crate::convolution::{conv2d, conv2d_then};
use crate::error::{Result, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::padding::{Padding, clear, strided};
use crate::pooling::tstp;
use crate::stages::{conv1x1, conv3x3};

/// Channels of the first block, if the first stage has more.
const MOST_STEM_CHANNELS: usize = 64;

/// Options of a [`RepVgg`].
///
/// | WeSpeaker's | `widths` | `blocks` |
/// | --- | --- | --- |
/// | `REPVGG_TINY_A0` (the default) | 32, 64, 128, 256 | 3, 4, 23, 3 |
/// | `REPVGG_A0` | 48, 96, 192, 1280 | 2, 4, 14, 1 |
/// | `REPVGG_A1`, `REPVGG_B0` | 64, 128, 256, 1280 | 2, 4, 14, 1; 4, 6, 16, 1 |
/// | `REPVGG_A2` | 96, 192, 384, 1408 | 2, 4, 14, 1 |
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RepVggConfig {
    /// Channels of the four stages. Default: 32, 64, 128, 256.
    pub widths: [usize; 4],
    /// Blocks of the four stages. Default: 3, 4, 23, 3.
    pub blocks: [usize; 4],
    /// A block has one convolution in the place of its branches: WeSpeaker's `deploy`, for checkpoints that were converted. Such a
    /// network is not to be trained. Default: false.
    pub deploy: bool,
    /// Size of the embedding. Default: 256.
    pub embedding_size: usize,
}

impl Default for RepVggConfig {
    fn default() -> Self {
        Self { widths: [32, 64, 128, 256], blocks: [3, 4, 23, 3], deploy: false, embedding_size: 256 }
    }
}

impl RepVggConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        for width in self.widths {
            require_size(width, "model.widths")?;
        }
        for blocks in self.blocks {
            require_size(blocks, "model.blocks")?;
        }
        require_size(self.embedding_size, "model.embedding_size")
    }
}

impl NetworkConfig for RepVggConfig {
    type Network = RepVgg;

    fn min_frames(&self) -> usize {
        RepVgg::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        self.blocks.iter().fold(0, |sum, &blocks| sum.saturating_add(blocks))
    }

    fn build(&self, num_mels: usize, device: &Device) -> RepVgg {
        let mut channels = self.widths[0].min(MOST_STEM_CHANNELS);
        let stage0 = Block::new(1, channels, 1, self.deploy, device);
        let mut stage = |stage: usize| -> Vec<Block> {
            let block = |place| {
                // All stages but the first halve frequencies and frames.
                let stride = if stage > 0 && place == 0 { 2 } else { 1 };
                let before = std::mem::replace(&mut channels, self.widths[stage]);
                Block::new(before, channels, stride, self.deploy, device)
            };
            (0..self.blocks[stage]).map(block).collect()
        };
        // Three of the four stages halve the frequency axis, rounding up.
        let rows = self.widths[3] * num_mels.div_ceil(8);
        RepVgg {
            stage0,
            stage1: stage(0),
            stage2: stage(1),
            stage3: stage(2),
            stage4: stage(3),
            seg: LinearConfig::new(2 * rows, self.embedding_size).init(device),
        }
    }
}

/// A convolution and BatchNorm.
#[derive(Module, Debug)]
struct ConvBn {
    conv: Conv2d,
    bn: BatchNorm,
}

/// The sum of a 3x3 convolution, a 1x1 convolution and the input itself, each with its BatchNorm, and ReLU.
#[derive(Module, Debug)]
struct Branches {
    rbr_identity: Option<BatchNorm>,
    rbr_dense: ConvBn,
    rbr_1x1: ConvBn,
}

impl Branches {
    fn new(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Self {
        let bn = || BatchNorm::new(channels_out, device);
        Self {
            rbr_identity: (channels_in == channels_out && stride == 1).then(bn),
            rbr_dense: ConvBn { conv: conv3x3(channels_in, channels_out, stride, device), bn: bn() },
            rbr_1x1: ConvBn { conv: conv1x1(channels_in, channels_out, stride, device), bn: bn() },
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        // In training each branch normalises by the statistics of its batch.
        if !input.device().is_autodiff() {
            return relu(conv2d(&self.merged(), input));
        }
        let ConvBn { conv, bn } = &self.rbr_1x1;
        let others = conv2d_then(conv, input.clone(), bn.alone());
        let others = match &self.rbr_identity {
            Some(bn) => others + bn.forward(input.clone()),
            None => others,
        };
        let ConvBn { conv, bn } = &self.rbr_dense;
        conv2d_then(conv, input, bn.then_add_relu(&others))
    }

    /// The three branches as one 3x3 convolution, by the running statistics (section 3.3 of the paper).
    fn merged(&self) -> Conv2d {
        let scaled = |weight: Tensor<4>, scale: Tensor<1>| {
            let channels = scale.dims()[0];
            weight * scale.reshape([channels, 1, 1, 1])
        };
        let (scale, mut bias) = self.rbr_dense.bn.scale_and_offset();
        let whole = scaled(self.rbr_dense.conv.weight.val(), scale);
        let (scale, offset) = self.rbr_1x1.bn.scale_and_offset();
        let mut centre = scaled(self.rbr_1x1.conv.weight.val(), scale);
        bias = bias + offset;
        if let Some(bn) = &self.rbr_identity {
            let (scale, offset) = bn.scale_and_offset();
            let channels = scale.dims()[0];
            let unity = Tensor::<2>::eye(channels, &scale.device()).reshape([channels, channels, 1, 1]);
            centre = centre + scaled(unity, scale);
            bias = bias + offset;
        }
        let mut merged = self.rbr_dense.conv.clone();
        merged.weight = Param::from_tensor(whole + centre.pad((1, 1, 1, 1), PadMode::Constant(0.0)));
        merged.bias = Some(Param::from_tensor(bias));
        merged
    }
}

/// A block that was made one convolution before it was stored.
#[derive(Module, Debug)]
struct Deployed {
    rbr_reparam: Conv2d,
}

/// A block in either form.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // Some thirty exist in a network, all of one kind.
enum Block {
    Branches(Branches),
    Deployed(Deployed),
}

impl Block {
    fn new(channels_in: usize, channels_out: usize, stride: usize, deploy: bool, device: &Device) -> Self {
        if !deploy {
            return Self::Branches(Branches::new(channels_in, channels_out, stride, device));
        }
        let conv = Conv2dConfig::new([channels_in, channels_out], [3, 3])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        Self::Deployed(Deployed { rbr_reparam: conv.init(device) })
    }

    /// The convolution on the longest way through it.
    fn convolution(&self) -> &Conv2d {
        match self {
            Self::Branches(block) => &block.rbr_dense.conv,
            Self::Deployed(block) => &block.rbr_reparam,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Branches(block) => block.forward(input),
            Self::Deployed(block) => relu(conv2d(&block.rbr_reparam, input)),
        }
    }
}

/// A block, four stages, statistics over time, linear embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct RepVgg {
    stage0: Block,
    stage1: Vec<Block>,
    stage2: Vec<Block>,
    stage3: Vec<Block>,
    stage4: Vec<Block>,
    seg: Linear,
}

impl Network for RepVgg {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }

    fn supports_padding(&self) -> bool {
        true
    }

    fn forward_padded(&self, features: Tensor<3>, padding: Padding) -> Option<Tensor<2>> {
        let (map, padding) = self.map(features, Some(padding));
        Some(linear(&self.seg, tstp::of_padded_map(map, &padding?)))
    }
}

impl RepVgg {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        let stages = [&self.stage1, &self.stage2, &self.stage3, &self.stage4];
        std::iter::once(&self.stage0).chain(stages.into_iter().flatten())
    }

    /// The last map, with its padding. A block is one convolution deep.
    fn map(&self, features: Tensor<3>, padding: Option<Padding>) -> (Tensor<4>, Option<Padding>) {
        self.blocks().fold((features.unsqueeze_dim(1), padding), |(hidden, padding), block| {
            let padding = strided(padding, block.convolution().stride[1]);
            (clear(padding.as_ref(), block.forward(hidden)), padding)
        })
    }

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let layers = self.blocks().map(Block::convolution);
        let field = layers.fold(ReceptiveField::FRAME, ReceptiveField::conv2d);
        let maps = in_blocks(features, field, |block| self.map(block, None).0);
        linear(&self.seg, tstp::of_maps(maps, tstp::WESPEAKER_EPSILON))
    }
}
