//! How many messages and names a file has, before any of them takes memory: an empty one has two bytes in the file, and some
//! hundred as a value.

use crate::error::{Error, Result};

/// A network of a thousand layers has some 20 thousand.
const MOST_PARTS: usize = 1 << 18;

/// The messages that lead to others, and what is a part without any.
#[derive(Clone, Copy)]
enum Part {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

impl Part {
    /// The part that a field holds, by the numbers in `onnx.proto`; `None` for numbers, and for what is not read.
    fn of_field(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Node, 1 | 2) | (Self::Tensor, 13) | (Self::Shape, 1) => Self::Leaf,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11 | 12) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            _ => return None,
        })
    }
}

/// Fails if the model has more parts than any network. A malformed file passes: the decoder says where it is malformed.
pub(crate) fn check_parts(model: &[u8]) -> Result<()> {
    let mut parts = 0;
    let mut left = vec![(Part::Model, model)];
    while let Some((part, mut bytes)) = left.pop() {
        while let Some((field, content)) = take_field(&mut bytes) {
            let Some((inner, content)) = part.of_field(field).zip(content) else { continue };
            parts += 1;
            if parts > MOST_PARTS {
                return Err(Error::TooManyParts { most: MOST_PARTS });
            }
            if !matches!(inner, Part::Leaf) {
                left.push((inner, content));
            }
        }
    }
    Ok(())
}

/// Number and bytes of the next field; the bytes are `None` for a number. `None` at the end, and where the message is malformed.
fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let key = take_number(rest)?;
    let content = match key & 7 {
        0 => take_number(rest).map(|_| None)?,
        1 => take_bytes(rest, 8).map(|_| None)?,
        2 => {
            let length = take_number(rest)?;
            Some(take_bytes(rest, length)?)
        }
        5 => take_bytes(rest, 4).map(|_| None)?,
        _ => return None,
    };
    Some((key >> 3, content))
}

fn take_bytes<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(bytes)
}

/// A number in groups of seven bits, the lowest first.
fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
