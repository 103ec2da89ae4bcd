//! A data directory: `wav.scp` and the tables beside it.

mod combine;
mod companions;
mod create;
mod cut;
mod draft;
mod fix;
mod relabel;
mod segments;
mod speakers;
mod split;
mod subset;
mod validate;

use std::path::{Path, PathBuf};

pub use combine::{CombineOptions, Combined, Source};
pub use draft::Output;
pub use fix::{Dropped, FixOptions, FixReport};
pub use segments::Segment;
pub use speakers::{spk2utt_to_utt2spk, utt2spk_to_spk2utt};
pub use split::{Part, SplitBy};
pub use subset::{Pick, Selection};
pub use validate::{Report, ValidateOptions};

use crate::{AudioSource, Error, Problem, ProblemKind, Result, Table, WavSource};
use companions::is_present;
use segments::Segments;

/// A Kaldi data directory, as far as speaker verification needs it.
///
/// | table | line | needed |
/// | --- | --- | --- |
/// | `wav.scp` | `utterance path-or-command` | yes |
/// | `segments` | `utterance recording start end`, in seconds | no: without it each recording is an utterance |
/// | `utt2spk` | `utterance speaker` | no: without it (and `spk2utt`) the speakers are unknown |
/// | `spk2utt` | `speaker utterance utterance ...` | no: derived from `utt2spk` |
/// | `utt2dur` | `utterance seconds` | no |
/// | `spk2gender` | `speaker gender` | no |
///
/// With `segments` an utterance is a part of a recording, and `wav.scp` has the recordings. All other tables are of utterances
/// then too, but for `reco2*`.
///
/// A speaker's index is the line of `spk2utt` on which the speaker stands (from 0), as in the baseline; where
/// `spk2utt` is derived, its speakers are in byte order.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    /// The recordings: without `segments` they are the utterances.
    wav: Table,
    segments: Option<Segments>,
    /// Speaker of each utterance; empty if the directory knows no speakers.
    speaker_of: Vec<u32>,
    speakers: Vec<String>,
    /// Seconds, of each utterance, NaN where `utt2dur` does not say; empty if there is no `utt2dur`.
    durations: Vec<f64>,
    genders: Option<Table>,
}

/// One utterance of a [`DataDir`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Utterance<'a> {
    /// Its name.
    pub id: &'a str,
    /// The name of its recording; without `segments` its own.
    pub recording: &'a str,
    /// Second column of `wav.scp`; see [`WavSource::parse`].
    pub wav: &'a str,
    /// The part of the recording that it is; `None` for all of it.
    pub segment: Option<Segment>,
    /// Its speaker; `None` if the directory has neither `utt2spk` nor `spk2utt`.
    pub speaker: Option<&'a str>,
    /// Its length in seconds, where `utt2dur` or `segments` says.
    pub duration_s: Option<f64>,
}

impl Utterance<'_> {
    /// Where its audio is.
    pub fn audio(&self) -> AudioSource {
        AudioSource { wav: WavSource::parse(self.wav), segment: self.segment }
    }
}

/// How [`DataDir::open_with`] reads a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Let `wav.scp` contain commands (`sph2pipe ... |`). Whoever wrote the file then decides what runs on this
    /// machine, so the default is `false`.
    pub allow_pipes: bool,
}

impl DataDir {
    /// Opens a directory whose `wav.scp` contains no commands; see [`open_with`](Self::open_with).
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// Opens a directory. Audio files are not looked for.
    ///
    /// Refused is what would give an utterance no label, or a wrong one. Blemishes that do not change the meaning (the
    /// order, line ends, entries about utterances that `wav.scp` lacks) are left to [`validate`](Self::validate).
    ///
    /// # Errors
    /// - A table cannot be read (see [`Table::read`]).
    /// - `wav.scp` is empty, or contains a command without `allow_pipes`.
    /// - A line of `segments` names no part of a recording of `wav.scp`.
    /// - An utterance has no speaker although `utt2spk` is there, or a speaker's name has two words.
    /// - `spk2utt` contradicts `utt2spk`.
    /// - A duration is not a positive number.
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let wav = Table::read(path.join("wav.scp"))?;
        if wav.is_empty() {
            return Err(Error::parse(wav.path(), "no utterance", "one a line: its name and its audio file"));
        }
        if !options.allow_pipes
            && let Some(position) = wav.iter().position(|(_, value)| WavSource::is_pipe(value))
        {
            return Err(problem_at(&wav, position, ProblemKind::Pipe).into());
        }
        let segments = is_present(path, "segments").then(|| Segments::read(path, &wav)).transpose()?;
        let utterances = segments.as_ref().map_or(&wav, |segments| &segments.table);
        let (speakers, speaker_of) = read_speakers(path, utterances)?;
        let durations = match optional_table(path, "utt2dur")? {
            Some(table) => read_durations(utterances, &table)?,
            None => Vec::new(),
        };
        let genders = optional_table(path, "spk2gender")?;
        Ok(Self { path: path.to_path_buf(), wav, segments, speaker_of, speakers, durations, genders })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The table whose keys are the utterances: `segments` or `wav.scp`.
    fn utterance_table(&self) -> &Table {
        self.segments.as_ref().map_or(&self.wav, |segments| &segments.table)
    }

    /// Number of utterances.
    pub fn len(&self) -> usize {
        self.utterance_table().len()
    }

    /// Whether there is no utterance; never so for an opened directory.
    pub fn is_empty(&self) -> bool {
        self.utterance_table().is_empty()
    }

    /// Whether the utterances are parts of recordings (`segments`).
    pub fn has_segments(&self) -> bool {
        self.segments.is_some()
    }

    /// Whether the speakers are known.
    pub fn has_speakers(&self) -> bool {
        !self.speaker_of.is_empty()
    }

    /// The utterances in the order of `wav.scp`, or of `segments` where there are any.
    pub fn utterances(&self) -> impl ExactSizeIterator<Item = Utterance<'_>> {
        let table = self.utterance_table();
        table.iter().enumerate().map(|(position, (id, value))| self.assemble(position, id, value))
    }

    /// The utterance at a place in that order, from 0.
    pub fn utterance(&self, position: usize) -> Option<Utterance<'_>> {
        self.utterance_table().entry(position).map(|(id, value)| self.assemble(position, id, value))
    }

    /// The place of an utterance in that order, from 0.
    pub fn position(&self, utterance: &str) -> Option<usize> {
        self.utterance_table().position(utterance)
    }

    /// The speakers in the order of `spk2utt`; empty if they are unknown.
    pub fn speakers(&self) -> &[String] {
        &self.speakers
    }

    /// The index of an utterance's speaker among [`speakers`](Self::speakers); `None` if the utterance or its speaker
    /// is unknown.
    pub fn speaker_index(&self, utterance: &str) -> Option<usize> {
        self.position(utterance).and_then(|position| self.speaker_index_at(position))
    }

    /// The index of the speaker of the utterance at a place among the utterances, without looking its name up.
    pub fn speaker_index_at(&self, position: usize) -> Option<usize> {
        self.speaker_of.get(position).map(|&speaker| speaker as usize)
    }

    /// What `spk2gender` says of a speaker.
    pub fn gender(&self, speaker: &str) -> Option<&str> {
        self.genders.as_ref()?.get(speaker)
    }

    /// The utterance whose entry of its table is at `position`.
    fn assemble<'a>(&'a self, position: usize, id: &'a str, value: &'a str) -> Utterance<'a> {
        let part = self.segments.as_ref().and_then(|segments| segments.part(position));
        let part = part.and_then(|(place, segment)| Some((self.wav.entry(place)?, segment)));
        let (recording, wav, segment) = match part {
            Some(((recording, wav), segment)) => (recording, wav, Some(segment)),
            None => (id, value, None),
        };
        let duration_s = self.durations.get(position).copied().filter(|duration| !duration.is_nan());
        Utterance {
            id,
            recording,
            wav,
            segment,
            speaker: self.speaker_index_at(position).map(|speaker| self.speakers[speaker].as_str()),
            duration_s: duration_s.or_else(|| segment?.duration_s()),
        }
    }
}

fn optional_table(path: &Path, name: &str) -> Result<Option<Table>> {
    if is_present(path, name) { Table::read(path.join(name)).map(Some) } else { Ok(None) }
}

fn problem_at(table: &Table, position: usize, kind: ProblemKind) -> Problem {
    let what = table.entry(position).map_or_else(String::new, |(key, _)| key.to_owned());
    Problem { file: table.path().into(), line: Some(table.line(position)), kind, what }
}

/// Duration in seconds, if the text is one.
fn parse_duration(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
}

fn read_durations(utterances: &Table, utt2dur: &Table) -> Result<Vec<f64>> {
    let mut durations = vec![f64::NAN; utterances.len()];
    for (position, (utterance, value)) in utt2dur.iter().enumerate() {
        let seconds = parse_duration(value).ok_or_else(|| {
            let found = format!("{value:?} for {utterance}");
            Error::parse(utt2dur.path(), found, "a positive number of seconds")
                .at_line(utt2dur.line(position))
        })?;
        if let Some(place) = same_or_find(utterances, position, utterance) {
            durations[place] = seconds;
        }
    }
    Ok(durations)
}

/// The place of `key` in `table`, which is usually the `guess`: tables of one directory mostly have the same order.
fn same_or_find(table: &Table, guess: usize, key: &str) -> Option<usize> {
    if table.entry(guess).is_some_and(|(there, _)| there == key) { Some(guess) } else { table.position(key) }
}

/// Speakers, and the speaker of each utterance; both empty if there is neither `utt2spk` nor `spk2utt`.
fn read_speakers(path: &Path, table: &Table) -> Result<(Vec<String>, Vec<u32>)> {
    let utt2spk = optional_table(path, "utt2spk")?;
    let spk2utt = optional_table(path, "spk2utt")?;
    let Some(utt2spk) = utt2spk else {
        let Some(spk2utt) = spk2utt else {
            return Ok((Vec::new(), Vec::new()));
        };
        return speakers_of_spk2utt(table, &spk2utt);
    };
    let speakers: Vec<String> = match &spk2utt {
        Some(spk2utt) => {
            speakers::check_agreement(&utt2spk, spk2utt)?;
            spk2utt.iter().map(|(speaker, _)| speaker.to_owned()).collect()
        }
        None => utt2spk_to_spk2utt(&utt2spk)?.into_iter().map(|(speaker, _)| speaker.to_owned()).collect(),
    };
    let index = speakers::index_of(&speakers);
    let mut speaker_of = Vec::with_capacity(table.len());
    let mut last = ("", 0);
    for (position, (utterance, _)) in table.iter().enumerate() {
        let speaker = same_or_find(&utt2spk, position, utterance).and_then(|place| utt2spk.entry(place));
        let Some((_, speaker)) = speaker else {
            return Err(lacks_speaker(table, position, utterance, "utt2spk"));
        };
        if last.0 != speaker {
            // The tables agree, so every speaker of utt2spk has an index.
            let found = index.get(speaker).copied();
            last = (speaker, found.ok_or_else(|| lacks_speaker(table, position, utterance, "spk2utt"))?);
        }
        speaker_of.push(last.1);
    }
    drop(index);
    Ok((speakers, speaker_of))
}

fn speakers_of_spk2utt(table: &Table, spk2utt: &Table) -> Result<(Vec<String>, Vec<u32>)> {
    const UNKNOWN: u32 = u32::MAX;
    let mut speaker_of = vec![UNKNOWN; table.len()];
    let speakers: Vec<String> = spk2utt.iter().map(|(speaker, _)| speaker.to_owned()).collect();
    let index = speakers::index_of(&speakers);
    for (utterance, speaker) in spk2utt_to_utt2spk(spk2utt)? {
        if let (Some(place), Some(&speaker)) = (table.position(utterance), index.get(speaker)) {
            speaker_of[place] = speaker;
        }
    }
    drop(index);
    if let Some(position) = speaker_of.iter().position(|&speaker| speaker == UNKNOWN) {
        let utterance = table.entry(position).map_or("", |(utterance, _)| utterance);
        return Err(lacks_speaker(table, position, utterance, "spk2utt"));
    }
    Ok((speakers, speaker_of))
}

fn lacks_speaker(table: &Table, position: usize, utterance: &str, speakers: &str) -> Error {
    let message = format!(
        "the utterance {utterance} has no speaker in {speakers}; a fix of the directory drops such utterances"
    );
    Error::invalid(table.path(), message).at_line(table.line(position))
}
