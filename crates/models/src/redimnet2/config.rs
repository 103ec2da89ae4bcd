//! Options of a ReDimNet2, and sizes that are in use.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, require, require_size};
use crate::redimnet::{BlockKind, HEADS};

/// A stage of a [`ReDimNet2`](crate::ReDimNet2).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReDim2Stage {
    /// Frequencies are divided by this, and channels multiplied: 1, 2 or 3.
    pub frequency_stride: usize,
    /// Frames are divided by this, beside what the stages before divide them by: 1 to 4.
    pub time_stride: usize,
    /// Two-dimensional blocks.
    pub blocks: usize,
    /// Channels inside these blocks. Where they are not those of the stage, a 1x1 convolution is behind the blocks.
    pub inner_channels: usize,
    /// The one-dimensional block behind them has the rows of the map divided by this, rounding down. Left out: there is no such
    /// block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<usize>,
}

/// Options of a [`ReDimNet2`](crate::ReDimNet2). The default is B0; [`ReDimNet2Config::of_size`] has the others. All are for 72 rows
/// of features.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReDimNet2Config {
    /// Channels of the first layer. Default: 12.
    pub channels: usize,
    /// The two-dimensional blocks. Default: `basic`.
    pub block: BlockKind,
    /// Channels of a group of the blocks' grouped convolutions. Their number of groups is that of the channels divided by this,
    /// rounding down. Default: 1.
    pub group_size: usize,
    /// The stages. Default: those of B0.
    pub stages: Vec<ReDim2Stage>,
    /// Channels of a 1x1 convolution in front of the pooling; 0: there is none. Default: 64.
    pub head_channels: usize,
    /// That convolution leaves the frequencies as they are. Default: false, it sees channels and frequencies as one.
    pub planar_head: bool,
    /// The pooling's attention sees mean and standard deviation of the utterance. Default: true.
    pub global_context: bool,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
    /// BatchNorm behind the embedding. Default: false.
    pub emb_bn: bool,
}

impl Default for ReDimNet2Config {
    fn default() -> Self {
        Self::new(12, &B0, 64)
    }
}

/// Strides of frequency and time, blocks, channels inside the blocks, reduction.
type Sizes = (usize, usize, usize, usize, usize);
const B0: [Sizes; 6] = [
    (1, 1, 2, 24, 36),
    (2, 1, 3, 24, 36),
    (1, 2, 4, 24, 36),
    (2, 1, 5, 48, 36),
    (1, 2, 4, 48, 18),
    (2, 1, 3, 96, 18),
];
const B1: [Sizes; 6] = [
    (1, 1, 2, 32, 32),
    (2, 1, 3, 32, 32),
    (1, 2, 4, 32, 32),
    (2, 1, 5, 64, 32),
    (1, 2, 4, 64, 16),
    (2, 1, 3, 128, 16),
];
const B2: [Sizes; 6] = [
    (1, 1, 2, 40, 40),
    (2, 1, 3, 40, 30),
    (1, 2, 4, 40, 30),
    (3, 1, 5, 120, 20),
    (1, 2, 4, 120, 20),
    (2, 1, 3, 240, 10),
];
const B3: [Sizes; 6] = [
    (1, 1, 2, 48, 36),
    (2, 1, 3, 48, 36),
    (1, 2, 4, 48, 36),
    (2, 1, 5, 96, 36),
    (1, 2, 4, 96, 18),
    (2, 1, 3, 192, 18),
];
const B4: [Sizes; 6] = [
    (1, 1, 2, 128, 24),
    (2, 1, 3, 192, 24),
    (1, 2, 4, 128, 24),
    (2, 1, 5, 128, 24),
    (1, 2, 4, 128, 24),
    (2, 1, 3, 256, 24),
];
const B5: [Sizes; 6] = [
    (1, 1, 2, 192, 48),
    (2, 1, 3, 288, 48),
    (1, 2, 4, 192, 48),
    (2, 1, 5, 192, 48),
    (1, 2, 4, 192, 32),
    (2, 1, 3, 384, 32),
];
const B6: [Sizes; 6] = [
    (1, 1, 3, 192, 64),
    (2, 1, 4, 256, 64),
    (1, 2, 5, 256, 48),
    (2, 1, 5, 256, 48),
    (1, 2, 4, 192, 32),
    (2, 1, 3, 256, 24),
];

impl ReDimNet2Config {
    fn new(channels: usize, stages: &[Sizes], head_channels: usize) -> Self {
        let stage = |&(frequency_stride, time_stride, blocks, inner_channels, reduction): &Sizes| {
            ReDim2Stage { frequency_stride, time_stride, blocks, inner_channels, reduction: Some(reduction) }
        };
        Self {
            channels,
            block: BlockKind::Basic,
            group_size: 1,
            stages: stages.iter().map(stage).collect(),
            head_channels,
            planar_head: false,
            global_context: true,
            embedding_size: 192,
            emb_bn: false,
        }
    }

    /// The network of a size from 0 to 6: B0 to B6, in the sizes that WeSpeaker has of them. B4 and B6 have as many parameters as in
    /// the authors' table, the others fewer. A checkpoint of the authors is imported in its own sizes.
    pub fn of_size(size: usize) -> Option<Self> {
        Some(match size {
            0 => Self::default(),
            1 => Self::new(16, &B1, 64),
            2 => Self::new(20, &B2, 64),
            3 => Self::new(24, &B3, 64),
            4 => Self::new(32, &B4, 0),
            5 => Self::new(48, &B5, 256),
            6 => Self { planar_head: true, ..Self::new(64, &B6, 224) },
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
        require_size(self.head_channels.max(1), "model.head_channels")?;
        require(
            !self.planar_head || self.head_channels > 0,
            "model.planar_head",
            self.planar_head,
            "false, or model.head_channels above 0",
        )?;
        require(
            (1..=64).contains(&self.stages.len()),
            "model.stages",
            format!("{} stages", self.stages.len()),
            "1 to 64 stages",
        )?;
        let mut channels = self.channels;
        for stage in &self.stages {
            let stride = stage.frequency_stride;
            require((1..=3).contains(&stride), "model.stages.frequency_stride", stride, "1, 2 or 3")?;
            let stride = stage.time_stride;
            require((1..=4).contains(&stride), "model.stages.time_stride", stride, "1 to 4")?;
            require_size(stage.blocks, "model.stages.blocks")?;
            require_size(stage.inner_channels, "model.stages.inner_channels")?;
            require_size(stage.reduction.unwrap_or(1), "model.stages.reduction")?;
            channels *= stage.frequency_stride;
            require_size(channels, "the channels of model.stages")?;
            let groups = stage.inner_channels / self.group_size;
            require(
                groups > 0 && stage.inner_channels.is_multiple_of(groups),
                "model.group_size",
                self.group_size,
                "a number that divides the channels inside the blocks into equal groups",
            )?;
        }
        require_size(self.time_stride(), "the product of model.stages.time_stride")
    }

    /// Product of the strides in frequency.
    pub(super) fn frequency_stride(&self) -> usize {
        self.stages.iter().fold(1, |product, stage| product.saturating_mul(stage.frequency_stride))
    }

    /// Product of the strides in time.
    pub(crate) fn time_stride(&self) -> usize {
        self.stages.iter().fold(1, |product, stage| product.saturating_mul(stage.time_stride))
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
