//! Which embeddings the lines of a trial list name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ffsvc_embeddings::{Embeddings, RowFinder};
use ffsvc_kaldi_io::{Trial, TrialBlock, TrialLayout};

use crate::Result;

/// Rows of the two stores, or a model in place of the enrolment side's.
pub(crate) type Pair = (u32, u32);

/// The numbers of enrolled speakers, by name.
pub(crate) type ModelNumbers<'a> = Arc<HashMap<&'a str, u32>>;

/// Trials whose names are looked up together.
const TRIALS_TOGETHER: usize = 256;

/// The trials of a block whose embeddings were found, and the others.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) trials: usize,
    /// Rows of the two stores (or models), for each trial that can be scored.
    pub(crate) pairs: Vec<Pair>,
    /// For each of these, in a list with labels.
    pub(crate) labels: Vec<bool>,
    /// Places within the block of those that cannot.
    pub(crate) skipped: Vec<usize>,
    /// Names without embedding, each once a side; whether it is the enrolment side.
    pub(crate) missing: Vec<(bool, String)>,
    /// Utterances that are compared with themselves, once for each trial.
    pub(crate) self_trials: Vec<String>,
}

impl Found {
    /// Adds trials with the rows of their two sides.
    fn add<'b>(
        &mut self,
        trials: &[Trial<'b>],
        [enrolment, test]: &[Vec<Option<u32>>; 2],
        one_store: bool,
        seen: &mut HashSet<(bool, &'b str)>,
    ) {
        for ((trial, &a), &b) in trials.iter().zip(enrolment).zip(test) {
            if let (Some(a), Some(b)) = (a, b) {
                self.pairs.push((a, b));
                self.labels.extend(trial.is_target);
                if if one_store { a == b } else { trial.enrolment == trial.test } {
                    self.self_trials.push(trial.test.to_owned());
                }
            } else {
                self.skipped.push(self.trials);
                for (is_enrolment, name, row) in [(true, trial.enrolment, a), (false, trial.test, b)] {
                    if row.is_none() && seen.insert((is_enrolment, name)) {
                        self.missing.push((is_enrolment, name.to_owned()));
                    }
                }
            }
            self.trials += 1;
        }
    }
}

/// Finds the rows of names in the stores of both sides, and counts names that match by a suffix only.
pub(crate) struct NameFinder<'a> {
    enrolment: EnrolmentNames<'a>,
    test: RowFinder<'a>,
    /// Whether equal rows are one utterance.
    one_store: bool,
}

/// What the enrolment side of a trial names.
enum EnrolmentNames<'a> {
    /// Rows of the test store.
    SameStore,
    Store(RowFinder<'a>),
    /// Models, which must match as they are.
    Models(ModelNumbers<'a>),
}

impl<'a> NameFinder<'a> {
    /// Of utterances in two stores, which may be one.
    pub(crate) fn of_stores(enrolment: &'a Embeddings, test: &'a Embeddings) -> Self {
        let one_store = std::ptr::eq(enrolment, test);
        let enrolment = match one_store {
            true => EnrolmentNames::SameStore,
            false => EnrolmentNames::Store(RowFinder::new(enrolment)),
        };
        Self { enrolment, test: RowFinder::new(test), one_store }
    }

    /// Of models and utterances.
    pub(crate) fn of_models(models: ModelNumbers<'a>, test: &'a Embeddings) -> Self {
        Self { enrolment: EnrolmentNames::Models(models), test: RowFinder::new(test), one_store: false }
    }

    /// The row of an enrolment utterance, or the number of a model.
    pub(crate) fn enrolment(&self, name: &str) -> Option<u32> {
        match &self.enrolment {
            EnrolmentNames::SameStore => self.test.find(name),
            EnrolmentNames::Store(store) => store.find(name),
            EnrolmentNames::Models(models) => models.get(name).copied(),
        }
    }

    /// The row of a test utterance.
    pub(crate) fn test(&self, name: &str) -> Option<u32> {
        self.test.find(name)
    }

    /// Finds the embeddings of a block's trials.
    ///
    /// # Errors
    /// A line cannot be read.
    pub(crate) fn find(&self, block: &TrialBlock, layout: &TrialLayout) -> Result<Found> {
        let mut found = Found::default();
        let (mut seen, mut trials) = (HashSet::new(), Vec::with_capacity(TRIALS_TOGETHER));
        let mut rows = [Vec::new(), Vec::new()];
        block.for_each(layout, |trial| {
            trials.push(trial);
            if trials.len() == TRIALS_TOGETHER {
                self.find_rows(&trials, &mut rows);
                found.add(&trials, &rows, self.one_store, &mut seen);
                trials.clear();
            }
        })?;
        self.find_rows(&trials, &mut rows);
        found.add(&trials, &rows, self.one_store, &mut seen);
        Ok(found)
    }

    /// Rows, or models, of both sides of the trials.
    fn find_rows(&self, trials: &[Trial<'_>], rows: &mut [Vec<Option<u32>>; 2]) {
        rows.iter_mut().for_each(Vec::clear);
        let [enrolment, test] = rows;
        let names: Vec<&str> = trials.iter().map(|trial| trial.test).collect();
        self.test.find_all(&names, test);
        let names: Vec<&str> = trials.iter().map(|trial| trial.enrolment).collect();
        match &self.enrolment {
            EnrolmentNames::SameStore => self.test.find_all(&names, enrolment),
            EnrolmentNames::Store(store) => store.find_all(&names, enrolment),
            EnrolmentNames::Models(models) => {
                enrolment.extend(names.iter().map(|name| models.get(name).copied()));
            }
        }
    }

    /// How many names were found by their suffix only: of two stores, in the one with more of them.
    pub(crate) fn by_suffix(&self) -> usize {
        let of_enrolment = match &self.enrolment {
            EnrolmentNames::Store(store) => store.by_suffix(),
            EnrolmentNames::SameStore | EnrolmentNames::Models(_) => 0,
        };
        self.test.by_suffix().max(of_enrolment)
    }
}
