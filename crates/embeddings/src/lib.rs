#![doc = include_str!("../README.md")]

mod archive;
mod dict;
mod dtype;
mod npy;
mod npz;
mod pickle;
mod provenance;
mod provenance_file;
mod row_finder;
mod safetensors;
mod store;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub use ffsvc_kaldi_io::{Error, Result};
pub use provenance::{AudioReading, MixedModels, Provenance, check_one_model};
pub use provenance_file::ProvenanceFile;
pub use row_finder::RowFinder;
pub use store::Embeddings;

/// The forms of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Ark,
    Scp,
    Npz,
    Safetensors,
    Npy,
}

impl Form {
    fn from_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "ark" => Self::Ark,
            "scp" => Self::Scp,
            "npz" => Self::Npz,
            "safetensors" => Self::Safetensors,
            "npy" => Self::Npy,
            _ => return None,
        })
    }

    fn of(path: &Path) -> Result<Self> {
        refuse_pipe(path)?;
        Self::from_extension(path).map_or_else(|| Self::from_content(path), Ok)
    }

    /// Looks at the first bytes of a file whose name does not say what it is.
    fn from_content(path: &Path) -> Result<Self> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(1 << 13).read_to_end(&mut start))
            .map_err(|e| Error::io(path, "read", e))?;
        let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
        let blank = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
        let value = line.get(blank + 1..).unwrap_or_default();
        if start.starts_with(b"\x1f\x8b") {
            return Err(Error::parse(
                path,
                "a gzipped file",
                "an embedding store: unpack it first (gzip -d)",
            ));
        }
        Ok(if start.starts_with(npy::MAGIC) {
            Self::Npy
        } else if start.starts_with(b"PK") {
            Self::Npz
        } else if start.get(8) == Some(&b'{') {
            Self::Safetensors
        } else if value.starts_with(b"\0B") || value.trim_ascii_start().starts_with(b"[") {
            Self::Ark
        } else if !value.is_empty() && std::str::from_utf8(line).is_ok() {
            Self::Scp
        } else {
            return Err(Error::parse(
                path,
                "a file of unknown form",
                "an embedding store: .scp, .ark, .npz, .safetensors or .npy",
            ));
        })
    }
}

impl Embeddings {
    /// Reads a store. The extension says its form (without a known one, its first bytes do):
    ///
    /// * `.scp`, `.ark`: Kaldi archives of float or double vectors, binary or text. A matrix of one row is a vector.
    /// * `.npz`: an array `keys` (text, `[utterances]`) beside an array `embeddings` (`[utterances, dim]`); or one array
    ///   an utterance, named by it.
    /// * `.safetensors`: a tensor `embeddings` (`[utterances, dim]`) with a JSON list of the keys under `keys` in the
    ///   metadata; or one tensor an utterance, named by it.
    /// * `.npy`: a dict of utterance and vector that `numpy.save` has pickled, as the FFSVC2022 baseline does. The
    ///   pickle is read as data; nothing in it is run.
    ///
    /// Doubles are rounded to the nearest float. Where a store came from is read with it
    /// ([`provenance`](Self::provenance)).
    ///
    /// # Errors
    /// The file cannot be read or is damaged; a vector has another dimension than the first, or a number that is not
    /// finite; an utterance is there twice. The message names the utterance.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match Form::of(path)? {
            Form::Ark => archive::read_ark(path),
            Form::Scp => archive::read_scp(path),
            Form::Npz => npz::read(path),
            Form::Safetensors => safetensors::read(path),
            Form::Npy => dict::read(path),
        }
    }

    /// Reads a plain matrix that `numpy.save` has written (`[utterances, dim]`, float32 or float64, C or Fortran order),
    /// with the utterance of each row in the lines of the text file `keys`.
    ///
    /// # Errors
    /// As [`read`](Self::read); the number of keys is not the number of rows.
    pub fn read_npy(matrix: impl AsRef<Path>, keys: impl AsRef<Path>) -> Result<Self> {
        let (path, keys_path) = (matrix.as_ref(), keys.as_ref());
        let bytes = read_file(path)?;
        let keys = std::fs::read_to_string(keys_path).map_err(|e| Error::io(keys_path, "read", e))?;
        let keys: Vec<String> =
            keys.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
        let invalid = |message| Error::invalid(path, message);
        let (rows, dim, data) = npy::parse(&bytes).and_then(|array| array.matrix()).map_err(invalid)?;
        if rows != keys.len() {
            return Err(invalid(format!("{rows} rows, but {} has {} keys", keys_path.display(), keys.len())));
        }
        Self::checked(keys, dim, data).map_err(invalid)
    }

    /// Writes the store in the form that the extension says, whole or not at all:
    ///
    /// * `.ark` or `.scp`: both files of a Kaldi archive of float vectors, side by side; the provenance in
    ///   `NAME.provenance.json` beside them.
    /// * `.npz`: arrays `keys` and `embeddings`, for `numpy.load`.
    /// * `.safetensors`: a tensor `embeddings`, and `keys` in the metadata as a JSON list.
    ///
    /// # Errors
    /// Another extension; a key that the form cannot hold; the disk is full.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match Form::from_extension(path) {
            Some(Form::Ark | Form::Scp) => archive::write(self, path),
            Some(Form::Npz) => npz::write(self, path),
            Some(Form::Safetensors) => safetensors::write(self, path),
            Some(Form::Npy) => Err(Error::invalid(
                path,
                "pickled dicts are read but not written: choose .npz, which numpy.load reads without pickle",
            )),
            None => {
                Err(Error::invalid(path, "an embedding store is written as .ark, .scp, .npz or .safetensors"))
            }
        }
    }
}

/// A store is read at several places, some forms from the end.
fn refuse_pipe(path: &Path) -> Result<()> {
    let is_stdin = path == Path::new("-");
    let metadata =
        if is_stdin { None } else { Some(std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?) };
    let found = match metadata {
        Some(metadata) if metadata.is_file() => return Ok(()),
        Some(metadata) if metadata.is_dir() => "a folder",
        Some(_) => "a pipe or device",
        None => "standard input",
    };
    let expected =
        "a file: an embedding store is not read from its start to its end, so write it to a file first";
    Err(Error::parse(path, found, expected))
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path, "read", e))
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).map_err(|e| Error::io(path, "open", e))
}
