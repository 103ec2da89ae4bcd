//! Repairs that need no decision.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::companions::{Keys, names_in};
use super::draft::{Draft, write_files};
use super::segments::Segment;
use super::{DataDir, is_present, parse_duration};
use crate::{Error, ListFile, Problem, ProblemKind, Result, Table, WavSource};

/// What [`DataDir::fix`] does beyond the form of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FixOptions {
    /// Drop utterances whose audio file does not exist. Not the default: a disk that is not mounted would empty the
    /// directory. Commands in `wav.scp` are left alone.
    pub drop_missing_audio: bool,
}

/// What [`DataDir::fix`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FixReport {
    /// Number of utterances that the directory has now.
    pub utterances: usize,
    /// Utterances that `wav.scp`, or `segments`, had and has no more.
    pub dropped: Vec<Dropped>,
    /// What was wrong with the form of the tables before (sorting, line ends, duplicates, lines without a value).
    pub repaired: Vec<Problem>,
    /// The tables that were written, in byte order; none if there was nothing to do.
    pub written: Vec<String>,
    /// Where the former tables are; `None` if there was nothing to do.
    pub backup: Option<PathBuf>,
}

/// An utterance that [`DataDir::fix`] took out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Its name.
    pub utterance: String,
    /// Why: it has no speaker, its audio is missing, it is no part of a recording, or a table had two values for it.
    pub reason: ProblemKind,
}

impl DataDir {
    /// Brings a directory into order, like Kaldi's `fix_data_dir.sh`:
    ///
    /// - sorts every table in byte order;
    /// - unifies line ends and removes byte order marks, empty lines and repeated lines;
    /// - drops utterances that `wav.scp` or `utt2spk` lacks or for which a table has two values;
    /// - drops `segments` that name no part of a recording of `wav.scp`, and recordings without a segment;
    /// - drops lines of other tables about utterances and speakers that are not there;
    /// - rebuilds `spk2utt` (or `utt2spk` from it, if only that is there).
    ///
    /// Tables that change are first copied to the folder `.backup` inside the directory, whose former content is
    /// overwritten. A directory in order is not touched.
    ///
    /// # Errors
    /// There is no `wav.scp`; no utterance would be left; a table is larger than 4 GiB; a file
    /// cannot be read or written. Tables are then as they were, or some are fixed and all are in the backup.
    pub fn fix(path: impl AsRef<Path>, options: FixOptions) -> Result<FixReport> {
        let path = path.as_ref();
        let mut before = Before::default();
        let (wav, wav_twice) = before.read(path, "wav.scp")?;
        let segments = is_present(path, "segments").then(|| before.read(path, "segments")).transpose()?;
        let recordings = Recordings { wav: &wav, twice: &wav_twice, options };
        // Of utterances for which a table has two values nothing is known.
        let mut conflicting = segments.as_ref().map_or(&wav_twice, |(_, twice)| twice).clone();
        let utt2spk = is_present(path, "utt2spk").then(|| before.read(path, "utt2spk")).transpose()?;
        let spk2utt = is_present(path, "spk2utt").then(|| before.read(path, "spk2utt")).transpose()?;
        let companions: Vec<(String, Keys, (Table, HashSet<String>))> = names_in(path)?
            .into_iter()
            .map(|(name, keys)| before.read(path, &name).map(|table| (name, keys, table)))
            .collect::<Result<_>>()?;
        let speaker_of: Option<SpeakerOf<'_>> = match (&utt2spk, &spk2utt) {
            (Some((utt2spk, twice)), _) => {
                conflicting.extend(twice.iter().cloned());
                Some(Box::new(|utterance| utt2spk.get(utterance).filter(|speaker| is_one_word(speaker))))
            }
            (None, Some((spk2utt, _))) => Some(inverse(spk2utt, &mut conflicting)),
            (None, None) => None,
        };

        let mut draft = Draft::default();
        let mut dropped = Vec::new();
        let (mut utterances, mut speakers, mut used) = (HashSet::new(), HashSet::new(), HashSet::new());
        for (utterance, value) in segments.as_ref().map_or(&wav, |(table, _)| table).iter() {
            let speaker = speaker_of.as_ref().map(|speaker_of| speaker_of(utterance));
            let audio = match &segments {
                None => recordings.check(utterance),
                Some(_) => Segment::parse(value)
                    .ok_or(ProblemKind::BadValue)
                    .and_then(|(recording, _)| recordings.check(recording)),
            };
            let kept = match (speaker, audio) {
                _ if conflicting.contains(utterance) => Err(ProblemKind::ConflictingKey),
                (Some(None), _) => Err(ProblemKind::NoSpeaker),
                (_, audio) => audio,
            };
            let (recording, file) = match kept {
                Ok(entry) => entry,
                Err(reason) => {
                    dropped.push(Dropped { utterance: utterance.to_owned(), reason });
                    continue;
                }
            };
            utterances.insert(utterance);
            if segments.is_some() {
                draft.extend("segments", [(Cow::Borrowed(utterance), Cow::Borrowed(value))]);
            }
            if used.insert(recording) {
                draft.extend("wav.scp", [(Cow::Borrowed(recording), Cow::Borrowed(file))]);
            }
            if let Some(Some(speaker)) = speaker {
                speakers.insert(speaker);
                draft.extend("utt2spk", [(Cow::Borrowed(utterance), Cow::Borrowed(speaker))]);
            }
        }
        if utterances.is_empty() {
            let dropped = dropped.first().map_or_else(String::new, |first| {
                format!(
                    "; {} would be dropped, the first is {}: {}",
                    dropped.len(),
                    first.utterance,
                    first.reason
                )
            });
            return Err(Error::invalid(
                path,
                format!("no utterance would be left, so nothing was changed{dropped}"),
            ));
        }
        for (name, keys, (table, conflicting)) in &companions {
            let known = |key: &str| match keys {
                Keys::Utterances => utterances.contains(key),
                Keys::Recordings => used.contains(key),
                Keys::Speakers => speakers.contains(key),
            };
            let keep = |&(key, value): &(&str, &str)| {
                known(key)
                    && !conflicting.contains(key)
                    && (name != "utt2dur" || parse_duration(value).is_some())
            };
            let rows = table.iter().filter(keep);
            draft.extend(name, rows.map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value))));
        }

        let mut files = draft.render();
        files.retain(|name, content| before.bytes.get(name).is_none_or(|original| original != content));
        let backup = (!files.is_empty()).then(|| path.join(".backup"));
        if let Some(backup) = &backup {
            back_up(path, backup, &files)?;
            write_files(path, &files)?;
        }
        Ok(FixReport {
            utterances: utterances.len(),
            dropped,
            repaired: before.problems,
            written: files.into_keys().collect(),
            backup,
        })
    }
}

/// The tables as they were found.
#[derive(Default)]
struct Before {
    /// Each file's bytes, to see whether it changes.
    bytes: BTreeMap<String, Vec<u8>>,
    problems: Vec<Problem>,
}

impl Before {
    /// Reads a table, and the keys for which it has two values: which is right is not for a program to guess.
    fn read(&mut self, path: &Path, name: &str) -> Result<(Table, HashSet<String>)> {
        let file = path.join(name);
        let bytes = ListFile::open(&file)?.read_all()?;
        self.bytes.insert(name.to_owned(), bytes.clone());
        let mut conflicting = HashSet::new();
        let table = Table::scan(&file, bytes, &mut |finding| {
            if finding.kind == ProblemKind::ConflictingKey {
                conflicting.insert(finding.what.to_owned());
            }
            self.problems.push(finding.into_problem(&file));
        })?;
        Ok((table, conflicting))
    }
}

type SpeakerOf<'a> = Box<dyn Fn(&str) -> Option<&'a str> + 'a>;

/// The speaker of each utterance by `spk2utt`; utterances listed for two speakers are added to `conflicting`.
fn inverse<'a>(spk2utt: &'a Table, conflicting: &mut HashSet<String>) -> SpeakerOf<'a> {
    let mut speaker_of = HashMap::new();
    for (speaker, utterances) in spk2utt.iter() {
        for utterance in utterances.split_ascii_whitespace() {
            if *speaker_of.entry(utterance).or_insert(speaker) != speaker {
                conflicting.insert(utterance.to_owned());
            }
        }
    }
    Box::new(move |utterance| speaker_of.get(utterance).copied())
}

fn is_one_word(speaker: &str) -> bool {
    !speaker.bytes().any(|byte| byte.is_ascii_whitespace())
}

/// The entries of `wav.scp`.
struct Recordings<'a> {
    wav: &'a Table,
    /// Those for which it has two values.
    twice: &'a HashSet<String>,
    options: FixOptions,
}

impl<'a> Recordings<'a> {
    /// The entry of a recording, or why it cannot be kept.
    fn check(&self, recording: &str) -> std::result::Result<(&'a str, &'a str), ProblemKind> {
        let place = self.wav.position(recording).ok_or(ProblemKind::NoRecording)?;
        let (name, file) = self.wav.entry(place).ok_or(ProblemKind::NoRecording)?;
        match WavSource::parse(file).on_disk() {
            _ if self.twice.contains(name) => Err(ProblemKind::ConflictingKey),
            Some(path) if self.options.drop_missing_audio && !path.is_file() => {
                Err(ProblemKind::MissingAudio)
            }
            _ => Ok((name, file)),
        }
    }
}

/// Copies the files that are about to change.
fn back_up(path: &Path, backup: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    fs::create_dir_all(backup).map_err(|error| Error::io(backup, "create", error))?;
    for name in files.keys().filter(|name| is_present(path, name)) {
        let target = backup.join(name);
        let content = fs::read(path.join(name)).map_err(|error| Error::io(path.join(name), "read", error))?;
        ffsvc_atomic_file::write(&target, content).map_err(|error| Error::io(&target, "write", error))?;
    }
    Ok(())
}
