//! The entry `ffsvc` of a model file's metadata: [`ModelInfo`] as JSON, with the version of the form and a checksum.
//!
//! Version 1 is `{"format": 1, "sha256": "...", ...}` with the fields of [`ModelInfo`]. Version 0 has neither of the
//! two. The checksum is taken of this text, with zeros for its own digits, and of all tensors in the order of their
//! names. It does not depend on how safetensors lays out a file.

use ffsvc_hashing::Sha256;
use serde::Serialize;
use serde_json::Value;

use crate::model_info::ModelInfo;

/// The version that is written. Those from 0 to it are read.
const FORMAT: u64 = 1;

/// Stands for the checksum while it is computed.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A tensor as the checksum sees it.
pub(super) struct TensorBytes<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    /// Little-endian 32-bit floats.
    pub(super) data: &'a [u8],
}

#[derive(Serialize)]
struct Version1<'a> {
    format: u64,
    sha256: &'a str,
    #[serde(flatten)]
    info: &'a ModelInfo,
}

/// The text for `info` and these tensors, which are in the order of their names.
pub(super) fn write<'a>(
    info: &ModelInfo,
    tensors: impl Iterator<Item = TensorBytes<'a>>,
) -> serde_json::Result<String> {
    let text = serde_json::to_string(&Version1 { format: FORMAT, sha256: ZEROS, info })?;
    let sum = checksum(&text, tensors);
    Ok(text.replacen(ZEROS, &sum, 1))
}

/// A description that was read.
pub(super) struct Description {
    pub(super) info: ModelInfo,
    /// The checksum that it states; none in version 0.
    sum: Option<String>,
}

/// Reads versions 0 and 1.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(text: &str) -> Result<Description, String> {
    let mut fields: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let object = fields.as_object_mut().ok_or("it is not an object")?;
    let sum = match object.remove("format") {
        None => None,
        Some(format) => match format.as_u64() {
            Some(FORMAT) => match object.remove("sha256") {
                Some(Value::String(sum)) if sum.len() == ZEROS.len() => Some(sum),
                _ => return Err("it has no checksum `sha256` of 64 digits".to_owned()),
            },
            _ => {
                return Err(format!(
                    "its `format` is {format}; expected a version from 1 to {FORMAT}, or none. A newer program wrote it: \
                     use that one"
                ));
            }
        },
    };
    let info = serde_json::from_value(fields).map_err(|e| e.to_string())?;
    Ok(Description { info, sum })
}

impl Description {
    /// Whether it states a checksum.
    pub(super) fn is_checked(&self) -> bool {
        self.sum.is_some()
    }

    /// Whether the checksum is that of `text`, which this was read from, and of the tensors, which are in the order of
    /// their names. True without a checksum.
    pub(super) fn fits<'a>(&self, text: &str, tensors: impl Iterator<Item = TensorBytes<'a>>) -> bool {
        self.sum.as_ref().is_none_or(|sum| checksum(&text.replacen(sum, ZEROS, 1), tensors) == *sum)
    }
}

fn checksum<'a>(text: &str, tensors: impl Iterator<Item = TensorBytes<'a>>) -> String {
    let mut sum = Sha256::default();
    let number = |sum: &mut Sha256, number: usize| sum.update((number as u64).to_le_bytes());
    number(&mut sum, text.len());
    sum.update(text);
    for TensorBytes { name, shape, data } in tensors {
        number(&mut sum, name.len());
        sum.update(name);
        number(&mut sum, shape.len());
        shape.iter().for_each(|&size| number(&mut sum, size));
        number(&mut sum, data.len());
        sum.update(data);
    }
    sum.hex()
}
