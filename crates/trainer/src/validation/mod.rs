//! Verification errors of the network as it trains.

pub(crate) mod config;

pub use config::{ValidationConfig, ValidationList};

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::ReadOptions;
use ffsvc_dataset::probe_recordings;
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Extractor, Recording};
use ffsvc_features::{FrontEnd, FrontEndConfig};
use ffsvc_hashing::Fnv1a;
use ffsvc_kaldi_io::{DataDir, OpenOptions, TrialColumns, Trials};
use ffsvc_scoring::metrics::{DcfParameters, DetCurve};
use ffsvc_scoring::{Side, mean_embedding, score_trials};
use serde::{Deserialize, Serialize};

use crate::config::ExperimentConfig;
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
    /// Equal error rate, 0 to 1; of several lists, that of `validation.best`, or the mean. The best model has the lowest.
    pub eer: f64,
    /// Minimum detection cost at the configured prior, normalised; of several lists as the EER.
    pub min_dcf: f64,
    /// Of each of several lists, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, ErrorRates>,
}

/// Error rates of one trial list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRates {
    /// Equal error rate, 0 to 1.
    pub eer: f64,
    /// Minimum detection cost at the configured prior, normalised.
    pub min_dcf: f64,
}

/// The recordings and trials that a network is measured on.
#[derive(Debug)]
pub struct Validation {
    /// Each once, though several lists may name it.
    recordings: Vec<Recording>,
    lists: Vec<List>,
    best: Option<String>,
    cost: DcfParameters,
}

/// One trial list.
#[derive(Debug)]
struct List {
    name: String,
    trials: Trials,
    labels: Vec<bool>,
    /// Of the enrolment and the test side; one where both are of one data directory.
    sides: Vec<SideRecordings>,
    mean_subtract: bool,
}

/// The recordings of one side of a trial list: the name in the list, and the place among the recordings of all lists.
type SideRecordings = Vec<(String, usize)>;

/// Recordings of several data directories, each once.
#[derive(Default)]
struct Recordings {
    list: Vec<Recording>,
    places: HashMap<(PathBuf, String), usize>,
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
        validation.check_recordings(config)?;
        Ok(Some(validation))
    }

    /// Reads the trial lists and finds their recordings.
    ///
    /// # Errors
    /// Unreadable lists, trials without labels or of one kind only, names that the data directory does not have.
    pub fn open(config: &ValidationConfig, options: OpenOptions) -> Result<Self> {
        let mut recordings = Recordings::default();
        let mut lists = Vec::new();
        for (name, list) in config.lists()? {
            lists.push(List::open(name, &list, options, &mut recordings)?);
        }
        let cost = DcfParameters::new(config.p_target, 1.0, 1.0).map_err(Error::Scoring)?;
        Ok(Self { recordings: recordings.list, lists, best: config.best.clone(), cost })
    }

    /// Reads the headers of all recordings.
    fn check_recordings(&self, config: &ExperimentConfig) -> Result<()> {
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
            what: "the recordings of [validation]".into(),
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
        for List { name, trials, labels, sides, mean_subtract } in &self.lists {
            if !name.is_empty() {
                hash.update(format!("{name}\n{mean_subtract}\n").as_bytes());
            }
            for name in &trials.names {
                hash.update(name.as_bytes());
                hash.update(b"\n");
            }
            for (&(enrolment, test), &is_target) in trials.pairs.iter().zip(labels) {
                hash.update(&enrolment.to_le_bytes());
                hash.update(&test.to_le_bytes());
                hash.update(&[u8::from(is_target)]);
            }
            // Two sides of one directory share their recordings.
            let of_sides = sides.iter().flatten().map(|&(_, place)| place as u64);
            if self.lists.len() > 1 {
                of_sides.for_each(|place| hash.update(&place.to_le_bytes()));
            }
        }
        format!("{:016x}", hash.value())
    }

    /// Recordings to embed, of all lists.
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
        let mut embeddings = Vec::with_capacity(self.recordings.len());
        for block in self.recordings.chunks(64) {
            if stop.load(Ordering::SeqCst) {
                return Ok(None);
            }
            for (recording, embedding) in block.iter().zip(extractor.embed_block(block)) {
                let embedding = embedding.map_err(|source| Error::ValidationUtterance {
                    utterance: recording.id.clone(),
                    source,
                })?;
                embeddings.push(embedding.values);
            }
        }
        let mut lists = BTreeMap::new();
        for list in &self.lists {
            lists.insert(list.name.clone(), list.error_rates(&embeddings, &self.cost)?);
        }
        Ok(Some(self.result(epoch, step, lists)))
    }

    /// What chooses the best model, from the error rates of each list.
    fn result(&self, epoch: usize, step: usize, mut lists: BTreeMap<String, ErrorRates>) -> ValidationResult {
        let chosen: Vec<ErrorRates> = match &self.best {
            Some(best) => lists.get(best).copied().into_iter().collect(),
            None => lists.values().copied().collect(),
        };
        let mean = |rate: fn(&ErrorRates) -> f64| chosen.iter().map(rate).sum::<f64>() / chosen.len() as f64;
        let (eer, min_dcf) = (mean(|rates| rates.eer), mean(|rates| rates.min_dcf));
        if lists.len() == 1 {
            lists.clear();
        }
        ValidationResult { epoch, step, eer, min_dcf, lists }
    }
}

impl List {
    fn open(
        name: String,
        config: &ValidationList,
        options: OpenOptions,
        recordings: &mut Recordings,
    ) -> Result<Self> {
        let trials = Trials::read(&config.trials, TrialColumns::Auto)?;
        let of_list = |found: String, expected: &str| Error::DataSet {
            what: config.trials.display().to_string(),
            found,
            expected: expected.into(),
        };
        let labels = trials.labels.clone().ok_or_else(|| {
            of_list("trials without labels".into(), "a third column that tells target from nontarget")
        })?;
        let targets = labels.iter().filter(|&&is_target| is_target).count();
        let nontargets = labels.len() - targets;
        if targets == 0 || nontargets == 0 {
            let found = format!("{targets} target and {nontargets} nontarget trials");
            return Err(of_list(found, "trials of both kinds"));
        }
        let test = DataDir::open_with(&config.data, options)?;
        let is_test = |pair: &(u32, u32)| [pair.1];
        let is_enrolment = |pair: &(u32, u32)| [pair.0];
        let sides = match &config.enrol_data {
            None => {
                vec![recordings.of_side(&trials, &config.trials, &test, |&(a, b)| [a, b])?]
            }
            Some(folder) => {
                let enrolment = DataDir::open_with(folder, options)?;
                vec![
                    recordings.of_side(&trials, &config.trials, &enrolment, is_enrolment)?,
                    recordings.of_side(&trials, &config.trials, &test, is_test)?,
                ]
            }
        };
        Ok(Self { name, trials, labels, sides, mean_subtract: config.mean_subtract })
    }

    /// EER and minDCF of the cosines of embeddings, those of all recordings.
    fn error_rates(&self, embeddings: &[Vec<f32>], cost: &DcfParameters) -> Result<ErrorRates> {
        let mut stores = Vec::new();
        for side in &self.sides {
            let mut store = Embeddings::new(0);
            for (name, place) in side {
                store.push(name.clone(), &embeddings[*place])?;
            }
            let mean =
                self.mean_subtract.then(|| mean_embedding(&store)).transpose().map_err(Error::Scoring)?;
            stores.push((store, mean));
        }
        let sides: Vec<Side<'_>> =
            stores.iter().map(|(store, mean)| Side { embeddings: store, mean: mean.as_deref() }).collect();
        // One side stands for both.
        let (enrolment, test) = (sides[0], sides[sides.len() - 1]);
        let measure = || {
            let scores = score_trials(&self.trials, enrolment, test, false)?.scores;
            let (target, nontarget) = scores.split(&self.labels)?;
            let curve = DetCurve::new(&target, &nontarget)?;
            Ok(ErrorRates { eer: curve.eer().rate, min_dcf: curve.min_dcf(cost).cost })
        };
        measure().map_err(Error::Scoring)
    }
}

impl Recordings {
    /// The recordings of the names of a trial list that `names_of` each pair are, from the data directory `dir`.
    fn of_side<const N: usize>(
        &mut self,
        trials: &Trials,
        list: &Path,
        dir: &DataDir,
        names_of: impl Fn(&(u32, u32)) -> [u32; N],
    ) -> Result<SideRecordings> {
        let mut is_of_side = vec![false; trials.names.len()];
        trials.pairs.iter().flat_map(names_of).for_each(|name| is_of_side[name as usize] = true);
        let positions: HashMap<&str, usize> =
            dir.utterances().enumerate().map(|(position, utterance)| (utterance.id, position)).collect();
        let found = trials.resolve(|name| positions.get(name).copied());
        if found.by_suffix > 0 {
            tracing::warn!(
                "{}: {} names match {} only without or with \".wav\"",
                list.display(),
                found.by_suffix,
                dir.path().display()
            );
        }
        let missing: Vec<&str> = found
            .missing()
            .filter(|&index| is_of_side[index])
            .map(|index| trials.names[index].as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Error::DataSet {
                what: list.display().to_string(),
                found: format!(
                    "{} of {} utterances that {} lacks: {}",
                    missing.len(),
                    trials.names.len(),
                    dir.path().display(),
                    first_three(missing.iter().copied())
                ),
                expected: "only utterances of the data directory".into(),
            });
        }
        let mut side = Vec::new();
        for (index, name) in trials.names.iter().enumerate().filter(|(index, _)| is_of_side[*index]) {
            let Some(utterance) = found.values[index].and_then(|position| dir.utterance(position)) else {
                continue;
            };
            let next = self.list.len();
            let place =
                *self.places.entry((dir.path().to_path_buf(), utterance.id.to_owned())).or_insert(next);
            if place == next {
                // Under the trial list's name, which may have a suffix that wav.scp lacks.
                self.list.push(Recording { id: name.clone(), source: utterance.audio() });
            }
            side.push((name.clone(), place));
        }
        Ok(side)
    }
}

/// `a, b, c, ...`
fn first_three<'a>(items: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = if items.len() > 3 { ", ..." } else { "" };
    format!("{}{more}", items.take(3).collect::<Vec<_>>().join(", "))
}
