//! The weights of an ONNX file: what of its protocol buffers leads to them.

use std::collections::BTreeMap;

/// Numbers of fields in ONNX's `onnx.proto`.
const MODEL_GRAPH: u64 = 7;
const GRAPH_INITIALIZER: u64 = 5;
const TENSOR_DIMS: u64 = 1;
const TENSOR_DATA_TYPE: u64 = 2;
const TENSOR_NAME: u64 = 8;
const TENSOR_RAW_DATA: u64 = 9;
/// `TensorProto.DataType.FLOAT`.
pub(super) const FLOAT: u64 = 1;

/// A tensor as it is stored.
#[derive(Debug, Default, PartialEq)]
pub(super) struct OnnxTensor<'a> {
    pub(super) shape: Vec<u64>,
    pub(super) data_type: u64,
    /// Little endian.
    pub(super) raw_data: &'a [u8],
}

/// The initializers of a model's graph by their names; `None` if the bytes are no protocol buffer, or of no graph.
pub(super) fn initializers(model: &[u8]) -> Option<BTreeMap<&str, OnnxTensor<'_>>> {
    let mut tensors = BTreeMap::new();
    let mut has_graph = false;
    for field in Fields(model) {
        let (MODEL_GRAPH, Value::Bytes(graph)) = field? else { continue };
        has_graph = true;
        for field in Fields(graph) {
            let (GRAPH_INITIALIZER, Value::Bytes(bytes)) = field? else { continue };
            let (name, tensor) = tensor(bytes)?;
            tensors.insert(name, tensor);
        }
    }
    has_graph.then_some(tensors)
}

fn tensor(bytes: &[u8]) -> Option<(&str, OnnxTensor<'_>)> {
    let (mut name, mut tensor) = ("", OnnxTensor::default());
    for field in Fields(bytes) {
        match field? {
            (TENSOR_DIMS, Value::Number(size)) => tensor.shape.push(size),
            // Packed: one after the other.
            (TENSOR_DIMS, Value::Bytes(mut sizes)) => {
                while !sizes.is_empty() {
                    tensor.shape.push(take_number(&mut sizes)?);
                }
            }
            (TENSOR_DATA_TYPE, Value::Number(kind)) => tensor.data_type = kind,
            (TENSOR_NAME, Value::Bytes(bytes)) => name = std::str::from_utf8(bytes).ok()?,
            (TENSOR_RAW_DATA, Value::Bytes(bytes)) => tensor.raw_data = bytes,
            _ => {}
        }
    }
    Some((name, tensor))
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, which nothing here is stored in.
    Fixed,
}

/// The fields of a message: their numbers and values. `None` once where it is malformed, then the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = take_field(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = take_number(rest)?;
    let value = match key & 7 {
        0 => Value::Number(take_number(rest)?),
        1 => take_bytes(rest, 8).map(|_| Value::Fixed)?,
        2 => {
            let len = take_number(rest)?;
            Value::Bytes(take_bytes(rest, len)?)
        }
        5 => take_bytes(rest, 4).map(|_| Value::Fixed)?,
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take_bytes<'a>(rest: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn initializers_are_found_with_their_shapes() {
        // By the encoding rules: key = field << 3 | wire type.
        let packed = [0x0a, 2, 3, 2, 0x10, 1, 0x42, 1, b'a', 0x4a, 4, 0, 0, 0x80, 0x3f];
        let single = [0x08, 0x80, 0x01, 0x10, 7, 0x42, 1, b'b', 0x2d, 1, 2, 3, 4];
        let graph = [&[0x12, 1, b'g', 0x2a, 15][..], &packed, &[0x2a, 13], &single].concat();
        let model = [&[0x08, 8, 0x3a, graph.len() as u8][..], &graph].concat();
        let found = initializers(&model).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found["a"],
            OnnxTensor { shape: vec![3, 2], data_type: FLOAT, raw_data: &1.0_f32.to_le_bytes() }
        );
        assert_eq!(found["b"], OnnxTensor { shape: vec![128], data_type: 7, raw_data: &[] });
        assert_eq!(initializers(&model[..model.len() - 1]), None);
        assert_eq!(initializers(&[0x08, 8]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_tensors_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let model = [&[0x3a, bytes.len().min(127) as u8][..], &bytes].concat();
            for bytes in [&bytes[..], &model] {
                if let Some(tensors) = initializers(bytes) {
                    prop_assert!(tensors.values().all(|tensor| tensor.raw_data.len() <= bytes.len()));
                }
            }
        }
    }
}
