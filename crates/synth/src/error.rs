//! What can go wrong.

use std::path::{Path, PathBuf};

/// Why a corpus could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option asks for something that cannot be made.
    #[error("{name} is {found}, expected {expected}")]
    Option {
        /// Name of the field of [`SynthConfig`](crate::SynthConfig).
        name: &'static str,
        /// Its value.
        found: String,
        /// The values allowed.
        expected: String,
    },
    /// A table of paths cannot hold this path.
    #[error("the folder {} cannot stand in wav.scp: expected UTF-8 without line breaks and `|`", path.display())]
    Path {
        /// The folder.
        path: PathBuf,
    },
    /// A folder or table cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A recording cannot be written.
    #[error("cannot write a recording")]
    Audio(#[from] ffsvc_audio::Error),
    /// A Fourier transform failed.
    #[error("utterance {utterance}")]
    Transform {
        /// Its id.
        utterance: String,
        /// The cause.
        source: realfft::FftError,
    },
    /// The threads asked for cannot be started.
    #[error("cannot start the worker threads")]
    Workers(#[from] rayon::ThreadPoolBuildError),
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn option(name: &'static str, found: impl ToString, expected: String) -> Self {
        Error::Option { name, found: found.to_string(), expected }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Error::Write { path: path.to_path_buf(), source }
    }
}
