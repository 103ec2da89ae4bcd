//! Blocks with groups of channels that read each other: [Res2Net, Gao et al. 2019](https://arxiv.org/abs/1904.01169), in the
//! two-dimensional form of WeSpeaker and 3D-Speaker. Res2Net, ERes2Net and ERes2NetV2 are made of them.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use crate::batch_norm::BatchNorm;
use crate::convolution::conv2d_then;
use crate::error::{Result, require, require_size};
use crate::pooling::Parameterless;
use crate::stages::{StageBlock, Stages, conv1x1, conv3x3, projection, shortcut};

/// These networks cut their ReLUs off here.
pub(crate) const RELU_CAP: f64 = 20.0;
/// Channels of a fusion over those of its hidden layer.
const FUSION_REDUCTION: usize = 4;
/// `base_width` of a block whose groups have as many channels as the stage.
const WHOLE_WIDTH: usize = 64;

/// Sizes of the blocks; the fields are those of the configurations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Res2Sizes {
    pub(crate) in_planes: usize,
    pub(crate) blocks: [usize; 4],
    pub(crate) base_width: usize,
    pub(crate) scale: usize,
    pub(crate) expansion: usize,
}

/// How the groups of a block's channels follow each other. A group is convolved after the result of the group before has been
/// joined to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Joined by a sum; the last group passes as it is.
    LastPasses,
    /// Joined by a sum.
    Summed,
    /// Joined by attention ([`AttentiveFusion`]).
    Fused,
}

impl Res2Sizes {
    /// Channels of the last map.
    pub(crate) fn channels(&self) -> usize {
        8 * self.in_planes * self.expansion
    }

    /// Convolutions inside all blocks, whose number `blocks` and `scale` set.
    pub(crate) fn layers(&self) -> usize {
        self.blocks.iter().fold(0usize, |sum, &blocks| sum.saturating_add(blocks)).saturating_mul(self.scale)
    }

    /// Channels of a group in a stage of `planes` channels.
    fn width(&self, planes: usize) -> usize {
        planes * self.base_width / WHOLE_WIDTH
    }

    /// Checks every value.
    pub(crate) fn validate(&self) -> Result<()> {
        require_size(self.in_planes, "model.in_planes")?;
        for blocks in self.blocks {
            require_size(blocks, "model.blocks")?;
        }
        require_size(self.scale, "model.scale")?;
        require_size(self.expansion, "model.expansion")?;
        require_size(self.base_width, "model.base_width")?;
        let whole = |factor: usize| 8 * self.in_planes.saturating_mul(factor);
        require_size(whole(self.expansion), "8 * model.in_planes * model.expansion")?;
        require(
            self.width(self.in_planes) > 0,
            "model.base_width",
            self.base_width,
            "a number that leaves a channel: model.in_planes * model.base_width is at least 64",
        )?;
        let width = self.width(8 * self.in_planes).saturating_mul(self.scale);
        require_size(width, "model.in_planes / 8 * model.base_width * model.scale")
    }

    /// Stem and four stages; `groups` is asked for each stage, from 0.
    pub(crate) fn stages(&self, device: &Device, groups: impl Fn(usize) -> Groups) -> Stages<Res2Block> {
        Stages::new(self.in_planes, self.blocks, device, |stage, channels_in, planes, stride| {
            let block = Res2Block::new(self, channels_in, planes, stride, groups(stage), device);
            (block, self.expansion * planes)
        })
    }
}

/// 1x1 convolution to all groups, 3x3 convolutions from group to group, 1x1 convolution, and a shortcut.
#[derive(Module, Debug)]
pub(crate) struct Res2Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    convs: Vec<Conv2d>,
    bns: Vec<BatchNorm>,
    fuse_models: Vec<AttentiveFusion>,
    conv3: Conv2d,
    bn3: BatchNorm,
    shortcut: Option<(Conv2d, BatchNorm)>,
    scale: usize,
}

impl Res2Block {
    fn new(
        sizes: &Res2Sizes,
        channels_in: usize,
        planes: usize,
        stride: usize,
        groups: Groups,
        device: &Device,
    ) -> Self {
        let (width, scale, channels_out) = (sizes.width(planes), sizes.scale, sizes.expansion * planes);
        let convolved = if groups == Groups::LastPasses { scale - 1 } else { scale };
        let fused = if groups == Groups::Fused { scale - 1 } else { 0 };
        Self {
            conv1: conv1x1(channels_in, width * scale, stride, device),
            bn1: BatchNorm::new(width * scale, device),
            convs: (0..convolved).map(|_| conv3x3(width, width, 1, device)).collect(),
            bns: (0..convolved).map(|_| BatchNorm::new(width, device)).collect(),
            fuse_models: (0..fused).map(|_| AttentiveFusion::new(width, device)).collect(),
            conv3: conv1x1(width * scale, channels_out, 1, device),
            bn3: BatchNorm::new(channels_out, device),
            shortcut: projection(channels_in, channels_out, stride, device),
            scale,
        }
    }

    fn join(&self, place: usize, before: Tensor<4>, group: Tensor<4>) -> Tensor<4> {
        match self.fuse_models.get(place) {
            Some(fusion) => fusion.forward(before, group),
            None => before + group,
        }
    }
}

impl StageBlock for Res2Block {
    fn convolutions(&self) -> Vec<&Conv2d> {
        std::iter::once(&self.conv1).chain(&self.convs).chain([&self.conv3]).collect()
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let capped = |map: Tensor<4>| map.clamp_max(RELU_CAP);
        let hidden = capped(conv2d_then(&self.conv1, input.clone(), self.bn1.then_relu()));
        let mut groups = hidden.chunk(self.scale, 1).into_iter();
        let mut outputs: Vec<Tensor<4>> = Vec::with_capacity(self.scale);
        for ((conv, bn), group) in self.convs.iter().zip(&self.bns).zip(groups.by_ref()) {
            let joined = match outputs.last() {
                Some(before) => self.join(outputs.len() - 1, before.clone(), group),
                None => group,
            };
            outputs.push(capped(conv2d_then(conv, joined, bn.then_relu())));
        }
        outputs.extend(groups);
        let shortcut = shortcut(self.shortcut.as_ref(), input);
        capped(conv2d_then(&self.conv3, Tensor::cat(outputs, 1), self.bn3.then_add_relu(&shortcut)))
    }
}

/// Attentive feature fusion: `(1 + a) x + (1 - a) y`, where `a` within -1 and 1 comes from both maps. [Chen et al.
/// 2023](https://arxiv.org/abs/2305.12838), equations 4 and 5.
#[derive(Module, Debug)]
pub(crate) struct AttentiveFusion {
    local_att: (Conv2d, BatchNorm, Parameterless, Conv2d, BatchNorm),
}

impl AttentiveFusion {
    /// Of two maps of `channels`.
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        let hidden = (channels / FUSION_REDUCTION).max(1);
        let pointwise = |from, to| Conv2dConfig::new([from, to], [1, 1]).init(device);
        Self {
            local_att: (
                pointwise(2 * channels, hidden),
                BatchNorm::new(hidden, device),
                Parameterless,
                pointwise(hidden, channels),
                BatchNorm::new(channels, device),
            ),
        }
    }

    /// # Shapes
    /// - x, y and output: `[batch, channels, frequencies, frames]`
    pub(crate) fn forward(&self, x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
        let (squeeze, bn1, _, expand, bn2) = &self.local_att;
        let both = Tensor::cat(vec![x.clone(), y.clone()], 1);
        let hidden = silu(conv2d_then(squeeze, both, bn1.alone()));
        let attention = conv2d_then(expand, hidden, bn2.alone()).tanh();
        // (1 + a) x + (1 - a) y
        x.clone() + y.clone() + attention * (x - y)
    }
}
