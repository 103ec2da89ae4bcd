//! ReDimNet2: [ReDimNet](crate::ReDimNet) whose stages look at fewer and fewer frames. Their outputs are repeated up to the frame
//! rate of the features, so that all maps still have the same volume. As in the program of its
//! [authors](https://github.com/PalabraAI/redimnet2), with the parameter names of their `ReDimNet2Wrap`, but for the places of the
//! layers inside a stage, which are numbers there.

mod config;

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

pub use self::config::{ReDim2Stage, ReDimNet2Config};
use crate::batch_norm::BatchNorm;
use crate::convolution::{conv1d, conv2d, conv2d_then};
use crate::error::Result;
use crate::layer_norm::LayerNorm;
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::{AttentiveStatistics, tstp};
use crate::redimnet::{
    ATTENTION_DIM, Planar, SQUEEZE_EPSILON, TimeContext, WeightedSum, grouped3x3, pointwise, to_map, to_rows,
};

impl NetworkConfig for ReDimNet2Config {
    type Network = ReDimNet2;

    fn min_frames(&self) -> usize {
        self.time_stride()
    }

    fn layers(&self) -> usize {
        self.stages.iter().fold(0, |sum, stage| sum.saturating_add(stage.blocks))
    }

    fn validate_rows(&self, num_mels: usize) -> Result<()> {
        self.check_rows(num_mels)
    }

    fn build(&self, num_mels: usize, device: &Device) -> ReDimNet2 {
        let rows = self.channels * num_mels;
        let (mut before, mut time_stride) = ((self.channels, num_mels), 1);
        let stage = |(place, stage): (usize, &ReDim2Stage)| {
            time_stride *= stage.time_stride;
            let made = Stage::new(self, stage, place + 1, rows, before, time_stride, device);
            before = (before.0 * stage.frequency_stride, before.1 / stage.frequency_stride);
            made
        };
        let stages: Vec<Stage> = self.stages.iter().enumerate().map(stage).collect();
        let (channels, frequencies) = before;
        let (head, pooled) = match (self.head_channels, self.planar_head) {
            (0, _) => (None, rows),
            (size, false) => (Some(Head::Rows(Conv1dConfig::new(rows, size, 1).init(device))), size),
            (size, true) => (Some(Head::Planar(pointwise(channels, size, device))), frequencies * size),
        };
        let pool = if self.global_context {
            AttentiveStatistics::new(pooled, ATTENTION_DIM, device)
        } else {
            AttentiveStatistics::without_context(pooled, ATTENTION_DIM, device)
        };
        ReDimNet2 {
            backbone: Backbone {
                stem: (grouped3x3(1, self.channels, 1, true, device), LayerNorm::new(self.channels, device)),
                fin_wght1d: WeightedSum::new(stages.len() + 1, rows, device),
                stages,
                head,
                frequencies,
                time_stride,
            },
            pool,
            bn: BatchNorm::new(2 * pooled, device),
            linear: LinearConfig::new(2 * pooled, self.embedding_size).init(device),
            bn2: self.emb_bn.then(|| BatchNorm::new(self.embedding_size, device)),
        }
    }
}

/// The largest number that divides both.
pub(crate) fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Sum of all maps before, fewer frequencies and frames and more channels, two-dimensional blocks, one-dimensional block.
#[derive(Module, Debug)]
struct Stage {
    sum: WeightedSum,
    reshape: Conv2d,
    blocks: Vec<Planar>,
    squeeze: Option<(Conv2d, BatchNorm)>,
    context: Option<TimeContext>,
    frequencies: usize,
    time_stride: usize,
}

impl Stage {
    /// `time_stride` is that of all stages up to this one.
    fn new(
        config: &ReDimNet2Config,
        stage: &ReDim2Stage,
        maps: usize,
        rows: usize,
        (channels, frequencies): (usize, usize),
        time_stride: usize,
        device: &Device,
    ) -> Self {
        let ReDimNet2Config { block, group_size, .. } = *config;
        let ReDim2Stage { frequency_stride, inner_channels: inner, .. } = *stage;
        let channels_out = channels * frequency_stride;
        let strides = [frequency_stride, time_stride];
        let planar = |_| Planar::new(block, inner, frequencies / frequency_stride, group_size, device);
        Self {
            sum: WeightedSum::new(maps, rows, device),
            reshape: Conv2dConfig::new([channels, inner], strides)
                .with_stride(strides)
                .with_padding(PaddingConfig2d::Valid)
                .with_groups(greatest_common_divisor(channels, inner))
                .init(device),
            blocks: (0..stage.blocks).map(planar).collect(),
            squeeze: (inner != channels_out).then(|| {
                let bn = BatchNorm::new(channels_out, device).with_epsilon(SQUEEZE_EPSILON);
                (pointwise(inner, channels_out, device), bn)
            }),
            context: stage.reduction.map(|reduction| TimeContext::new(rows, rows / reduction, device)),
            frequencies,
            time_stride,
        }
    }

    fn forward(&self, maps: &[Tensor<3>]) -> Tensor<3> {
        let map = conv2d(&self.reshape, to_map(self.sum.forward(maps), self.frequencies));
        let map = self.blocks.iter().fold(map, |map, block| block.forward(map));
        let map = match &self.squeeze {
            Some((conv, bn)) => conv2d_then(conv, map, bn.alone()),
            None => map,
        };
        let rows = to_rows(map);
        let rows = match &self.context {
            Some(context) => context.forward(rows),
            None => rows,
        };
        repeat_frames(rows, self.time_stride)
    }
}

/// Every frame so many times.
fn repeat_frames(rows: Tensor<3>, times: usize) -> Tensor<3> {
    if times == 1 {
        return rows;
    }
    let [batch, size, frames] = rows.dims();
    rows.unsqueeze_dim::<4>(3).repeat_dim(3, times).reshape([batch, size, frames * times])
}

/// In front of the pooling.
#[derive(Module, Debug)]
enum Head {
    /// Sees channels and frequencies as one.
    Rows(Conv1d),
    /// Leaves the frequencies as they are.
    Planar(Conv2d),
}

/// Stem, stages, the sum of all their outputs, and the head.
#[derive(Module, Debug)]
struct Backbone {
    stem: (Conv2d, LayerNorm),
    stages: Vec<Stage>,
    fin_wght1d: WeightedSum,
    head: Option<Head>,
    frequencies: usize,
    time_stride: usize,
}

impl Backbone {
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, rows, frames]`, without the last frames that fill no stride
    fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let frames = features.dims()[2] / self.time_stride * self.time_stride;
        let map = features.narrow(2, 0, frames).unsqueeze_dim(1);
        let (conv, norm) = &self.stem;
        let mut maps = vec![to_rows(norm.forward(conv2d(conv, map), 1))];
        for stage in &self.stages {
            maps.push(stage.forward(&maps));
        }
        let sum = self.fin_wght1d.forward(&maps);
        match &self.head {
            None => sum,
            Some(Head::Rows(head)) => conv1d(head, sum),
            Some(Head::Planar(head)) => tstp::per_frequency(conv2d(head, to_map(sum, self.frequencies))),
        }
    }
}

/// Backbone, attentive statistics, BatchNorm, linear embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct ReDimNet2 {
    backbone: Backbone,
    pool: AttentiveStatistics,
    bn: BatchNorm,
    linear: Linear,
    bn2: Option<BatchNorm>,
}

impl Network for ReDimNet2 {
    fn min_frames(&self) -> usize {
        self.backbone.time_stride
    }
}

impl ReDimNet2 {
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
