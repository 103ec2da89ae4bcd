//! The `.safetensors` form, read and written piece by piece: the vectors are in memory once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use ::safetensors::tensor::{Dtype as TensorType, Metadata, TensorInfo};
use ffsvc_atomic_file::AtomicFile;
use serde::Serialize;

use crate::dtype::{Dtype, Kind};
use crate::{Embeddings, Error, Provenance, Result, npy, open};

const EMBEDDINGS: &str = "embeddings";
const KEYS: &str = "keys";
const PROVENANCE: &str = "provenance";

/// Longest header, as in the safetensors library.
const MAX_HEADER_BYTES: u64 = 100_000_000;

pub(crate) fn read(path: &Path) -> Result<Embeddings> {
    let file = open(path)?;
    let size = file.get_ref().metadata().map_err(|e| Error::io(path, "read", e))?.len();
    read_from(file, size).map_err(|message| Error::invalid(path, message))
}

fn read_from(mut file: BufReader<File>, size: u64) -> std::result::Result<Embeddings, String> {
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(damaged)?;
    let (header_size, data_size) = split(u64::from_le_bytes(length), size).ok_or_else(|| {
        damaged(
            "its length is not that of a header and the tensors that it announces: the file was cut short",
        )
    })?;
    let mut header = vec![0; header_size];
    file.read_exact(&mut header).map_err(damaged)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(damaged)?;
    drop(header);
    if metadata.data_len() as u64 != data_size {
        return Err(damaged(format!("{data_size} bytes of tensors, {} are announced", metadata.data_len())));
    }
    // The tensors follow each other without gaps in this order, or the header would have been refused.
    let names = metadata.offset_keys();
    if let [name] = names.as_slice()
        && name == EMBEDDINGS
        && let Some(info) = metadata.info(name)
        && let &[rows, dim] = info.shape.as_slice()
    {
        let keys = keys(&metadata, rows)?;
        let mut store = Embeddings::checked(keys, dim, floats(&mut file, info, name)?)?;
        if let Some(json) = entry(&metadata, PROVENANCE) {
            store.set_provenance(Some(Provenance::from_json(json)?));
        }
        return Ok(store);
    }
    let mut store = Embeddings::new(0);
    for name in names {
        let Some(info) = metadata.info(&name) else { continue };
        if !npy::is_vector(&info.shape) {
            let (name, shape) = (name.escape_debug(), &info.shape);
            return Err(format!("tensor `{name}` of shape {shape:?}, expected a vector"));
        }
        let vector = floats(&mut file, info, &name)?;
        store.add(name, &vector)?;
    }
    Ok(store)
}

/// The bytes of the header and of the tensors; `None` if the header cannot be there.
fn split(header: u64, size: u64) -> Option<(usize, u64)> {
    let data = size.checked_sub(8)?.checked_sub(header)?;
    (header <= MAX_HEADER_BYTES).then_some((header as usize, data))
}

fn damaged(error: impl std::fmt::Display) -> String {
    format!("not a readable safetensors file: {error}")
}

fn entry<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a String> {
    metadata.metadata().as_ref()?.get(name)
}

fn keys(metadata: &Metadata, rows: usize) -> std::result::Result<Vec<String>, String> {
    let json = entry(metadata, KEYS).ok_or_else(|| {
        "the tensor `embeddings` without `keys` in the metadata, a JSON list of the utterances".to_owned()
    })?;
    let keys: Vec<String> = serde_json::from_str(json)
        .map_err(|e| format!("`keys` in the metadata is not a JSON list of names: {e}"))?;
    if keys.len() != rows {
        return Err(format!("{} keys in the metadata for {rows} embeddings", keys.len()));
    }
    Ok(keys)
}

/// The numbers of the tensor that begins here. The file is as long as the header says.
fn floats(
    file: &mut BufReader<File>,
    info: &TensorInfo,
    name: &str,
) -> std::result::Result<Vec<f32>, String> {
    let (start, end) = info.data_offsets;
    match info.dtype {
        TensorType::F32 => {
            let mut numbers = vec![0_f32; (end - start) / 4];
            file.read_exact(bytemuck::cast_slice_mut(&mut numbers)).map_err(damaged)?;
            if cfg!(target_endian = "big") {
                numbers.iter_mut().for_each(|x| *x = f32::from_bits(x.to_bits().swap_bytes()));
            }
            Ok(numbers)
        }
        TensorType::F64 => {
            let mut bytes = vec![0; end - start];
            file.read_exact(&mut bytes).map_err(damaged)?;
            Ok(Dtype { kind: Kind::Float64, big_endian: false }.floats(&bytes).unwrap_or_default())
        }
        other => Err(format!("tensor `{}` of type {other:?}, expected F32 or F64", name.escape_debug())),
    }
}

pub(crate) fn write(store: &Embeddings, path: &Path) -> Result<()> {
    let header = header(store).map_err(|message| Error::invalid(path, message))?;
    let file = AtomicFile::create(path).map_err(|e| Error::io(path, "create", e))?;
    write_to(file, store, &header).map_err(|e| Error::io(path, "write", e))
}

fn write_to(mut file: AtomicFile, store: &Embeddings, header: &[u8]) -> std::io::Result<()> {
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    let mut row = Vec::with_capacity(4 * store.dim());
    for (_, vector) in store.iter() {
        row.clear();
        row.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
        file.write_all(&row)?;
    }
    file.commit()
}

/// The header as the safetensors library writes it, but for the order of the metadata, which there changes from run to run.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<&'a str, String>,
    embeddings: TensorInfo,
}

fn header(store: &Embeddings) -> std::result::Result<Vec<u8>, String> {
    let failed = |e: serde_json::Error| format!("the store cannot be written as safetensors: {e}");
    let keys = serde_json::to_string(store.keys()).map_err(failed)?;
    let mut metadata = BTreeMap::from([(KEYS, keys)]);
    metadata.extend(store.provenance().map(|provenance| (PROVENANCE, provenance.to_json())));
    let embeddings = TensorInfo {
        dtype: TensorType::F32,
        shape: vec![store.len(), store.dim()],
        data_offsets: (0, 4 * store.data().len()),
    };
    let mut header = serde_json::to_vec(&Header { metadata, embeddings }).map_err(failed)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER_BYTES {
        let message = format!(
            "the names of {} utterances are more than a safetensors file can hold (100 MB): write .npz or .ark",
            store.len()
        );
        return Err(message);
    }
    Ok(header)
}
