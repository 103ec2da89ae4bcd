//! Kaldi archives of vectors, with their provenance beside them.

use std::collections::BTreeMap;
use std::path::Path;

use ffsvc_hashing::{Fnv1a, mix64};
use ffsvc_kaldi_io::{ArkForm, ArkReader, ArkWriter, ScpReader, Value};

use crate::{Embeddings, Error, Provenance, ProvenanceFile, Result};

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
    let mut table = ScpReader::open(path)?;
    for entry in table.values() {
        let (key, value) = entry?;
        add(&mut store, path, key.to_owned(), value)?;
    }
    let mut store = with_provenance(store, path)?;
    if store.provenance().is_none() {
        let provenance = of_joined(&store, &table)?;
        store.set_provenance(provenance);
    }
    Ok(store)
}

/// The provenance of a table that is not its archive's own, such as several put together (`cat dev.1.scp dev.2.scp`): what the
/// files beside all of its archives say, if each archive is there as a whole and all say the same. Where the lists of recordings
/// differ, as those of shards do, there is none; a model of one content may have had several names.
fn of_joined(store: &Embeddings, table: &ScpReader) -> Result<Option<Provenance>> {
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, archive) in table.archives().enumerate() {
        rows.entry(archive).or_default().push(row);
    }
    let mut found: Option<Provenance> = None;
    for (archive, rows) in rows {
        let of_archive = provenance_file(&table.path_of(archive)).read(|| digest_of(store, rows))?;
        let Some(mut other) = of_archive else { return Ok(None) };
        if let Some(first) = &mut found {
            if first.list_sha256 != other.list_sha256 {
                (first.list_sha256, other.list_sha256) = (None, None);
            }
            if first.model_sha256 == other.model_sha256 {
                other.model.clone_from(&first.model);
            }
            if *first != other {
                return Ok(None);
            }
        }
        found = Some(other);
    }
    Ok(found)
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
    digest_of(store, 0..store.len())
}

/// The digest of a store that has these rows alone.
fn digest_of(store: &Embeddings, rows: impl IntoIterator<Item = usize>) -> String {
    let (mut len, mut sum) = (0, 0_u64);
    for row in rows {
        let mut hash = Fnv1a::new();
        hash.update(store.keys()[row].as_bytes());
        let vector = store.data().chunks_exact(store.dim().max(1)).nth(row).unwrap_or_default();
        sum = sum.wrapping_add(vector.chunks(2).fold(hash.value(), |hash, pair| mix64(hash ^ word(pair))));
        len += 1;
    }
    format!("{len} x {}, {sum:016x}", store.dim())
}

/// One or two floats as one number.
fn word(pair: &[f32]) -> u64 {
    pair.iter().rev().fold(0, |word, x| word << 32 | u64::from(x.to_bits()))
}
