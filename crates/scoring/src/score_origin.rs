//! Which model the scores of a file are of: a JSON file beside it.
//!
//! A score file is text that every toolkit reads, so it has no place for its origin. `dev.scores` gets
//! `dev.scores.provenance.json`, which names the scores by their SHA-256: it says nothing of a file that another program has
//! written in its place.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ffsvc_atomic_file::Target;
use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::Error as FileError;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The form of this file that is written and read.
const SCHEMA: u32 = 1;

/// Longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct ScoreOrigin {
    schema: u32,
    /// SHA-256 of the scores.
    scores_sha256: String,
    model: Provenance,
}

/// The file beside the score file `scores`; `None` where that is no regular file.
fn path_of(scores: &Path) -> Option<PathBuf> {
    let Ok(Target::File(scores)) = Target::of(scores) else { return None };
    let mut name: OsString = scores.into();
    name.push(".provenance.json");
    Some(name.into())
}

/// Writes the file beside `scores`, or removes it where the model is not known.
///
/// # Errors
/// The folder cannot be written to.
pub(crate) fn write(scores: &Path, sha256: String, model: Option<&Provenance>) -> Result<()> {
    let Some(path) = path_of(scores) else { return Ok(()) };
    let Some(model) = model else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(FileError::io(path, "remove", error).into())
            }
            _ => Ok(()),
        };
    };
    let origin = ScoreOrigin { schema: SCHEMA, scores_sha256: sha256, model: model.clone() };
    let mut json =
        serde_json::to_vec_pretty(&origin).map_err(|error| FileError::invalid(&path, error.to_string()))?;
    json.push(b'\n');
    ffsvc_atomic_file::write(&path, json).map_err(|error| FileError::io(&path, "write", error))?;
    Ok(())
}

/// The model that the file beside `scores` names. A file about other scores, or one that cannot be understood, is as good as
/// none.
pub(crate) fn read(scores: &Path, sha256: &str) -> Option<Provenance> {
    let path = path_of(scores)?;
    if std::fs::metadata(&path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let origin: ScoreOrigin = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    (origin.schema == SCHEMA && origin.scores_sha256 == sha256).then_some(origin.model)
}
