use std::path::PathBuf;

/// What can keep an embedding from being extracted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording cannot be read.
    #[error(transparent)]
    Recording(#[from] ffsvc_dataset::ReadError),
    /// Features cannot be computed, for example from too short a recording.
    #[error(transparent)]
    Features(#[from] ffsvc_features::Error),
    /// The model file is wrong, or the recording is too short for the model.
    #[error(transparent)]
    Model(#[from] ffsvc_models::Error),
    /// A table or an embedding store cannot be read or written.
    #[error(transparent)]
    Data(#[from] ffsvc_kaldi_io::Error),
    /// The embedding is not finite.
    #[error(
        "the embedding has a value that is not finite; the model's weights or the recording are unusable"
    )]
    NonFinite,
    /// A file cannot be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
