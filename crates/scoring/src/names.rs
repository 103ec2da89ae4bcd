//! Which embeddings the lines of a trial list name.

use std::collections::HashSet;

use ffsvc_embeddings::{Embeddings, RowFinder};
use ffsvc_kaldi_io::{TrialBlock, TrialLayout};

use crate::Result;
use crate::scorer::{Pair, Scorer};

/// The trials of a block whose embeddings were found, and the others.
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

/// Finds the rows of names in the stores of both sides, and counts names that match by a suffix only.
pub(crate) struct NameFinder<'a> {
    test: RowFinder<'a>,
    /// `None` if it is the same, or if the enrolment side names models, which must match as they are.
    enrolment: Option<RowFinder<'a>>,
}

impl<'a> NameFinder<'a> {
    pub(crate) fn new(scorer: &Scorer<'a>) -> Self {
        let (enrolment, test) = scorer.stores();
        let is_another = |store: &&Embeddings| !scorer.averages_models() && !std::ptr::eq(*store, test);
        let enrolment = enrolment.filter(is_another);
        Self { test: RowFinder::new(test), enrolment: enrolment.map(RowFinder::new) }
    }

    /// The row of an enrolment utterance, or the number of a model.
    pub(crate) fn enrolment(&self, scorer: &Scorer<'_>, name: &str) -> Option<u32> {
        match scorer.averages_models() {
            true => scorer.model(name),
            false => self.enrolment.as_ref().unwrap_or(&self.test).find(name),
        }
    }

    /// The row of a test utterance.
    pub(crate) fn test(&self, name: &str) -> Option<u32> {
        self.test.find(name)
    }

    pub(crate) fn find(
        &self,
        scorer: &Scorer<'_>,
        block: &TrialBlock,
        layout: &TrialLayout,
    ) -> Result<Found> {
        let one_store = scorer.has_one_store();
        let mut seen = HashSet::new();
        let (mut pairs, mut labels, mut skipped, mut missing, mut self_trials) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut trials = 0;
        block.for_each(layout, |trial| {
            let (a, b) = (self.enrolment(scorer, trial.enrolment), self.test(trial.test));
            if let (Some(a), Some(b)) = (a, b) {
                pairs.push((a, b));
                labels.extend(trial.is_target);
                if if one_store { a == b } else { trial.enrolment == trial.test } {
                    self_trials.push(trial.test.to_owned());
                }
            } else {
                skipped.push(trials);
                for (is_enrolment, name, row) in [(true, trial.enrolment, a), (false, trial.test, b)] {
                    if row.is_none() && seen.insert((is_enrolment, name)) {
                        missing.push((is_enrolment, name.to_owned()));
                    }
                }
            }
            trials += 1;
        })?;
        Ok(Found { trials, pairs, labels, skipped, missing, self_trials })
    }

    /// How many names were found by their suffix only: of two stores, in the one with more of them.
    pub(crate) fn by_suffix(&self) -> usize {
        self.test.by_suffix().max(self.enrolment.as_ref().map_or(0, RowFinder::by_suffix))
    }
}
