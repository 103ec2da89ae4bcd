//! ResNet over the log-mel spectrogram: [He et al. 2015](https://arxiv.org/abs/1512.03385), with the statistics pooling of
//! [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf) behind it. With
//! [`PoolingConfig::StatsAll`] it is the baseline's `ResNet34StatsPool`.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{ReceptiveField, in_blocks};
use crate::convolution::conv2d_then;
use crate::error::{Result, require, require_size};
use crate::network::{Network, NetworkConfig};
use crate::padding::{Padding, clear};
use crate::pooling::{Pooling, PoolingConfig};

/// Channels that leave a bottleneck block, in its inner channels.
pub(crate) const EXPANSION: usize = 4;

/// Depth, blocks of each stage, and whether they are bottlenecks.
const STAGES: [(usize, [usize; 4], bool); 7] = [
    (18, [2, 2, 2, 2], false),
    (34, [3, 4, 6, 3], false),
    (50, [3, 4, 6, 3], true),
    (101, [3, 4, 23, 3], true),
    (152, [3, 8, 36, 3], true),
    (221, [6, 16, 48, 3], true),
    (293, [10, 20, 64, 3], true),
];

/// Depth of the network with these stages.
pub(crate) fn depth_of(blocks: [usize; 4], bottleneck: bool) -> Option<usize> {
    STAGES.iter().find(|&&(_, b, k)| (b, k) == (blocks, bottleneck)).map(|&(depth, ..)| depth)
}

/// Options of a [`ResNet`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ResNetConfig {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C. Default: 32.
    pub in_planes: usize,
    /// Layers with weights. Default: 34.
    ///
    /// | depth | blocks of the stages | block |
    /// | --- | --- | --- |
    /// | 18, 34 | 2 2 2 2, 3 4 6 3 | two 3x3 convolutions |
    /// | 50, 101, 152 | 3 4 6 3, 3 4 23 3, 3 8 36 3 | bottleneck: the stages end with four times their channels |
    /// | 221, 293 | 6 16 48 3, 10 20 64 3 (WeSpeaker's) | bottleneck |
    pub depth: usize,
    /// Size of the embedding. Default: 256.
    pub embedding_size: usize,
    /// From feature map to vector. Default: `tstp`.
    pub pooling: PoolingConfig,
    /// Probability with which a component of the embedding is set to 0 in training, in `[0, 1)`. Default: 0.
    pub dropout: f64,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { in_planes: 32, depth: 34, embedding_size: 256, pooling: PoolingConfig::Tstp, dropout: 0.0 }
    }
}

impl ResNetConfig {
    /// The baseline's `ResNet34StatsPool(in_planes = 32, embedding_size = 256, dropout = 0.5)`.
    pub fn baseline() -> Self {
        Self { pooling: PoolingConfig::StatsAll, dropout: 0.5, ..Self::default() }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.in_planes, "model.in_planes")?;
        require(self.stages().is_some(), "model.depth", self.depth, "18, 34, 50, 101, 152, 221 or 293")?;
        require_size(self.embedding_size, "model.embedding_size")?;
        require((0.0..1.0).contains(&self.dropout), "model.dropout", self.dropout, "a number in [0, 1)")
    }

    /// Blocks of each stage, and whether they are bottlenecks.
    fn stages(&self) -> Option<([usize; 4], bool)> {
        STAGES
            .iter()
            .find(|(depth, ..)| *depth == self.depth)
            .map(|&(_, blocks, bottleneck)| (blocks, bottleneck))
    }
}

impl NetworkConfig for ResNetConfig {
    type Network = ResNet;

    fn min_frames(&self) -> usize {
        ResNet::MIN_FRAMES
    }

    fn build(&self, num_mels: usize, device: &Device) -> ResNet {
        // Three of the four stages halve the frequency axis, rounding up.
        let frequencies = num_mels.div_ceil(8);
        let (blocks, bottleneck) = self.stages().unwrap_or_default();
        let channels = 8 * self.in_planes * if bottleneck { EXPANSION } else { 1 };
        let (pool, size) = Pooling::new(self.pooling, channels, frequencies, device);
        ResNet {
            front: FrontBlocks::new(self.in_planes, blocks, bottleneck, device),
            pool,
            bottleneck: LinearConfig::new(size, self.embedding_size).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

fn conv3x3(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [3, 3])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(device)
}

fn conv1x1(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [1, 1])
        .with_stride([stride, stride])
        .with_bias(false)
        .init(device)
}

/// What a shortcut needs where the shape changes.
fn projection(
    channels_in: usize,
    channels_out: usize,
    stride: usize,
    device: &Device,
) -> Option<(Conv2d, BatchNorm)> {
    (stride != 1 || channels_in != channels_out)
        .then(|| (conv1x1(channels_in, channels_out, stride, device), BatchNorm::new(channels_out, device)))
}

pub(crate) fn shortcut(projection: Option<&(Conv2d, BatchNorm)>, input: Tensor<4>) -> Tensor<4> {
    match projection {
        Some((projection, bn)) => conv2d_then(projection, input, bn.alone()),
        None => input,
    }
}

/// Two 3x3 convolutions and a shortcut. The shortcut is projected by a 1x1 convolution where the shape changes.
#[derive(Module, Debug)]
pub(crate) struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl BasicBlock {
    fn new(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv1: conv3x3(channels_in, channels_out, stride, device),
            bn1: BatchNorm::new(channels_out, device),
            conv2: conv3x3(channels_out, channels_out, 1, device),
            bn2: BatchNorm::new(channels_out, device),
            downsample: projection(channels_in, channels_out, stride, device),
        }
    }

    /// `padding` is that of the output.
    fn forward(&self, input: Tensor<4>, padding: Option<&Padding>) -> Tensor<4> {
        let hidden = clear(padding, conv2d_then(&self.conv1, input.clone(), self.bn1.then_relu()));
        let shortcut = shortcut(self.downsample.as_ref(), input);
        clear(padding, conv2d_then(&self.conv2, hidden, self.bn2.then_add_relu(&shortcut)))
    }
}

/// 1x1 convolution to the inner channels, 3x3, 1x1 to four times as many, and a shortcut. The stride is the 3x3's.
#[derive(Module, Debug)]
pub(crate) struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Bottleneck {
    fn new(channels_in: usize, inner: usize, stride: usize, device: &Device) -> Self {
        let channels_out = EXPANSION * inner;
        Self {
            conv1: conv1x1(channels_in, inner, 1, device),
            bn1: BatchNorm::new(inner, device),
            conv2: conv3x3(inner, inner, stride, device),
            bn2: BatchNorm::new(inner, device),
            conv3: conv1x1(inner, channels_out, 1, device),
            bn3: BatchNorm::new(channels_out, device),
            downsample: projection(channels_in, channels_out, stride, device),
        }
    }

    /// `before` is the padding of the input, `after` that of the output.
    fn forward(&self, input: Tensor<4>, before: Option<&Padding>, after: Option<&Padding>) -> Tensor<4> {
        let hidden = clear(before, conv2d_then(&self.conv1, input.clone(), self.bn1.then_relu()));
        let hidden = conv2d_then(&self.conv2, hidden, self.bn2.then_relu());
        let shortcut = shortcut(self.downsample.as_ref(), input);
        clear(after, conv2d_then(&self.conv3, hidden, self.bn3.then_add_relu(&shortcut)))
    }
}

/// A block of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // Some sixteen exist in a network, all of one kind.
pub(crate) enum Block {
    /// Of the shallow networks.
    Basic(BasicBlock),
    /// Of the deep ones.
    Bottleneck(Bottleneck),
}

impl Block {
    /// The convolutions on the longest way through it.
    fn convolutions(&self) -> Vec<&Conv2d> {
        match self {
            Self::Basic(block) => vec![&block.conv1, &block.conv2],
            Self::Bottleneck(block) => vec![&block.conv1, &block.conv2, &block.conv3],
        }
    }

    /// The output, and its padding.
    fn forward(&self, input: Tensor<4>, padding: Option<Padding>) -> (Tensor<4>, Option<Padding>) {
        let stride = match self {
            Self::Basic(block) => block.conv1.stride[1],
            Self::Bottleneck(block) => block.conv2.stride[1],
        };
        let after = padding.as_ref().map(|padding| padding.strided(stride));
        let output = match self {
            Self::Basic(block) => block.forward(input, after.as_ref()),
            Self::Bottleneck(block) => block.forward(input, padding.as_ref(), after.as_ref()),
        };
        (output, after)
    }
}

/// Stem and four stages.
#[derive(Module, Debug)]
pub(crate) struct FrontBlocks {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
}

impl FrontBlocks {
    fn new(in_planes: usize, blocks: [usize; 4], bottleneck: bool, device: &Device) -> Self {
        let mut channels = in_planes;
        let mut stage = |inner: usize, blocks: usize, stride: usize| -> Vec<Block> {
            let block = |block| {
                let stride = if block == 0 { stride } else { 1 };
                let made = if bottleneck {
                    Block::Bottleneck(Bottleneck::new(channels, inner, stride, device))
                } else {
                    Block::Basic(BasicBlock::new(channels, inner, stride, device))
                };
                channels = if bottleneck { EXPANSION * inner } else { inner };
                made
            };
            (0..blocks).map(block).collect()
        };
        let c = in_planes;
        Self {
            conv1: conv3x3(1, c, 1, device),
            bn1: BatchNorm::new(c, device),
            layer1: stage(c, blocks[0], 1),
            layer2: stage(2 * c, blocks[1], 2),
            layer3: stage(4 * c, blocks[2], 2),
            layer4: stage(8 * c, blocks[3], 2),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten()
    }

    fn receptive_field(&self) -> ReceptiveField {
        let layers = self.blocks().flat_map(Block::convolutions);
        layers.fold(ReceptiveField::FRAME.conv2d(&self.conv1), ReceptiveField::conv2d)
    }

    /// The feature map, and its padding.
    fn forward(&self, input: Tensor<4>, padding: Option<Padding>) -> (Tensor<4>, Option<Padding>) {
        let stem = clear(padding.as_ref(), conv2d_then(&self.conv1, input, self.bn1.then_relu()));
        self.blocks().fold((stem, padding), |(hidden, padding), block| block.forward(hidden, padding))
    }
}

/// ResNet, pooling, linear embedding, dropout. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ResNet {
    front: FrontBlocks,
    pool: Pooling,
    bottleneck: Linear,
    dropout: Dropout,
}

impl Network for ResNet {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }

    /// It depends on the pooling.
    fn supports_padding(&self) -> bool {
        self.pool.supports_padding()
    }

    fn forward_padded(&self, features: Tensor<3>, padding: Padding) -> Option<Tensor<2>> {
        if !self.supports_padding() {
            return None;
        }
        let (map, padding) = self.front.forward(features.unsqueeze_dim(1), Some(padding));
        let pooled = self.pool.forward_padded(map, &padding?)?;
        Some(self.bottleneck.forward(pooled))
    }
}

impl ResNet {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let front = |block: Tensor<3>| self.front.forward(block.unsqueeze_dim(1), None).0;
        let pooled = self.pool.forward_pieces(in_blocks(features, self.front.receptive_field(), front));
        self.dropout.forward(self.bottleneck.forward(pooled))
    }
}
