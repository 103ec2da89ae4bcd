//! SimAM-ResNet: a ResNet whose blocks weigh every value by how far it is from the mean of its channel, [Qin et al.
//! 2022](https://arxiv.org/abs/2204.12613), with the parameter-free attention of [SimAM, Yang et al.
//! 2021](https://proceedings.mlr.press/v139/yang21o.html). Parameter names as in WeSpeaker's `SimAM_ResNet34_ASP`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::convolution::conv2d_then;
use crate::error::{Result, require, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::{ReluAttentiveStatistics, tstp};
use crate::stages::{StageBlock, Stages, conv3x3, projection, shortcut};

/// Depth and blocks of each stage.
const STAGES: [(usize, [usize; 4]); 2] = [(34, [3, 4, 6, 3]), (100, [6, 16, 24, 3])];
/// Hidden size of the pooling's attention.
const ATTENTION_DIM: usize = 128;
/// Added to the variance of a channel: the lambda of the papers.
pub(crate) const LAMBDA: f64 = 1e-4;

/// Depth of the network with these stages.
pub(crate) fn depth_of(blocks: [usize; 4]) -> Option<usize> {
    STAGES.iter().find(|&&(_, known)| known == blocks).map(|&(depth, _)| depth)
}

/// Options of a [`SimAmResNet`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SimAmResNetConfig {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C. Default: 64.
    pub in_planes: usize,
    /// 34 (3, 4, 6 and 3 blocks) or 100 (6, 16, 24 and 3). Default: 34.
    pub depth: usize,
    /// Size of the embedding. Default: 256.
    pub embedding_size: usize,
}

impl Default for SimAmResNetConfig {
    fn default() -> Self {
        Self { in_planes: 64, depth: 34, embedding_size: 256 }
    }
}

impl SimAmResNetConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.in_planes, "model.in_planes")?;
        require_size(self.in_planes.saturating_mul(8), "8 * model.in_planes")?;
        require(self.blocks().is_some(), "model.depth", self.depth, "34 or 100")?;
        require_size(self.embedding_size, "model.embedding_size")
    }

    pub(crate) fn blocks(&self) -> Option<[usize; 4]> {
        STAGES.iter().find(|(depth, _)| *depth == self.depth).map(|&(_, blocks)| blocks)
    }
}

impl NetworkConfig for SimAmResNetConfig {
    type Network = SimAmResNet;

    fn min_frames(&self) -> usize {
        SimAmResNet::MIN_FRAMES
    }

    fn build(&self, num_mels: usize, device: &Device) -> SimAmResNet {
        // Three of the four stages halve the frequency axis, rounding up.
        let rows = 8 * self.in_planes * num_mels.div_ceil(8);
        let blocks = self.blocks().unwrap_or_default();
        SimAmResNet {
            front: Stages::new(self.in_planes, blocks, device, |_, channels_in, planes, stride| {
                (SimAmBlock::new(channels_in, planes, stride, device), planes)
            }),
            pooling: ReluAttentiveStatistics::new(rows, ATTENTION_DIM, device),
            bottleneck: LinearConfig::new(2 * rows, self.embedding_size).init(device),
        }
    }
}

/// Two 3x3 convolutions, SimAM, and a shortcut.
#[derive(Module, Debug)]
struct SimAmBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl SimAmBlock {
    fn new(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Self {
        Self {
            conv1: conv3x3(channels_in, channels_out, stride, device),
            bn1: BatchNorm::new(channels_out, device),
            conv2: conv3x3(channels_out, channels_out, 1, device),
            bn2: BatchNorm::new(channels_out, device),
            downsample: projection(channels_in, channels_out, stride, device),
        }
    }
}

impl StageBlock for SimAmBlock {
    fn convolutions(&self) -> Vec<&Conv2d> {
        vec![&self.conv1, &self.conv2]
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = conv2d_then(&self.conv1, input.clone(), self.bn1.then_relu());
        let hidden = simam(conv2d_then(&self.conv2, hidden, self.bn2.alone()));
        relu(hidden + shortcut(self.downsample.as_ref(), input))
    }
}

/// `x sigmoid(d / (4 (v + lambda)) + 1/2)` with `d` the squared distance from the mean of the channel, `v` its unbiased variance.
///
/// # Shapes
/// - map and output: `[batch, channels, frequencies, frames]`
fn simam(map: Tensor<4>) -> Tensor<4> {
    let [_, _, frequencies, frames] = map.dims();
    let mean = map.clone().mean_dim(3).mean_dim(2);
    let distance = (map.clone() - mean).square();
    // A map of one value has the variance 0 here; the papers divide by 0.
    let others = (frequencies * frames - 1).max(1) as f64;
    let variance = distance.clone().sum_dim(3).sum_dim(2) / others;
    map * sigmoid(distance / ((variance + LAMBDA) * 4.0) + 0.5)
}

/// Four stages, attentive statistics, linear embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct SimAmResNet {
    front: Stages<SimAmBlock>,
    pooling: ReluAttentiveStatistics,
    bottleneck: Linear,
}

impl Network for SimAmResNet {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl SimAmResNet {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let map = self.front.forward(features.unsqueeze_dim(1));
        linear(&self.bottleneck, self.pooling.forward(tstp::per_frequency(map)))
    }
}
