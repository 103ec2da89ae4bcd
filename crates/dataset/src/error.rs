use std::path::PathBuf;

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read or decoded.
    #[error(transparent)]
    Audio(#[from] ffsvc_audio::Error),
    /// A command of wav.scp gives more than [`Limits::max_bytes`](ffsvc_audio::Limits::max_bytes).
    #[error("command `{command}`: still not at the end of its output after {limit} bytes, the limit")]
    TooManyBytes {
        /// The shell command.
        command: String,
        /// The limit.
        limit: u64,
    },
    /// A `command |` entry of wav.scp did not deliver audio.
    #[error("command `{command}`: {reason}")]
    Pipe {
        /// The shell command.
        command: String,
        /// What went wrong.
        reason: String,
    },
}

/// Why training data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is outside what it may be.
    #[error("{key} = {found}, expected {expected}")]
    Config {
        /// `section.key`.
        key: &'static str,
        /// The value given.
        found: String,
        /// What would be accepted.
        expected: String,
    },
    /// A number of the configuration that is out of its range.
    #[error(transparent)]
    Range(#[from] ffsvc_ranges::OutOfRange),
    /// A data directory or list could not be read or is wrong.
    #[error(transparent)]
    Data(#[from] ffsvc_kaldi_io::Error),
    /// The data are readable but cannot be trained on.
    #[error("{what}: found {found}; expected {expected}")]
    DataSet {
        /// Which data.
        what: String,
        /// What is there.
        found: String,
        /// What training needs.
        expected: String,
    },
    /// An utterance's audio could not be read.
    #[error("utterance {utterance}: {source}")]
    Audio {
        /// Utterance id.
        utterance: String,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// An utterance's features could not be computed.
    #[error("utterance {utterance}: {source}")]
    Features {
        /// Utterance id.
        utterance: String,
        /// Why.
        #[source]
        source: ffsvc_features::Error,
    },
    /// Too many training recordings cannot be used.
    #[error(
        "{failed} of {total} training recordings cannot be used, more than data.max_failed_share = {limit} allows"
    )]
    TooManyUnreadable {
        /// Recordings that failed so far.
        failed: usize,
        /// All recordings.
        total: usize,
        /// The share allowed.
        limit: f64,
        /// The last failure.
        #[source]
        last: Box<Error>,
    },
    /// Augmentation is set up wrongly, or too many of its sounds cannot be read.
    #[error(transparent)]
    Augment(ffsvc_augment::Error),
    /// The front end's options are wrong.
    #[error("features: {0}")]
    FrontEnd(ffsvc_features::Error),
    /// The folder of an augmented copy holds something that it would replace, or a value has no JSON form.
    #[error("{path}: {reason}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The thread that loads data ended without a batch.
    #[error("a data worker stopped without a result; this is a defect, please report it with the log")]
    WorkerLost,
}

impl Error {
    /// Why a recording cannot be used, without its name, which stands beside it in lists.
    pub fn of_recording(&self) -> String {
        match self {
            Self::Audio { source, .. } => source.to_string(),
            Self::Features { source, .. } => source.to_string(),
            error => error.to_string(),
        }
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) trait IoContext<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.into(), source })
    }
}
