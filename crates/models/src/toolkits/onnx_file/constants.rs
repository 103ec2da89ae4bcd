//! A graph by the names of its values, and the constants that its nodes read.

use std::collections::HashMap;

use ffsvc_onnx::{Attribute, Graph, Node, Tensor};

/// A constant that a layer reads.
#[derive(Debug, Clone)]
pub(super) struct Constant<'g> {
    pub(super) tensor: &'g Tensor,
    /// Whether the layer reads the transposed matrix of what PyTorch has.
    transposed: bool,
}

impl<'g> Constant<'g> {
    pub(super) fn turned(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    pub(super) fn name(&self) -> &'g str {
        &self.tensor.name
    }

    /// The shape that PyTorch has.
    pub(super) fn shape(&self) -> Option<Vec<usize>> {
        let mut shape = self.tensor.shape()?;
        if self.transposed {
            shape.reverse();
        }
        Some(shape)
    }

    /// The values in PyTorch's layout.
    pub(super) fn values(&self) -> Result<Vec<f32>, String> {
        let values = self.tensor.floats().map_err(|error| error.to_string())?;
        match self.tensor.shape().as_deref() {
            Some(&[rows, columns]) if self.transposed => Ok((0..columns)
                .flat_map(|column| (0..rows).map(move |row| row * columns + column))
                .map(|at| values[at])
                .collect()),
            _ => Ok(values),
        }
    }
}

/// A graph by names.
pub(super) struct Names<'g> {
    pub(super) graph: &'g Graph,
    constants: HashMap<&'g str, &'g Tensor>,
    /// The node that gives a value.
    pub(super) givers: HashMap<&'g str, &'g Node>,
    /// How many nodes and outputs read a value.
    readers: HashMap<&'g str, usize>,
}

impl<'g> Names<'g> {
    pub(super) fn of(graph: &'g Graph) -> Self {
        let mut readers = HashMap::new();
        let read = graph.node.iter().flat_map(|node| &node.input);
        for name in read.chain(graph.output.iter().map(|output| &output.name)) {
            *readers.entry(name.as_str()).or_default() += 1;
        }
        let outputs = |node: &'g Node| node.output.iter().map(move |output| (output.as_str(), node));
        Self {
            graph,
            constants: graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect(),
            givers: graph.node.iter().flat_map(outputs).collect(),
            readers,
        }
    }

    /// The constant of floats behind a name, through copies and transposed matrices.
    pub(super) fn constant(&self, mut name: &'g str) -> Option<Constant<'g>> {
        let mut transposed = false;
        // A damaged graph may read itself.
        for _ in 0..=self.graph.node.len() {
            if let Some(&tensor) = self.constants.get(name) {
                return tensor.has_floats().then_some(Constant { tensor, transposed });
            }
            let node = self.givers.get(name)?;
            match node.op_type.as_str() {
                "Constant" => {
                    let tensor = attribute(node, "value")?.t.as_deref()?;
                    return tensor.has_floats().then_some(Constant { tensor, transposed });
                }
                "Identity" => {}
                "Transpose" if integers(node, "perm", &[]) == [1, 0] => transposed = !transposed,
                _ => return None,
            }
            name = node.input.first()?;
        }
        None
    }

    pub(super) fn input_constant(&self, node: &'g Node, place: usize) -> Option<Constant<'g>> {
        self.constant(node.input.get(place).filter(|name| !name.is_empty())?)
    }

    /// Whether one node alone reads a value.
    pub(super) fn is_read_once(&self, name: &str) -> bool {
        self.readers.get(name) == Some(&1)
    }
}

fn attribute<'g>(node: &'g Node, name: &str) -> Option<&'g Attribute> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub(super) fn integer(node: &Node, name: &str, without: i64) -> i64 {
    attribute(node, name).and_then(|attribute| attribute.i).unwrap_or(without)
}

pub(super) fn integers(node: &Node, name: &str, without: &[i64]) -> Vec<i64> {
    attribute(node, name).map_or_else(|| without.to_vec(), |attribute| attribute.ints.clone())
}

pub(super) fn float(node: &Node, name: &str, without: f32) -> f32 {
    attribute(node, name).and_then(|attribute| attribute.f).unwrap_or(without)
}
