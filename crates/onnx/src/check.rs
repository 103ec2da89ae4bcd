//! What must hold for a runtime to load a model.

use std::collections::HashSet;

use prost::Message;

use crate::error::{Error, Result};
use crate::messages::{ElementType, Graph, Model, Tensor};

/// The most bytes that a protobuf message can have.
pub(crate) const MOST_BYTES: usize = i32::MAX as usize;

/// Checks that every name is defined once and before it is read, that every constant has the bytes of its shape, and that the
/// file is below 2 GiB. What the operators read and compute is not checked.
///
/// # Errors
/// [`Error`] for the first that does not hold.
pub fn check(model: &Model) -> Result<()> {
    let graph = model.graph.as_ref().ok_or(Error::NoGraph)?;
    graph.initializer.iter().try_for_each(check_constant)?;
    check_names(graph)?;
    match model.encoded_len() {
        bytes if bytes > MOST_BYTES => Err(Error::TooLarge { bytes }),
        _ => Ok(()),
    }
}

fn check_constant(tensor: &Tensor) -> Result<()> {
    let bytes = match ElementType::try_from(tensor.data_type) {
        Ok(ElementType::Float) => 4,
        Ok(ElementType::Int64) => 8,
        _ => return Err(Error::ElementType { name: tensor.name.clone(), found: tensor.data_type }),
    };
    let expected = tensor.dims.iter().fold(bytes, |product: i64, &size| product.saturating_mul(size));
    if usize::try_from(expected) == Ok(tensor.raw_data.len()) {
        return Ok(());
    }
    let (name, shape, found) = (tensor.name.clone(), tensor.dims.clone(), tensor.raw_data.len());
    Err(Error::Size { name, shape, found, expected })
}

fn define<'a>(defined: &mut HashSet<&'a str>, name: &'a str) -> Result<()> {
    if defined.insert(name) { Ok(()) } else { Err(Error::DefinedTwice { value: name.to_owned() }) }
}

fn check_names(graph: &Graph) -> Result<()> {
    let given = graph.input.iter().map(|input| &input.name);
    let given = given.chain(graph.initializer.iter().map(|tensor| &tensor.name));
    let mut defined: HashSet<&str> = HashSet::new();
    for name in given {
        define(&mut defined, name)?;
    }
    for node in &graph.node {
        // An optional input that is left out has an empty name.
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            if !defined.contains(input.as_str()) {
                let reader = format!("the node {:?} ({})", node.name, node.op_type);
                return Err(Error::Undefined { reader, value: input.clone() });
            }
        }
        for output in &node.output {
            define(&mut defined, output)?;
        }
    }
    match graph.output.iter().find(|output| !defined.contains(output.name.as_str())) {
        Some(output) => {
            Err(Error::Undefined { reader: "an output of the graph".to_owned(), value: output.name.clone() })
        }
        None => Ok(()),
    }
}
