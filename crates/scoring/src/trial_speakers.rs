//! Who speaks in each trial.

use std::collections::HashMap;

use ffsvc_kaldi_io::{NameList, Table, Trials};

use crate::{Error, Result};

/// The speakers of a trial list.
pub(crate) struct TrialSpeakers {
    /// Numbers of each trial's speakers: enrolment, test. A speaker has one number on both sides.
    pub(crate) pairs: Vec<(u32, u32)>,
    /// Their names, by number.
    pub(crate) names: Vec<String>,
}

/// Looks up the speakers of a trial list.
///
/// # Errors
/// An utterance has no speaker in the table.
pub(crate) fn speakers_of_trials(trials: &Trials, utt2spk: &Table) -> Result<TrialSpeakers> {
    let speakers = trials.resolve(|name| utt2spk.get(name)).values;
    let mut numbers = HashMap::new();
    let mut names = Vec::new();
    let mut missing = NameList::default();
    // Of each name, in the order in which the trials name them; `None` before that.
    let mut of_names: Vec<Option<u32>> = vec![None; speakers.len()];
    for id in trials.pairs.iter().flat_map(|&(enrolment, test)| [enrolment, test]) {
        let number = &mut of_names[id as usize];
        if number.is_some() {
            continue;
        }
        *number = Some(match speakers[id as usize] {
            Some(speaker) => {
                let next = numbers.len() as u32;
                *numbers.entry(speaker).or_insert_with(|| {
                    names.push(speaker.to_owned());
                    next
                })
            }
            None => {
                missing.push(|| trials.names[id as usize].clone());
                u32::MAX
            }
        });
    }
    if missing.total() > 0 {
        return Err(Error::MissingSpeakers {
            table: utt2spk.path().display().to_string(),
            utterances: missing,
        });
    }
    let of = |id: u32| of_names[id as usize].unwrap_or(u32::MAX);
    let pairs = trials.pairs.iter().map(|&(enrolment, test)| (of(enrolment), of(test))).collect();
    Ok(TrialSpeakers { pairs, names })
}
