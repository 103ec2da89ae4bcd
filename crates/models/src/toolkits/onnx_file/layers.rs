//! The layers of a graph that have weights, and which of them read which. What lies between (sums, means, reshapes) is not a
//! layer: programs write it in different ways.

use std::collections::{BTreeSet, HashMap, HashSet};

use ffsvc_onnx::{Graph, Node};

use super::constants::{Constant, Names, float, integer, integers};

/// Most layers of a graph, and most pairs of which one reads the other. A ReDimNet has some 400 layers, a CAM++ 1500 pairs.
const MOST_LAYERS: usize = 1 << 12;
const MOST_PAIRS: usize = 1 << 16;

/// Operators by which networks differ that have the same weights, and that every exporter writes alike.
const ACTIVATIONS: [&str; 20] = [
    "Celu",
    "Elu",
    "Exp",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "LogSoftmax",
    "MaxPool",
    "Mish",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
];

/// What a layer is, beside its weights.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Convolution {
        strides: Vec<i64>,
        padding: Vec<i64>,
        dilations: Vec<i64>,
        groups: i64,
    },
    Linear,
    /// A batch normalisation that stands alone.
    Normalisation,
}

/// A batch normalisation: its own layer, or behind the layer that it belongs to.
#[derive(Debug)]
pub(super) struct Normalisation<'g> {
    pub(super) node: &'g Node,
    pub(super) scale: Constant<'g>,
    pub(super) shift: Constant<'g>,
    pub(super) mean: Constant<'g>,
    pub(super) variance: Constant<'g>,
    pub(super) epsilon: f32,
}

#[derive(Debug)]
pub(super) struct Layer<'g> {
    pub(super) node: &'g Node,
    pub(super) kind: Kind,
    /// None of a batch normalisation alone.
    pub(super) weight: Option<Constant<'g>>,
    pub(super) bias: Option<Constant<'g>>,
    pub(super) normalisation: Option<Normalisation<'g>>,
    /// The layers that it reads, in rising order.
    pub(super) before: Vec<usize>,
    /// Whether it reads the features.
    pub(super) is_first: bool,
    /// Activations between those and this one.
    pub(super) activations: BTreeSet<&'static str>,
}

impl Layer<'_> {
    /// Shape of the weight, or number of channels.
    pub(super) fn shape(&self) -> Option<Vec<usize>> {
        match (&self.weight, &self.normalisation) {
            (Some(weight), _) => weight.shape(),
            (None, Some(normalisation)) => normalisation.mean.shape(),
            (None, None) => None,
        }
    }
}

/// The layers of a graph in the order of its nodes, and the vector that is subtracted at its end.
#[derive(Debug)]
pub(super) struct Layers<'g> {
    pub(super) layers: Vec<Layer<'g>>,
    pub(super) mean: Option<Constant<'g>>,
}

impl<'g> Layers<'g> {
    /// The layers that the first output depends on; `features` is the name of the input.
    pub(super) fn of(graph: &'g Graph, features: &str) -> Result<Self, String> {
        let names = Names::of(graph);
        let output = graph.output.first().ok_or("it has no output")?;
        let (end, mean) = without_mean(&names, &output.name);
        let mut found = Found { names: &names, layers: Vec::new(), giver: HashMap::new() };
        graph.node.iter().for_each(|node| found.take(node));
        let Found { layers, giver, .. } = found;
        if layers.len() > MOST_LAYERS {
            return Err(format!(
                "it has {} layers with weights; expected at most {MOST_LAYERS}",
                layers.len()
            ));
        }
        connect(&names, layers, &giver, features, end).map(|layers| Self { layers, mean })
    }
}

/// The value behind the output, without the constant that is subtracted from it.
fn without_mean<'g>(names: &Names<'g>, output: &'g str) -> (&'g str, Option<Constant<'g>>) {
    let (mut end, mut mean) = (output, None);
    for _ in 0..names.graph.node.len() {
        let Some(node) = names.givers.get(end) else { break };
        match (node.op_type.as_str(), names.input_constant(node, 1)) {
            ("Identity", _) => {}
            ("Sub", Some(constant)) if mean.is_none() => mean = Some(constant),
            _ => break,
        }
        let Some(before) = node.input.first() else { break };
        end = before;
    }
    (end, mean)
}

/// Layers in the order of the nodes, not yet connected.
struct Found<'n, 'g> {
    names: &'n Names<'g>,
    layers: Vec<Layer<'g>>,
    /// The layer that gives a value.
    giver: HashMap<&'g str, usize>,
}

impl<'g> Found<'_, 'g> {
    /// Takes a node for a layer, or for a part of one before it.
    fn take(&mut self, node: &'g Node) {
        let layer = match node.op_type.as_str() {
            "Conv" => self.convolution(node),
            "Gemm" => self.gemm(node),
            "MatMul" => {
                self.names.input_constant(node, 1).and_then(|weight| self.linear(node, weight.turned(), None))
            }
            "BatchNormalization" => return self.normalisation(node),
            "Add" => return self.bias_of_product(node),
            _ => return,
        };
        if let Some(layer) = layer {
            self.push(layer);
        }
    }

    fn push(&mut self, layer: Layer<'g>) {
        if let Some(output) = layer.node.output.first() {
            self.giver.insert(output, self.layers.len());
            self.layers.push(layer);
        }
    }

    fn convolution(&self, node: &'g Node) -> Option<Layer<'g>> {
        let weight = self.names.input_constant(node, 1)?;
        let axes = weight.shape()?.len().checked_sub(2)?;
        let kind = Kind::Convolution {
            strides: integers(node, "strides", &vec![1; axes]),
            padding: integers(node, "pads", &vec![0; 2 * axes]),
            dilations: integers(node, "dilations", &vec![1; axes]),
            groups: integer(node, "group", 1),
        };
        let bias = self.names.input_constant(node, 2);
        Some(Layer { bias, weight: Some(weight), ..layer(node, kind) })
    }

    fn gemm(&self, node: &'g Node) -> Option<Layer<'g>> {
        let plain = float(node, "alpha", 1.0) == 1.0 && float(node, "beta", 1.0) == 1.0;
        if !plain || integer(node, "transA", 0) != 0 {
            return None;
        }
        let weight = self.names.input_constant(node, 1)?;
        let weight = if integer(node, "transB", 0) == 0 { weight.turned() } else { weight };
        self.linear(node, weight, self.names.input_constant(node, 2))
    }

    fn linear(&self, node: &'g Node, weight: Constant<'g>, bias: Option<Constant<'g>>) -> Option<Layer<'g>> {
        let is_matrix = weight.shape()?.len() == 2;
        is_matrix.then(|| Layer { bias, weight: Some(weight), ..layer(node, Kind::Linear) })
    }

    /// The layer whose output a value is, if nothing else reads it.
    fn layer_of(&self, value: &str) -> Option<usize> {
        self.giver.get(value).copied().filter(|_| self.names.is_read_once(value))
    }

    /// A sum of a product with a matrix and a vector is a linear layer.
    fn bias_of_product(&mut self, node: &'g Node) {
        let [a, b] = node.input.as_slice() else { return };
        for (product, bias) in [(a, b), (b, a)] {
            let Some(place) = self.layer_of(product) else { continue };
            let Some(bias) = self.names.constant(bias) else { continue };
            let layer = &mut self.layers[place];
            let is_vector = bias.shape().is_some_and(|shape| shape.len() == 1);
            if layer.node.op_type == "MatMul" && layer.bias.is_none() && is_vector {
                layer.bias = Some(bias);
                self.alias(node, place);
                return;
            }
        }
    }

    fn normalisation(&mut self, node: &'g Node) {
        let constant = |place| self.names.input_constant(node, place);
        let Some((((scale, shift), mean), variance)) =
            constant(1).zip(constant(2)).zip(constant(3)).zip(constant(4))
        else {
            return;
        };
        let epsilon = float(node, "epsilon", 1e-5);
        let normalisation = Some(Normalisation { node, scale, shift, mean, variance, epsilon });
        match node.input.first().and_then(|value| self.layer_of(value)) {
            Some(place) if self.layers[place].normalisation.is_none() => {
                self.layers[place].normalisation = normalisation;
                self.alias(node, place);
            }
            _ => self.push(Layer { normalisation, ..layer(node, Kind::Normalisation) }),
        }
    }

    /// What the node gives is what the layer gives.
    fn alias(&mut self, node: &'g Node, place: usize) {
        if let Some(output) = node.output.first() {
            self.giver.insert(output, place);
        }
    }
}

/// A layer without weights and connections.
fn layer(node: &Node, kind: Kind) -> Layer<'_> {
    Layer {
        node,
        kind,
        weight: None,
        bias: None,
        normalisation: None,
        before: Vec::new(),
        is_first: false,
        activations: BTreeSet::new(),
    }
}

/// The layers that `end` depends on, with what each reads.
fn connect<'g>(
    names: &Names<'g>,
    mut layers: Vec<Layer<'g>>,
    giver: &HashMap<&'g str, usize>,
    features: &str,
    end: &'g str,
) -> Result<Vec<Layer<'g>>, String> {
    let mut reached = vec![false; layers.len()];
    let mut left = look_back(names, giver, features, end).layers;
    let mut pairs = 0;
    while let Some(place) = left.pop() {
        if std::mem::replace(&mut reached[place], true) {
            continue;
        }
        let Some(input) = layers[place].node.input.first() else { continue };
        let Seen { layers: before, activations, features } = look_back(names, giver, features, input);
        pairs += before.len();
        if pairs > MOST_PAIRS {
            return Err(format!("its layers read each other in more than {MOST_PAIRS} ways"));
        }
        left.extend(&before);
        let layer = &mut layers[place];
        (layer.before, layer.activations, layer.is_first) = (before, activations, features);
    }
    let mut places: Vec<usize> = vec![0; reached.len()];
    let mut next = 0;
    for (place, reached) in places.iter_mut().zip(&reached) {
        *place = next;
        next += usize::from(*reached);
    }
    let mut kept: Vec<Layer<'g>> =
        layers.into_iter().zip(&reached).filter_map(|(layer, &reached)| reached.then_some(layer)).collect();
    for layer in &mut kept {
        layer.before.iter_mut().for_each(|place| *place = places[*place]);
    }
    Ok(kept)
}

/// What lies behind a value, up to the layers before it.
struct Seen {
    layers: Vec<usize>,
    activations: BTreeSet<&'static str>,
    features: bool,
}

fn look_back<'g>(names: &Names<'g>, giver: &HashMap<&'g str, usize>, features: &str, value: &'g str) -> Seen {
    let mut seen = Seen { layers: Vec::new(), activations: BTreeSet::new(), features: false };
    let mut known: HashSet<&str> = HashSet::new();
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        if !known.insert(value) {
            continue;
        }
        if let Some(&layer) = giver.get(value) {
            seen.layers.push(layer);
            continue;
        }
        seen.features |= value == features;
        let Some(node) = names.givers.get(value) else { continue };
        // Sizes are no values: exporters compute them in many ways.
        if matches!(node.op_type.as_str(), "Shape" | "Size") {
            continue;
        }
        seen.activations.extend(ACTIVATIONS.iter().find(|name| **name == node.op_type));
        left.extend(node.input.iter().map(String::as_str).filter(|input| !input.is_empty()));
    }
    // A layer can be reached by two of its values.
    seen.layers.sort_unstable();
    seen.layers.dedup();
    seen
}
