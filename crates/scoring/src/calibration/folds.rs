//! Folds for cross-validation.

use std::collections::BTreeMap;

use ffsvc_hashing::{Sha256, mix64};
use ffsvc_kaldi_io::{NameList, Table, Trials};

use crate::{Error, Result};

/// Most folds: a calibration is trained for each pair of them.
pub const MAX_FOLDS: u32 = 100;

/// Which fold the two sides of each trial belong to. A trial is held out together with all trials that share a fold with it, so
/// that no speaker (or trial) is on both sides of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// The lesser fold first.
    of_trials: Vec<(u32, u32)>,
}

/// A part of the trials, and the trials that have nothing in common with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Places of the trials to train on.
    pub train: Vec<usize>,
    /// Places of the trials that are held out.
    pub held_out: Vec<usize>,
}

impl Folds {
    /// Distributes the speakers of the trials over folds, in an order drawn by `seed`. `utt2spk` names the speaker of
    /// each utterance (and model, where trials name models). Names that differ by a `.wav` suffix match.
    ///
    /// # Errors
    /// - Fewer than three folds. The speakers of a trial are in up to two, and one must be left to train on.
    /// - More folds than speakers or than [`MAX_FOLDS`].
    /// - A name without speaker.
    pub fn by_speaker(trials: &Trials, utt2spk: &Table, folds: u32, seed: u64) -> Result<Self> {
        check(folds, 3)?;
        let found = trials.resolve(|name| utt2spk.get(name));
        let mut missing = NameList::default();
        for id in found.missing() {
            missing.push(|| trials.names[id].clone());
        }
        if missing.total() > 0 {
            return Err(Error::NoSpeaker { utt2spk: utt2spk.path().display().to_string(), names: missing });
        }
        let by_hash: BTreeMap<String, &str> =
            found.values.iter().flatten().map(|&speaker| (hash(seed, speaker), speaker)).collect();
        if by_hash.len() < folds as usize {
            let (name, expected) = ("the number of folds", "at most the number of speakers");
            return Err(Error::Option { name, value: f64::from(folds), expected });
        }
        let dealt: BTreeMap<&str, u32> =
            by_hash.values().enumerate().map(|(place, &speaker)| (speaker, place as u32 % folds)).collect();
        let of_names: Vec<u32> = found.values.iter().flatten().map(|speaker| dealt[speaker]).collect();
        let of_pair = |&(a, b): &(u32, u32)| {
            let (a, b) = (of_names[a as usize], of_names[b as usize]);
            (a.min(b), a.max(b))
        };
        Ok(Self { of_trials: trials.pairs.iter().map(of_pair).collect() })
    }

    /// Deals single trials out to folds. Speakers are then on both sides of a split, and what is measured is too good.
    ///
    /// # Errors
    /// Fewer than two folds, or more than trials or than [`MAX_FOLDS`].
    pub fn by_trial(trials: usize, folds: u32, seed: u64) -> Result<Self> {
        check(folds, 2)?;
        if trials < folds as usize {
            let (name, expected) = ("the number of folds", "at most the number of trials");
            return Err(Error::Option { name, value: f64::from(folds), expected });
        }
        let fold = |place: usize| {
            let fold = (mix64(seed ^ mix64(place as u64)) % u64::from(folds)) as u32;
            (fold, fold)
        };
        Ok(Self { of_trials: (0..trials).map(fold).collect() })
    }

    /// The splits: every trial is held out in one of them.
    pub fn splits(&self) -> impl Iterator<Item = Split> + '_ {
        let mut held_out: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (place, &pair) in self.of_trials.iter().enumerate() {
            held_out.entry(pair).or_default().push(place);
        }
        held_out.into_iter().map(|((a, b), held_out)| {
            let apart = |&place: &usize| {
                let (c, d) = self.of_trials[place];
                c != a && c != b && d != a && d != b
            };
            Split { train: (0..self.of_trials.len()).filter(apart).collect(), held_out }
        })
    }
}

fn check(folds: u32, least: u32) -> Result<()> {
    if folds < least {
        let expected = if least == 3 { "at least 3 for folds of speakers" } else { "at least 2" };
        return Err(Error::Option { name: "the number of folds", value: f64::from(folds), expected });
    }
    if folds > MAX_FOLDS {
        let expected = "at most 100: a calibration is trained for each pair of them";
        return Err(Error::Option { name: "the number of folds", value: f64::from(folds), expected });
    }
    Ok(())
}

/// The order of the speakers' hashes is that in which they are dealt out.
fn hash(seed: u64, name: &str) -> String {
    let mut sha256 = Sha256::new();
    sha256.update(seed.to_le_bytes());
    sha256.update(name);
    sha256.hex()
}
