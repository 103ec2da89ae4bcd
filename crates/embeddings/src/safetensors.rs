use std::collections::HashMap;
use std::path::Path;

use ::safetensors::tensor::{Dtype as TensorType, Metadata, TensorView};
use ::safetensors::{SafeTensors, serialize};

use super::dtype::{Dtype, Kind};
use super::mapped::MappedFile;
use super::{npy, read_file};
use crate::{Embeddings, Error, Result};

const EMBEDDINGS: &str = "embeddings";
const KEYS: &str = "keys";

pub(crate) fn read(path: &Path) -> Result<Embeddings> {
    let bytes = read_file(path)?;
    parse(&bytes, None).map_err(|message| Error::invalid(path, message))
}

/// As [`read`], but floats in one tensor stay in the file.
pub(crate) fn map(path: &Path) -> Result<Embeddings> {
    match MappedFile::open(path)? {
        Some(file) => parse(file.bytes(), Some(&file)).map_err(|message| Error::invalid(path, message)),
        None => read(path),
    }
}

fn parse(bytes: &[u8], file: Option<&MappedFile>) -> std::result::Result<Embeddings, String> {
    let damaged = |e| format!("not a readable safetensors file: {e}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let names = metadata.offset_keys();
    if let [name] = names.as_slice()
        && name == EMBEDDINGS
        && let Ok(tensor) = tensors.tensor(name)
        && let &[rows, dim] = tensor.shape()
    {
        let keys = keys(&metadata, rows)?;
        let in_place = file.filter(|_| tensor.dtype() == TensorType::F32);
        if let Some(rows) = in_place.and_then(|file| file.rows(tensor.data())) {
            return Embeddings::mapped(keys, dim, rows);
        }
        return Embeddings::checked(keys, dim, floats(&tensor, name)?);
    }
    let mut store = Embeddings::new(0);
    for name in names {
        let tensor = tensors.tensor(&name).map_err(damaged)?;
        if !npy::is_vector(tensor.shape()) {
            return Err(format!(
                "tensor `{}` of shape {:?}, expected a vector",
                name.escape_debug(),
                tensor.shape()
            ));
        }
        let vector = floats(&tensor, &name)?;
        store.add(name, &vector)?;
    }
    Ok(store)
}

fn keys(metadata: &Metadata, rows: usize) -> std::result::Result<Vec<String>, String> {
    let json = metadata.metadata().as_ref().and_then(|entries| entries.get(KEYS)).ok_or_else(|| {
        "the tensor `embeddings` without `keys` in the metadata, a JSON list of the utterances".to_owned()
    })?;
    let keys: Vec<String> = serde_json::from_str(json)
        .map_err(|e| format!("`keys` in the metadata is not a JSON list of names: {e}"))?;
    if keys.len() != rows {
        return Err(format!("{} keys in the metadata for {rows} embeddings", keys.len()));
    }
    Ok(keys)
}

fn floats(tensor: &TensorView<'_>, name: &str) -> std::result::Result<Vec<f32>, String> {
    let kind = match tensor.dtype() {
        TensorType::F32 => Kind::Float32,
        TensorType::F64 => Kind::Float64,
        other => {
            return Err(format!("tensor `{}` of type {other:?}, expected F32 or F64", name.escape_debug()));
        }
    };
    Ok(Dtype { kind, big_endian: false }.floats(tensor.data()).unwrap_or_default())
}

pub(crate) fn write(store: &Embeddings, path: &Path) -> Result<()> {
    let bytes = to_bytes(store).map_err(|message| Error::invalid(path, message))?;
    ffsvc_atomic_file::write(path, bytes).map_err(|e| Error::io(path, "write", e))
}

fn to_bytes(store: &Embeddings) -> std::result::Result<Vec<u8>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("the store cannot be written as safetensors: {e}");
    let keys = serde_json::to_string(store.keys()).map_err(|e| failed(&e))?;
    let data: Vec<u8> = store.data().iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor =
        TensorView::new(TensorType::F32, vec![store.len(), store.dim()], &data).map_err(|e| failed(&e))?;
    // One entry only: the order of several would change from run to run.
    let metadata = HashMap::from([(KEYS.to_owned(), keys)]);
    serialize([(EMBEDDINGS, tensor)], Some(metadata)).map_err(|e| failed(&e))
}
