//! `torch.save`'s zip format: a pickle of protocol 2 that describes the tensors, and a file for the numbers of each.

use std::io::{self, Write};
use std::path::Path;

use ffsvc_atomic_file::AtomicFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::parameters::NamedTensor;

/// PyTorch puts numbers at multiples of this, so that files can be mapped.
const ALIGNMENT: u16 = 64;
/// The version of the format that PyTorch 1.6 and later write.
const VERSION: &[u8] = b"3\n";

/// What is pickled.
pub(super) enum Value<'a> {
    /// Keys and values, in this order.
    Dictionary(Vec<(&'a str, Value<'a>)>),
    /// A tensor of 32-bit floats.
    Tensor(&'a NamedTensor),
}

impl<'a> Value<'a> {
    /// A dictionary of tensors by their names.
    pub(super) fn dictionary(tensors: &'a [NamedTensor]) -> Self {
        Self::Dictionary(tensors.iter().map(|tensor| (tensor.name.as_str(), Self::Tensor(tensor))).collect())
    }
}

/// Writes `value` to `path`, completely or not at all.
pub(super) fn save(path: &Path, value: &Value<'_>) -> io::Result<()> {
    let mut pickle = vec![0x80, 2];
    let mut storages = Vec::new();
    push(value, &mut pickle, &mut storages);
    pickle.push(b'.');

    // The date is the zip form's first: the same weights give the same bytes on any day.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .with_alignment(ALIGNMENT);
    let mut zip = ZipWriter::new(AtomicFile::create_regular(path)?);
    zip.start_file("archive/data.pkl", options)?;
    zip.write_all(&pickle)?;
    zip.start_file("archive/byteorder", options)?;
    zip.write_all(b"little")?;
    for (key, tensor) in storages.iter().enumerate() {
        let large = size_of_val(tensor.data.as_slice()) as u64 >= u64::from(u32::MAX);
        zip.start_file(format!("archive/data/{key}"), options.large_file(large))?;
        let bytes: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        zip.write_all(&bytes)?;
    }
    zip.start_file("archive/version", options)?;
    zip.write_all(VERSION)?;
    zip.finish()?.commit()
}

fn push<'a>(value: &Value<'a>, pickle: &mut Vec<u8>, storages: &mut Vec<&'a NamedTensor>) {
    match value {
        Value::Dictionary(items) => {
            pickle.extend(b"}(");
            for (key, value) in items {
                text(key, pickle);
                push(value, pickle, storages);
            }
            pickle.push(b'u');
        }
        Value::Tensor(tensor) => {
            // _rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, backward hooks); the storage is the
            // persistent id ("storage", type, key, location, number of elements).
            pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text("storage", pickle);
            pickle.extend(b"ctorch\nFloatStorage\n");
            text(&storages.len().to_string(), pickle);
            text("cpu", pickle);
            integer(tensor.data.len(), pickle);
            pickle.extend(b"tQ");
            integer(0, pickle);
            tuple(&tensor.shape, pickle);
            tuple(&strides(&tensor.shape), pickle);
            pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
            storages.push(tensor);
        }
    }
}

/// Row-major strides, in elements.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension];
    }
    strides
}

/// BINUNICODE.
fn text(text: &str, pickle: &mut Vec<u8>) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

/// BININT, or LONG1 where that is too narrow.
fn integer(value: usize, pickle: &mut Vec<u8>) {
    match i32::try_from(value) {
        Ok(value) => {
            pickle.push(b'J');
            pickle.extend(value.to_le_bytes());
        }
        Err(_) => {
            pickle.extend([0x8a, 8]);
            pickle.extend((value as i64).to_le_bytes());
        }
    }
}

fn tuple(values: &[usize], pickle: &mut Vec<u8>) {
    pickle.push(b'(');
    values.iter().for_each(|&value| integer(value, pickle));
    pickle.push(b't');
}
