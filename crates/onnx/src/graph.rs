//! Graphs, node by node.

use std::collections::HashMap;

use crate::check::check;
use crate::error::Result;
use crate::messages::{
    Attribute, AttributeKind, ElementType, Graph, Model, Named, Node, OperatorSet, Shape, Size, SizeValue,
    Tensor, TensorType, Type, ValueInfo,
};
use crate::{IR_VERSION, OPSET};

/// A tensor in a graph: an input, a constant or what a node gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value(String);

impl Value {
    /// Its name in the graph.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A size of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension<'a> {
    /// Always this one.
    Of(usize),
    /// Different from call to call, with a name.
    Free(&'a str),
}

/// The value of a node's setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// An integer.
    Int(i64),
    /// Integers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
    /// A text.
    Text(String),
}

impl From<i64> for Setting {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&[i64]> for Setting {
    fn from(values: &[i64]) -> Self {
        Self::Ints(values.to_vec())
    }
}

impl From<f32> for Setting {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Setting {
    fn named(&self, name: &str) -> Attribute {
        let mut attribute = Attribute { name: name.to_owned(), ..Attribute::default() };
        let kind = match self {
            Self::Int(value) => {
                attribute.i = Some(*value);
                AttributeKind::Int
            }
            Self::Ints(values) => {
                attribute.ints.clone_from(values);
                AttributeKind::Ints
            }
            Self::Float(value) => {
                attribute.f = Some(*value);
                AttributeKind::Float
            }
            Self::Text(text) => {
                attribute.s = Some(text.as_bytes().to_vec());
                AttributeKind::String
            }
        };
        attribute.set_kind(kind);
        attribute
    }
}

/// Adds inputs, constants and nodes to a graph, in the order in which they are computed.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    /// Constants without a name of their own, by their shape and bytes: each is stored once.
    unnamed: HashMap<(Vec<i64>, Vec<u8>), Value>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        let graph = Graph { name: name.to_owned(), ..Graph::default() };
        Self { graph, unnamed: HashMap::new() }
    }

    /// An input of 32-bit floats.
    pub fn input(&mut self, name: &str, shape: &[Dimension<'_>]) -> Value {
        self.graph.input.push(value_info(name, shape));
        Value(name.to_owned())
    }

    /// A constant of `shape`, outermost size first, with its values row-major.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, ElementType::Float, shape, raw_data)
    }

    /// A single number. The same number is stored once.
    pub fn number(&mut self, value: f32) -> Value {
        self.unnamed("number", ElementType::Float, &[], value.to_le_bytes().to_vec())
    }

    /// A vector of integers: sizes, axes. The same vector is stored once.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.unnamed("integers", ElementType::Int64, &[values.len()], raw_data)
    }

    fn unnamed(&mut self, kind: &str, element: ElementType, shape: &[usize], raw_data: Vec<u8>) -> Value {
        let key = (shape.iter().map(|&size| size as i64).collect(), raw_data);
        if let Some(value) = self.unnamed.get(&key) {
            return value.clone();
        }
        let name = format!("{kind}_{}", self.unnamed.len());
        let value = self.constant(&name, element, shape, key.1.clone());
        self.unnamed.insert(key, value.clone());
        value
    }

    fn constant(&mut self, name: &str, element: ElementType, shape: &[usize], raw_data: Vec<u8>) -> Value {
        let dims = shape.iter().map(|&size| size as i64).collect();
        self.graph.initializer.push(Tensor {
            dims,
            data_type: element.into(),
            name: name.to_owned(),
            raw_data: raw_data.into(),
            ..Tensor::default()
        });
        Value(name.to_owned())
    }

    /// A node with one output.
    pub fn node(&mut self, operator: &str, inputs: &[&Value], settings: &[(&str, Setting)]) -> Value {
        let name = format!("{operator}_{}", self.graph.node.len());
        self.push(operator, inputs, settings, name.clone(), vec![name.clone()]);
        Value(name)
    }

    /// A node with several outputs.
    pub fn node_with_outputs(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        settings: &[(&str, Setting)],
        outputs: usize,
    ) -> Vec<Value> {
        let name = format!("{operator}_{}", self.graph.node.len());
        let outputs: Vec<String> = (0..outputs).map(|output| format!("{name}_{output}")).collect();
        self.push(operator, inputs, settings, name, outputs.clone());
        outputs.into_iter().map(Value).collect()
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        settings: &[(&str, Setting)],
        name: String,
        output: Vec<String>,
    ) {
        self.graph.node.push(Node {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output,
            name,
            op_type: operator.to_owned(),
            attribute: settings.iter().map(|(name, setting)| setting.named(name)).collect(),
        });
    }

    /// Gives `value` out of the graph, under the name `name`.
    pub fn output(&mut self, value: &Value, name: &str, shape: &[Dimension<'_>]) {
        let node = format!("Identity_{}", self.graph.node.len());
        self.push("Identity", &[value], &[], node, vec![name.to_owned()]);
        self.graph.output.push(value_info(name, shape));
    }

    /// The graph as it is, without any check.
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// The model, with its metadata.
    ///
    /// # Errors
    /// [`Error`](crate::Error) as [`check()`] gives it.
    pub fn finish(self, metadata: &[(&str, String)]) -> Result<Model> {
        let entry = |(key, value): &(&str, String)| Named { key: (*key).to_owned(), value: value.clone() };
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "ffsvc".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: metadata.iter().map(entry).collect(),
        };
        check(&model)?;
        Ok(model)
    }
}

fn value_info(name: &str, shape: &[Dimension<'_>]) -> ValueInfo {
    let size = |dimension: &Dimension<'_>| match dimension {
        Dimension::Of(size) => SizeValue::DimValue(*size as i64),
        Dimension::Free(name) => SizeValue::DimParam((*name).to_owned()),
    };
    let dim = shape.iter().map(|dimension| Size { value: Some(size(dimension)) }).collect();
    let tensor = TensorType { elem_type: ElementType::Float.into(), shape: Some(Shape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor) }) }
}
