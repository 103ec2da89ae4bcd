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
    /// Only the speech was to be embedded, and there is none.
    #[error("no speech was found in its {duration_s:.1} s")]
    NoSpeech {
        /// Length of the recording.
        duration_s: f64,
    },
    /// Not a precision.
    #[error("precision \"{0}\": expected f32 or int8")]
    Precision(String),
    /// 8 bits on an accelerator.
    #[error("int8 is for the processor: choose the device cpu")]
    Int8Device,
    /// The embedding is not finite.
    #[error(
        "the embedding has a value that is not finite; the model's weights or the recording are unusable"
    )]
    NonFinite,
    /// The recording takes more memory than there is.
    #[error(
        "{duration_s:.1} s of audio take about {} of memory with this network, {} are left; cut the recording",
        Bytes(*.needed), Bytes(*.available)
    )]
    Memory {
        /// Length of the recording.
        duration_s: f64,
        /// Bytes that it would take, estimated.
        needed: u64,
        /// Bytes that there are for it.
        available: u64,
    },
    /// Another process writes the store.
    #[error(transparent)]
    Lock(#[from] ffsvc_atomic_file::LockError),
    /// No store has this ending.
    #[error("{path}: a store of embeddings is written as .ark, .scp, .npz or .safetensors")]
    StoreForm {
        /// The store.
        path: PathBuf,
    },
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

/// A number of bytes as people read it.
struct Bytes(u64);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kib = self.0 as f64 / 1024.0;
        match kib {
            ..1024.0 => write!(f, "{kib:.1} KiB"),
            ..1_048_576.0 => write!(f, "{:.1} MiB", kib / 1024.0),
            _ => write!(f, "{:.1} GiB", kib / 1_048_576.0),
        }
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
