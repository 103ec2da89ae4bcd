//! The scores of a trial list.

use ffsvc_kaldi_io::Trials;

use crate::{Error, Result};

/// One score for each trial of a list, in its order; trials may have been skipped.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialScores {
    /// NaN at skipped trials and only there.
    values: Vec<f64>,
    /// Ascending.
    skipped: Vec<usize>,
}

impl TrialScores {
    /// Keeps the scores of `trials`; those of the trials listed in `skipped` (ascending places) are ignored.
    ///
    /// # Errors
    /// Another number of scores than of trials, or a NaN score, whose trial is named.
    pub fn new(trials: &Trials, mut values: Vec<f64>, skipped: Vec<usize>) -> Result<Self> {
        if values.len() != trials.pairs.len() {
            let (found, expected) = (values.len(), trials.pairs.len());
            return Err(Error::Count { what: "scores", found, expected });
        }
        let mut next_skipped = skipped.iter().peekable();
        for (place, value) in values.iter_mut().enumerate() {
            if next_skipped.next_if_eq(&&place).is_some() {
                *value = f64::NAN;
            } else if value.is_nan() {
                return Err(Error::NanScore { trial: describe(trials, place) });
            }
        }
        Ok(Self { values, skipped })
    }

    /// Number of trials, skipped ones included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the trial list was empty.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The score of the trial at `place` in the list; `None` if it was skipped or there is no such trial.
    pub fn get(&self, place: usize) -> Option<f64> {
        self.values.get(place).copied().filter(|value| !value.is_nan())
    }

    /// Place in the list and score of every scored trial.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f64)> + Clone {
        self.values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan())
    }

    /// Places of the trials without score, ascending.
    pub fn skipped(&self) -> &[usize] {
        &self.skipped
    }

    /// The scored target and non-target trials' scores, as [`metrics::evaluate`](crate::metrics::evaluate) takes them.
    ///
    /// # Errors
    /// Another number of labels than of trials.
    pub fn split(&self, labels: &[bool]) -> Result<(Vec<f64>, Vec<f64>)> {
        if labels.len() != self.values.len() {
            let (found, expected) = (labels.len(), self.values.len());
            return Err(Error::Count { what: "labels", found, expected });
        }
        let (mut target, mut nontarget) = (Vec::new(), Vec::new());
        for (place, score) in self.iter() {
            if labels[place] { target.push(score) } else { nontarget.push(score) }
        }
        Ok((target, nontarget))
    }
}

/// A trial as messages name it: `trial 7 (enrol test)`.
pub(crate) fn describe(trials: &Trials, place: usize) -> String {
    let (enrolment, test) = names(trials, place);
    format!("trial {} ({enrolment} {test})", place + 1)
}

/// The names of a trial's enrolment and test utterance.
pub(crate) fn names(trials: &Trials, place: usize) -> (&str, &str) {
    let name = |id: u32| trials.names[id as usize].as_str();
    let (enrolment, test) = trials.pairs[place];
    (name(enrolment), name(test))
}
