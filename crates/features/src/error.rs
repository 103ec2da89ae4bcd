//! What can go wrong between samples and features.

/// A `Result` whose error is this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why features could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signal is shorter than one frame, or than its reflected padding.
    #[error(
        "the signal has {found} samples, at least {minimum} are needed; leave it out, or repeat it to that length"
    )]
    TooShort {
        /// Samples given.
        found: usize,
        /// Samples needed.
        minimum: usize,
    },
    /// A sample is not a number, infinite, or so large that its power would not fit into 32 bits.
    #[error(
        "sample {index} is {value}; samples must be finite and within +-{limit:e} (full scale is 1.0 or 32768)"
    )]
    Sample {
        /// Place of the first such sample.
        index: usize,
        /// Its value.
        value: f32,
        /// Largest magnitude accepted.
        limit: f32,
    },
    /// The caller's output slice does not have one place for each value.
    #[error("the output has {found} places; {num_mels} mel bands x {num_frames} frames need {expected}")]
    OutputLength {
        /// Length of the slice given.
        found: usize,
        /// Length needed.
        expected: usize,
        /// Rows of the output.
        num_mels: usize,
        /// Columns of the output.
        num_frames: usize,
    },
    /// A model of a speech detector that cannot be used.
    #[error("{path}: {reason}")]
    Model {
        /// The file.
        path: String,
        /// What was found, and what was expected.
        reason: String,
    },
    /// An option has a value that no front end can be built from.
    #[error("{option} = {found}: expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// The value given.
        found: String,
        /// What it may be.
        expected: String,
    },
}

impl Error {
    pub(crate) fn option(option: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Option { option, found: found.to_string(), expected: expected.into() }
    }
}
