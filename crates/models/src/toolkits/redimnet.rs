//! The sizes of ReDimNet and ReDimNet2 from the shapes of their tensors.

use super::recognise::Tensors;
use crate::model::ModelConfig;
use crate::redimnet::{BlockKind, ReDimNetConfig, ReDimStage};
use crate::redimnet2::{ReDim2Stage, ReDimNet2Config};

/// What both have.
struct Sizes {
    channels: usize,
    /// Channels times frequencies.
    rows: usize,
    block: BlockKind,
    group_size: usize,
    stages: Vec<Stage>,
}

struct Stage {
    /// Of frequency and time; the latter of all stages up to this one.
    strides: [usize; 2],
    blocks: usize,
    /// Channels of the stage, and inside its blocks.
    channels: usize,
    inner: usize,
    reduction: Option<usize>,
}

impl Sizes {
    fn of(tensors: &Tensors<'_>) -> Option<Self> {
        let first = tensors.size("backbone.stem.0.weight", 0)?;
        let rows = tensors.size("backbone.fin_wght1d.w", 2)?;
        let num_stages = tensors.size("backbone.fin_wght1d.w", 1)?.checked_sub(1)?;
        let (mut stages, mut channels, mut block) = (Vec::new(), first, None);
        let mut group_size = usize::MAX;
        for stage in 0..num_stages {
            let size = |layer: usize, tail: &str, dimension| {
                tensors.size(&format!("backbone.stage{stage}.{layer}.{tail}"), dimension)
            };
            let strides = [size(2, "weight", 2)?, size(2, "weight", 3)?];
            channels = channels.checked_mul(strides[0])?;
            let inner = size(2, "weight", 0)?;
            let kind_of = |layer| {
                let has = |tail| size(layer, tail, 0).is_some();
                match (has("conv_block.dwconvs.0.weight"), has("conv_block.conv1.weight")) {
                    (true, false) => Some((BlockKind::ConvNeXt, "conv_block.dwconvs.0.weight")),
                    (false, true) if has("conv_block.se.squeeze.weight") => {
                        Some((BlockKind::BasicSe, "conv_block.conv1.weight"))
                    }
                    (false, true) => Some((BlockKind::Basic, "conv_block.conv1.weight")),
                    _ => None,
                }
            };
            let blocks = (3..).take_while(|&layer| kind_of(layer).is_some()).count();
            let (kind, convolution) = kind_of(3)?;
            block = Some(kind);
            // A stage with too few channels for a second group has larger ones.
            group_size = group_size.min(size(3, convolution, 1)?);
            // Behind the blocks: convolutions where the channels inside are others, a change of shape, the context.
            let context = 3 + blocks + usize::from(inner != channels) + 1;
            let reduction = size(context, "red_dim_conv.0.weight", 0).map(|hidden| rows / hidden.max(1));
            stages.push(Stage { strides, blocks, channels, inner, reduction });
        }
        Some(Self { channels: first, rows, block: block?, group_size, stages })
    }

    /// Rows of the features.
    fn num_mels(&self) -> usize {
        self.rows / self.channels.max(1)
    }
}

/// Whether the first stage has a weight for each row of its one map: ReDimNet2.
fn is_second(tensors: &Tensors<'_>) -> Option<bool> {
    Some(tensors.size("backbone.stage0.0.w", 2)? > 1)
}

/// `pooled` are the rows in front of the pooling.
fn global_context(tensors: &Tensors<'_>, pooled: usize) -> Option<bool> {
    Some(tensors.size("pool.linear1.weight", 1)? == pooled.saturating_mul(3))
}

pub(super) fn redimnet(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    if is_second(tensors)? {
        return None;
    }
    let sizes = Sizes::of(tensors)?;
    let stage = |stage: &Stage| ReDimStage {
        stride: stage.strides[0],
        blocks: stage.blocks,
        expansion: stage.inner / stage.channels.max(1),
        reduction: stage.reduction,
    };
    let config = ReDimNetConfig {
        channels: sizes.channels,
        block: sizes.block,
        group_size: sizes.group_size,
        stages: sizes.stages.iter().map(stage).collect(),
        global_context: global_context(tensors, sizes.rows)?,
        embedding_size: tensors.size("linear.weight", 0)?,
        emb_bn: tensors.has("bn2.running_mean"),
    };
    Some((ModelConfig::ReDimNet(config), Some(sizes.num_mels())))
}

pub(super) fn redimnet2(tensors: &Tensors<'_>) -> Option<(ModelConfig, Option<usize>)> {
    if !is_second(tensors)? {
        return None;
    }
    let sizes = Sizes::of(tensors)?;
    let mut before = 1;
    let stage = |stage: &Stage| {
        let [frequency_stride, time_stride] = stage.strides;
        let time_stride = time_stride / std::mem::replace(&mut before, time_stride).max(1);
        let Stage { blocks, inner: inner_channels, reduction, .. } = *stage;
        ReDim2Stage { frequency_stride, time_stride, blocks, inner_channels, reduction }
    };
    let config = ReDimNet2Config {
        channels: sizes.channels,
        block: sizes.block,
        group_size: sizes.group_size,
        stages: sizes.stages.iter().map(stage).collect(),
        head_channels: tensors.size("backbone.head.weight", 0).unwrap_or(0),
        planar_head: tensors.size("backbone.head.weight", 3).is_some(),
        global_context: global_context(tensors, tensors.size("bn.weight", 0)? / 2)?,
        embedding_size: tensors.size("linear.weight", 0)?,
        emb_bn: tensors.has("bn2.running_mean"),
    };
    Some((ModelConfig::ReDimNet2(config), Some(sizes.num_mels())))
}
