//! Models from files, which may be damaged or made to do harm.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use prost::Message;
use prost::bytes::Bytes;

use crate::check::MOST_BYTES;
use crate::error::{Error, Result};
use crate::messages::{Model, Named, Tensor};
use crate::parts::check_parts;

/// Whether a file that begins like this may be a model: the first field is the version of the format.
pub fn is_model(start: &[u8]) -> bool {
    matches!(start, [0x08, 1..=0x7f, 0x10..=0xff, ..])
}

/// Reads a model. Values of constants stay parts of `bytes`: they are not copied. Besides, it takes memory for at most
/// some 260 thousand parts (nodes, settings, names, constants).
///
/// # Errors
/// - [`Error::Malformed`] for bytes that are no model.
/// - [`Error::TooManyParts`] for more parts than any network has.
/// - [`Error::TooLarge`] from 2 GiB on.
pub fn read(bytes: Bytes) -> Result<Model> {
    if bytes.len() > MOST_BYTES {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    check_parts(&bytes)?;
    Model::decode(bytes).map_err(|error| Error::Malformed { cause: error.to_string() })
}

/// Reads a model from a file, with the values of its constants that are in files beside it.
///
/// # Errors
/// The outer one if the file cannot be read. The inner one as [`read()`], and [`Error::External`] for values that are not in a
/// regular file in its folder, or beyond the end of it.
pub fn open(path: impl AsRef<Path>) -> io::Result<Result<Model>> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(read(bytes.into()).and_then(|mut model| {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut files = HashMap::new();
        let graph = model.graph.iter_mut();
        for tensor in graph.flat_map(|graph| &mut graph.initializer).filter(|one| one.data_location == 1) {
            let values = external(folder, tensor, &mut files);
            tensor.raw_data = values.map_err(|cause| Error::External { name: tensor.name.clone(), cause })?;
            (tensor.data_location, tensor.external_data) = (0, Vec::new());
        }
        Ok(model)
    }))
}

/// The values of a constant that are in a file in `folder`. `files` has those that were read before.
fn external(
    folder: &Path,
    tensor: &Tensor,
    files: &mut HashMap<String, Bytes>,
) -> std::result::Result<Bytes, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key);
    let Some(Named { value: location, .. }) = entry("location") else {
        return Err("it is not named".to_owned());
    };
    // A model must not make a program read files elsewhere.
    if Path::new(location).components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(format!("{location:?}; expected a file in the model's folder"));
    }
    if !files.contains_key(location) {
        let file = folder.join(location);
        let refused = |cause: String| format!("{}: {cause}", file.display());
        let length = match file.metadata() {
            Ok(data) if data.is_file() => data.len(),
            Ok(_) => return Err(refused("no regular file".to_owned())),
            Err(error) => return Err(refused(error.to_string())),
        };
        let mut bytes = Vec::new();
        let opened = File::open(&file).and_then(|opened| opened.take(length).read_to_end(&mut bytes));
        opened.map_err(|error| refused(error.to_string()))?;
        files.insert(location.clone(), bytes.into());
    }
    let bytes = &files[location];
    let number = |key: &str, without: usize| match entry(key) {
        None => Ok(without),
        Some(Named { value, .. }) => {
            value.parse().map_err(|_| format!("{key} is {value:?}; expected a number"))
        }
    };
    let start: usize = number("offset", 0)?;
    let length = number("length", bytes.len().saturating_sub(start))?;
    match start.checked_add(length).filter(|&end| end <= bytes.len()) {
        Some(end) => Ok(bytes.slice(start..end)),
        None => Err(format!("{length} bytes from byte {start} of {location:?}, which has {}", bytes.len())),
    }
}
