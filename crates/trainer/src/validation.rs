//! Verification errors of the network as it trains.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::ReadOptions;
use ffsvc_dataset::probe_recordings;
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Extractor, Recording};
use ffsvc_features::{FrontEnd, FrontEndConfig};
use ffsvc_hashing::Fnv1a;
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
    /// What section `[validation]` of `config` names, if there is one. The headers of all recordings are read, so that what
    /// would fail at the end of an epoch fails before the first step.
    ///
    /// # Errors
    /// As [`open`](Self::open); recordings that cannot be opened or are too short for the network.
    pub(crate) fn configured(config: &ExperimentConfig) -> Result<Option<Self>> {
        let Some(section) = &config.validation else { return Ok(None) };
        let validation = Self::open(section, config.data.open_options())?;
        validation.check_recordings(config, &section.data)?;
        Ok(Some(validation))
    }

    /// Reads the trial list and finds its recordings.
    ///
    /// # Errors
    /// Unreadable lists, trials without labels or of one kind only, names that the data directory does not have.
    pub fn open(config: &ValidationConfig, options: OpenOptions) -> Result<Self> {
        let dir = DataDir::open_with(&config.data, options)?;
        let trials = Trials::read(&config.trials, TrialColumns::Auto)?;
        let labels = trials.labels.clone().ok_or_else(|| Error::DataSet {
            what: config.trials.display().to_string(),
            found: "trials without labels".into(),
            expected: "a third column that tells target from nontarget".into(),
        })?;
        let targets = labels.iter().filter(|&&is_target| is_target).count();
        let nontargets = labels.len() - targets;
        if targets == 0 || nontargets == 0 {
            return Err(Error::DataSet {
                what: config.trials.display().to_string(),
                found: format!("{targets} target and {nontargets} nontarget trials"),
                expected: "trials of both kinds".into(),
            });
        }
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
        let missing: Vec<&str> = found.missing().map(|index| trials.names[index].as_str()).collect();
        if !missing.is_empty() {
            return Err(Error::DataSet {
                what: config.trials.display().to_string(),
                found: format!(
                    "{} of {} utterances that {} lacks: {}",
                    missing.len(),
                    trials.names.len(),
                    config.data.display(),
                    first_three(missing.iter().copied())
                ),
                expected: "only utterances of validation.data".into(),
            });
        }
        let utterances = found.values.iter().filter_map(|position| dir.utterance((*position)?));
        // Under the trial list's name, which may have a suffix that wav.scp lacks.
        let recordings = trials
            .names
            .iter()
            .zip(utterances)
            .map(|(name, utterance)| Recording { id: name.clone(), source: WavSource::parse(utterance.wav) });
        Ok(Self { recordings: recordings.collect(), trials, labels, cost })
    }

    /// Reads the headers of all recordings.
    fn check_recordings(&self, config: &ExperimentConfig, data: &Path) -> Result<()> {
        let front_end = FrontEnd::new(&config.features).map_err(ffsvc_dataset::Error::FrontEnd)?;
        let lengths = probe_recordings(&self.recordings, config.features.sample_rate);
        let faults = self.recordings.iter().zip(lengths).filter_map(|(recording, length)| {
            let fault = match length {
                Err(error) => error.to_string(),
                Ok(None) => return None,
                Ok(Some(samples)) => {
                    let frames = usize::try_from(samples).map_or(usize::MAX, |n| front_end.num_frames(n));
                    if frames >= config.model.min_frames().max(1) {
                        return None;
                    }
                    format!("{samples} samples are too short for the network")
                }
            };
            Some(format!("utterance {}: {fault}", recording.id))
        });
        let faults: Vec<String> = faults.collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::DataSet {
            what: format!("validation recordings of {}", data.display()),
            found: format!(
                "{} of {} that cannot be used: {}",
                faults.len(),
                self.recordings.len(),
                first_three(faults.iter().map(String::as_str))
            ),
            expected: "recordings that can be read; leave the others' trials out of validation.trials".into(),
        })
    }

    /// A number that changes when a trial, its label or an order changes, wherever the files lie.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Fnv1a::new();
        for name in &self.trials.names {
            hash.update(name.as_bytes());
            hash.update(b"\n");
        }
        for (&(enrolment, test), &is_target) in self.trials.pairs.iter().zip(&self.labels) {
            hash.update(&enrolment.to_le_bytes());
            hash.update(&test.to_le_bytes());
            hash.update(&[u8::from(is_target)]);
        }
        format!("{:016x}", hash.value())
    }

    /// Recordings to embed.
    pub fn num_recordings(&self) -> usize {
        self.recordings.len()
    }

    /// Embeds the recordings with `network` in evaluation mode and measures the cosine scores. `None` where `stop` became
    /// true meanwhile.
    ///
    /// # Errors
    /// A recording that cannot be read, or scores that are not finite.
    pub fn measure(
        &self,
        network: &Network,
        front_end: &FrontEndConfig,
        read: &ReadOptions,
        device: &Device,
        (epoch, step): (usize, usize),
        stop: &AtomicBool,
    ) -> Result<Option<ValidationResult>> {
        let device = device.clone().without_autodiff();
        let extractor =
            Extractor::new(network.model.valid(), front_end, read, &device).map_err(Error::Validation)?;
        let mut embeddings = Embeddings::new(0);
        for block in self.recordings.chunks(64) {
            if stop.load(Ordering::SeqCst) {
                return Ok(None);
            }
            for (recording, embedding) in block.iter().zip(extractor.embed_block(block)) {
                let embedding = embedding.map_err(|source| Error::ValidationUtterance {
                    utterance: recording.id.clone(),
                    source,
                })?;
                embeddings.push(recording.id.clone(), &embedding.values)?;
            }
        }
        let (eer, min_dcf) = self.error_rates(&embeddings).map_err(Error::Scoring)?;
        Ok(Some(ValidationResult { epoch, step, eer, min_dcf }))
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

/// `a, b, c, ...`
fn first_three<'a>(items: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = if items.len() > 3 { ", ..." } else { "" };
    format!("{}{more}", items.take(3).collect::<Vec<_>>().join(", "))
}
