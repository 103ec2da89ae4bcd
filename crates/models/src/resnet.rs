//! ResNet over the log-mel spectrogram: [He et al. 2015](https://arxiv.org/abs/1512.03385), with the statistics pooling of
//! [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf) behind it. With
//! [`PoolingConfig::StatsAll`] it is the baseline's `ResNet34StatsPool`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::in_blocks;
use crate::convolution::conv2d_then;
use crate::error::{Result, require, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::padding::{Padding, clear};
use crate::pooling::{Pooling, PoolingConfig};
use crate::stages::{StageBlock, Stages, conv1x1, conv3x3, projection, shortcut};

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
    pub(crate) fn stages(&self) -> Option<([usize; 4], bool)> {
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
            front: Stages::new(self.in_planes, blocks, device, |_, channels_in, inner, stride| {
                let channels_out = if bottleneck { EXPANSION * inner } else { inner };
                (Block::new(channels_in, inner, stride, bottleneck, device), channels_out)
            }),
            pool,
            bottleneck: LinearConfig::new(size, self.embedding_size).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
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
    fn new(channels_in: usize, inner: usize, stride: usize, bottleneck: bool, device: &Device) -> Self {
        if bottleneck {
            Self::Bottleneck(Bottleneck::new(channels_in, inner, stride, device))
        } else {
            Self::Basic(BasicBlock::new(channels_in, inner, stride, device))
        }
    }

    fn stride(&self) -> usize {
        match self {
            Self::Basic(block) => block.conv1.stride[1],
            Self::Bottleneck(block) => block.conv2.stride[1],
        }
    }

    /// `padding` is that of the input and that of the output.
    fn forward_padded(&self, input: Tensor<4>, padding: Option<(&Padding, &Padding)>) -> Tensor<4> {
        let (before, after) = padding.unzip();
        match self {
            Self::Basic(block) => block.forward(input, after),
            Self::Bottleneck(block) => block.forward(input, before, after),
        }
    }
}

impl StageBlock for Block {
    fn convolutions(&self) -> Vec<&Conv2d> {
        match self {
            Self::Basic(block) => vec![&block.conv1, &block.conv2],
            Self::Bottleneck(block) => vec![&block.conv1, &block.conv2, &block.conv3],
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_padded(input, None)
    }
}

impl Stages<Block> {
    /// As [`Stages::forward`], with the padding of the input and of the output.
    fn forward_padded(&self, input: Tensor<4>, padding: Padding) -> (Tensor<4>, Padding) {
        let stem = padding.clear(self.stem(input));
        self.blocks().fold((stem, padding), |(hidden, padding), block| {
            let after = padding.strided(block.stride());
            (block.forward_padded(hidden, Some((&padding, &after))), after)
        })
    }
}

/// ResNet, pooling, linear embedding, dropout. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ResNet {
    front: Stages<Block>,
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
        let (map, padding) = self.front.forward_padded(features.unsqueeze_dim(1), padding);
        let pooled = self.pool.forward_padded(map, &padding)?;
        Some(linear(&self.bottleneck, pooled))
    }
}

impl ResNet {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let front = |block: Tensor<3>| self.front.forward(block.unsqueeze_dim(1));
        let pooled = self.pool.forward_pieces(in_blocks(features, self.front.receptive_field(), front));
        self.dropout.forward(linear(&self.bottleneck, pooled))
    }
}
