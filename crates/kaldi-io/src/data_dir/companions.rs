//! The tables that may stand beside `wav.scp`, `utt2spk` and `spk2utt`.

use std::path::Path;

use crate::{Error, Result, Table};

/// What the keys of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keys {
    Utterances,
    Speakers,
    /// Where there are no `segments`, these are the utterances.
    Recordings,
}

/// Tells the tables that follow `wav.scp` along (a subset of the directory has the subset of these) from other
/// files, which are left alone: `utt2*`, `text`, `feats.scp` and `vad.scp` are by utterance, `spk2*` by speaker, `reco2*` by
/// recording.
pub(super) fn keys_of(name: &str) -> Option<Keys> {
    let is_name =
        |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match name {
        "utt2spk" | "spk2utt" => None,
        "text" | "feats.scp" | "vad.scp" => Some(Keys::Utterances),
        _ if name.strip_prefix("utt2").is_some_and(is_name) => Some(Keys::Utterances),
        _ if name.strip_prefix("spk2").is_some_and(is_name) => Some(Keys::Speakers),
        _ if name.strip_prefix("reco2").is_some_and(is_name) => Some(Keys::Recordings),
        _ => None,
    }
}

/// Names of the companion tables in a folder, in byte order.
pub(super) fn names_in(path: &Path) -> Result<Vec<(String, Keys)>> {
    let entries = std::fs::read_dir(path).map_err(|error| Error::io(path, "list", error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(path, "list", error))?;
        if let Ok(name) = entry.file_name().into_string()
            && let Some(keys) = keys_of(&name)
            && entry.path().is_file()
        {
            names.push((name, keys));
        }
    }
    names.sort();
    Ok(names)
}

/// Reads the companion tables of a folder.
pub(super) fn read_all(path: &Path) -> Result<Vec<(String, Keys, Table)>> {
    names_in(path)?
        .into_iter()
        .map(|(name, keys)| Table::read(path.join(&name)).map(|table| (name, keys, table)))
        .collect()
}

/// Whether a folder has an entry of this name. A dangling link counts: it is an error to be seen, not an absence.
pub(super) fn is_present(path: &Path, name: &str) -> bool {
    path.join(name).symlink_metadata().is_ok()
}
