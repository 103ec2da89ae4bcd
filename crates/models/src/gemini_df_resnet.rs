//! Gemini DF-ResNet: [Liu et al. 2023](https://arxiv.org/abs/2312.03620). A deep and narrow ResNet of inverted bottlenecks
//! (DF-ResNet, Liu et al., Interspeech 2022) that halves the frequencies four times and the frames once. Parameter names as in
//! WeSpeaker's `Gemini_DF_ResNet`.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{ReceptiveField, in_blocks};
use crate::convolution::conv2d_then;
use crate::error::{Result, require, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::padding::{Padding, clear, strided};
use crate::pooling::tstp;
use crate::stages::conv1x1;

/// Depth and blocks of each stage.
const STAGES: [(usize, [usize; 4]); 4] =
    [(60, [3, 3, 9, 3]), (114, [3, 3, 27, 3]), (183, [3, 8, 45, 3]), (237, [3, 8, 63, 3])];
/// Channels of the stem and of the stages, in those of the stem.
pub(crate) const WIDTHS: [usize; 5] = [1, 1, 2, 4, 8];
/// Frames that become one in front of each stage; of the frequencies it is always two.
pub(crate) const TIME_STRIDES: [usize; 4] = [1, 2, 1, 1];
/// Channels inside a block, in those of the stage.
pub(crate) const EXPANSION: usize = 4;

/// Depth of the network with these stages.
pub(crate) fn depth_of(blocks: [usize; 4]) -> Option<usize> {
    STAGES.iter().find(|&&(_, known)| known == blocks).map(|&(depth, _)| depth)
}

/// Options of a [`GeminiDfResNet`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GeminiDfResNetConfig {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C. Default: 32.
    pub in_planes: usize,
    /// 60, 114, 183 or 237: layers with weights. Default: 114.
    pub depth: usize,
    /// Size of the embedding. Default: 256.
    pub embedding_size: usize,
}

impl Default for GeminiDfResNetConfig {
    fn default() -> Self {
        Self { in_planes: 32, depth: 114, embedding_size: 256 }
    }
}

impl GeminiDfResNetConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.in_planes, "model.in_planes")?;
        require_size(self.in_planes.saturating_mul(8 * EXPANSION), "32 * model.in_planes")?;
        require(self.blocks().is_some(), "model.depth", self.depth, "60, 114, 183 or 237")?;
        require_size(self.embedding_size, "model.embedding_size")
    }

    pub(crate) fn blocks(&self) -> Option<[usize; 4]> {
        STAGES.iter().find(|(depth, _)| *depth == self.depth).map(|&(_, blocks)| blocks)
    }
}

impl NetworkConfig for GeminiDfResNetConfig {
    type Network = GeminiDfResNet;

    fn min_frames(&self) -> usize {
        GeminiDfResNet::MIN_FRAMES
    }

    fn build(&self, num_mels: usize, device: &Device) -> GeminiDfResNet {
        let widths = WIDTHS.map(|width| width * self.in_planes);
        let blocks = self.blocks().unwrap_or_default();
        let stem = downsample(1, widths[0], [1, 1], device);
        let shrink = |stage| downsample(widths[stage], widths[stage + 1], [2, TIME_STRIDES[stage]], device);
        let stage = |stage: usize| {
            (0..blocks[stage]).map(|_| InvertedBottleneck::new(widths[stage + 1], device)).collect()
        };
        // Four times half of the frequencies, rounding up.
        let rows = widths[4] * num_mels.div_ceil(16);
        GeminiDfResNet {
            downsample_layers: std::iter::once(stem).chain((0..4).map(shrink)).collect(),
            stages: (0..4).map(stage).collect(),
            seg_1: LinearConfig::new(2 * rows, self.embedding_size).init(device),
        }
    }
}

/// A 3x3 convolution, `groups` of its channels on their own.
fn conv3x3(channels: [usize; 2], stride: [usize; 2], groups: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [3, 3])
        .with_stride(stride)
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(device)
}

/// The stem, or what is in front of a stage: a 3x3 convolution and BatchNorm.
fn downsample(
    channels_in: usize,
    channels_out: usize,
    stride: [usize; 2],
    device: &Device,
) -> (Conv2d, BatchNorm) {
    (conv3x3([channels_in, channels_out], stride, 1, device), BatchNorm::new(channels_out, device))
}

/// 1x1 convolution to four times the channels, a 3x3 convolution of each of them, 1x1 convolution back, and a shortcut.
#[derive(Module, Debug)]
struct InvertedBottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
}

impl InvertedBottleneck {
    fn new(channels: usize, device: &Device) -> Self {
        let inner = EXPANSION * channels;
        Self {
            conv1: conv1x1(channels, inner, 1, device),
            bn1: BatchNorm::new(inner, device),
            conv2: conv3x3([inner, inner], [1, 1], inner, device),
            bn2: BatchNorm::new(inner, device),
            conv3: conv1x1(inner, channels, 1, device),
            bn3: BatchNorm::new(channels, device),
        }
    }

    fn forward(&self, input: Tensor<4>, padding: Option<&Padding>) -> Tensor<4> {
        let hidden = clear(padding, conv2d_then(&self.conv1, input.clone(), self.bn1.then_relu()));
        let hidden = conv2d_then(&self.conv2, hidden, self.bn2.then_relu());
        clear(padding, conv2d_then(&self.conv3, hidden, self.bn3.then_add_relu(&input)))
    }
}

/// Stem, four stages with a convolution in front of each, statistics over time, linear embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct GeminiDfResNet {
    downsample_layers: Vec<(Conv2d, BatchNorm)>,
    stages: Vec<Vec<InvertedBottleneck>>,
    seg_1: Linear,
}

impl Network for GeminiDfResNet {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }

    fn supports_padding(&self) -> bool {
        true
    }

    fn forward_padded(&self, features: Tensor<3>, padding: Padding) -> Option<Tensor<2>> {
        let (map, padding) = self.map(features, Some(padding));
        Some(linear(&self.seg_1, tstp::of_padded_map(map, &padding?)))
    }
}

impl GeminiDfResNet {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    fn receptive_field(&self) -> ReceptiveField {
        let (stem, shrinking) = self.downsample_layers.split_at(1);
        let field = stem.iter().fold(ReceptiveField::FRAME, |field, (conv, _)| field.conv2d(conv));
        shrinking.iter().zip(&self.stages).fold(field, |field, ((conv, _), stage)| {
            stage.iter().fold(field.conv2d(conv), |field, block| field.conv2d(&block.conv2))
        })
    }

    /// The last map, with its padding. Only the stem is followed by ReLU.
    fn map(&self, features: Tensor<3>, padding: Option<Padding>) -> (Tensor<4>, Option<Padding>) {
        let (stem, shrinking) = self.downsample_layers.split_at(1);
        let begin = (features.unsqueeze_dim(1), padding);
        let begin = stem.iter().fold(begin, |(hidden, padding), (conv, bn)| {
            let padding = strided(padding, conv.stride[1]);
            (clear(padding.as_ref(), conv2d_then(conv, hidden, bn.then_relu())), padding)
        });
        shrinking.iter().zip(&self.stages).fold(begin, |(hidden, padding), ((conv, bn), stage)| {
            let padding = strided(padding, conv.stride[1]);
            let hidden = clear(padding.as_ref(), conv2d_then(conv, hidden, bn.alone()));
            (stage.iter().fold(hidden, |hidden, block| block.forward(hidden, padding.as_ref())), padding)
        })
    }

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let maps = in_blocks(features, self.receptive_field(), |block| self.map(block, None).0);
        linear(&self.seg_1, tstp::of_maps(maps, tstp::WESPEAKER_EPSILON))
    }
}
