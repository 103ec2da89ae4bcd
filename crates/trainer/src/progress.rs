//! How far a run has come, and what it reads: `state/progress.json` of a checkpoint.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::ExperimentConfig;
use crate::error::{Error, IoContext, Result};
use crate::validation::ValidationResult;

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Optimiser steps done.
    pub step: usize,
    /// Steps of an epoch; a different number would shift every later batch.
    pub steps_per_epoch: usize,
    /// What the run reads.
    pub fingerprints: Fingerprints,
    /// The configuration as TOML.
    pub config: String,
    /// Every validation so far.
    pub validations: Vec<ValidationResult>,
}

/// What a run reads, each as a number that does not depend on where the files lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// Training utterances and their speakers; with a shuffle buffer also their archives.
    pub training: String,
    /// Files of the lists of `[augment]`, where there is any augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sounds: Option<String>,
    /// Validation trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
}

impl Fingerprints {
    /// What `self` has otherwise than `then`, with the paths that `now` and `before` name it by.
    pub(crate) fn differences(
        &self,
        then: &Self,
        now: &ExperimentConfig,
        before: &ExperimentConfig,
    ) -> Vec<String> {
        let paths = |config: &ExperimentConfig, section: &str| {
            let all = config.input_paths().into_iter().filter(|(key, _)| key.starts_with(section));
            all.map(|(_, path)| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let training = match now.sampler.shuffle_buffer {
            0 => "the training utterances or their speakers",
            _ => "the training utterances, their speakers or their archives",
        };
        let data = [
            (training, "data.train", self.training != then.training),
            ("the sounds", "augment", self.sounds != then.sounds),
            ("the validation trials", "validation", self.validation != then.validation),
        ];
        let differ = data.into_iter().filter(|(_, _, differ)| *differ);
        differ
            .map(|(what, key, _)| format!("{what} ({key}: {} -> {})", paths(before, key), paths(now, key)))
            .collect()
    }
}

impl Progress {
    /// The validation with the lowest EER; the earliest of equals.
    pub fn best(&self) -> Option<&ValidationResult> {
        self.validations.iter().min_by(|a, b| a.eer.total_cmp(&b.eer))
    }
}

pub(crate) fn write_progress(path: &Path, progress: &Progress) -> Result<()> {
    let json = serde_json::to_vec_pretty(progress)
        .map_err(|error| Error::State { path: path.to_path_buf(), reason: error.to_string() })?;
    ffsvc_atomic_file::write(path, json).at(path)
}

pub(crate) fn read_progress(path: &Path) -> Result<Progress> {
    let text = fs::read_to_string(path).at(path)?;
    serde_json::from_str(&text)
        .map_err(|error| Error::State { path: path.to_path_buf(), reason: error.to_string() })
}
