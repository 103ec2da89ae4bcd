//! Graphs that are built, encoded and checked.

use ffsvc_onnx::{Dimension, Error, GraphBuilder, Message, Model, check};
use proptest::prelude::*;

fn doubled() -> Model {
    let mut graph = GraphBuilder::new("doubled");
    let input = graph.input("x", &[Dimension::Free("N"), Dimension::Of(2)]);
    let two = graph.number(2.0);
    let product = graph.node("Mul", &[&input, &two], &[]);
    graph.output(&product, "y", &[Dimension::Free("N"), Dimension::Of(2)]);
    graph.finish(&[("what", "twice".to_owned())]).unwrap()
}

/// As `onnx.helper.make_model` of the Python package onnx 1.23.2 serialises the same model.
const BY_ONNX: &[u8] = b"\x08\x08\x12\x05ffsvc\x1a\x050.1.0:\x8d\x01\n \n\x01x\n\x08number_0\x12\x05Mul_0\x1a\x05Mul_0\"\x03Mul\n \n\x05Mul_0\x12\x01y\x1a\nIdentity_1\"\x08Identity\x12\x07doubled*\x12\x10\x01B\x08number_0J\x04\x00\x00\x00@Z\x14\n\x01x\x12\x0f\n\r\x08\x01\x12\t\n\x03\x12\x01N\n\x02\x08\x02b\x14\n\x01y\x12\x0f\n\r\x08\x01\x12\t\n\x03\x12\x01N\n\x02\x08\x02B\x02\x10\x11r\r\n\x04what\x12\x05twice";

#[test]
fn a_model_has_the_bytes_that_the_onnx_package_writes() {
    assert_eq!(doubled().encode_to_vec(), BY_ONNX);
    assert_eq!(Model::decode(BY_ONNX).unwrap(), doubled());
}

#[test]
fn the_same_number_is_stored_once_and_other_numbers_are_not() {
    let mut graph = GraphBuilder::new("constants");
    assert_eq!(graph.number(1.0), graph.number(1.0));
    assert_ne!(graph.number(1.0), graph.number(2.0));
    assert_eq!(graph.integers(&[1, -1]), graph.integers(&[1, -1]));
    assert_ne!(graph.integers(&[1]), graph.integers(&[1, 1]));
    // A number and a vector of integers never have the same bytes and shape.
    assert_ne!(graph.number(0.0), graph.integers(&[]));
    let model = graph.finish(&[]).unwrap();
    assert_eq!(model.graph.unwrap().initializer.len(), 7);
}

#[test]
fn what_a_runtime_would_refuse_is_an_error() {
    let spoilt = |spoil: fn(&mut ffsvc_onnx::Graph)| {
        let mut model = doubled();
        spoil(model.graph.as_mut().unwrap());
        check(&model).unwrap_err().to_string()
    };
    let order = spoilt(|graph| graph.node.swap(0, 1));
    assert_eq!(
        order,
        "the node \"Identity_1\" (Identity) reads \"Mul_0\"; expected the name of an input, a constant or an earlier \
         node's output"
    );
    let twice = spoilt(|graph| graph.node[0].output[0] = "x".to_owned());
    assert!(twice.starts_with("\"x\" is defined twice"), "{twice}");
    let output = spoilt(|graph| graph.output[0].name = "z".to_owned());
    assert!(output.starts_with("an output of the graph reads \"z\""), "{output}");
    let size = spoilt(|graph| graph.initializer[0].dims = vec![3]);
    assert_eq!(size, "the constant \"number_0\" has 4 bytes; expected 12 for the shape [3]");
    let negative = spoilt(|graph| graph.initializer[0].dims = vec![-1]);
    assert!(negative.contains("expected -4"), "{negative}");
    let element = spoilt(|graph| graph.initializer[0].data_type = 11);
    assert!(element.contains("has the element type 11"), "{element}");
    assert_eq!(check(&Model::default()), Err(Error::NoGraph));
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_a_model_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(model) = Model::decode(&bytes[..]) {
            let _ = check(&model);
        }
    }

    #[test]
    fn damaged_models_give_a_model_or_an_error(place in 0usize..180, byte in any::<u8>()) {
        let mut bytes = doubled().encode_to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(model) = Model::decode(&bytes[..]) {
            let _ = check(&model);
        }
    }
}
