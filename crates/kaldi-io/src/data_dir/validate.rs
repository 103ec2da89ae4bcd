//! All that is wrong with a data directory.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::companions::{Keys, is_present, names_in};
use super::segments::{EXPECTED, Segment};
use super::speakers::compare;
use super::{DataDir, parse_duration, problem_at, same_or_find};
use crate::{Error, ListFile, Problem, ProblemKind, Result, Table, WavSource};

/// What [`DataDir::validate`] looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidateOptions {
    /// Whether commands in `wav.scp` are in order. They are never run.
    pub allow_pipes: bool,
    /// Whether every audio file must exist.
    pub check_audio: bool,
}

impl Default for ValidateOptions {
    /// No pipes; audio files must exist.
    fn default() -> Self {
        Self { allow_pipes: false, check_audio: true }
    }
}

/// What [`DataDir::validate`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Number of utterances in `segments` or, where there are none, in `wav.scp`.
    pub utterances: usize,
    /// Number of speakers in `utt2spk`; 0 if there is none.
    pub speakers: usize,
    /// Everything that is wrong, by table and line.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems there are of each kind.
    pub fn counts(&self) -> BTreeMap<ProblemKind, usize> {
        let mut counts = BTreeMap::new();
        for problem in &self.problems {
            *counts.entry(problem.kind).or_default() += 1;
        }
        counts
    }

    /// The problems one a line, at most `limit` of each kind, and then how many there are of each kind.
    pub fn display(&self, limit: usize) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            let mut shown: BTreeMap<ProblemKind, usize> = BTreeMap::new();
            for problem in &self.problems {
                let shown = shown.entry(problem.kind).or_default();
                *shown += 1;
                if *shown <= limit {
                    writeln!(f, "{problem}")?;
                }
            }
            for (kind, count) in self.counts() {
                let hidden = count.saturating_sub(limit);
                let hidden = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
                writeln!(f, "{count} x {kind}{hidden}")?;
            }
            Ok(())
        })
    }
}

/// The tables whose problems are reported first: the others are read in their light.
const TABLE_ORDER: [&str; 4] = ["segments", "wav.scp", "utt2spk", "spk2utt"];

impl DataDir {
    /// Checks a directory and reports all that is wrong with it: what [`open`](Self::open) refuses, and everything else that
    /// Kaldi's `validate_data_dir.sh` or another program would stumble over.
    ///
    /// # Errors
    /// A table that is there cannot be read by reason of permissions or the disk. Bad content is a problem in the
    /// report instead.
    pub fn validate(path: impl AsRef<Path>, options: ValidateOptions) -> Result<Report> {
        let path = path.as_ref();
        if !path.is_dir() {
            return Err(Error::invalid(path, "is not a folder"));
        }
        let mut problems = Vec::new();
        let Some(wav) = load(path, "wav.scp", &mut problems)? else {
            problems.push(whole_file(path, "wav.scp", ProblemKind::MissingTable));
            return Ok(Report { utterances: 0, speakers: 0, problems });
        };
        if wav.is_empty() {
            problems.push(whole_file(path, "wav.scp", ProblemKind::EmptyTable));
        }
        check_audio(&wav, options, &mut problems);
        let segments = load(path, "segments", &mut problems)?;
        if let Some(segments) = &segments {
            check_segments(&wav, segments, &mut problems);
        }
        let utterances = segments.as_ref().unwrap_or(&wav);
        let utt2spk = load(path, "utt2spk", &mut problems)?;
        let spk2utt = load(path, "spk2utt", &mut problems)?;
        let speakers = check_speakers(utterances, utt2spk.as_ref(), spk2utt.as_ref(), &mut problems);
        for (name, keys) in names_in(path)? {
            let Some(table) = load(path, &name, &mut problems)? else {
                continue;
            };
            for (position, (key, value)) in table.iter().enumerate() {
                match keys {
                    Keys::Utterances if same_or_find(utterances, position, key).is_none() => {
                        problems.push(problem_at(&table, position, ProblemKind::NoAudio));
                    }
                    Keys::Recordings if same_or_find(&wav, position, key).is_none() => {
                        problems.push(problem_at(&table, position, ProblemKind::NoAudio));
                    }
                    Keys::Speakers if !speakers.contains(key) => {
                        problems.push(problem_at(&table, position, ProblemKind::NoUtterances));
                    }
                    _ => {}
                }
                if name == "utt2dur" && parse_duration(value).is_none() {
                    let what = format!("{value:?} for {key}, expected a positive number of seconds");
                    problems.push(Problem { what, ..problem_at(&table, position, ProblemKind::BadValue) });
                }
            }
        }
        // The checks of one table are several; their findings belong together.
        problems.sort_by_cached_key(|problem| {
            let name = problem.file.file_name().unwrap_or_default();
            let rank = TABLE_ORDER.iter().position(|&table| table == name);
            let rank = rank.unwrap_or(TABLE_ORDER.len());
            (rank, problem.file.clone(), problem.line.unwrap_or(0))
        });
        Ok(Report { utterances: utterances.len(), speakers: speakers.len(), problems })
    }
}

/// A table, if it is there, with all that is wrong with its form.
fn load(path: &Path, name: &str, problems: &mut Vec<Problem>) -> Result<Option<Table>> {
    if !is_present(path, name) {
        return Ok(None);
    }
    let file = path.join(name);
    Table::scan(&file, ListFile::open(&file)?.read_all()?, &mut |finding| {
        problems.push(finding.into_problem(&file))
    })
    .map(Some)
}

fn whole_file(path: &Path, name: &str, kind: ProblemKind) -> Problem {
    Problem { file: path.join(name).into(), line: None, kind, what: String::new() }
}

fn check_audio(wav: &Table, options: ValidateOptions, problems: &mut Vec<Problem>) {
    let check = |(position, (key, value)): (usize, (&str, &str))| {
        let kind = match WavSource::parse(value).on_disk() {
            None if options.allow_pipes => return None,
            None => ProblemKind::Pipe,
            Some(file) if !options.check_audio || file.is_file() => return None,
            Some(_) => ProblemKind::MissingAudio,
        };
        Some(Problem { what: format!("{value} of {key}"), ..problem_at(wav, position, kind) })
    };
    let rows: Vec<_> = wav.iter().enumerate().collect();
    // On network file systems the look-ups are slow, one by one.
    problems.par_extend(rows.into_par_iter().filter_map(check));
}

/// Checks `segments` and `wav.scp` against each other: Kaldi's programs expect that they have the same recordings.
fn check_segments(wav: &Table, segments: &Table, problems: &mut Vec<Problem>) {
    if segments.is_empty() {
        problems.push(Problem {
            file: segments.path().into(),
            line: None,
            kind: ProblemKind::EmptyTable,
            what: String::new(),
        });
    }
    let mut used = vec![false; wav.len()];
    let mut last = 0;
    for (position, (utterance, value)) in segments.iter().enumerate() {
        let problem = |kind, what| Problem { what, ..problem_at(segments, position, kind) };
        let Some((recording, _)) = Segment::parse(value) else {
            let what = format!("{value:?} for {utterance}, expected {EXPECTED}");
            problems.push(problem(ProblemKind::BadValue, what));
            continue;
        };
        match same_or_find(wav, last, recording) {
            Some(place) => {
                used[place] = true;
                last = place;
            }
            None => {
                problems.push(problem(ProblemKind::NoRecording, format!("{recording} of {utterance}")));
            }
        }
    }
    for (position, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
        problems.push(problem_at(wav, position, ProblemKind::UnusedRecording));
    }
}

/// Checks `utt2spk` and `spk2utt` against the table of utterances and each other and returns the speakers.
fn check_speakers(
    utterances: &Table,
    utt2spk: Option<&Table>,
    spk2utt: Option<&Table>,
    problems: &mut Vec<Problem>,
) -> HashSet<String> {
    let mut speakers = HashSet::new();
    let Some(utt2spk) = utt2spk else {
        check_spk2utt_alone(utterances, spk2utt, problems, &mut speakers);
        return speakers;
    };
    for (position, (utterance, speaker)) in utt2spk.iter().enumerate() {
        if speaker.bytes().any(|byte| byte.is_ascii_whitespace()) {
            let what = format!("{speaker:?} for {utterance}, expected one speaker");
            problems.push(Problem { what, ..problem_at(utt2spk, position, ProblemKind::BadValue) });
        }
        if same_or_find(utterances, position, utterance).is_none() {
            problems.push(problem_at(utt2spk, position, ProblemKind::NoAudio));
        }
        if !speakers.contains(speaker) {
            speakers.insert(speaker.to_owned());
        }
    }
    for (position, (utterance, _)) in utterances.iter().enumerate() {
        if same_or_find(utt2spk, position, utterance).is_none() {
            problems.push(problem_at(utterances, position, ProblemKind::NoSpeaker));
        }
    }
    let Some(spk2utt) = spk2utt else {
        return speakers;
    };
    for (position, (speaker, _)) in spk2utt.iter().enumerate() {
        if !speakers.contains(speaker) {
            problems.push(problem_at(spk2utt, position, ProblemKind::NoUtterances));
        }
    }
    compare(utt2spk, spk2utt, &mut |disagreement| {
        let (table, line, what) = disagreement.describe(utt2spk, spk2utt);
        let kind = ProblemKind::SpeakerMismatch;
        problems.push(Problem { file: table.path().into(), line: Some(line), kind, what });
    });
    speakers
}

fn check_spk2utt_alone(
    utterances: &Table,
    spk2utt: Option<&Table>,
    problems: &mut Vec<Problem>,
    speakers: &mut HashSet<String>,
) {
    let Some(spk2utt) = spk2utt else { return };
    let mut listed = HashSet::new();
    for (position, (speaker, listed_here)) in spk2utt.iter().enumerate() {
        speakers.insert(speaker.to_owned());
        for utterance in listed_here.split_ascii_whitespace() {
            let problem = |kind, what| Problem { what, ..problem_at(spk2utt, position, kind) };
            if !listed.insert(utterance) {
                let what = format!("{utterance} is listed a second time, for {speaker}");
                problems.push(problem(ProblemKind::SpeakerMismatch, what));
            }
            if utterances.position(utterance).is_none() {
                problems.push(problem(ProblemKind::NoAudio, utterance.to_owned()));
            }
        }
    }
    for (position, (utterance, _)) in utterances.iter().enumerate() {
        if !listed.contains(utterance) {
            problems.push(problem_at(utterances, position, ProblemKind::NoSpeaker));
        }
    }
}
