//! ReDimNet: [Yakovlev et al. 2024](https://arxiv.org/abs/2407.18223). Two-dimensional blocks see channels and frequencies,
//! one-dimensional ones see them as one: all maps have the same volume, so that every stage reads a weighted sum of the outputs of
//! all stages before. Parameter names as in the authors' `ReDimNetWrap`, but for the places of the layers inside a stage, which are
//! numbers there.

mod config;
mod planar;
mod time_context;

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor};

pub use self::config::{BlockKind, ReDimNetConfig, ReDimStage};
pub(crate) use self::planar::{Planar, grouped3x3, pointwise};
pub(crate) use self::time_context::{HEADS, KERNELS, TimeContext};
use crate::batch_norm::BatchNorm;
use crate::convolution::{conv2d, conv2d_then};
use crate::error::Result;
use crate::layer_norm::LayerNorm;
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::AttentiveStatistics;

/// Hidden size of the pooling's attention.
pub(crate) const ATTENTION_DIM: usize = 128;
/// Added to the variance by the BatchNorm of [`Squeeze`].
pub(crate) const SQUEEZE_EPSILON: f64 = 1e-6;

impl NetworkConfig for ReDimNetConfig {
    type Network = ReDimNet;

    fn min_frames(&self) -> usize {
        ReDimNet::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        self.stages.iter().fold(0, |sum, stage| sum.saturating_add(stage.blocks))
    }

    fn validate_rows(&self, num_mels: usize) -> Result<()> {
        self.check_rows(num_mels)
    }

    fn build(&self, num_mels: usize, device: &Device) -> ReDimNet {
        let rows = self.channels * num_mels;
        let (mut channels, mut frequencies) = (self.channels, num_mels);
        let stage = |(place, stage): (usize, &ReDimStage)| {
            let before = (channels, frequencies);
            (channels, frequencies) = (channels * stage.stride, frequencies / stage.stride);
            Stage::new(self, stage, place + 1, rows, before, device)
        };
        let stages: Vec<Stage> = self.stages.iter().enumerate().map(stage).collect();
        let pool = if self.global_context {
            AttentiveStatistics::new(rows, ATTENTION_DIM, device)
        } else {
            AttentiveStatistics::without_context(rows, ATTENTION_DIM, device)
        };
        ReDimNet {
            backbone: Backbone {
                stem: (grouped3x3(1, self.channels, 1, true, device), LayerNorm::new(self.channels, device)),
                fin_wght1d: WeightedSum::new(stages.len() + 1, rows, device),
                stages,
            },
            pool,
            bn: BatchNorm::new(2 * rows, device),
            linear: LinearConfig::new(2 * rows, self.embedding_size).init(device),
            bn2: self.emb_bn.then(|| BatchNorm::new(self.embedding_size, device)),
        }
    }
}

/// `[batch, channels, frequencies, frames]` as `[batch, frequencies * channels, frames]`.
pub(crate) fn to_rows(map: Tensor<4>) -> Tensor<3> {
    let [batch, channels, frequencies, frames] = map.dims();
    map.swap_dims(1, 2).reshape([batch, channels * frequencies, frames])
}

/// The inverse of [`to_rows`].
pub(crate) fn to_map(rows: Tensor<3>, frequencies: usize) -> Tensor<4> {
    let [batch, size, frames] = rows.dims();
    rows.reshape([batch, frequencies, size / frequencies, frames]).swap_dims(1, 2)
}

/// A sum of maps, with a weight for each map and row: `softmax` over the maps.
#[derive(Module, Debug)]
pub(crate) struct WeightedSum {
    /// `[1, maps, rows, 1]`
    w: Param<Tensor<4>>,
}

impl WeightedSum {
    /// Of so many maps with so many rows. With one weight for all rows, `rows` is 1.
    pub(crate) fn new(maps: usize, rows: usize, device: &Device) -> Self {
        Self { w: Initializer::Zeros.init([1, maps, rows, 1], device) }
    }

    /// # Shapes
    /// - maps and output: `[batch, rows, frames]`
    pub(crate) fn forward(&self, maps: &[Tensor<3>]) -> Tensor<3> {
        let weights = softmax(self.w.val(), 1);
        let weighted = |(place, map): (usize, &Tensor<3>)| {
            map.clone() * weights.clone().narrow(1, place, 1).squeeze_dim::<3>(1)
        };
        let mut weighted = maps.iter().enumerate().map(weighted);
        let first = weighted.next().expect("the stem gives a map");
        weighted.fold(first, |sum, map| sum + map)
    }
}

/// From the expanded channels of the blocks to those of the stage.
#[derive(Module, Debug)]
struct Squeeze {
    conv: Conv2d,
    bn: BatchNorm,
    pointwise: Conv2d,
}

impl Squeeze {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        conv2d(&self.pointwise, gelu(conv2d_then(&self.conv, input, self.bn.alone())))
    }
}

/// Sum of all maps before, fewer frequencies and more channels, two-dimensional blocks, one-dimensional block.
#[derive(Module, Debug)]
struct Stage {
    sum: WeightedSum,
    reshape: Conv2d,
    blocks: Vec<Planar>,
    squeeze: Option<Squeeze>,
    context: Option<TimeContext>,
    frequencies: usize,
}

impl Stage {
    fn new(
        config: &ReDimNetConfig,
        stage: &ReDimStage,
        maps: usize,
        rows: usize,
        (channels, frequencies): (usize, usize),
        device: &Device,
    ) -> Self {
        let ReDimNetConfig { block, group_size, .. } = *config;
        let ReDimStage { stride, expansion, .. } = *stage;
        let channels_out = channels * stride;
        let inner = channels_out * expansion;
        let planar = |_| Planar::new(block, inner, frequencies / stride, group_size, device);
        Self {
            // The only map of the first stage has one weight, without effect.
            sum: WeightedSum::new(maps, if maps > 1 { rows } else { 1 }, device),
            reshape: Conv2dConfig::new([channels, inner], [stride, 1])
                .with_stride([stride, 1])
                .with_padding(PaddingConfig2d::Valid)
                .init(device),
            blocks: (0..stage.blocks).map(planar).collect(),
            squeeze: (expansion > 1).then(|| Squeeze {
                conv: grouped3x3(inner, channels_out, channels_out / group_size, true, device),
                bn: BatchNorm::new(channels_out, device).with_epsilon(SQUEEZE_EPSILON),
                pointwise: pointwise(channels_out, channels_out, device),
            }),
            context: stage.reduction.map(|reduction| TimeContext::new(rows, rows / reduction, device)),
            frequencies,
        }
    }

    fn forward(&self, maps: &[Tensor<3>]) -> Tensor<3> {
        let map = conv2d(&self.reshape, to_map(self.sum.forward(maps), self.frequencies));
        let map = self.blocks.iter().fold(map, |map, block| block.forward(map));
        let map = match &self.squeeze {
            Some(squeeze) => squeeze.forward(map),
            None => map,
        };
        let rows = to_rows(map);
        match &self.context {
            Some(context) => context.forward(rows),
            None => rows,
        }
    }
}

/// Stem, stages, and the sum of all their outputs.
#[derive(Module, Debug)]
struct Backbone {
    stem: (Conv2d, LayerNorm),
    stages: Vec<Stage>,
    fin_wght1d: WeightedSum,
}

impl Backbone {
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, channels * mel, frames]`
    fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let (conv, norm) = &self.stem;
        let mut maps = vec![to_rows(norm.forward(conv2d(conv, features.unsqueeze_dim(1)), 1))];
        for stage in &self.stages {
            maps.push(stage.forward(&maps));
        }
        self.fin_wght1d.forward(&maps)
    }
}

/// Backbone, attentive statistics, BatchNorm, linear embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ReDimNet {
    backbone: Backbone,
    pool: AttentiveStatistics,
    bn: BatchNorm,
    linear: Linear,
    bn2: Option<BatchNorm>,
}

impl Network for ReDimNet {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl ReDimNet {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let pooled = self.bn.forward(self.pool.forward(self.backbone.forward(features)));
        let embedding = linear(&self.linear, pooled);
        match &self.bn2 {
            Some(bn) => bn.forward(embedding),
            None => embedding,
        }
    }
}
