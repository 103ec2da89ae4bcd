use std::path::PathBuf;

/// What can keep recordings from being compared or speakers from being enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recording cannot be embedded.
    #[error("{recording}")]
    Recording {
        /// Its path.
        recording: String,
        /// Why.
        #[source]
        source: ffsvc_extraction::Error,
    },
    /// The quality of a recording cannot be measured.
    #[error(transparent)]
    Quality(#[from] ffsvc_dataset::Error),
    /// The model cannot be opened.
    #[error(transparent)]
    Model(ffsvc_extraction::Error),
    /// A score, a threshold or a calibration is not usable.
    #[error(transparent)]
    Scoring(#[from] ffsvc_scoring::Error),
    /// An embedding cannot be kept.
    #[error(transparent)]
    Embeddings(#[from] ffsvc_embeddings::Error),
    /// A calibration wants more than the one score that two recordings have.
    #[error("{path}: a calibration of {found}; expected one system and no quality measures")]
    Calibration {
        /// The calibration.
        path: String,
        /// What it is a calibration of.
        found: String,
    },
    /// A database belongs to another model.
    #[error("{path}: holds embeddings of {theirs}, but the model is {ours}: enrol again, or use its model")]
    OtherModel {
        /// The database.
        path: PathBuf,
        /// Its model.
        theirs: String,
        /// The model at hand.
        ours: String,
    },
    /// No database is there.
    #[error("{path}: no speaker database (expected database.json); enrol a speaker first")]
    NoDatabase {
        /// The folder.
        path: PathBuf,
    },
    /// A speaker is not enrolled.
    #[error("{path}: no speaker `{name}`; enrolled: {}", enrolled(known))]
    UnknownSpeaker {
        /// The database.
        path: PathBuf,
        /// Who was asked for.
        name: String,
        /// Who is enrolled.
        known: Vec<String>,
    },
    /// A name that no speaker can have.
    #[error("`{}` is no name for a speaker; expected 1 to 80 bytes without control characters", name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
    /// There is nothing to enrol.
    #[error("speaker `{speaker}`: {reason}")]
    Enrolment {
        /// Who.
        speaker: String,
        /// Why not.
        reason: String,
    },
    /// A file of a database is damaged.
    #[error("{path}: found {found}; expected {expected}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// Another process writes to the database.
    #[error("{path}: {reason}")]
    Locked {
        /// The database.
        path: PathBuf,
        /// Who has it.
        reason: String,
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

/// The first ten names, and how many there are.
fn enrolled(known: &[String]) -> String {
    match known {
        [] => "nobody".to_owned(),
        known if known.len() <= 10 => known.join(", "),
        known => format!("{}, ... ({} in all)", known[..10].join(", "), known.len()),
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
