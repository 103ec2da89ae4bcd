//! Options of a ReDimNet, and sizes that are in use.

use serde::{Deserialize, Serialize};

use super::time_context::HEADS;
use crate::error::{Error, Result, require, require_size};

/// The two-dimensional block of a [`ReDimNet`](super::ReDimNet).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Two grouped convolutions: `basic_resnet` there.
    Basic,
    /// The same with a gain for each frequency: `basic_resnet_fwse` there.
    BasicSe,
    /// A grouped convolution and a 1x1 one: `convnext_like` there.
    #[serde(rename = "convnext")]
    ConvNeXt,
}

/// A stage of a [`ReDimNet`](super::ReDimNet).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReDimStage {
    /// Frequencies are divided by this, and channels multiplied: 1, 2 or 3.
    pub stride: usize,
    /// Two-dimensional blocks.
    pub blocks: usize,
    /// Channels inside these blocks, in those of the stage.
    pub expansion: usize,
    /// The one-dimensional block behind them has the rows of the map divided by this, rounding down. Left out: there is no such
    /// block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<usize>,
}

/// Options of a [`ReDimNet`](super::ReDimNet). The default is B2. [`ReDimNetConfig::of_size`] has the others: B0 is for 60 rows of
/// features, B1 to B6 are for 72.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReDimNetConfig {
    /// Channels of the first layer. Default: 16.
    pub channels: usize,
    /// The two-dimensional blocks. Default: `convnext`.
    pub block: BlockKind,
    /// Channels of a group of the grouped convolutions. Their number of groups is that of the channels divided by this, rounding down.
    /// Default: 4.
    pub group_size: usize,
    /// The stages. Default: those of B2.
    pub stages: Vec<ReDimStage>,
    /// The pooling's attention sees mean and standard deviation of the utterance. Default: true.
    pub global_context: bool,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
    /// BatchNorm behind the embedding. Default: false.
    pub emb_bn: bool,
}

impl Default for ReDimNetConfig {
    fn default() -> Self {
        Self::new(16, BlockKind::ConvNeXt, 4, &B2)
    }
}

/// Stride, blocks, expansion and reduction of each stage; no reduction is 0.
type Stages = [(usize, usize, usize, usize)];
const B0: [(usize, usize, usize, usize); 5] =
    [(1, 2, 1, 30), (2, 3, 2, 30), (1, 3, 3, 30), (2, 4, 2, 10), (1, 3, 1, 10)];
const B1: [(usize, usize, usize, usize); 5] =
    [(1, 2, 1, 0), (2, 3, 1, 0), (3, 4, 1, 12), (2, 5, 1, 12), (2, 3, 1, 8)];
const B2: [(usize, usize, usize, usize); 6] =
    [(1, 2, 1, 12), (2, 2, 1, 12), (1, 3, 1, 12), (2, 4, 1, 8), (1, 4, 1, 8), (2, 4, 1, 4)];
const B3: [(usize, usize, usize, usize); 6] =
    [(1, 6, 4, 32), (2, 6, 2, 32), (1, 8, 2, 32), (2, 10, 2, 16), (1, 10, 1, 16), (2, 8, 1, 16)];
const B4: [(usize, usize, usize, usize); 6] =
    [(1, 4, 2, 48), (2, 4, 2, 48), (1, 6, 2, 48), (2, 6, 1, 32), (1, 8, 1, 24), (2, 4, 1, 16)];
const B6: [(usize, usize, usize, usize); 6] =
    [(1, 4, 4, 32), (2, 6, 2, 32), (1, 6, 2, 24), (3, 8, 1, 24), (1, 8, 1, 16), (2, 8, 1, 16)];

impl ReDimNetConfig {
    fn new(channels: usize, block: BlockKind, group_size: usize, stages: &Stages) -> Self {
        let stage = |&(stride, blocks, expansion, reduction): &(usize, usize, usize, usize)| {
            let reduction = (reduction > 0).then_some(reduction);
            ReDimStage { stride, blocks, expansion, reduction }
        };
        let stages = stages.iter().map(stage).collect();
        Self { channels, block, group_size, stages, global_context: true, embedding_size: 192, emb_bn: false }
    }

    /// The network of a size from 0 to 6: B0 to B6, in the sizes that WeSpeaker has of them. B5 has fewer parameters than in the paper
    /// (7.7 million, not 9.2). A checkpoint of the authors is imported in its own sizes.
    pub fn of_size(size: usize) -> Option<Self> {
        Some(match size {
            0 => Self::new(10, BlockKind::Basic, 1, &B0),
            1 => Self::new(12, BlockKind::ConvNeXt, 8, &B1),
            2 => Self::default(),
            3 => Self::new(16, BlockKind::BasicSe, 1, &B3),
            4 => Self::new(32, BlockKind::BasicSe, 1, &B4),
            5 => Self::new(32, BlockKind::BasicSe, 16, &B4),
            6 => Self::new(32, BlockKind::Basic, 32, &B6),
            _ => return None,
        })
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.channels, "model.channels")?;
        require_size(self.group_size, "model.group_size")?;
        require_size(self.embedding_size, "model.embedding_size")?;
        require(
            (1..=64).contains(&self.stages.len()),
            "model.stages",
            format!("{} stages", self.stages.len()),
            "1 to 64 stages",
        )?;
        let mut channels = self.channels;
        for stage in &self.stages {
            require((1..=3).contains(&stage.stride), "model.stages.stride", stage.stride, "1, 2 or 3")?;
            require_size(stage.blocks, "model.stages.blocks")?;
            require_size(stage.expansion, "model.stages.expansion")?;
            require_size(stage.reduction.unwrap_or(1), "model.stages.reduction")?;
            channels *= stage.stride;
            let inner = channels.saturating_mul(stage.expansion);
            require_size(inner, "the channels of model.stages")?;
            let groups = channels / self.group_size;
            let divides = |groups: usize| groups > 0 && inner.is_multiple_of(groups);
            require(
                divides(inner / self.group_size) && divides(groups) && channels.is_multiple_of(groups),
                "model.group_size",
                self.group_size,
                "a number that divides the channels of every stage into equal groups",
            )?;
        }
        Ok(())
    }

    /// Product of the strides.
    fn frequency_stride(&self) -> usize {
        self.stages.iter().fold(1, |product, stage| product.saturating_mul(stage.stride))
    }

    /// Fails where features of so many rows cannot be divided by the strides and reductions.
    pub(super) fn check_rows(&self, num_mels: usize) -> Result<()> {
        if !num_mels.is_multiple_of(self.frequency_stride()) {
            let found =
                format!("{num_mels} rows of features, and strides of {} in all", self.frequency_stride());
            let expected = "a number of rows that the strides divide";
            return Err(Error::Config { field: "model.stages", found, expected });
        }
        let rows = self.channels.saturating_mul(num_mels);
        require_size(rows, "model.channels * the rows of features")?;
        for stage in &self.stages {
            let hidden = stage.reduction.map_or(HEADS, |reduction| rows / reduction.max(1));
            require(
                hidden > 0 && hidden.is_multiple_of(HEADS),
                "model.stages.reduction",
                format!("{} of {rows} rows", stage.reduction.unwrap_or_default()),
                "a number that leaves a multiple of 4",
            )?;
        }
        Ok(())
    }
}
