//! The configuration of an experiment: one TOML file, one struct a section.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use ffsvc_augment::AugmentConfig;
use ffsvc_dataset::{CropConfig, DataConfig, FurtherView, Labels, SamplerConfig};
use ffsvc_features::{FrontEnd, FrontEndConfig};
use ffsvc_models::{HeadConfig, ModelConfig};
use ffsvc_ranges::{Checklist, Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::schedule::ScheduleConfig;
use crate::teacher::config::TeacherConfig;
use crate::validation::config::ValidationConfig;

/// Everything that decides the numbers of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
pub struct HeadSection {
    /// Which head, with its options.
    #[serde(flatten)]
    pub config: HeadConfig,
    /// Classes beside the training speakers that no utterance belongs to: the centres learn to be far from every training
    /// speaker, and a fine-tune that keeps the head gives them to new speakers (the target domain's). Default 0.
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

/// Section `[train]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the data. Default 50.
    pub epochs: usize,
    /// Utterances of a batch. Default 128.
    pub batch_size: usize,
    /// Batches of an optimiser step: the gradient is the mean over them, as if they were one batch, but for the statistics
    /// of BatchNorm. Default 1.
    pub accumulate: usize,
    /// Frames of a training crop. Default 200: two seconds.
    pub max_frames: usize,
    /// The one seed of the run. Default 0.
    pub seed: u64,
    /// Threads that read and prepare batches; the numbers do not depend on it. Default 2.
    pub workers: usize,
    /// Batches that each worker prepares ahead. Default 4.
    pub prefetch: usize,
    /// A checkpoint after this many steps, besides the one at every epoch's end. 0 (default): only those.
    pub checkpoint_steps: usize,
    /// Checkpoints kept, newest first; the best is kept beside them. Default 3.
    pub keep: usize,
    /// Layers that do not train at first. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// What BatchNorm does in training. Default `batch`.
    #[serde(skip_serializing_if = "is_batch")]
    pub batch_norm: BatchNormMode,
    /// Strength of the pull towards the weights that a fine-tune starts from: `anchor / 2 * |w - w_start|^2` is added to
    /// the loss, for the network without its head (L2-SP, Li et al., 2018, <https://arxiv.org/abs/1802.01483>). Default 0.
    pub anchor: f64,
    /// Keeps an exponential average of the weights with this decay, in `ema.safetensors`: 0.999 averages over the last
    /// thousand steps or so. In the first steps the decay is `(1 + step) / (10 + step)` where that is less. Default 0: none.
    pub ema: f64,
    /// Trains on this many steps' batches of the first epoch again and again, to see whether the model can learn them by
    /// heart; an epoch is one pass over them. Default 0: on all.
    pub overfit_steps: usize,
}

/// What BatchNorm layers do in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormMode {
    /// They normalise by the statistics of the batch and keep a running average of them.
    #[default]
    Batch,
    /// They normalise by the running statistics of the model that the run starts from, which stay as they are; scales and
    /// shifts train. For a fine-tune with few, small batches of other speech.
    Frozen,
}

fn is_batch(mode: &BatchNormMode) -> bool {
    *mode == BatchNormMode::Batch
}

/// An entry of `train.freeze`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Name of a layer as in a model file, for example `front.layer1`; the head is `classifier`.
    pub layer: String,
    /// Epochs until it trains. Absent: it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
}

impl TrainConfig {
    /// Range of [`epochs`](Self::epochs).
    pub const EPOCHS: Range<usize> = Range::of(1, 1_000_000);
    /// Range of [`batch_size`](Self::batch_size).
    pub const BATCH_SIZE: Range<usize> = Range::of(1, 65_536);
    /// Range of [`accumulate`](Self::accumulate).
    pub const ACCUMULATE: Range<usize> = Range::of(1, 65_536);
    /// Range of [`max_frames`](Self::max_frames).
    pub const MAX_FRAMES: Range<usize> = Range::of(1, 1_000_000);
    /// Range of [`seed`](Self::seed).
    pub const SEED: Range<u64> = Range::of(0, u64::MAX);
    /// Range of [`workers`](Self::workers) and [`prefetch`](Self::prefetch).
    pub const WORKERS: Range<usize> = Range::of(1, 1024);
    /// Range of [`checkpoint_steps`](Self::checkpoint_steps) and [`overfit_steps`](Self::overfit_steps).
    pub const STEPS: Range<usize> = Range::of(0, 1_000_000_000);
    /// Range of [`keep`](Self::keep).
    pub const KEEP: Range<usize> = Range::of(1, 1_000_000);
    /// Range of the epochs of [`freeze`](Self::freeze).
    pub const FREEZE_EPOCHS: Range<usize> = Range::of(0, 1_000_000);
    /// Range of [`anchor`](Self::anchor).
    pub const ANCHOR: Range<f64> = Range::of(0.0, 1e6);
    /// Range of [`ema`](Self::ema).
    pub const EMA: Range<f64> = Range::at_least(0.0).below(1.0);

    /// Adds every number, with its range, to the section `train`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("epochs", self.epochs, Self::EPOCHS);
        section.number("batch_size", self.batch_size, Self::BATCH_SIZE);
        section.number("accumulate", self.accumulate, Self::ACCUMULATE);
        section.number("max_frames", self.max_frames, Self::MAX_FRAMES);
        section.number("seed", self.seed, Self::SEED);
        section.number("workers", self.workers, Self::WORKERS);
        section.number("prefetch", self.prefetch, Self::WORKERS);
        section.number("checkpoint_steps", self.checkpoint_steps, Self::STEPS);
        section.number("keep", self.keep, Self::KEEP);
        for freeze in &self.freeze {
            if let Some(epochs) = freeze.epochs {
                section.section("freeze").number("epochs", epochs, Self::FREEZE_EPOCHS);
            }
        }
        section.number("anchor", self.anchor, Self::ANCHOR);
        section.number("ema", self.ema, Self::EMA);
        section.number("overfit_steps", self.overfit_steps, Self::STEPS);
    }

    /// The layers that are frozen in `epoch`, from 0.
    pub fn frozen(&self, epoch: usize) -> Vec<&str> {
        let holds = |freeze: &&Freeze| freeze.epochs.is_none_or(|epochs| epoch < epochs);
        self.freeze.iter().filter(holds).map(|freeze| freeze.layer.as_str()).collect()
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch_size: 128,
            accumulate: 1,
            max_frames: 200,
            seed: 0,
            workers: 2,
            prefetch: 4,
            checkpoint_steps: 0,
            keep: 3,
            freeze: Vec::new(),
            batch_norm: BatchNormMode::default(),
            anchor: 0.0,
            ema: 0.0,
            overfit_steps: 0,
        }
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

    /// The keys whose values differ from `other`'s in a way that changes the numbers of a run, as
    /// `key: theirs -> ours`. Paths do not count: the fingerprints of what is there do. Nor do the number of threads, how many
    /// recordings may fail, how often a checkpoint is written, how many are kept, and a larger number of epochs under a
    /// schedule that does not look ahead.
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
        let (then, now) = (neutral(other).flatten()?, neutral(self).flatten()?);
        let mut keys: Vec<&String> = then.keys().chain(now.keys()).collect();
        keys.sort();
        keys.dedup();
        let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "absent".into());
        Ok(keys
            .into_iter()
            .filter(|key| then.get(*key) != now.get(*key))
            .map(|key| format!("{key}: {} -> {}", show(then.get(key)), show(now.get(key))))
            .collect())
    }

    fn flatten(&self) -> Result<std::collections::BTreeMap<String, String>> {
        fn walk(prefix: &str, value: &toml::Value, into: &mut std::collections::BTreeMap<String, String>) {
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                        walk(&path, value, into);
                    }
                }
                leaf => {
                    into.insert(prefix.to_string(), leaf.to_string());
                }
            }
        }
        let value = toml::Value::try_from(self).map_err(|error| Error::Config {
            key: "config",
            found: error.to_string(),
            expected: "values that TOML can hold".into(),
        })?;
        let mut flat = std::collections::BTreeMap::new();
        walk("", &value, &mut flat);
        Ok(flat)
    }
}
