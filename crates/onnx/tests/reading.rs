//! Models from files: constants of every type of float, constants in files of their own, files made to do harm.

use std::path::Path;

use ffsvc_onnx::{
    Bytes, ElementType, Error, Graph, Message as _, Model, Named, Tensor, is_model, open, read,
};
use proptest::prelude::*;

/// Of the Python package onnx 1.23.2: `helper.make_tensor` of 1.5, -0.25 and 3.0, first as lists and then with `raw=True`, and a
/// tensor of integers.
const BY_ONNX: &[u8] = b"\x08\x0e:\xbf\x01\x12\x01g*\x15\x08\x03\x10\x01\x22\x0c\x00\x00\xc0?\x00\x00\x80\xbe\x00\x00@@B\x01f*!\x08\x03\x10\x0bB\x01dR\x18\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\xd0\xbf\x00\x00\x00\x00\x00\x00\x08@*\x11\x08\x03\x10\x0a*\x08\x80|\x80\xe8\x02\x80\x84\x01B\x01h*\x11\x08\x03\x10\x10*\x08\xc0\x7f\x80\xfd\x02\xc0\x80\x01B\x01b*\x16\x08\x03\x10\x01B\x02frJ\x0c\x00\x00\xc0?\x00\x00\x80\xbe\x00\x00@@*\x22\x08\x03\x10\x0bB\x02drJ\x18\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\xd0\xbf\x00\x00\x00\x00\x00\x00\x08@*\x10\x08\x03\x10\x0aB\x02hrJ\x06\x00>\x00\xb4\x00B*\x0c\x08\x03\x10\x07:\x03\x01\x02\x03B\x01iB\x02\x10\x1c";

#[test]
fn floats_of_every_width_are_read_from_lists_and_from_bytes() {
    assert!(is_model(BY_ONNX));
    let graph = read(Bytes::from_static(BY_ONNX)).unwrap().graph.unwrap();
    let names: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["f", "d", "h", "b", "fr", "dr", "hr", "i"]);
    let (integers, floats) = graph.initializer.split_last().unwrap();
    for tensor in floats {
        assert_eq!(tensor.floats().unwrap(), [1.5, -0.25, 3.0], "{}", tensor.name);
        assert_eq!(tensor.shape().unwrap(), [3]);
    }
    assert!(!integers.has_floats());
    assert_eq!(integers.floats(), Err(Error::NoFloats { name: "i".to_owned(), found: 7 }));
}

fn tensor(dims: &[i64], raw_data: &'static [u8]) -> Tensor {
    let (name, data_type) = ("w".to_owned(), ElementType::Float.into());
    Tensor {
        name,
        data_type,
        dims: dims.to_vec(),
        raw_data: Bytes::from_static(raw_data),
        ..Tensor::default()
    }
}

#[test]
fn values_that_do_not_fill_their_shape_are_an_error() {
    assert_eq!(tensor(&[], &[0; 4]).floats().unwrap(), [0.0]);
    for (dims, bytes) in
        [(&[2][..], &[0; 4][..]), (&[1], &[0; 5]), (&[-1], &[0; 4]), (&[i64::MAX, 4], &[]), (&[1], &[])]
    {
        let error = tensor(dims, bytes).floats().unwrap_err();
        assert!(matches!(error, Error::Size { .. }), "{dims:?}: {error}");
    }
    assert_eq!(tensor(&[1 << 40, 1 << 40], &[]).shape(), None);
}

/// A model whose one constant is elsewhere, written to `folder`.
fn external(folder: &Path, entries: &[(&str, &str)]) -> Result<Vec<f32>, Error> {
    let entry = |(key, value): &(&str, &str)| Named { key: (*key).to_owned(), value: (*value).to_owned() };
    let external_data = entries.iter().map(entry).collect();
    let constant = Tensor { data_location: 1, external_data, ..tensor(&[2], b"") };
    let graph = Graph { initializer: vec![constant], ..Graph::default() };
    let model = Model { ir_version: 8, graph: Some(graph), ..Model::default() };
    std::fs::write(folder.join("model.onnx"), model.encode_to_vec()).unwrap();
    let graph = open(folder.join("model.onnx")).unwrap()?.graph.unwrap();
    graph.initializer[0].floats()
}

#[test]
fn values_are_read_from_a_file_beside_the_model_and_from_nowhere_else() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("inner");
    std::fs::create_dir(&folder).unwrap();
    let bytes: Vec<u8> = [7.0f32, 1.0, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    for path in [folder.join("model.data"), outer.path().join("secret")] {
        std::fs::write(path, &bytes).unwrap();
    }
    let place = ("location", "model.data");
    assert_eq!(external(&folder, &[place, ("offset", "4"), ("length", "8")]).unwrap(), [1.0, 2.0]);
    assert_eq!(external(&folder, &[place, ("offset", "4")]).unwrap(), [1.0, 2.0]);
    for (entries, reason) in [
        (&[][..], "it is not named"),
        (&[("location", "../secret")], "expected a file in the model's folder"),
        (&[("location", "/etc/passwd")], "expected a file in the model's folder"),
        (&[("location", "none.data")], "No such file"),
        (&[("location", "")], "no regular file"),
        (&[place, ("offset", "8"), ("length", "8")], "8 bytes from byte 8"),
        (&[place, ("offset", "18446744073709551615"), ("length", "8")], "which has 12"),
        (&[place, ("offset", "x")], "expected a number"),
    ] {
        let error = external(&folder, entries).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("\"w\""), "{reason}: {error}");
    }
}

#[test]
fn a_file_of_nothing_but_empty_parts_is_refused_before_it_takes_memory() {
    // Two bytes for an empty node.
    let nodes: Vec<u8> = [0x0a, 0x00].repeat(1 << 19);
    let mut model = vec![0x08, 0x08, 0x3a];
    let mut length = nodes.len();
    while length > 0x7f {
        model.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    model.push(length as u8);
    model.extend(nodes);
    assert_eq!(read(model.into()), Err(Error::TooManyParts { most: 1 << 18 }));
}

#[test]
fn what_is_no_model_is_said() {
    assert!(!is_model(b"PK\x03\x04") && !is_model(b"\x80\x02") && !is_model(b""));
    let error = read(Bytes::from_static(&BY_ONNX[..50])).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(open("no/such.onnx").is_err());
}

proptest! {
    #[test]
    fn damaged_models_give_a_model_or_an_error(places in proptest::collection::vec((0usize..200, any::<u8>()), 1..8)) {
        let mut bytes = BY_ONNX.to_vec();
        for (place, byte) in places {
            bytes[place] = byte;
        }
        if let Ok(Model { graph: Some(graph), .. }) = read(bytes.into()) {
            for tensor in &graph.initializer {
                if let Ok(values) = tensor.floats() {
                    prop_assert_eq!(Some(values.len()), tensor.shape().map(|shape| shape.iter().product()));
                }
            }
        }
    }
}
