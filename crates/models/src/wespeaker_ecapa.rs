//! ECAPA-TDNN in the form of WeSpeaker's `ECAPA_TDNN`, with its parameter names. [Desplanques et al.
//! 2020](https://arxiv.org/abs/2005.07143). It differs from the paper's form ([`EcapaTdnn`](crate::EcapaTdnn)):
//!
//! - A block reads only the output of the block before.
//! - The untouched Res2 group is the last one.
//! - The aggregation layer always has 1536 channels.
//! - The embedding is not normalised unless `emb_bn` is set.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig1d};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{Pieces, concatenated, excited, in_pieces, pieces};
use crate::convolution::{conv1d, conv1d_then};
use crate::error::{Result, require, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::{AttentiveStatistics, XiPosterior};

/// Groups of the Res2 convolution.
pub(crate) const SCALE: usize = 8;
/// Hidden size of the squeeze-excitation and of the pooling's attention.
const BOTTLENECK: usize = 128;
/// Kernel of the first convolution and of those inside the blocks.
pub(crate) const KERNELS: (usize, usize) = (5, 3);
/// Dilation of the three blocks.
pub(crate) const DILATIONS: [usize; 3] = [2, 3, 4];

/// Options of a [`WespeakerEcapa`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct WespeakerEcapaConfig {
    /// Channels of the blocks, a multiple of 8. Default: 512.
    pub channels: usize,
    /// Channels of the aggregation layer. Default: 1536, the only value of WeSpeaker.
    pub aggregated: usize,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
    /// The pooling's attention sees mean and standard deviation of the utterance: WeSpeaker's `GLOB` models.
    /// Default: false.
    pub global_context: bool,
    /// The pooling is the xi-vector's ([`XiPosterior`]): WeSpeaker's `XI_VEC_ECAPA_TDNN`. Not with `global_context`. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub xi: bool,
    /// BatchNorm behind the embedding. Default: false.
    pub emb_bn: bool,
}

impl Default for WespeakerEcapaConfig {
    fn default() -> Self {
        Self {
            channels: 512,
            aggregated: 1536,
            embedding_size: 192,
            global_context: false,
            xi: false,
            emb_bn: false,
        }
    }
}

impl WespeakerEcapaConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.channels, "model.channels")?;
        require(self.channels.is_multiple_of(SCALE), "model.channels", self.channels, "a multiple of 8")?;
        require_size(self.aggregated, "model.aggregated")?;
        require(
            !(self.xi && self.global_context),
            "model.xi",
            self.xi,
            "false where model.global_context is true: its pooling has no attention",
        )?;
        require_size(self.embedding_size, "model.embedding_size")
    }
}

impl NetworkConfig for WespeakerEcapaConfig {
    type Network = WespeakerEcapa;

    fn min_frames(&self) -> usize {
        WespeakerEcapa::MIN_FRAMES
    }

    fn build(&self, num_mels: usize, device: &Device) -> WespeakerEcapa {
        let (c, rows) = (self.channels, self.aggregated);
        let [layer2, layer3, layer4] = DILATIONS.map(|dilation| SeRes2Block::new(c, dilation, device));
        let attentive = |pooling| (Pool::Attentive(pooling), 2 * rows);
        let (pool, pooled) = match (self.xi, self.global_context) {
            (true, _) => (Pool::Xi(XiPosterior::new(rows, device)), rows),
            (false, true) => attentive(AttentiveStatistics::new(rows, BOTTLENECK, device)),
            (false, false) => attentive(AttentiveStatistics::without_context(rows, BOTTLENECK, device)),
        };
        WespeakerEcapa {
            layer1: ConvReluBn::new(num_mels, c, KERNELS.0, device),
            layer2,
            layer3,
            layer4,
            conv: Conv1dConfig::new(DILATIONS.len() * c, rows, 1).init(device),
            pool,
            bn: BatchNorm::new(pooled, device),
            linear: LinearConfig::new(pooled, self.embedding_size).init(device),
            bn2: self.emb_bn.then(|| BatchNorm::new(self.embedding_size, device)),
        }
    }
}

/// Convolution that keeps the number of frames, ReLU, BatchNorm.
#[derive(Module, Debug)]
struct ConvReluBn {
    conv: Conv1d,
    bn: BatchNorm,
}

impl ConvReluBn {
    fn new(channels_in: usize, channels_out: usize, kernel: usize, device: &Device) -> Self {
        Self {
            conv: Conv1dConfig::new(channels_in, channels_out, kernel)
                .with_padding(PaddingConfig1d::Explicit(kernel / 2, kernel / 2))
                .init(device),
            bn: BatchNorm::new(channels_out, device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        conv1d_then(&self.conv, input, self.bn.after_relu())
    }
}

/// Group i is convolved after the result of group i - 1 has been added to it; the last group passes.
#[derive(Module, Debug)]
struct Res2Conv {
    convs: Vec<Conv1d>,
    bns: Vec<BatchNorm>,
}

impl Res2Conv {
    fn new(channels: usize, dilation: usize, device: &Device) -> Self {
        let width = channels / SCALE;
        let conv = |_| {
            Conv1dConfig::new(width, width, KERNELS.1)
                .with_dilation(dilation)
                .with_padding(PaddingConfig1d::Explicit(dilation, dilation))
                .init(device)
        };
        Self {
            convs: (1..SCALE).map(conv).collect(),
            bns: (1..SCALE).map(|_| BatchNorm::new(width, device)).collect(),
        }
    }

    /// Frames seen to either side: a group sees what all groups before it saw.
    fn reach(&self) -> usize {
        self.convs.iter().map(|conv| conv.dilation * (KERNELS.1 - 1) / 2).sum()
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let mut groups = input.chunk(SCALE, 1).into_iter();
        let mut outputs: Vec<Tensor<3>> = Vec::with_capacity(SCALE);
        for ((conv, bn), group) in self.convs.iter().zip(&self.bns).zip(groups.by_ref()) {
            let hidden = match outputs.last() {
                Some(previous) => group + previous.clone(),
                None => group,
            };
            outputs.push(conv1d_then(conv, hidden, bn.after_relu()));
        }
        outputs.extend(groups);
        Tensor::cat(outputs, 1)
    }
}

/// A gain for each channel, from the channel's mean over time.
#[derive(Module, Debug)]
struct SqueezeExcitation {
    linear1: Linear,
    linear2: Linear,
}

impl SqueezeExcitation {
    fn new(channels: usize, device: &Device) -> Self {
        Self {
            linear1: LinearConfig::new(channels, BOTTLENECK).init(device),
            linear2: LinearConfig::new(BOTTLENECK, channels).init(device),
        }
    }

    /// # Shapes
    /// - mean, output: `[batch, channels, 1]`
    fn gain(&self, mean: Tensor<3>) -> Tensor<3> {
        let squeezed = mean.squeeze_dim::<2>(2);
        sigmoid(linear(&self.linear2, relu(linear(&self.linear1, squeezed)))).unsqueeze_dim(2)
    }
}

/// Squeeze-excitation around a Res2 convolution, with a shortcut.
#[derive(Module, Debug)]
struct SeRes2Block {
    se_res2block: (ConvReluBn, Res2Conv, ConvReluBn, SqueezeExcitation),
}

impl SeRes2Block {
    fn new(channels: usize, dilation: usize, device: &Device) -> Self {
        Self {
            se_res2block: (
                ConvReluBn::new(channels, channels, 1, device),
                Res2Conv::new(channels, dilation, device),
                ConvReluBn::new(channels, channels, 1, device),
                SqueezeExcitation::new(channels, device),
            ),
        }
    }

    fn forward(&self, input: Pieces) -> Pieces {
        let (first, res2, last, excitation) = &self.se_res2block;
        let local = |piece| last.forward(res2.forward(first.forward(piece)));
        excited(input, res2.reach(), local, |mean| excitation.gain(mean))
    }
}

/// The pooling of either form.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One exists in a network.
enum Pool {
    /// Attentive statistics.
    Attentive(AttentiveStatistics),
    /// The xi-vector's.
    Xi(XiPosterior),
}

impl Pool {
    fn forward(&self, pieces: Pieces) -> Tensor<2> {
        match self {
            Self::Attentive(pooling) => pooling.forward_pieces(pieces),
            Self::Xi(pooling) => pooling.forward(Tensor::cat(pieces, 2)),
        }
    }
}

/// Stem, three SE-Res2 blocks, aggregation of all three, attentive pooling, embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct WespeakerEcapa {
    layer1: ConvReluBn,
    layer2: SeRes2Block,
    layer3: SeRes2Block,
    layer4: SeRes2Block,
    conv: Conv1d,
    pool: Pool,
    bn: BatchNorm,
    linear: Linear,
    bn2: Option<BatchNorm>,
}

impl Network for WespeakerEcapa {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl WespeakerEcapa {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let stem = in_pieces(&pieces(features), KERNELS.0 / 2, |piece| self.layer1.forward(piece)).collect();
        let first = self.layer2.forward(stem);
        let second = self.layer3.forward(first.clone());
        let third = self.layer4.forward(second.clone());
        let aggregated =
            concatenated(vec![first, second, third]).map(|piece| relu(conv1d(&self.conv, piece)));
        let pooled = self.bn.forward(self.pool.forward(aggregated.collect()));
        let embedding = linear(&self.linear, pooled);
        match &self.bn2 {
            Some(bn) => bn.forward(embedding),
            None => embedding,
        }
    }
}
