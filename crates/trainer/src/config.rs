//! The configuration of an experiment: one TOML file, one struct a section.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use ffsvc_augment::AugmentConfig;
use ffsvc_dataset::{CropConfig, DataConfig, FurtherView, Labels, SamplerConfig};
use ffsvc_features::{FrontEnd, FrontEndConfig};
use ffsvc_models::{HeadConfig, ModelConfig};
use ffsvc_ranges::{Checklist, Range};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::flat_toml;
use crate::optimizer::OptimizerConfig;
use crate::schedule::ScheduleConfig;
use crate::teacher::config::TeacherConfig;
use crate::train_config::TrainConfig;
use crate::validation::config::ValidationConfig;

/// Everything that decides the numbers of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Where the recordings are and how they are read.
    pub data: DataConfig,
    /// From samples to features. Default: the baseline's log-mel.
    #[serde(default)]
    pub features: FrontEndConfig,
    /// What is done to training crops. Default: nothing.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The network.
    pub model: ModelConfig,
    /// What the network is trained with and loses afterwards.
    pub head: HeadSection,
    /// A trained network to learn from. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherConfig>,
    /// How often each utterance is trained on. Default: once an epoch.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// Optimiser and base learning rate.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Length, batches, seed, checkpoints.
    #[serde(default)]
    pub train: TrainConfig,
    /// Measuring verification errors during training. Absent: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<ValidationConfig>,
}

/// Section `[head]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadSection {
    /// Which head, with its options.
    #[serde(flatten)]
    pub config: HeadConfig,
    /// Extra classes without utterances. Their centres learn to be far from every training speaker. A fine-tune that
    /// keeps the head gives them to new speakers, those of the target domain. Default 0.
    #[serde(default)]
    pub reserve: usize,
}

impl HeadSection {
    /// Range of [`reserve`](Self::reserve).
    pub const RESERVE: Range<usize> = Range::of(0, 1_000_000);
}

impl From<HeadConfig> for HeadSection {
    fn from(config: HeadConfig) -> Self {
        Self { config, reserve: 0 }
    }
}

impl Deref for HeadSection {
    type Target = HeadConfig;

    fn deref(&self) -> &HeadConfig {
        &self.config
    }
}

impl ExperimentConfig {
    /// Every number of the sections whose ranges are known here, with its range. `[features]`, `[model]` and `[head]` check
    /// their own.
    pub fn numbers(&self) -> Checklist {
        let mut checklist = Checklist::default();
        self.data.add_numbers(&mut checklist.section("data"));
        self.augment.add_numbers(&mut checklist.section("augment"));
        checklist.section("head").number("reserve", self.head.reserve, HeadSection::RESERVE);
        self.sampler.add_numbers(&mut checklist.section("sampler"));
        self.optimizer.add_numbers(&mut checklist.section("optimizer"));
        self.schedule.add_numbers(&mut checklist.section("schedule"));
        self.train.add_numbers(&mut checklist.section("train"));
        if let Some(teacher) = &self.teacher {
            teacher.add_numbers(&mut checklist.section("teacher"));
        }
        if let Some(validation) = &self.validation {
            validation.add_numbers(&mut checklist.section("validation"));
        }
        checklist
    }

    /// The range of every number of those sections, by its key.
    pub fn ranges() -> BTreeMap<String, String> {
        // All that may be left out is there.
        const EVERY_SECTION: &str = "
            data.train = [{ path = 'a', share = 1.0 }]
            model.architecture = 'resnet'
            head.kind = 'aam-softmax'
            teacher.temperature = 0.1
            train.freeze = [{ layer = 'a', epochs = 1 }]
            [augment.reverb.simulated]
            [augment.additive.babble]
            [augment.spec_augment]
            [schedule.margin]
            end_epoch = 1.0
            [validation]
        ";
        let whole: Self = toml::from_str(EVERY_SECTION).expect("a configuration with every section");
        whole.numbers().ranges().map(|(key, range)| (key.to_owned(), range.to_owned())).collect()
    }

    /// Checks what types cannot: that every number is in its range, and that settings agree with each other.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<()> {
        let checklist = self.numbers();
        let consistency: [(&str, Result<()>); 10] = [
            ("data", self.data.check_consistency(self.features.sample_rate).map_err(Error::from)),
            ("features", self.check_features()),
            (
                "augment",
                self.augment.check_consistency().map_err(|e| ffsvc_dataset::Error::Augment(e).into()),
            ),
            ("model", self.model.validate().map_err(Error::from)),
            ("head", self.check_head()),
            ("sampler", self.sampler.check_consistency().map_err(Error::from)),
            ("optimizer", self.optimizer.check_consistency()),
            (
                "schedule",
                self.schedule.margin.as_ref().map_or(Ok(()), |m| m.check_consistency(&self.head).map(drop)),
            ),
            ("teacher", self.teacher.as_ref().map_or(Ok(()), TeacherConfig::check_consistency)),
            ("validation", self.validation.as_ref().map_or(Ok(()), |section| section.lists().map(drop))),
        ];
        let out_of_range = |section: &str| {
            let in_section =
                |key: &String| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
            checklist.faults().any(|fault| fault.key.as_ref().is_some_and(in_section))
        };
        let mut faults: Vec<Error> = checklist.faults().cloned().map(Error::from).collect();
        // Where a number is out of its range, what it is compared with says nothing.
        let others = consistency.into_iter().filter(|(section, _)| !out_of_range(section));
        faults.extend(others.filter_map(|(_, result)| result.err()));
        Error::of_all(faults)
    }

    fn check_head(&self) -> Result<()> {
        self.head.validate()?;
        if self.head.has_classes() {
            return Ok(());
        }
        if self.teacher.is_none() {
            return Err(Error::Config {
                key: "head.kind",
                found: "\"none\" without a teacher".into(),
                expected: "a head, or a section [teacher] to learn from".into(),
            });
        }
        if self.head.reserve > 0 {
            return Err(Error::Config {
                key: "head.reserve",
                found: format!("{} without a head", self.head.reserve),
                expected: "0".into(),
            });
        }
        Ok(())
    }

    fn check_features(&self) -> Result<()> {
        FrontEnd::new(&self.features).map(drop).map_err(|error| ffsvc_dataset::Error::FrontEnd(error).into())
    }

    /// What decides the training crops. `further_views` are what a teacher hears beside the student.
    pub fn crops<'a>(&'a self, further_views: &'a [FurtherView]) -> CropConfig<'a> {
        let (frames, seed) = (self.train.max_frames, self.train.seed);
        let crops = CropConfig::new(&self.data, &self.features, &self.augment, frames, seed);
        CropConfig {
            labels: if self.head.has_classes() { Labels::Required } else { Labels::Optional },
            clean_share: self.teacher.as_ref().map_or(0.0, |teacher| teacher.clean),
            further_views,
            ..crops
        }
    }

    /// The configuration as TOML with every default written out.
    ///
    /// # Errors
    /// A path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Config {
            key: "config",
            found: error.to_string(),
            expected: "values that TOML can hold (paths in UTF-8)".into(),
        })
    }

    /// The files and folders that the configuration names, with their keys.
    pub fn input_paths(&self) -> Vec<(&'static str, &Path)> {
        let mut paths: Vec<(&'static str, &Path)> = Vec::new();
        paths.extend(self.data.train.shares().into_iter().map(|(path, _)| ("data.train", path)));
        let AugmentConfig { additive, reverb, .. } = &self.augment;
        let lists = [
            ("augment.additive.noise.list", &additive.noise.list),
            ("augment.additive.music.list", &additive.music.list),
            ("augment.reverb.list", &reverb.list),
        ];
        paths.extend(lists.into_iter().filter_map(|(key, list)| Some((key, list.as_deref()?))));
        let teacher = self.teacher.as_ref().and_then(|teacher| teacher.model.as_deref());
        paths.extend(teacher.map(|path| ("teacher.model", path)));
        paths.extend(self.validation.iter().flat_map(ValidationConfig::paths));
        paths
    }

    /// Looks whether all of [`input_paths`](Self::input_paths) are there, before any of them is read.
    ///
    /// # Errors
    /// All that are not.
    pub(crate) fn check_inputs(&self) -> Result<()> {
        let is_there = |path: &Path| path == Path::new("-") || path.exists();
        let missing = self.input_paths().into_iter().filter(|(_, path)| !is_there(path));
        let paths: Vec<_> = missing.map(|(key, path)| (key, path.to_path_buf())).collect();
        if paths.is_empty() { Ok(()) } else { Err(Error::NoSuchInput { paths }) }
    }

    /// All of [`input_paths`](Self::input_paths), to be changed.
    pub fn input_paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = self.data.train.paths_mut();
        let AugmentConfig { additive, reverb, .. } = &mut self.augment;
        paths.extend(
            [&mut additive.noise.list, &mut additive.music.list, &mut reverb.list].into_iter().flatten(),
        );
        paths.extend(self.teacher.as_mut().and_then(|teacher| teacher.model.as_mut()));
        paths.extend(self.validation.iter_mut().flat_map(ValidationConfig::paths_mut));
        paths
    }

    /// The keys whose values differ from `other`'s in a way that changes the numbers of a run, as `key: theirs ->
    /// ours`. Paths do not count, because the fingerprints of the data are compared. These do not count either: the
    /// number of threads, how many recordings may fail, how often a checkpoint is written, how many are kept,
    /// whether a device is checked. Under a
    /// schedule that does not look ahead, a larger number of epochs does not count.
    ///
    /// # Errors
    /// As [`to_toml`](Self::to_toml).
    pub fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let neutral = |config: &Self| {
            let mut config = config.clone();
            config.input_paths_mut().into_iter().for_each(|path| *path = PathBuf::new());
            let defaults = TrainConfig::default();
            config.train.workers = defaults.workers;
            config.train.prefetch = defaults.prefetch;
            config.train.checkpoint_steps = defaults.checkpoint_steps;
            config.train.keep = defaults.keep;
            config.train.check_device = defaults.check_device;
            config.data.max_failed_share = DataConfig::DEFAULT_MAX_FAILED_SHARE;
            let augment = AugmentConfig::default();
            config.augment.max_failed_share = augment.max_failed_share;
            config.augment.sound_cache_mib = augment.sound_cache_mib;
            config.augment.rir_cache_mib = augment.rir_cache_mib;
            if !config.schedule.kind.looks_ahead() {
                config.train.epochs = defaults.epochs;
            }
            config
        };
        Ok(flat_toml::differences(
            &flat_toml::flatten(&neutral(other))?,
            &flat_toml::flatten(&neutral(self))?,
        ))
    }
}
