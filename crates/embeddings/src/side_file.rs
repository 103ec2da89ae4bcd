//! The provenance of a Kaldi archive: a JSON file beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ffsvc_hashing::{Fnv1a, mix64};
use serde::{Deserialize, Serialize};

use crate::{Embeddings, Error, Provenance, Result};

/// The form of this file that is written and read.
const SCHEMA: u32 = 1;

/// Longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct SideFile {
    schema: u32,
    /// Which embeddings it is about: an archive may be replaced by a program that does not know of this file.
    embeddings: String,
    provenance: Provenance,
}

/// `xvector.ark` and `xvector.scp` have `xvector.provenance.json`.
pub(crate) fn path_of(store: &Path) -> PathBuf {
    store.with_extension("provenance.json")
}

/// Adds to `store`, which was read from `path`, what the file beside it says. A file about other embeddings, or one that
/// cannot be understood, is as good as none.
pub(crate) fn read(store: &mut Embeddings, path: &Path) -> Result<()> {
    let side = path_of(path);
    match std::fs::metadata(&side) {
        Ok(metadata) if metadata.len() <= MAX_BYTES => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(side, "read", error)),
    }
    let text = std::fs::read(&side).map_err(|error| Error::io(&side, "read", error))?;
    if let Ok(file) = serde_json::from_slice::<SideFile>(&text)
        && file.schema == SCHEMA
        && file.embeddings == digest(store)
    {
        store.set_provenance(Some(file.provenance));
    }
    Ok(())
}

/// Removes the file beside a store that is about to be replaced.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let side = path_of(path);
    match std::fs::remove_file(&side) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(side, "remove", error)),
        _ => Ok(()),
    }
}

/// Writes the file beside a store, where its provenance is known.
pub(crate) fn write(store: &Embeddings, path: &Path) -> Result<()> {
    let Some(provenance) = store.provenance() else { return Ok(()) };
    let side = path_of(path);
    let file = SideFile { schema: SCHEMA, embeddings: digest(store), provenance: provenance.clone() };
    let mut text = serde_json::to_vec_pretty(&file)
        .map_err(|error| Error::invalid(&side, format!("the provenance cannot be written: {error}")))?;
    text.push(b'\n');
    ffsvc_atomic_file::write(&side, text).map_err(|error| Error::io(&side, "write", error))
}

/// Tells the embeddings of one archive from those of another, in any order of the rows.
fn digest(store: &Embeddings) -> String {
    let sum = store.iter().fold(0_u64, |sum, (key, vector)| {
        let mut hash = Fnv1a::new();
        hash.update(key.as_bytes());
        sum.wrapping_add(vector.chunks(2).fold(hash.value(), |hash, pair| mix64(hash ^ word(pair))))
    });
    format!("{} x {}, {sum:016x}", store.len(), store.dim())
}

/// One or two floats as one number.
fn word(pair: &[f32]) -> u64 {
    pair.iter().rev().fold(0, |word, x| word << 32 | u64::from(x.to_bits()))
}
