//! What is odd in a list of trials.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::Trials;
use crate::NameList;

/// What was noticed while a list was read. None of it is an error; all of it is worth a word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrialFindings {
    /// Trials of an utterance with itself; their scores say nothing.
    pub self_trials: NameList,
    /// Trials that repeat an earlier one: same enrolment, same test. They count twice in every measure.
    pub repeated: NameList,
}

impl TrialFindings {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.self_trials.is_empty() && self.repeated.is_empty()
    }

    /// What there is to say, a line for each kind, with the first three names.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |list: &NameList, one: &str, many: &str| {
            if !list.is_empty() {
                let what = if list.total() == 1 { one } else { many };
                lines.push(format!("{} {what} ({})", list.total(), list.shown(3)));
            }
        };
        line(
            &self.self_trials,
            "trial compares an utterance with itself",
            "trials compare an utterance with itself",
        );
        line(&self.repeated, "trial repeats an earlier one", "trials repeat an earlier one");
        lines
    }
}

/// Two trials of one pair of utterances, of which one is a target and the other is not.
pub(super) struct Contradiction {
    /// Places in the list.
    pub(super) first: usize,
    pub(super) second: usize,
}

/// Looks at all trials of a list.
pub(super) fn look(trials: &Trials) -> Result<TrialFindings, Contradiction> {
    let mut findings = TrialFindings::default();
    let name = |id: u32| trials.names[id as usize].as_str();
    // The first trial of each pair, whichever of the two is the enrolment.
    let mut first_trials: HashTable<usize> = HashTable::with_capacity(trials.pairs.len());
    let hasher = DefaultHashBuilder::default();
    let hash = |(a, b): (u32, u32)| hasher.hash_one((a.min(b), a.max(b)));
    for (place, &(enrolment, test)) in trials.pairs.iter().enumerate() {
        if enrolment == test {
            findings.self_trials.push(|| name(test).to_owned());
        }
        let hash_of_pair = hash((enrolment, test));
        let is =
            |pair: (u32, u32)| first_trials.find(hash_of_pair, |&other| trials.pairs[other] == pair).copied();
        let (same, swapped) = (is((enrolment, test)), is((test, enrolment)));
        if let Some(labels) = &trials.labels
            && let Some(first) = same.or(swapped)
            && labels[first] != labels[place]
        {
            return Err(Contradiction { first, second: place });
        }
        match same {
            Some(_) => findings.repeated.push(|| format!("{} {}", name(enrolment), name(test))),
            None => {
                first_trials.insert_unique(hash_of_pair, place, |&other| hash(trials.pairs[other]));
            }
        }
    }
    Ok(findings)
}
