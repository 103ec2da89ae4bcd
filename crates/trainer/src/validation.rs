//! Verification errors of the network as it trains.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::ReadOptions;
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Extractor, Recording};
use ffsvc_features::FrontEndConfig;
use ffsvc_kaldi_io::{DataDir, OpenOptions, TrialColumns, Trials, WavSource};
use ffsvc_scoring::metrics::{DcfParameters, DetCurve};
use ffsvc_scoring::{Side, score_trials};
use serde::{Deserialize, Serialize};

use crate::config::{ExperimentConfig, ValidationConfig};
use crate::error::{Error, Result};
use crate::network::Network;

/// EER and minDCF after a number of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationResult {
    /// Epochs done.
    pub epoch: usize,
    /// Optimiser steps done.
    pub step: usize,
    /// Equal error rate, 0 to 1.
    pub eer: f64,
    /// Minimum detection cost at the configured prior, normalised.
    pub min_dcf: f64,
}

/// The recordings and trials that a network is measured on.
#[derive(Debug)]
pub struct Validation {
    recordings: Vec<Recording>,
    trials: Trials,
    labels: Vec<bool>,
    cost: DcfParameters,
}

impl Validation {
    /// What section `[validation]` of `config` names, if there is one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn configured(config: &ExperimentConfig) -> Result<Option<Self>> {
        let open = |section| Self::open(section, config.data.open_options());
        config.validation.as_ref().map(open).transpose()
    }

    /// Reads the trial list and finds its recordings.
    ///
    /// # Errors
    /// Unreadable lists, trials without labels, or names that the data directory does not have.
    pub fn open(config: &ValidationConfig, options: OpenOptions) -> Result<Self> {
        let dir = DataDir::open_with(&config.data, options)?;
        let trials = Trials::read(&config.trials, TrialColumns::Auto)?;
        let labels = trials.labels.clone().ok_or_else(|| Error::DataSet {
            what: config.trials.display().to_string(),
            found: "trials without labels".into(),
            expected: "a third column that tells target from nontarget".into(),
        })?;
        let cost = DcfParameters::new(config.p_target, 1.0, 1.0).map_err(Error::Scoring)?;
        let positions: HashMap<&str, usize> =
            dir.utterances().enumerate().map(|(position, utterance)| (utterance.id, position)).collect();
        let found = trials.resolve(|name| positions.get(name).copied());
        if found.by_suffix > 0 {
            tracing::warn!(
                "{}: {} names match {} only without or with \".wav\"",
                config.trials.display(),
                found.by_suffix,
                config.data.display()
            );
        }
        let mut recordings = Vec::with_capacity(trials.names.len());
        for (name, position) in trials.names.iter().zip(&found.values) {
            let utterance =
                position.and_then(|position| dir.utterance(position)).ok_or_else(|| Error::DataSet {
                    what: config.trials.display().to_string(),
                    found: format!("utterance {name}"),
                    expected: format!("only utterances of {}", config.data.display()),
                })?;
            // Under the trial list's name, which may have a suffix that wav.scp lacks.
            recordings.push(Recording { id: name.clone(), source: WavSource::parse(utterance.wav) });
        }
        Ok(Self { recordings, trials, labels, cost })
    }

    /// Recordings to embed.
    pub fn num_recordings(&self) -> usize {
        self.recordings.len()
    }

    /// Embeds the recordings with `network` in evaluation mode and measures the cosine scores.
    ///
    /// # Errors
    /// A recording that cannot be read, or scores that are not finite.
    pub fn measure(
        &self,
        network: &Network,
        front_end: &FrontEndConfig,
        read: &ReadOptions,
        device: &Device,
        epoch: usize,
        step: usize,
    ) -> Result<ValidationResult> {
        let device = device.clone().without_autodiff();
        let extractor =
            Extractor::new(network.model.valid(), front_end, read, &device).map_err(Error::Validation)?;
        let mut embeddings = Embeddings::new(0);
        for block in self.recordings.chunks(64) {
            for (recording, embedding) in block.iter().zip(extractor.embed_block(block)) {
                let embedding = embedding.map_err(|source| Error::ValidationUtterance {
                    utterance: recording.id.clone(),
                    source,
                })?;
                embeddings.push(recording.id.clone(), &embedding.values)?;
            }
        }
        let (eer, min_dcf) = self.error_rates(&embeddings).map_err(Error::Scoring)?;
        Ok(ValidationResult { epoch, step, eer, min_dcf })
    }

    /// EER and minDCF of the cosines.
    fn error_rates(&self, embeddings: &Embeddings) -> ffsvc_scoring::Result<(f64, f64)> {
        let side = Side::new(embeddings);
        let scores = score_trials(&self.trials, side, side, false)?.scores;
        let (target, nontarget) = scores.split(&self.labels)?;
        let curve = DetCurve::new(&target, &nontarget)?;
        Ok((curve.eer().rate, curve.min_dcf(&self.cost).cost))
    }
}
