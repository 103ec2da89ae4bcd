//! Section `[data]` of a configuration, and what decides a training crop.

use ffsvc_audio::{Channel, ReadOptions};
use ffsvc_augment::AugmentConfig;
use ffsvc_features::FrontEndConfig;
use ffsvc_kaldi_io::OpenOptions;
use ffsvc_ranges::{Checklist, Range, Section};
use serde::{Deserialize, Serialize};

use crate::domains::{DataShare, TrainData};
use crate::error::{Error, Result};
use crate::views::FurtherView;

/// Everything that decides the crops of a run: a [`BatchMaker`](crate::BatchMaker) is made of it.
#[derive(Debug, Clone, Copy)]
pub struct CropConfig<'a> {
    /// The recordings.
    pub data: &'a DataConfig,
    /// From samples to features.
    pub features: &'a FrontEndConfig,
    /// What is done to the crops.
    pub augment: &'a AugmentConfig,
    /// Frames of a crop.
    pub max_frames: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Whether every utterance must have a speaker.
    pub labels: Labels,
    /// Share of the crops whose augmented views stay as recorded, drawn for each view. 0 for training without a teacher.
    pub clean_share: f64,
    /// Views beside the first one, which is [`View::Augmented`](crate::View::Augmented) 0.
    pub further_views: &'a [FurtherView],
}

impl<'a> CropConfig<'a> {
    /// Crops for training with labels, in one view.
    pub fn new(
        data: &'a DataConfig,
        features: &'a FrontEndConfig,
        augment: &'a AugmentConfig,
        max_frames: usize,
        seed: u64,
    ) -> Self {
        Self {
            data,
            features,
            augment,
            max_frames,
            seed,
            labels: Labels::Required,
            clean_share: 0.0,
            further_views: &[],
        }
    }
}

/// Whether every utterance must have a speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// A data directory without speakers is an error.
    Required,
    /// Each utterance of a directory without speakers counts as a speaker of its own: `wav.scp` alone will do.
    Optional,
}

/// Section `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Kaldi data directory with `wav.scp` and `utt2spk`, or several with their shares of each batch.
    pub train: TrainData,
    /// Channel of recordings with several: `"first"` (default), `"mix"` or an index from 0.
    #[serde(default = "first_channel")]
    pub channel: String,
    /// Adds the baseline's 2-pole low-pass at 8 kHz before a change of sample rate. Default false.
    #[serde(default)]
    pub compat_lowpass: bool,
    /// Run `command |` entries of wav.scp. Default false: they are refused, because they execute what a
    /// list says.
    #[serde(default)]
    pub allow_pipes: bool,
    /// The run stops if more than this share of the training recordings could not be read. Until then another
    /// utterance, drawn from the seed, replaces such a recording. It is named and counted. Default 0.01.
    #[serde(default = "default_max_failed_share")]
    pub max_failed_share: f64,
}

fn first_channel() -> String {
    "first".into()
}

fn default_max_failed_share() -> f64 {
    DataConfig::DEFAULT_MAX_FAILED_SHARE
}

impl DataConfig {
    /// Share of the training recordings that may fail before the run stops.
    pub const DEFAULT_MAX_FAILED_SHARE: f64 = 0.01;
    /// Range of [`max_failed_share`](Self::max_failed_share).
    pub const MAX_FAILED_SHARE: Range<f64> = Range::of(0.0, 1.0);

    /// Checks every number, and that there is a data directory.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check(&self) -> Result<()> {
        let mut checklist = Checklist::default();
        self.add_numbers(&mut checklist.section("data"));
        match checklist.faults().next() {
            Some(fault) => Err(fault.clone().into()),
            None => self.train.check(),
        }
    }

    /// Checks that there is a data directory, and the channel.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check_consistency(&self, sample_rate: u32) -> Result<()> {
        self.train.check()?;
        self.read_options(sample_rate).map(drop)
    }

    /// Adds every number, with its range, to the section `data`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("max_failed_share", self.max_failed_share, Self::MAX_FAILED_SHARE);
        if let TrainData::Several(directories) = &self.train {
            let mut train = section.section("train");
            directories.iter().for_each(|directory| train.number("share", directory.share, DataShare::SHARE));
        }
    }

    /// How audio is read for a front end at `sample_rate` Hz.
    ///
    /// # Errors
    /// `channel` is none of the accepted words.
    pub fn read_options(&self, sample_rate: u32) -> Result<ReadOptions> {
        let channel: Channel = self.channel.parse().map_err(|_| Error::Config {
            key: "data.channel",
            found: format!("\"{}\"", self.channel),
            expected: "\"first\", \"mix\" or an index from \"0\"".into(),
        })?;
        Ok(ReadOptions::at_rate(sample_rate).with_channel(channel).with_compat_lowpass(self.compat_lowpass))
    }

    /// How data directories are opened.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions { allow_pipes: self.allow_pipes }
    }
}
