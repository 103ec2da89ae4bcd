//! Numpy's `.npz`: a zip archive of `.npy` files.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;

use ffsvc_atomic_file::AtomicFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{npy, open};
use crate::{Embeddings, Error, Provenance, Result};

const KEYS: &str = "keys";
const EMBEDDINGS: &str = "embeddings";
const PROVENANCE: &str = "provenance";

/// How many times its own size a compressed store may unpack to. Floats hardly shrink and text a hundredfold at the
/// very most; a file that asks for more is meant to exhaust memory.
const MOST_EXPANSION: u64 = 100;
/// Allowed to the smallest of files.
const LEAST_LIMIT: u64 = 1 << 20;

pub(crate) fn read(path: &Path) -> Result<Embeddings> {
    let mut archive = Archive::open(path)?;
    let names = archive.names()?;
    let place = |name: &str| names.iter().position(|n| n == name);
    let provenance = place(PROVENANCE);
    match (place(KEYS), place(EMBEDDINGS), names.len() - usize::from(provenance.is_some())) {
        (Some(keys), Some(embeddings), 2) => {
            let keys = archive.unpack(keys, |array| {
                if array.shape.len() != 1 {
                    return Err(format!("an array of shape {:?} where a list of keys belongs", array.shape));
                }
                array.dtype.strings(array.data)
            })?;
            let (rows, dim, data) = archive.unpack(embeddings, |array| array.matrix())?;
            if rows != keys.len() {
                return Err(Error::invalid(path, format!("{} keys for {rows} embeddings", keys.len())));
            }
            let mut store =
                Embeddings::checked(keys, dim, data).map_err(|message| Error::invalid(path, message))?;
            if let Some(place) = provenance {
                store.set_provenance(Some(archive.unpack(place, |array| {
                    let text = array.dtype.strings(array.data)?;
                    Provenance::from_json(text.first().map_or("", String::as_str))
                })?));
            }
            Ok(store)
        }
        _ => {
            let mut store = Embeddings::new(0);
            for (index, name) in names.into_iter().enumerate() {
                let vector = archive.unpack(index, |array| array.vector())?;
                store.add(name, &vector).map_err(|message| Error::invalid(path, message))?;
            }
            Ok(store)
        }
    }
}

struct Archive<'p> {
    path: &'p Path,
    zip: ZipArchive<BufReader<File>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'p> Archive<'p> {
    fn open(path: &'p Path) -> Result<Self> {
        let mut file = open(path)?;
        let len = file.seek(std::io::SeekFrom::End(0)).map_err(|e| Error::io(path, "seek", e))?;
        let zip = ZipArchive::new(file)
            .map_err(|e| Error::invalid(path, format!("not a readable npz archive: {e}")))?;
        Ok(Self { path, zip, left: LEAST_LIMIT.max(len.saturating_mul(MOST_EXPANSION)) })
    }

    /// The arrays' names: those of the entries without `.npy`.
    fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::with_capacity(self.zip.len());
        for name in self.zip.file_names() {
            let name = name
                .map_err(|e| Error::invalid(self.path, format!("an entry with an unreadable name: {e}")))?;
            let name = name.strip_suffix(".npy").ok_or_else(|| {
                Error::parse(
                    self.path,
                    format!("the entry `{}`", name.escape_debug()),
                    "`.npy` files only, as numpy.savez writes",
                )
            })?;
            names.push(name.to_owned());
        }
        Ok(names)
    }

    fn unpack<T>(
        &mut self,
        index: usize,
        take: impl FnOnce(npy::NpyArray<'_>) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let path = self.path;
        let mut entry = self
            .zip
            .by_index(index)
            .map_err(|e| Error::invalid(path, format!("entry {index} of the archive cannot be read: {e}")))?;
        let name = String::from_utf8_lossy(entry.name_raw()).escape_debug().to_string();
        let mut bytes = Vec::new();
        let read = (&mut entry).take(self.left.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| Error::invalid(path, format!("array `{name}` cannot be unpacked: {e}")))?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            Error::invalid(
                path,
                format!("array `{name}`: the archive unpacks to over {MOST_EXPANSION} times its size"),
            )
        })?;
        npy::parse(&bytes)
            .and_then(take)
            .map_err(|message| Error::invalid(path, format!("array `{name}`: {message}")))
    }
}

pub(crate) fn write(store: &Embeddings, path: &Path) -> Result<()> {
    let file = AtomicFile::create_regular(path).map_err(|e| Error::io(path, "create", e))?;
    write_arrays(store, file).map_err(|e| Error::io(path, "write", e))
}

fn write_arrays(store: &Embeddings, file: AtomicFile) -> std::io::Result<()> {
    // The date is the zip form's first: the same store gives the same bytes on any day.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(true);
    let mut zip = ZipWriter::new(file);

    zip.start_file("keys.npy", options)?;
    write_text(&mut zip, store.keys(), &format!("({},)", store.len()))?;

    zip.start_file("embeddings.npy", options)?;
    zip.write_all(&npy::header("<f4", &format!("({}, {})", store.len(), store.dim())))?;
    let mut row = Vec::with_capacity(4 * store.dim());
    for (_, vector) in store.iter() {
        row.clear();
        row.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
        zip.write_all(&row)?;
    }
    if let Some(provenance) = store.provenance() {
        zip.start_file("provenance.npy", options)?;
        // An array without dimensions: in Python, `str(d["provenance"])`.
        write_text(&mut zip, &[provenance.to_json()], "()")?;
    }
    zip.finish()?.commit()
}

/// An array of text, `<U...`.
fn write_text(out: &mut impl Write, texts: &[String], shape: &str) -> std::io::Result<()> {
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    out.write_all(&npy::header(&format!("<U{width}"), shape))?;
    let mut element = Vec::with_capacity(4 * width);
    for text in texts {
        element.clear();
        element.extend(text.chars().flat_map(|c| u32::from(c).to_le_bytes()));
        element.resize(4 * width, 0);
        out.write_all(&element)?;
    }
    Ok(())
}
