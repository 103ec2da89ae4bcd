//! The configuration of an experiment: one TOML file, one struct a section.

use std::ops::Deref;
use std::path::PathBuf;

use ffsvc_augment::AugmentConfig;
use ffsvc_dataset::{CropConfig, DataConfig, SamplerConfig};
use ffsvc_features::FrontEndConfig;
use ffsvc_models::{HeadConfig, ModelConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::schedule::ScheduleConfig;

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
    /// speaker, and a fine-tune with `--head keep` gives them to new speakers (the target domain's). Default 0.
    #[serde(default)]
    pub reserve: usize,
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
            anchor: 0.0,
            ema: 0.0,
            overfit_steps: 0,
        }
    }
}

/// Section `[validation]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationConfig {
    /// Data directory (or folder with a `wav.scp`) of the trials' recordings.
    pub data: PathBuf,
    /// Trial list with labels.
    pub trials: PathBuf,
    /// Measure after every so many epochs, and after the last. Default 1.
    #[serde(default = "one")]
    pub every_epochs: usize,
    /// Prior of a target trial in minDCF. Default 0.01, the challenge's.
    #[serde(default = "one_percent")]
    pub p_target: f64,
}

fn one() -> usize {
    1
}

fn one_percent() -> f64 {
    0.01
}

impl ExperimentConfig {
    /// Checks what types cannot: sizes that must not be zero.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("train.epochs", self.train.epochs),
            ("train.batch_size", self.train.batch_size),
            ("train.accumulate", self.train.accumulate),
            ("train.max_frames", self.train.max_frames),
            ("train.workers", self.train.workers),
            ("train.prefetch", self.train.prefetch),
            ("train.keep", self.train.keep),
            ("validation.every_epochs", self.validation.as_ref().map_or(1, |v| v.every_epochs)),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(Error::Config { key, found: "0".into(), expected: "1 or more".into() });
        }
        if let Some(validation) = &self.validation
            && !(validation.p_target > 0.0 && validation.p_target < 1.0)
        {
            return Err(Error::Config {
                key: "validation.p_target",
                found: validation.p_target.to_string(),
                expected: "a probability between 0 and 1".into(),
            });
        }
        let ranges = [("train.anchor", self.train.anchor, f64::INFINITY), ("train.ema", self.train.ema, 1.0)];
        for (key, value, bound) in ranges {
            if !(value >= 0.0 && value < bound) {
                let expected = format!("0 or more and below {bound}");
                return Err(Error::Config { key, found: value.to_string(), expected });
            }
        }
        self.data.check()?;
        self.optimizer.check()?;
        self.model.validate()?;
        self.head.validate()?;
        self.augment.check().map_err(ffsvc_dataset::Error::Augment)?;
        self.data.read_options(self.features.sample_rate)?;
        Ok(())
    }

    /// What decides the training crops.
    pub fn crops(&self) -> CropConfig<'_> {
        CropConfig {
            data: &self.data,
            features: &self.features,
            augment: &self.augment,
            max_frames: self.train.max_frames,
            seed: self.train.seed,
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

    /// The keys whose values differ from `other`'s in a way that changes the numbers of a run, as
    /// `key: theirs -> ours`. How many threads work, how many recordings may fail, how often a checkpoint is written, and how many are
    /// kept do not; neither does a larger number of epochs under a schedule that does not look ahead.
    ///
    /// # Errors
    /// As [`to_toml`](Self::to_toml).
    pub fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let neutral = |config: &Self| {
            let mut config = config.clone();
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
