//! Kaldi archives of vectors, with their provenance beside them.

use std::path::Path;

use ffsvc_hashing::{Fnv1a, mix64};
use ffsvc_kaldi_io::{ArkForm, ArkReader, ArkWriter, ScpReader, Value};

use crate::{Embeddings, Error, ProvenanceFile, Result};

pub(crate) fn read_ark(path: &Path) -> Result<Embeddings> {
    let mut store = Embeddings::new(0);
    for entry in ArkReader::open(path)? {
        let (key, value) = entry?;
        add(&mut store, path, key, value)?;
    }
    with_provenance(store, path)
}

pub(crate) fn read_scp(path: &Path) -> Result<Embeddings> {
    let mut store = Embeddings::new(0);
    for entry in ScpReader::open(path)?.values() {
        let (key, value) = entry?;
        add(&mut store, path, key.to_owned(), value)?;
    }
    with_provenance(store, path)
}

fn add(store: &mut Embeddings, path: &Path, key: String, value: Value) -> Result<()> {
    let vector = value
        .into_f32_vector()
        .map_err(|matrix| Error::parse(path, format!("{matrix} for utterance `{key}`"), "one vector"))?;
    store.add(key, &vector).map_err(|message| Error::invalid(path, message))
}

pub(crate) fn write(store: &Embeddings, path: &Path) -> Result<()> {
    let (ark, scp) = (path.with_extension("ark"), path.with_extension("scp"));
    let mut writer = ArkWriter::create(&ark, Some(&scp), ArkForm::Binary)?;
    for (key, vector) in store.iter() {
        writer.write_vector(key, vector)?;
    }
    // The new archive is never seen beside the file of the old one.
    let provenance = provenance_file(path);
    provenance.remove()?;
    writer.finish()?;
    match store.provenance() {
        Some(known) => provenance.write(digest(store), known),
        None => Ok(()),
    }
}

/// `xvector.ark` and `xvector.scp` have `xvector.provenance.json`.
fn provenance_file(store: &Path) -> ProvenanceFile {
    ProvenanceFile::at(store.with_extension("provenance.json"))
}

fn with_provenance(mut store: Embeddings, path: &Path) -> Result<Embeddings> {
    let provenance = provenance_file(path).read(|| digest(&store))?;
    store.set_provenance(provenance);
    Ok(store)
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
