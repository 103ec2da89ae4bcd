use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that could not be read, written or made sense of: which one, where in it, and why.
///
/// Displays as `PATH:LINE: CAUSE`, or `PATH: CAUSE` where no line is to blame. The message is complete in itself:
/// there is no [`source`](std::error::Error::source) that would repeat a part of it.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    line: Option<u64>,
    cause: Cause,
}

/// Why a file was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The operating system refused: `doing` says what was attempted ("open", "write").
    Io {
        /// The attempt, a verb that completes "cannot ...".
        doing: Cow<'static, str>,
        /// The system's answer.
        error: io::Error,
    },
    /// The content is not what it should be.
    Parse {
        /// What stands in the file.
        found: Cow<'static, str>,
        /// What belongs there.
        expected: Cow<'static, str>,
    },
    /// The content can be read, but what it says cannot be used or what was asked of it cannot be done.
    /// The text is a sentence that ends with the way out where there is one.
    Invalid(Cow<'static, str>),
    /// The first and the last column of a trial list could both be the labels; [`TrialColumns`](crate::TrialColumns)
    /// says which.
    AmbiguousColumns,
    /// The file is there already and may not be replaced.
    Exists,
    /// A line of a table is wrong in this way; the text says what is concerned.
    Problem(crate::ProblemKind, String),
}

impl Error {
    /// The system refused to `doing` (a verb: "open", "read", "write") the file.
    pub fn io(path: impl AsRef<Path>, doing: impl Into<Cow<'static, str>>, error: io::Error) -> Self {
        Self::from_cause(path, Cause::Io { doing: doing.into(), error })
    }

    /// The file holds `found` where `expected` belongs. Add the line with [`at_line`](Self::at_line).
    pub fn parse(
        path: impl AsRef<Path>,
        found: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::from_cause(path, Cause::Parse { found: found.into(), expected: expected.into() })
    }

    /// The file is readable but unusable for the reason given in `message`.
    pub fn invalid(path: impl AsRef<Path>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::from_cause(path, Cause::Invalid(message.into()))
    }

    pub(crate) fn exists(path: impl AsRef<Path>) -> Self {
        Self::from_cause(path, Cause::Exists)
    }

    pub(crate) fn from_problem(path: &Path, kind: crate::ProblemKind, message: String) -> Self {
        Self::from_cause(path, Cause::Problem(kind, message))
    }

    pub(crate) fn ambiguous_columns(path: impl AsRef<Path>) -> Self {
        Self::from_cause(path, Cause::AmbiguousColumns)
    }

    fn from_cause(path: impl AsRef<Path>, cause: Cause) -> Self {
        Self { path: path.as_ref().to_path_buf(), line: None, cause }
    }

    /// The same error, blamed on `line` (counted from 1).
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// The file concerned.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line concerned, counted from 1, where one is to blame.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Why the file was refused.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error } => write!(f, "cannot {doing}: {error}"),
            Self::Parse { found, expected } => write!(f, "found {found}, expected {expected}"),
            Self::Invalid(message) => f.write_str(message),
            Self::Problem(_, message) => f.write_str(message),
            Self::Exists => f.write_str("exists already; name another folder, or let it be overwritten"),
            Self::AmbiguousColumns => f.write_str(
                "the first and the last column could both be the label; say which: the columns are label-first or label-last",
            ),
        }
    }
}

impl std::error::Error for Error {}
