//! Files of [`export_onnx`](crate::export_onnx): the metadata say what the network is, and the constants have our names.

use std::collections::HashMap;

use ffsvc_features::FrontEndConfig;
use ffsvc_onnx::{Graph, Model};
use serde::de::DeserializeOwned;

use crate::model::ModelConfig;
use crate::model_info::ModelInfo;
use crate::onnx::{EMBEDDING_MEAN, structure};
use crate::parameters::NamedTensor;

/// The entry of the metadata, if there is one.
fn entry<'m>(model: &'m Model, key: &str) -> Option<&'m str> {
    model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

/// What the metadata describe; `None` if they describe no network of this crate.
pub(super) fn description(model: &Model) -> Option<Result<ModelInfo, String>> {
    let (network, front_end) = (entry(model, "network")?, entry(model, "front_end")?);
    Some(read(network, front_end).map(|(network, front_end)| {
        let mut info = ModelInfo::new(network, front_end);
        info.compat_lowpass = entry(model, "compat_lowpass") == Some("1");
        info
    }))
}

fn read(network: &str, front_end: &str) -> Result<(ModelConfig, FrontEndConfig), String> {
    Ok((json("network", network)?, json("front_end", front_end)?))
}

fn json<T: DeserializeOwned>(entry: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("its metadata's {entry}: {error}"))
}

/// The mean that the graph subtracts.
pub(super) fn embedding_mean(graph: &Graph) -> Result<Option<Vec<f32>>, String> {
    let constant = graph.initializer.iter().find(|tensor| tensor.name == EMBEDDING_MEAN);
    constant.map(|tensor| tensor.floats().map_err(|error| error.to_string())).transpose()
}

/// The tensors of the network by name. Those that take no part in its result are not in the file, and are 0 here.
pub(super) fn tensors(
    graph: &Graph,
    config: &ModelConfig,
    num_mels: usize,
    shapes: &[(String, Vec<usize>)],
) -> Result<Vec<NamedTensor>, String> {
    let constants: HashMap<&str, _> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let ours = structure(config, num_mels, shapes);
    let has_effect = |name: &str| ours.initializer.iter().any(|tensor| tensor.name == name);
    // Shapes first: the file must have the values of the others before those without effect take memory.
    for (name, shape) in shapes {
        match constants.get(name.as_str()) {
            Some(tensor) if tensor.shape().as_ref() == Some(shape) => {}
            Some(tensor) => {
                return Err(format!("{name} has the shape {:?}, expected {shape:?}", tensor.dims));
            }
            None if has_effect(name) => return Err(format!("it has no constant {name}")),
            None => {}
        }
    }
    let tensor = |(name, shape): &(String, Vec<usize>)| {
        let data = match constants.get(name.as_str()) {
            Some(tensor) => tensor.floats().map_err(|error| error.to_string())?,
            None => vec![0.0; shape.iter().product()],
        };
        Ok(NamedTensor { name: name.clone(), shape: shape.clone(), data })
    };
    shapes.iter().map(tensor).collect()
}
