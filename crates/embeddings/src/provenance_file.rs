//! The provenance of a file that has no place for it: a JSON file beside it.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Provenance, Result};

/// The form of this file that is written and read.
const SCHEMA: u32 = 1;

/// Longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A file `NAME.provenance.json`, which says which model the content of the file beside it is of.
///
/// It holds a digest of that content, because another program may replace the file beside it and leave this one.
#[derive(Debug, Clone)]
pub struct ProvenanceFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    schema: u32,
    /// Digest of what it is about.
    content: String,
    provenance: Provenance,
}

impl ProvenanceFile {
    /// The file at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The provenance of what has the digest `content`. A file about something else, or one that cannot be understood, is as
    /// good as none.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&self, content: impl FnOnce() -> String) -> Result<Option<Provenance>> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() <= MAX_BYTES => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&self.path, "read", error)),
        }
        let text = std::fs::read(&self.path).map_err(|error| Error::io(&self.path, "read", error))?;
        let Ok(stored) = serde_json::from_slice::<Stored>(&text) else { return Ok(None) };
        Ok((stored.schema == SCHEMA && stored.content == content()).then_some(stored.provenance))
    }

    /// Writes the file for what has the digest `content`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, content: String, provenance: &Provenance) -> Result<()> {
        let stored = Stored { schema: SCHEMA, content, provenance: provenance.clone() };
        let mut text = serde_json::to_vec_pretty(&stored)
            .map_err(|error| Error::invalid(&self.path, format!("it cannot be written: {error}")))?;
        text.push(b'\n');
        ffsvc_atomic_file::write(&self.path, text).map_err(|error| Error::io(&self.path, "write", error))
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(&self.path, "remove", error)),
            _ => Ok(()),
        }
    }
}
