//! `segments`: utterances that are parts of recordings.

use std::path::Path;

use super::problem_at;
use crate::{Error, ProblemKind, Result, Table};

/// A part of a recording, from `start_s` to `end_s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Where it begins, in seconds from the start of the recording; 0 or more.
    pub start_s: f64,
    /// Where it ends, in seconds from the start of the recording; `None` for the recording's end.
    pub end_s: Option<f64>,
}

/// What a value of `segments` must be.
pub(super) const EXPECTED: &str =
    "`RECORDING START END` in seconds, with 0 <= START < END, or an END of -1 for the recording's end";

impl Segment {
    /// The recording and the part of it that a line of `segments` names behind its key: `RECORDING START END`, in seconds.
    /// An end of -1 is the recording's.
    ///
    /// ```
    /// use ffsvc_kaldi_io::Segment;
    /// let (recording, segment) = Segment::parse("call-7 5.0 6.5").unwrap();
    /// assert_eq!((recording, segment.start_s, segment.end_s), ("call-7", 5.0, Some(6.5)));
    /// assert_eq!(Segment::parse("call-7 5.0 -1").unwrap().1.end_s, None);
    /// assert!(Segment::parse("call-7 5.0 5.0").is_none());
    /// ```
    pub fn parse(value: &str) -> Option<(&str, Self)> {
        let mut words = value.split_ascii_whitespace();
        let (recording, start, end) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let seconds = |word: &str| word.parse().ok().filter(|seconds: &f64| seconds.is_finite());
        let (start_s, end) = (seconds(start)?, seconds(end)?);
        let end_s = (end != -1.0).then_some(end);
        let is_part = start_s >= 0.0 && end_s.is_none_or(|end_s| end_s > start_s);
        // No negative zero, whose text would differ.
        is_part.then_some((recording, Self { start_s: start_s + 0.0, end_s }))
    }

    /// The line of `segments` behind its key; [`parse`](Self::parse) reads the same numbers from it.
    pub fn line_of(&self, recording: &str) -> String {
        match self.end_s {
            Some(end_s) => format!("{recording} {} {end_s}", self.start_s),
            None => format!("{recording} {} -1", self.start_s),
        }
    }

    /// Its length in seconds, where its end is known.
    pub fn duration_s(&self) -> Option<f64> {
        self.end_s.map(|end_s| end_s - self.start_s)
    }
}

/// The table `segments`, whose recordings are all in `wav.scp`.
#[derive(Debug, Clone)]
pub(super) struct Segments {
    pub(super) table: Table,
    /// For each entry its recording, by its place in `wav.scp`, and the part of it.
    parts: Vec<(u32, Segment)>,
}

impl Segments {
    pub(super) fn read(path: &Path, wav: &Table) -> Result<Self> {
        let table = Table::read(path.join("segments"))?;
        if table.is_empty() {
            let expected = "one a line: its name, its recording, start and end";
            return Err(Error::parse(table.path(), "no utterance", expected));
        }
        let mut parts = Vec::with_capacity(table.len());
        for (position, (utterance, value)) in table.iter().enumerate() {
            let Some((recording, segment)) = Segment::parse(value) else {
                let found = format!("{value:?} for {utterance}");
                return Err(Error::parse(table.path(), found, EXPECTED).at_line(table.line(position)));
            };
            // Most lines are of the recording of the line before.
            let last = parts.last().map_or(0, |&(place, _): &(u32, Segment)| place as usize);
            let Some(place) = super::same_or_find(wav, last, recording) else {
                let problem = problem_at(&table, position, ProblemKind::NoRecording);
                let what = format!("{recording} of {utterance}");
                return Err(crate::Problem { what, ..problem }.into());
            };
            parts.push((place as u32, segment));
        }
        Ok(Self { table, parts })
    }

    /// The place of an utterance's recording in `wav.scp`, and the part of it.
    pub(super) fn part(&self, position: usize) -> Option<(usize, Segment)> {
        self.parts.get(position).map(|&(place, segment)| (place as usize, segment))
    }
}
