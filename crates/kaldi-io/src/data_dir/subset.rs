//! A part of a data directory.

use std::borrow::Cow;
use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::companions::{Keys, read_all};
use super::draft::Draft;
use super::{DataDir, Output};
use crate::{Error, Result, Table};

/// Which utterances a subset has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All utterances of these speakers.
    Speakers(Vec<String>),
    /// All utterances of the other speakers.
    AllButSpeakers(Vec<String>),
    /// These utterances.
    Utterances(Vec<String>),
    /// The other utterances.
    AllButUtterances(Vec<String>),
    /// So many utterances of each speaker; all of a speaker who has fewer.
    PerSpeaker(usize, Pick),
    /// So many utterances in all.
    Count(usize, Pick),
}

/// Which of more utterances than are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The first in the order of the directory.
    First,
    /// Random ones; the same seed picks the same.
    Random {
        /// Seed of the ChaCha generator.
        seed: u64,
    },
}

impl Pick {
    /// So many of the candidates, in no particular order.
    fn pick(self, mut candidates: Vec<usize>, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let count = count.min(candidates.len());
        if let Self::Random { .. } = self {
            // The first `count` steps of a Fisher-Yates shuffle.
            for place in 0..count {
                let other = rng.random_range(place..candidates.len());
                candidates.swap(place, other);
            }
        }
        candidates.truncate(count);
        candidates
    }

    fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(match self {
            Self::First => 0,
            Self::Random { seed } => seed,
        })
    }
}

impl DataDir {
    /// Writes a part of the directory, in byte order, and returns its number of utterances. The other tables by
    /// utterance (`utt2*`, `text`, `feats.scp`, `vad.scp`), by speaker (`spk2*`) and by recording (`reco2*`) follow; `spk2utt`
    /// is made anew. Where there are `segments`, the recordings that the utterances are parts of follow.
    ///
    /// # Errors
    /// - A speaker or utterance is unknown.
    /// - More utterances are wanted than there are, or none.
    /// - The selection is by speaker and the speakers are unknown.
    /// - `output` has a data directory.
    /// - A file cannot be read or written.
    pub fn subset(&self, selection: &Selection, output: &Output) -> Result<usize> {
        let keep = self.select(selection)?;
        output.check()?;
        let companions = read_all(&self.path)?;
        self.draft(&companions, &keep).write(output)?;
        Ok(keep.iter().filter(|&&keep| keep).count())
    }

    /// For each utterance whether it is selected.
    fn select(&self, selection: &Selection) -> Result<Vec<bool>> {
        let mut keep = vec![false; self.len()];
        match selection {
            Selection::Utterances(names) | Selection::AllButUtterances(names) => {
                let (places, unknown) = look_up(names, |name| self.position(name));
                self.refuse_unknown("utterance", &unknown, names.len())?;
                places.into_iter().for_each(|place| keep[place] = true);
            }
            Selection::Speakers(names) | Selection::AllButSpeakers(names) => {
                self.need_speakers("a selection by speaker")?;
                let index = super::speakers::index_of(&self.speakers);
                let (chosen, unknown) = look_up(names, |name| index.get(name).copied());
                self.refuse_unknown("speaker", &unknown, names.len())?;
                let chosen: HashSet<u32> = chosen.into_iter().collect();
                for (keep, speaker) in keep.iter_mut().zip(&self.speaker_of) {
                    *keep = chosen.contains(speaker);
                }
            }
            Selection::PerSpeaker(count, pick) => {
                self.need_speakers("a number of utterances per speaker")?;
                let mut rng = pick.rng();
                for utterances in self.utterances_by_speaker() {
                    pick.pick(utterances, *count, &mut rng).into_iter().for_each(|place| keep[place] = true);
                }
            }
            Selection::Count(count, pick) => {
                if *count > self.len() {
                    let message = format!("has {} utterances, {count} were asked for", self.len());
                    return Err(Error::invalid(&self.path, message));
                }
                let all = (0..self.len()).collect();
                pick.pick(all, *count, &mut pick.rng()).into_iter().for_each(|place| keep[place] = true);
            }
        }
        if matches!(selection, Selection::AllButUtterances(_) | Selection::AllButSpeakers(_)) {
            keep.iter_mut().for_each(|keep| *keep = !*keep);
        }
        if !keep.contains(&true) {
            return Err(Error::invalid(&self.path, "the selection leaves no utterance"));
        }
        Ok(keep)
    }

    /// Places of each speaker's utterances among all; empty if the speakers are unknown.
    pub(super) fn utterances_by_speaker(&self) -> Vec<Vec<usize>> {
        let mut utterances = vec![Vec::new(); self.speakers.len()];
        for (place, &speaker) in self.speaker_of.iter().enumerate() {
            utterances[speaker as usize].push(place);
        }
        utterances
    }

    pub(super) fn need_speakers(&self, purpose: &str) -> Result<()> {
        if self.has_speakers() {
            return Ok(());
        }
        Err(Error::invalid(&self.path, format!("{purpose} needs utt2spk, and there is none")))
    }

    fn refuse_unknown(&self, kind: &str, unknown: &[&str], asked: usize) -> Result<()> {
        let Some(first) = unknown.first() else {
            return Ok(());
        };
        let message = format!("{} of {asked} {kind}s are unknown here, the first is {first}", unknown.len());
        Err(Error::invalid(&self.path, message))
    }

    /// The part of the directory with the utterances marked in `keep`.
    pub(super) fn draft<'a>(&'a self, companions: &'a [(String, Keys, Table)], keep: &[bool]) -> Draft<'a> {
        let row = |(key, value): (&'a str, &'a str)| (Cow::Borrowed(key), Cow::Borrowed(value));
        let table = self.utterance_table();
        let kept = || table.iter().enumerate().filter(|(place, _)| keep[*place]);
        let mut draft = Draft::default();
        let mut recordings = vec![false; self.wav.len()];
        if let Some(segments) = &self.segments {
            draft.extend("segments", kept().map(|(_, entry)| row(entry)));
            let parts = kept().filter_map(|(place, _)| segments.part(place));
            parts.for_each(|(recording, _)| recordings[recording] = true);
        } else {
            recordings.copy_from_slice(keep);
        }
        let wav = self.wav.iter().zip(&recordings).filter(|(_, kept)| **kept);
        draft.extend("wav.scp", wav.map(|(entry, _)| row(entry)));
        let mut speakers = HashSet::new();
        if self.has_speakers() {
            let speaker = |place: usize| self.speakers[self.speaker_of[place] as usize].as_str();
            draft.extend("utt2spk", kept().map(|(place, (utterance, _))| row((utterance, speaker(place)))));
            speakers.extend(kept().map(|(place, _)| speaker(place)));
        }
        for (name, keys, other) in companions {
            let among = |table, kept: &[bool], place: usize, key: &str| {
                super::same_or_find(table, place, key).is_some_and(|place| kept[place])
            };
            let follows = |place: usize, key: &str| match keys {
                Keys::Utterances => among(table, keep, place, key),
                Keys::Recordings => among(&self.wav, &recordings, place, key),
                Keys::Speakers => speakers.contains(key),
            };
            let rows = other.iter().enumerate().filter(|(place, (key, _))| follows(*place, key));
            draft.extend(name, rows.map(|(_, entry)| row(entry)));
        }
        draft
    }
}

/// What is found under the names, and the names under which nothing is.
fn look_up<T>(names: &[String], find: impl Fn(&str) -> Option<T>) -> (Vec<T>, Vec<&str>) {
    let mut found = Vec::with_capacity(names.len());
    let mut unknown = Vec::new();
    for name in names {
        match find(name) {
            Some(value) => found.push(value),
            None => unknown.push(name.as_str()),
        }
    }
    (found, unknown)
}
