//! The store of a job and the files beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

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
    for path in files(store).into_iter().chain([Mark::path(store)]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::Io { path, source: error });
            }
            _ => {}
        }
    }
    Ok(())
}
