//! ECAPA-TDNN: [Desplanques et al. 2020](https://arxiv.org/abs/2005.07143), in the paper's form and, with `compat`, in the
//! baseline's. Both have the baseline's parameter names.

// The pooling is called ASP there.
#![allow(non_snake_case)]

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig1d};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{Pieces, ReceptiveField, concatenated, excited, in_blocks};
use crate::convolution::{conv1d, conv1d_then};
use crate::error::{Result, require, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::{AttentiveStatistics, BaselineAttentivePooling};

/// Kernel of the first convolution.
pub(crate) const STEM_KERNEL: usize = 5;
/// Kernel of the convolutions inside the blocks.
const BLOCK_KERNEL: usize = 3;
/// Dilation of the three blocks.
pub(crate) const DILATIONS: [usize; 3] = [2, 3, 4];

/// Options of an [`EcapaTdnn`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EcapaTdnnConfig {
    /// Channels of the blocks, C; the aggregation layer has 3C. A multiple of `scale`. Default: 512.
    pub hidden_dim: usize,
    /// Groups of the Res2 convolution. Default: 8.
    pub scale: usize,
    /// Hidden size of the squeeze-excitation and of the pooling's attention. Default: 128.
    pub bottleneck: usize,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
    /// The baseline's network instead of the paper's. Default: false.
    ///
    /// | | paper | baseline |
    /// | --- | --- | --- |
    /// | first convolution | zero padding 2 | no padding |
    /// | inside a layer | convolution, ReLU, BatchNorm | convolution, BatchNorm, ReLU |
    /// | Res2 groups | first group passes, and comes first | first group passes, and comes last; one unused convolution |
    /// | dilated convolutions | zero padding | reflect padding |
    /// | input of a block | sum of all outputs before | output before |
    /// | pooling | [`AttentiveStatistics`] | [`BaselineAttentivePooling`] |
    pub compat: bool,
}

impl Default for EcapaTdnnConfig {
    fn default() -> Self {
        Self { hidden_dim: 512, scale: 8, bottleneck: 128, embedding_size: 192, compat: false }
    }
}

impl EcapaTdnnConfig {
    /// The baseline's `ECAPA_TDNN(hidden_dim = 1024, embedding_size = 256)`.
    pub fn baseline() -> Self {
        Self { hidden_dim: 1024, embedding_size: 256, compat: true, ..Self::default() }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.hidden_dim, "model.hidden_dim")?;
        require_size(self.bottleneck, "model.bottleneck")?;
        require_size(self.embedding_size, "model.embedding_size")?;
        require(
            (2..=self.hidden_dim).contains(&self.scale),
            "model.scale",
            self.scale,
            "a number from 2 to model.hidden_dim",
        )?;
        require(
            self.hidden_dim.is_multiple_of(self.scale),
            "model.hidden_dim",
            self.hidden_dim,
            "a multiple of model.scale",
        )
    }
}

impl NetworkConfig for EcapaTdnnConfig {
    type Network = EcapaTdnn;

    fn min_frames(&self) -> usize {
        min_frames(self.compat)
    }

    fn layers(&self) -> usize {
        DILATIONS.len() * self.scale
    }

    fn build(&self, num_mels: usize, device: &Device) -> EcapaTdnn {
        let channels = self.hidden_dim;
        let aggregated = DILATIONS.len() * channels;
        let stem_padding = if self.compat { 0 } else { STEM_KERNEL / 2 };
        let [block1, block2, block3] = DILATIONS.map(|dilation| SeRes2Block::new(self, dilation, device));
        EcapaTdnn {
            conv1: Conv1dConfig::new(num_mels, channels, STEM_KERNEL)
                .with_padding(PaddingConfig1d::Explicit(stem_padding, stem_padding))
                .init(device),
            bn1: BatchNorm::new(channels, device),
            block1,
            block2,
            block3,
            conv2: Conv1dConfig::new(aggregated, aggregated, 1).init(device),
            ASP: if self.compat {
                EcapaPooling::Baseline(BaselineAttentivePooling::new(aggregated, self.bottleneck, device))
            } else {
                EcapaPooling::Paper(AttentiveStatistics::new(aggregated, self.bottleneck, device))
            },
            bn2: BatchNorm::new(2 * aggregated, device),
            fc: LinearConfig::new(2 * aggregated, self.embedding_size).init(device),
            bn3: BatchNorm::new(self.embedding_size, device),
            compat: self.compat,
        }
    }
}

/// In the baseline's form the stem takes `STEM_KERNEL - 1` frames and reflection needs more frames than it adds.
fn min_frames(compat: bool) -> usize {
    if compat { STEM_KERNEL + DILATIONS[2] } else { 1 }
}

/// Convolution, activation and normalisation in the order of the paper or of the baseline.
fn layer(conv: &Conv1d, bn: &BatchNorm, input: Tensor<3>, compat: bool) -> Tensor<3> {
    conv1d_then(conv, input, if compat { bn.then_relu() } else { bn.after_relu() })
}

/// Squeeze-excitation around a Res2 convolution, with a shortcut.
#[derive(Module, Debug)]
pub(crate) struct SeRes2Block {
    conv1: Conv1d,
    bn1: BatchNorm,
    /// One a group. The first group passes as it is: the baseline has a convolution for it all the same, which takes
    /// no part in the result; the paper's form has none.
    convs: Vec<Conv1d>,
    bns: Vec<BatchNorm>,
    conv3: Conv1d,
    bn3: BatchNorm,
    fc1: Linear,
    fc2: Linear,
    dilation: usize,
    scale: usize,
    compat: bool,
}

impl SeRes2Block {
    fn new(config: &EcapaTdnnConfig, dilation: usize, device: &Device) -> Self {
        let channels = config.hidden_dim;
        let width = channels / config.scale;
        let convolutions = if config.compat { config.scale } else { config.scale - 1 };
        let padding = if config.compat { 0 } else { dilation };
        Self {
            conv1: Conv1dConfig::new(channels, channels, 1).init(device),
            bn1: BatchNorm::new(channels, device),
            convs: (0..convolutions)
                .map(|_| {
                    Conv1dConfig::new(width, width, BLOCK_KERNEL)
                        .with_dilation(dilation)
                        .with_padding(PaddingConfig1d::Explicit(padding, padding))
                        .with_bias(false)
                        .init(device)
                })
                .collect(),
            bns: (0..convolutions).map(|_| BatchNorm::new(width, device)).collect(),
            conv3: Conv1dConfig::new(channels, channels, 1).init(device),
            bn3: BatchNorm::new(channels, device),
            fc1: LinearConfig::new(channels, config.bottleneck).init(device),
            fc2: LinearConfig::new(config.bottleneck, channels).init(device),
            dilation,
            scale: config.scale,
            compat: config.compat,
        }
    }

    /// Group i is convolved after the result of group i - 1 has been added to it; group 0 passes.
    fn res2(&self, input: Tensor<3>) -> Tensor<3> {
        let mut groups = input.chunk(self.scale, 1).into_iter();
        let first = groups.next();
        let unused = self.convs.len() + 1 - self.scale;
        let layers = self.convs.iter().zip(&self.bns).skip(unused);

        let mut outputs: Vec<Tensor<3>> = Vec::with_capacity(self.scale);
        for (group, (conv, bn)) in groups.zip(layers) {
            let mut hidden = match outputs.last() {
                Some(previous) => group + previous.clone(),
                None => group,
            };
            if self.compat {
                hidden = hidden.pad((self.dilation, self.dilation, 0, 0), PadMode::Reflect);
            }
            outputs.push(layer(conv, bn, hidden, self.compat));
        }
        match first {
            Some(first) if self.compat => outputs.push(first),
            Some(first) => outputs.insert(0, first),
            None => {}
        }
        Tensor::cat(outputs, 1)
    }

    /// Frames that the Res2 convolution sees to either side: a group sees what all groups before it saw.
    fn reach(&self) -> usize {
        (self.scale - 1) * self.dilation * (BLOCK_KERNEL - 1) / 2
    }

    /// The layers that see a few frames at a time.
    fn local(&self, input: Tensor<3>) -> Tensor<3> {
        let hidden = self.res2(layer(&self.conv1, &self.bn1, input, self.compat));
        layer(&self.conv3, &self.bn3, hidden, self.compat)
    }

    /// Squeeze-excitation: a gain for each channel, `[batch, channels, 1]`, from the channel's mean over time.
    fn gain(&self, mean: Tensor<3>) -> Tensor<3> {
        let squeezed = mean.squeeze_dim::<2>(2);
        sigmoid(linear(&self.fc2, relu(linear(&self.fc1, squeezed)))).unsqueeze_dim(2)
    }

    fn forward(&self, input: Pieces) -> Pieces {
        excited(input, self.reach(), |piece| self.local(piece), |mean| self.gain(mean))
    }
}

/// The attentive pooling of either form.
#[derive(Module, Debug)]
pub(crate) enum EcapaPooling {
    /// As in the paper.
    Paper(AttentiveStatistics),
    /// As in the baseline.
    Baseline(BaselineAttentivePooling),
}

impl EcapaPooling {
    fn forward(&self, input: Pieces) -> Tensor<2> {
        match self {
            Self::Paper(pooling) => pooling.forward_pieces(input),
            Self::Baseline(pooling) => pooling.forward_pieces(input),
        }
    }
}

/// Stem, three SE-Res2 blocks, aggregation of all three, attentive pooling, embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct EcapaTdnn {
    conv1: Conv1d,
    bn1: BatchNorm,
    block1: SeRes2Block,
    block2: SeRes2Block,
    block3: SeRes2Block,
    conv2: Conv1d,
    ASP: EcapaPooling,
    bn2: BatchNorm,
    fc: Linear,
    bn3: BatchNorm,
    compat: bool,
}

impl Network for EcapaTdnn {
    fn min_frames(&self) -> usize {
        min_frames(self.compat)
    }
}

impl EcapaTdnn {
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let field = ReceptiveField::FRAME.conv1d(&self.conv1);
        let stem = in_blocks(features, field, |block| layer(&self.conv1, &self.bn1, block, self.compat));
        let stem: Pieces = stem.collect();
        let outputs = if self.compat {
            let first = self.block1.forward(stem);
            let second = self.block2.forward(first.clone());
            let third = self.block3.forward(second.clone());
            vec![first, second, third]
        } else {
            let first = self.block1.forward(stem.clone());
            let sum = sum(stem, &first);
            let second = self.block2.forward(sum.clone());
            let third = self.block3.forward(self::sum(sum, &second));
            vec![first, second, third]
        };
        let aggregated = concatenated(outputs).map(|piece| relu(conv1d(&self.conv2, piece)));
        let pooled = self.bn2.forward(self.ASP.forward(aggregated.collect()));
        self.bn3.forward(linear(&self.fc, pooled))
    }
}

fn sum(left: Pieces, right: &[Tensor<3>]) -> Pieces {
    left.into_iter().zip(right).map(|(left, right)| left + right.clone()).collect()
}
