//! What can go wrong between a trial list and an error rate.

use std::fmt;

/// How many names an error lists before it says "and N more".
pub(crate) const NAMES_SHOWN: usize = 10;

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why scores or their error rates could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A trial list, embedding store or score file could not be read or written.
    #[error(transparent)]
    File(#[from] ffsvc_kaldi_io::Error),

    /// The error rate of a class without trials is undefined.
    #[error(
        "found {target} target and {nontarget} non-target trials, expected at least one of each: \
         an error rate of a class without trials is undefined"
    )]
    MissingClass {
        /// Number of target trials.
        target: usize,
        /// Number of non-target trials.
        nontarget: usize,
    },

    /// A score is NaN, which has no place in an ordering.
    #[error(
        "the score of {trial} is NaN, expected a number: look at the embeddings or the program that made it"
    )]
    NanScore {
        /// The trial: its names or its place.
        trial: String,
    },

    /// A prior or cost out of range.
    #[error("{name} is {value}, expected {expected}")]
    DcfParameter {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },

    /// Two sets of embeddings, or a set and a vector, that do not belong together.
    #[error("{what} have {found} dimensions, expected {expected}: they come from different models")]
    Dimension {
        /// Which vectors.
        what: &'static str,
        /// Their length.
        found: usize,
        /// The length that they should have.
        expected: usize,
    },

    /// A mean was asked of a store without embeddings.
    #[error("the store whose mean is to be subtracted holds no embedding")]
    EmptyMean,

    /// Trials whose utterances have no embedding.
    #[error(
        "{trials} of {of} trials cannot be scored: no embedding for {utterances}; \
         extract them, or skip these trials (--skip-missing)"
    )]
    MissingEmbeddings {
        /// Number of trials concerned.
        trials: usize,
        /// Number of trials in the list.
        of: usize,
        /// The utterances without embedding.
        utterances: NameList,
    },

    /// Trials that a score file does not hold.
    #[error(
        "{} of {of} trials have no score in {path}: {trials}; \
         score them, or skip them (--skip-missing)", trials.total()
    )]
    MissingScores {
        /// The score file.
        path: String,
        /// Number of trials in the list.
        of: usize,
        /// The trials without score.
        trials: NameList,
    },

    /// A file that must hold a score for each trial cannot be written when some were skipped.
    #[error(
        "{skipped} of {of} trials have no score, expected one for each: this format has a line for every trial and no names"
    )]
    SkippedTrials {
        /// Trials without score.
        skipped: usize,
        /// Trials in the list.
        of: usize,
    },

    /// Labels, scores and trials that are not equally many.
    #[error("found {found} {what}, expected one for each of {expected} trials")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many trials there are.
        expected: usize,
    },
}

/// Some names out of many: the first ten are kept, all are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameList {
    first: Vec<String>,
    total: usize,
}

impl NameList {
    /// Counts a name and keeps it if it is among the first ten.
    pub(crate) fn push(&mut self, name: impl FnOnce() -> String) {
        if self.first.len() < NAMES_SHOWN {
            self.first.push(name());
        }
        self.total += 1;
    }

    /// The first ten names.
    pub fn first(&self) -> &[String] {
        &self.first
    }

    /// How many names there are in all.
    pub fn total(&self) -> usize {
        self.total
    }
}

impl fmt::Display for NameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.total - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
