use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::Error;

/// Something wrong in a table or a data directory: where, of what kind, and concerning what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file concerned.
    #[serde(serialize_with = "path_as_text")]
    pub file: Arc<Path>,
    /// The line concerned, counted from 1, where one is to blame.
    pub line: Option<u64>,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The key, path or value concerned; empty where there is none.
    pub what: String,
}

/// The kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file begins with a UTF-8 byte order mark.
    ByteOrderMark,
    /// A line ends in CR LF.
    CarriageReturn,
    /// A carriage return in the middle of a line, as in a file whose lines end in CR alone.
    StrayCarriageReturn,
    /// A line that is not UTF-8.
    NotUtf8,
    /// A line with nothing on it.
    EmptyLine,
    /// A key with nothing behind it.
    NoValue,
    /// A value that the table cannot have: a speaker of two words, a duration that is no number, a segment that ends before it
    /// begins.
    BadValue,
    /// A line whose key and value both occurred before.
    DuplicateKey,
    /// A line whose key occurred before with another value.
    ConflictingKey,
    /// A key that sorts before the key above it in byte order (`LC_ALL=C`).
    Unsorted,
    /// `wav.scp` has no entry.
    EmptyTable,
    /// A table that must be there is not.
    MissingTable,
    /// A command in place of a path, without leave to run commands.
    Pipe,
    /// The audio file does not exist.
    MissingAudio,
    /// A segment of a recording that `wav.scp` lacks.
    NoRecording,
    /// A recording of `wav.scp` of which no utterance is a segment, where there are `segments`.
    UnusedRecording,
    /// An utterance of `wav.scp` or `segments` that `utt2spk` lacks.
    NoSpeaker,
    /// An utterance of another table that `wav.scp`, or where there are any, `segments` lacks.
    NoAudio,
    /// A speaker for whom there is no utterance.
    NoUtterances,
    /// `spk2utt` and `utt2spk` contradict each other.
    SpeakerMismatch,
}

impl ProblemKind {
    /// Whether the line says nothing that could be relied on, so that reading the table is an error.
    pub fn is_fatal(self) -> bool {
        use ProblemKind as P;
        matches!(self, P::StrayCarriageReturn | P::NotUtf8 | P::NoValue | P::DuplicateKey | P::ConflictingKey)
    }

    /// The kind in words, as the messages have it.
    pub fn describe(self) -> &'static str {
        use ProblemKind as P;
        match self {
            P::ByteOrderMark => "byte order mark at the start",
            P::CarriageReturn => "CR LF line end",
            P::StrayCarriageReturn => "carriage return inside a line",
            P::NotUtf8 => "not UTF-8",
            P::EmptyLine => "empty line",
            P::NoValue => "key without a value",
            P::BadValue => "bad value",
            P::DuplicateKey => "duplicate line",
            P::ConflictingKey => "duplicate key with another value",
            P::Unsorted => "not sorted in byte order",
            P::EmptyTable => "table without an entry",
            P::MissingTable => "table missing",
            P::Pipe => "command in place of a path, which is not allowed (allow_pipes)",
            P::MissingAudio => "audio file missing",
            P::NoRecording => "segment of a recording that wav.scp lacks",
            P::UnusedRecording => "recording without a segment",
            P::NoSpeaker => "utterance without a speaker in utt2spk",
            P::NoAudio => "utterance that wav.scp or segments lacks",
            P::NoUtterances => "speaker without utterances",
            P::SpeakerMismatch => "spk2utt contradicts utt2spk",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.kind)?;
        if !self.what.is_empty() {
            write!(f, ": {}", self.what)?;
        }
        Ok(())
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let message = match problem.what.as_str() {
            "" => problem.kind.to_string(),
            what => format!("{}: {what}", problem.kind),
        };
        let error = Error::from_problem(&problem.file, problem.kind, message);
        match problem.line {
            Some(line) => error.at_line(line),
            None => error,
        }
    }
}

fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
