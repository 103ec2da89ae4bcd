//! ECAPA-TDNN in the form of SpeechBrain's `ECAPA_TDNN`, with its parameter names. [Desplanques et al.
//! 2020](https://arxiv.org/abs/2005.07143). It differs from the paper's form ([`EcapaTdnn`](crate::EcapaTdnn)):
//!
//! - Every convolution reflects at the ends of the utterance.
//! - A block reads only the output of the block before.
//! - The aggregation and the attention have a BatchNorm, and the embedding has none.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{Pieces, concatenated, excited, in_pieces, pieces};
use crate::convolution::{conv1d, conv1d_then};
use crate::error::{Result, require, require_size};
use crate::network::{Network, NetworkConfig};
use crate::pooling::moments::Moments;
use crate::pooling::weighted::weighted_mean_and_variance;

/// Dilation of the three blocks.
pub(crate) const DILATIONS: [usize; 3] = [2, 3, 4];
/// Kernel of the first convolution and of those inside the blocks.
pub(crate) const KERNELS: (usize, usize) = (5, 3);
/// Floor of the variances in the pooling.
pub(crate) const VARIANCE_FLOOR: f64 = 1e-12;

/// Options of a [`SpeechBrainEcapa`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpeechBrainEcapaConfig {
    /// Channels of the blocks, a multiple of `scale`. Default: 1024, as in `spkrec-ecapa-voxceleb`.
    pub channels: usize,
    /// Channels of the aggregation layer. Default: 3072.
    pub aggregated: usize,
    /// Groups of the Res2 convolution. Default: 8.
    pub scale: usize,
    /// Hidden size of the squeeze-excitation. Default: 128.
    pub se_channels: usize,
    /// Hidden size of the pooling's attention. Default: 128.
    pub attention_channels: usize,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
}

impl Default for SpeechBrainEcapaConfig {
    fn default() -> Self {
        Self {
            channels: 1024,
            aggregated: 3072,
            scale: 8,
            se_channels: 128,
            attention_channels: 128,
            embedding_size: 192,
        }
    }
}

impl SpeechBrainEcapaConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.channels, "model.channels")?;
        require_size(self.aggregated, "model.aggregated")?;
        require_size(self.se_channels, "model.se_channels")?;
        require_size(self.attention_channels, "model.attention_channels")?;
        require_size(self.embedding_size, "model.embedding_size")?;
        require(
            (2..=self.channels).contains(&self.scale) && self.channels.is_multiple_of(self.scale),
            "model.scale",
            self.scale,
            "a number from 2 that divides model.channels",
        )
    }
}

impl NetworkConfig for SpeechBrainEcapaConfig {
    type Network = SpeechBrainEcapa;

    fn min_frames(&self) -> usize {
        SpeechBrainEcapa::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        DILATIONS.len() * self.scale
    }

    fn build(&self, num_mels: usize, device: &Device) -> SpeechBrainEcapa {
        let c = self.channels;
        let stem = Block::Tdnn(TdnnBlock::new(num_mels, c, KERNELS.0, 1, device));
        let blocks = DILATIONS.map(|dilation| Block::SeRes2(SeRes2Block::new(self, dilation, device)));
        SpeechBrainEcapa {
            blocks: std::iter::once(stem).chain(blocks).collect(),
            mfa: TdnnBlock::new(DILATIONS.len() * c, self.aggregated, 1, 1, device),
            asp: AttentivePooling {
                tdnn: TdnnBlock::new(3 * self.aggregated, self.attention_channels, 1, 1, device),
                conv: Conv::new(self.attention_channels, self.aggregated, 1, 1, device),
            },
            asp_bn: Norm::new(2 * self.aggregated, device),
            fc: Conv::new(2 * self.aggregated, self.embedding_size, 1, 1, device),
        }
    }
}

/// A convolution that keeps the number of frames by reflection at the ends.
#[derive(Module, Debug)]
struct Conv {
    conv: Conv1d,
    padding: usize,
}

impl Conv {
    fn new(channels_in: usize, channels_out: usize, kernel: usize, dilation: usize, device: &Device) -> Self {
        let conv = Conv1dConfig::new(channels_in, channels_out, kernel).with_dilation(dilation).init(device);
        Self { conv, padding: dilation * (kernel - 1) / 2 }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        conv1d(&self.conv, self.padded(input))
    }

    fn padded(&self, input: Tensor<3>) -> Tensor<3> {
        match self.padding {
            0 => input,
            padding => input.pad((padding, padding, 0, 0), PadMode::Reflect),
        }
    }
}

/// SpeechBrain wraps PyTorch's layer; so do the names.
#[derive(Module, Debug)]
struct Norm {
    norm: BatchNorm,
}

impl Norm {
    fn new(channels: usize, device: &Device) -> Self {
        Self { norm: BatchNorm::new(channels, device) }
    }
}

/// Convolution, ReLU, BatchNorm.
#[derive(Module, Debug)]
struct TdnnBlock {
    conv: Conv,
    norm: Norm,
}

impl TdnnBlock {
    fn new(channels_in: usize, channels_out: usize, kernel: usize, dilation: usize, device: &Device) -> Self {
        Self {
            conv: Conv::new(channels_in, channels_out, kernel, dilation, device),
            norm: Norm::new(channels_out, device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        conv1d_then(&self.conv.conv, self.conv.padded(input), self.norm.norm.after_relu())
    }
}

/// Group i is convolved after the result of group i - 1 has been added to it; the first group passes.
#[derive(Module, Debug)]
struct Res2NetBlock {
    blocks: Vec<TdnnBlock>,
}

impl Res2NetBlock {
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let mut groups = input.chunk(self.blocks.len() + 1, 1).into_iter();
        let mut outputs: Vec<Tensor<3>> = groups.next().into_iter().collect();
        for (block, group) in self.blocks.iter().zip(groups) {
            let hidden = match outputs.last() {
                Some(previous) if outputs.len() > 1 => group + previous.clone(),
                _ => group,
            };
            outputs.push(block.forward(hidden));
        }
        Tensor::cat(outputs, 1)
    }
}

/// A gain for each channel, from the channel's mean over time.
#[derive(Module, Debug)]
struct SeBlock {
    conv1: Conv,
    conv2: Conv,
}

impl SeBlock {
    /// # Shapes
    /// - mean, output: `[batch, channels, 1]`
    fn gain(&self, mean: Tensor<3>) -> Tensor<3> {
        sigmoid(self.conv2.forward(relu(self.conv1.forward(mean))))
    }
}

/// Squeeze-excitation around a Res2 convolution, with a shortcut.
#[derive(Module, Debug)]
struct SeRes2Block {
    tdnn1: TdnnBlock,
    res2net_block: Res2NetBlock,
    tdnn2: TdnnBlock,
    se_block: SeBlock,
}

impl SeRes2Block {
    fn new(config: &SpeechBrainEcapaConfig, dilation: usize, device: &Device) -> Self {
        let (c, width) = (config.channels, config.channels / config.scale);
        let block = |_| TdnnBlock::new(width, width, KERNELS.1, dilation, device);
        Self {
            tdnn1: TdnnBlock::new(c, c, 1, 1, device),
            res2net_block: Res2NetBlock { blocks: (1..config.scale).map(block).collect() },
            tdnn2: TdnnBlock::new(c, c, 1, 1, device),
            se_block: SeBlock {
                conv1: Conv::new(c, config.se_channels, 1, 1, device),
                conv2: Conv::new(config.se_channels, c, 1, 1, device),
            },
        }
    }

    /// Frames that the Res2 convolution sees to either side: a group sees what all groups before it saw.
    fn reach(&self) -> usize {
        self.res2net_block.blocks.iter().map(|block| block.conv.padding).sum()
    }

    /// The layers that see a few frames at a time.
    fn local(&self, input: Tensor<3>) -> Tensor<3> {
        self.tdnn2.forward(self.res2net_block.forward(self.tdnn1.forward(input)))
    }

    fn forward(&self, input: Pieces) -> Pieces {
        excited(input, self.reach(), |piece| self.local(piece), |mean| self.se_block.gain(mean))
    }
}

/// An entry of SpeechBrain's list of blocks.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // Four exist in a network.
enum Block {
    /// The first.
    Tdnn(TdnnBlock),
    /// The others.
    SeRes2(SeRes2Block),
}

impl Block {
    fn forward(&self, input: Pieces) -> Pieces {
        match self {
            Self::Tdnn(block) => {
                in_pieces(&input, block.conv.padding, |piece| block.forward(piece)).collect()
            }
            Self::SeRes2(block) => block.forward(input),
        }
    }
}

/// Attention for every channel and frame that sees mean and standard deviation of the utterance.
#[derive(Module, Debug)]
struct AttentivePooling {
    tdnn: TdnnBlock,
    conv: Conv,
}

impl AttentivePooling {
    /// # Shapes
    /// - pieces: `[batch, channels, frames]`
    /// - output: `[batch, 2 * channels, 1]`
    fn forward(&self, pieces: Pieces) -> Tensor<3> {
        let (mean, variance) = Moments::of_all(pieces.iter().cloned()).mean_and_biased_variance();
        let context = [mean, variance.clamp_min(VARIANCE_FLOOR).sqrt()];
        let (mean, variance) = weighted_mean_and_variance(pieces, |piece| self.logits(piece, &context));
        Tensor::cat(vec![mean, variance.clamp_min(VARIANCE_FLOOR).sqrt()], 1)
    }

    /// Of every channel and frame, `[batch, channels, frames]`.
    fn logits(&self, input: Tensor<3>, context: &[Tensor<3>; 2]) -> Tensor<3> {
        let along = input.dims();
        let [mean, std] = context.clone().map(|row| row.expand(along));
        self.conv.forward(self.tdnn.forward(Tensor::cat(vec![input, mean, std], 1)).tanh())
    }
}

/// Stem, three SE-Res2 blocks, aggregation of all three, attentive pooling, embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct SpeechBrainEcapa {
    blocks: Vec<Block>,
    mfa: TdnnBlock,
    asp: AttentivePooling,
    asp_bn: Norm,
    fc: Conv,
}

impl Network for SpeechBrainEcapa {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl SpeechBrainEcapa {
    /// Reflection needs more frames than it adds.
    const MIN_FRAMES: usize = DILATIONS[2] + 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let outputs = {
            let mut outputs = Vec::with_capacity(DILATIONS.len());
            let mut hidden = pieces(features);
            for (index, block) in self.blocks.iter().enumerate() {
                hidden = block.forward(hidden);
                if index > 0 {
                    outputs.push(hidden.clone());
                }
            }
            outputs
        };
        let aggregated = concatenated(outputs).map(|piece| self.mfa.forward(piece));
        let pooled = self.asp_bn.norm.forward(self.asp.forward(aggregated.collect()));
        self.fc.forward(pooled).squeeze_dim(2)
    }
}
