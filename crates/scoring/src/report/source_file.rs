//! Files that went into a result.

use std::fmt;
use std::path::Path;

use ffsvc_hashing::{Sha256, name_with_sha256, sha256_of_file};
use ffsvc_kaldi_io::{Error as FileError, Table, Trials};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A file that went into a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path as it was given.
    pub path: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits; of a gzipped list, of the unpacked text.
    pub sha256: String,
}

impl SourceFile {
    /// Reads the file once to identify it by its content.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn identify(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let sha256 = sha256_of_file(path).map_err(|error| FileError::io(path, "read", error))?;
        Ok(Self { path: path.display().to_string(), sha256 })
    }

    /// The trial list that was read from `path`, by what was read.
    ///
    /// # Errors
    /// The trials were not read from a file, and `path` cannot be read.
    pub fn of_trials(path: impl AsRef<Path>, trials: &Trials) -> Result<Self> {
        match trials.sha256() {
            Some(sha256) => Ok(Self { path: path.as_ref().display().to_string(), sha256: sha256.to_owned() }),
            None => Self::identify(path),
        }
    }

    /// A table, by what was read.
    pub fn of_table(table: &Table) -> Self {
        Self { path: table.path().display().to_string(), sha256: table.sha256() }
    }

    /// The file that was read from `path`, with these bytes.
    pub(crate) fn of_bytes(path: &Path, bytes: &[u8]) -> Self {
        let mut sha256 = Sha256::new();
        sha256.update(bytes);
        Self { path: path.display().to_string(), sha256: sha256.hex() }
    }
}

impl fmt::Display for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name_with_sha256(&self.path, &self.sha256))
    }
}
