//! ResNet over the log-mel spectrogram: [He et al. 2015](https://arxiv.org/abs/1512.03385), with the statistics pooling of
//! [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf) behind it. With
//! [`PoolingConfig::StatsAll`] it is the baseline's `ResNet34StatsPool`.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::conv2d::conv2d;
use crate::error::{Result, require, require_size};
use crate::pooling::{Pooling, PoolingConfig};

/// Options of a [`ResNet`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct ResNetConfig {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C. Default: 32.
    pub in_planes: usize,
    /// Layers with weights: 34 (blocks 3, 4, 6, 3) or 18 (2, 2, 2, 2). Default: 34.
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
        require(matches!(self.depth, 18 | 34), "model.depth", self.depth, "18 or 34")?;
        require_size(self.embedding_size, "model.embedding_size")?;
        require((0.0..1.0).contains(&self.dropout), "model.dropout", self.dropout, "a number in [0, 1)")
    }

    fn blocks(&self) -> [usize; 4] {
        if self.depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] }
    }

    pub(crate) fn build(&self, num_mels: usize, device: &Device) -> ResNet {
        // Three of the four stages halve the frequency axis, rounding up.
        let frequencies = num_mels.div_ceil(8);
        let (pool, size) = Pooling::new(self.pooling, 8 * self.in_planes, frequencies, device);
        ResNet {
            front: FrontBlocks::new(self.in_planes, self.blocks(), device),
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
        let downsample = (stride != 1 || channels_in != channels_out).then(|| {
            let projection = Conv2dConfig::new([channels_in, channels_out], [1, 1])
                .with_stride([stride, stride])
                .with_bias(false)
                .init(device);
            (projection, BatchNorm::new(channels_out, device))
        });
        Self {
            conv1: conv3x3(channels_in, channels_out, stride, device),
            bn1: BatchNorm::new(channels_out, device),
            conv2: conv3x3(channels_out, channels_out, 1, device),
            bn2: BatchNorm::new(channels_out, device),
            downsample,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = self.bn1.forward_relu(conv2d(&self.conv1, input.clone()));
        let hidden = conv2d(&self.conv2, hidden);
        let shortcut = match &self.downsample {
            Some((projection, bn)) => bn.forward(conv2d(projection, input)),
            None => input,
        };
        self.bn2.forward_add_relu(hidden, shortcut)
    }
}

/// Stem and four stages.
#[derive(Module, Debug)]
pub(crate) struct FrontBlocks {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<BasicBlock>,
    layer2: Vec<BasicBlock>,
    layer3: Vec<BasicBlock>,
    layer4: Vec<BasicBlock>,
}

impl FrontBlocks {
    fn new(in_planes: usize, blocks: [usize; 4], device: &Device) -> Self {
        let stage = |channels_in: usize, channels_out: usize, blocks: usize, stride: usize| {
            (0..blocks)
                .map(|block| match block {
                    0 => BasicBlock::new(channels_in, channels_out, stride, device),
                    _ => BasicBlock::new(channels_out, channels_out, 1, device),
                })
                .collect()
        };
        let c = in_planes;
        Self {
            conv1: conv3x3(1, c, 1, device),
            bn1: BatchNorm::new(c, device),
            layer1: stage(c, c, blocks[0], 1),
            layer2: stage(c, 2 * c, blocks[1], 2),
            layer3: stage(2 * c, 4 * c, blocks[2], 2),
            layer4: stage(4 * c, 8 * c, blocks[3], 2),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let stem = self.bn1.forward_relu(conv2d(&self.conv1, input));
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
            .fold(stem, |hidden, block| block.forward(hidden))
    }
}

/// ResNet18 or ResNet34, pooling, linear embedding, dropout. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ResNet {
    front: FrontBlocks,
    pool: Pooling,
    bottleneck: Linear,
    dropout: Dropout,
}

impl ResNet {
    /// Any number of frames from 1.
    pub(crate) const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let maps = self.front.forward(features.unsqueeze_dim(1));
        self.dropout.forward(self.bottleneck.forward(self.pool.forward(maps)))
    }
}
