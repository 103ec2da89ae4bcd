#![doc = include_str!("../README.md")]

mod check;
mod error;
mod graph;
mod messages;
mod parts;
mod read;
mod values;

pub use check::check;
pub use error::{Error, Result};
pub use graph::{Dimension, GraphBuilder, Setting, Value};
pub use messages::{
    Attribute, AttributeKind, ElementType, Graph, Model, Named, Node, OperatorSet, Shape, Size, SizeValue,
    Tensor, TensorType, Type, ValueInfo,
};
pub use prost::Message;
pub use prost::bytes::Bytes;
pub use read::{is_model, open, read};

/// Version of the operators that the nodes are of.
pub const OPSET: i64 = 17;
/// Version of the format: the one that came with [`OPSET`].
pub const IR_VERSION: i64 = 8;
