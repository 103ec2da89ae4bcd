//! The names of parameters that have survived an export: those of constants, and those in the names of nodes.

use std::collections::BTreeMap;

use ffsvc_onnx::{Graph, Node};

use super::layers::Layer;

/// Names in PyTorch's form with the shapes of the tensors, as far as the file tells them. An exporter that joins a batch
/// normalisation to the convolution before it gives the joint weights names of its own.
pub(super) fn shapes(graph: &Graph, layers: &[Layer<'_>]) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for tensor in graph.initializer.iter().filter(|tensor| tensor.name.contains('.')) {
        if let Some(shape) = tensor.shape() {
            shapes.insert(tensor.name.clone(), shape);
        }
    }
    for layer in layers {
        let mut add = |node: &Node, parameter: &str, shape: Option<Vec<usize>>| {
            if let Some((scope, shape)) = scope(node).zip(shape) {
                shapes.entry(format!("{scope}.{parameter}")).or_insert(shape);
            }
        };
        if let Some(weight) = &layer.weight {
            add(layer.node, "weight", weight.shape());
        }
        if let Some(bias) = &layer.bias {
            add(layer.node, "bias", bias.shape());
        }
        if let Some(normalisation) = &layer.normalisation {
            let shape = normalisation.mean.shape();
            for parameter in ["weight", "bias", "running_mean", "running_var"] {
                add(normalisation.node, parameter, shape.clone());
            }
        }
    }
    shapes
}

/// The module of a node by its name: `layer1.0.conv1` of `/layer1/layer1.0/conv1/Conv`. PyTorch writes the members of a list
/// with the name of the list, which may be a part of its own before them.
fn scope(node: &Node) -> Option<String> {
    let (path, _) = node.name.strip_prefix('/')?.rsplit_once('/')?;
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        let list = part.rsplit_once('.').map(|(list, _)| list);
        if parts.last().is_some_and(|last| Some(*last) == list) {
            parts.pop();
        }
        parts.push(part);
    }
    Some(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_from_the_names_of_nodes() {
        for (name, expected) in [
            ("/model/layer1/layer1.0/conv1/Conv", Some("model.layer1.0.conv1")),
            ("/model/layer2/layer2.0/shortcut/shortcut.0/Conv", Some("model.layer2.0.shortcut.0")),
            ("/layer3/layer3.0/convs.1/Conv", Some("layer3.0.convs.1")),
            ("/conv1/Conv", Some("conv1")),
            ("/Conv", None),
            ("node_Conv_312", None),
            ("Conv_7", None),
        ] {
            let node = Node { name: name.to_owned(), ..Node::default() };
            assert_eq!(scope(&node).as_deref(), expected, "{name}");
        }
    }
}
