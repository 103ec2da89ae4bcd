//! The data directories of a training set, and how much of each a batch has.

use std::path::{Path, PathBuf};

use ffsvc_ranges::Range;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// `data.train`: a data directory, or several with their shares of each batch.
///
/// ```toml
/// train = "data/vox2dev"
/// ```
/// ```toml
/// train = [{ path = "data/vox2dev", share = 0.5 }, { path = "data/ffsvc2020", share = 0.5 }]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum TrainData {
    /// One Kaldi data directory with `wav.scp` and `utt2spk`.
    One(PathBuf),
    /// Several of them. A speaker of the same name in two is one speaker; an utterance may be in one only.
    Several(Vec<DataShare>),
}

/// One of several data directories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DataShare {
    /// Kaldi data directory with `wav.scp` and `utt2spk`.
    pub path: PathBuf,
    /// Its share of each batch, in proportion to the others'.
    pub share: f64,
}

impl DataShare {
    /// Range of [`share`](Self::share).
    pub const SHARE: Range<f64> = Range::above(0.0).at_most(1e6);
}

/// A data directory as it went into a [`TrainingSet`](crate::TrainingSet).
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingDomain {
    /// The directory.
    pub path: PathBuf,
    /// Its share of each batch, in proportion to the others'.
    pub share: f64,
    /// How many of the set's utterances are its own. They stand together, in the order of the directories.
    pub utterances: usize,
}

impl TrainData {
    /// The directories with their shares.
    pub fn shares(&self) -> Vec<(&Path, f64)> {
        match self {
            Self::One(path) => vec![(path, 1.0)],
            Self::Several(domains) => {
                domains.iter().map(|domain| (domain.path.as_path(), domain.share)).collect()
            }
        }
    }

    /// The directories, to be changed.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::One(path) => vec![path],
            Self::Several(domains) => domains.iter_mut().map(|domain| &mut domain.path).collect(),
        }
    }

    /// All directories, for a message.
    pub fn display(&self) -> String {
        let paths: Vec<String> = self.shares().iter().map(|(path, _)| path.display().to_string()).collect();
        paths.join(", ")
    }

    /// Checks that there is a directory.
    ///
    /// # Errors
    /// An empty list.
    pub fn check(&self) -> Result<()> {
        if !self.shares().is_empty() {
            return Ok(());
        }
        Err(Error::Config { key: "data.train", found: "[]".into(), expected: "one directory or more".into() })
    }
}

impl From<&str> for TrainData {
    fn from(path: &str) -> Self {
        Self::One(path.into())
    }
}

impl From<PathBuf> for TrainData {
    fn from(path: PathBuf) -> Self {
        Self::One(path)
    }
}
