//! The store of a job and the files beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ffsvc_atomic_file::Lock;
use ffsvc_dataset::Notices;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::identity::Identity;

/// `STORE` with `ending` behind its whole name.
pub(crate) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    store.with_file_name(name)
}

/// Checks the ending of a store, which [`Job::run`](crate::Job::run) does before any work.
///
/// # Errors
/// No form of stores that can be written has this ending.
pub fn check_store(store: &Path) -> Result<()> {
    let ending =
        store.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    if matches!(ending.as_str(), "ark" | "scp" | "npz" | "safetensors") {
        return Ok(());
    }
    Err(Error::StoreForm { path: store.to_path_buf() })
}

/// Keeps other processes from writing the store.
pub(crate) fn lock(store: &Path) -> Result<Lock> {
    let lock = Lock::beside(&files(store)[0])?;
    if !lock.is_held() {
        tracing::warn!(
            "{}: this file system has no locks; no other process may write the store meanwhile",
            store.display()
        );
    }
    Ok(lock)
}

/// The files of a store: two of a Kaldi archive, else one.
fn files(store: &Path) -> Vec<PathBuf> {
    match store.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("ark" | "scp") => vec![store.with_extension("ark"), store.with_extension("scp")],
        _ => vec![store.to_path_buf()],
    }
}

/// What was written, beside a complete store: `STORE.extraction.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    pub(crate) identity: Identity,
    pub(crate) notices: Notices,
    /// Length in bytes and time of change in nanoseconds since 1970 of each file.
    files: Vec<(u64, u64)>,
}

impl Mark {
    fn path(store: &Path) -> PathBuf {
        beside(store, ".extraction.json")
    }

    /// The mark of a store that is as it was written.
    pub(crate) fn read(store: &Path) -> Option<Self> {
        let text = fs::read_to_string(Self::path(store)).ok()?;
        let mark: Self = serde_json::from_str(&text).ok()?;
        (state(store).ok()? == mark.files).then_some(mark)
    }

    pub(crate) fn write(store: &Path, identity: Identity, notices: Notices) -> Result<()> {
        let path = Self::path(store);
        let io = |source| Error::Io { path: path.clone(), source };
        let mark = Self { identity, notices, files: state(store).map_err(io)? };
        let text = serde_json::to_string_pretty(&mark).map_err(|error| io(error.into()))?;
        ffsvc_atomic_file::write(&path, text + "\n").map_err(io)
    }
}

fn state(store: &Path) -> std::io::Result<Vec<(u64, u64)>> {
    files(store)
        .iter()
        .map(|file| {
            let metadata = fs::metadata(file)?;
            let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok((metadata.len(), changed.as_nanos() as u64))
        })
        .collect()
}

/// Removes a store of an earlier job, so that nobody takes it for the result of one that has none.
pub(crate) fn remove(store: &Path) -> Result<()> {
    let mut gone = files(store);
    if gone.len() == 2 {
        // A Kaldi archive has its provenance beside it.
        gone.push(store.with_extension("provenance.json"));
    }
    gone.push(Mark::path(store));
    for path in gone {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::Io { path, source: error });
            }
            _ => {}
        }
    }
    Ok(())
}
