//! Networks of ONNX files: those of [`export_onnx`](crate::export_onnx), and those that the toolkits' own scripts export.
//!
//! A toolkit's file is compared with our own graph of the network ([`crate::onnx`]). Both are reduced to the layers with weights
//! and what they read (`layers`), and layer is matched to layer by that (`matching`). So a network that can be exported can
//! also be imported. What the network is, and its sizes, follow from the names that have survived (`names`) by the rules for
//! checkpoints, or else from a list of published networks (`sizes`).

mod constants;
mod layers;
mod matching;
mod names;
mod own;
mod sizes;
mod transfer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ffsvc_onnx::{Graph, Model, SizeValue, ValueInfo};

use self::constants::Constant;
use self::layers::{Layer, Layers};
use super::import::{ImportOptions, Imported, check_numbers, check_rows, describe, front_end_of_config_file};
use super::names::in_toolkit;
use super::recognise::{Recognised, all_networks};
use super::{TensorFile, Toolkit};
use crate::error::{Error, Result};
use crate::model::SpeakerModel;
use crate::model_info::ModelInfo;
use crate::onnx::{INPUT, structure};
use crate::parameters::{NamedTensor, initialise, load_named, tensor_shapes};

/// How many operators and shapes a refusal lists.
const SHOWN: usize = 8;

/// Reads a network from an ONNX file.
pub(super) fn import(path: &Path, options: &ImportOptions, device: &Device) -> Result<Imported> {
    let broken = |cause: String| Error::Checkpoint { path: path.to_path_buf(), cause };
    let model = ffsvc_onnx::open(path)
        .map_err(|source| Error::Io { path: path.to_path_buf(), source })?
        .map_err(|error| broken(error.to_string()))?;
    let graph = model.graph.as_ref().ok_or_else(|| broken("the ONNX model has no graph".into()))?;
    if options.head.is_some() {
        return Err(broken("an ONNX file has no head; import without it".into()));
    }
    let source = Source { path, options, device, model: &model, graph };
    match own::description(&model) {
        Some(info) => source.own(info.map_err(broken)?),
        None => source.of_toolkit(),
    }
}

struct Source<'a> {
    path: &'a Path,
    options: &'a ImportOptions,
    device: &'a Device,
    model: &'a Model,
    graph: &'a Graph,
}

/// A network of the file with its tensors.
struct Found {
    network: Recognised,
    tensors: Vec<NamedTensor>,
    mean: Option<Vec<f32>>,
}

impl Source<'_> {
    fn broken(&self, cause: String) -> Error {
        Error::Checkpoint { path: self.path.to_path_buf(), cause }
    }

    /// A file that this toolkit has exported.
    fn own(&self, mut info: ModelInfo) -> Result<Imported> {
        let toolkit = Toolkit::of(&info.model);
        if let Some(wanted) = self.options.toolkit.filter(|wanted| *wanted != toolkit) {
            return Err(self.broken(format!(
                "it has a network of {}, not of {}",
                toolkit.name(),
                wanted.name()
            )));
        }
        if let Some(front_end) = &self.options.front_end {
            info.front_end = front_end.clone();
        }
        let broken = |cause| self.broken(cause);
        info.model.check_layers(self.graph.initializer.len()).map_err(broken)?;
        let num_mels = info.num_mels()?;
        let module = info.model.build(num_mels, self.device)?;
        let tensors =
            own::tensors(self.graph, &info.model, num_mels, &tensor_shapes(&module)).map_err(broken)?;
        info.embedding_mean = own::embedding_mean(self.graph).map_err(broken)?;
        info.training = serde_json::json!({ "imported_from": "ONNX", "file": self.file_name() });
        self.imported(module, tensors, info, toolkit, None, String::new())
    }

    /// A file of a toolkit's own script.
    fn of_toolkit(&self) -> Result<Imported> {
        let found = self.find().map_err(|reason| self.refused(&reason))?;
        let (config_file, front_end) = match &self.options.front_end {
            Some(front_end) => (None, Some(front_end.clone())),
            None => front_end_of_config_file(self.path, found.network.toolkit)?.unzip(),
        };
        let mut info = describe(self.path, &found.network, self.options, front_end);
        let num_mels = info.num_mels()?;
        check_rows(&found.network, num_mels, config_file.as_deref())?;
        info.embedding_mean = found.mean;
        let module = info.model.build(num_mels, self.device)?;
        let Recognised { toolkit, prefix, .. } = found.network;
        self.imported(module, found.tensors, info, toolkit, config_file, prefix)
    }

    fn imported(
        &self,
        module: SpeakerModel,
        tensors: Vec<NamedTensor>,
        info: ModelInfo,
        toolkit: Toolkit,
        config_file: Option<PathBuf>,
        prefix: String,
    ) -> Result<Imported> {
        let taken = tensors.len();
        check_numbers(&tensors).map_err(|cause| self.broken(cause))?;
        let model = initialise(load_named(module, tensors)?, "");
        let from_metadata = own::description(self.model).is_some() && self.options.front_end.is_none();
        Ok(Imported {
            model,
            head: None,
            info,
            toolkit,
            config_file,
            from_metadata,
            prefix,
            taken,
            outside: Vec::new(),
        })
    }

    fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The first network whose graph is the file's; or else why the likeliest is not.
    fn find(&self) -> std::result::Result<Found, String> {
        let constants: HashSet<&str> =
            self.graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        // Old versions of the format list the constants among the inputs.
        let input = self.graph.input.iter().find(|input| !constants.contains(input.name.as_str()));
        let input = input.ok_or("it has no input")?;
        let theirs = Layers::of(self.graph, &input.name)?;
        let script = toolkit_of_script(&input.name);
        let mut named = self.named(&theirs);
        // Where two toolkits have the same tensors, that of the script comes first.
        let wanted = self.options.toolkit.or(script);
        named.sort_by_key(|network| Some(network.toolkit) != wanted);
        let mut reason = None;
        let num_mels = last_size(input);
        for network in named.into_iter().chain(published(&theirs)) {
            let num_mels =
                num_mels.or(network.num_mels).ok_or("its input does not say how many rows features have")?;
            match self.take(&network, num_mels, &theirs) {
                Ok(tensors) => {
                    return self.found(
                        Recognised { num_mels: Some(num_mels), ..network },
                        tensors,
                        &theirs,
                        script,
                    );
                }
                Err(cause) => {
                    let architecture = network.model.architecture();
                    let because = || format!("its constants have the names of a {architecture}, but {cause}");
                    reason = reason.or_else(|| network.is_named.then(because));
                }
            }
        }
        Err(reason.unwrap_or_else(|| "its layers are those of no network that is known here".to_owned()))
    }

    /// The networks that the names of parameters tell.
    fn named(&self, theirs: &Layers<'_>) -> Vec<Recognised> {
        all_networks(&TensorFile::of_shapes(self.path, names::shapes(self.graph, &theirs.layers)))
    }

    /// The tensors of a network, if the graph is that network's.
    fn take(
        &self,
        network: &Recognised,
        num_mels: usize,
        theirs: &Layers<'_>,
    ) -> std::result::Result<Vec<NamedTensor>, String> {
        let Recognised { model, prefix, .. } = network;
        model.check_layers(self.graph.node.len())?;
        let module = model.build(num_mels, self.device).map_err(|error| error.to_string())?;
        let shapes = tensor_shapes(&module);
        let graph = structure(model, num_mels, &shapes);
        let ours = Layers::of(&graph, INPUT)?;
        let places = matching::matched(&ours.layers, &theirs.layers)?;
        let pairs: Vec<_> =
            ours.layers.iter().zip(places.iter().map(|&place| &theirs.layers[place])).collect();
        let by_name: HashMap<&str, &[usize]> =
            shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect();
        let mut tensors = transfer::tensors(&pairs, &by_name)?;
        // What is of no layer, such as weights of a sum, is found by its name alone.
        let known: HashSet<String> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
        for (name, shape) in shapes.iter().filter(|(name, _)| !known.contains(name)) {
            let their_name = format!("{prefix}{}", in_toolkit(model, name));
            let constant = self.graph.initializer.iter().find(|tensor| tensor.name == their_name);
            let constant = constant.filter(|tensor| tensor.shape().as_ref() == Some(shape));
            let constant =
                constant.ok_or_else(|| format!("it has no constant {their_name} of shape {shape:?}"))?;
            let data = constant.floats().map_err(|error| error.to_string())?;
            tensors.push(NamedTensor { name: name.clone(), shape: shape.clone(), data });
        }
        Ok(tensors)
    }

    /// What was taken, as a network of the toolkit that the file comes from.
    fn found(
        &self,
        network: Recognised,
        tensors: Vec<NamedTensor>,
        theirs: &Layers<'_>,
        script: Option<Toolkit>,
    ) -> std::result::Result<Found, String> {
        if let Some(wanted) = self.options.toolkit
            && wanted != network.toolkit
            && Some(wanted) != script
        {
            return Err(format!("it has a network of {}, not of {}", network.toolkit.name(), wanted.name()));
        }
        let mean = theirs.mean.as_ref().map(Constant::values).transpose()?;
        let size = network.model.embedding_size();
        if let Some(mean) = mean.as_ref().filter(|mean| mean.len() != size) {
            return Err(format!("it subtracts {} values from embeddings of {size}", mean.len()));
        }
        let mean = mean.filter(|mean| mean.iter().any(|&value| value != 0.0));
        let toolkit = self.options.toolkit.or(script).unwrap_or(network.toolkit);
        Ok(Found { network: Recognised { toolkit, ..network }, tensors, mean })
    }

    /// The error about a file with no network that is known here: what it has.
    fn refused(&self, reason: &str) -> Error {
        let Model { producer_name, producer_version, .. } = self.model;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &self.graph.node {
            *counts.entry(&node.op_type).or_default() += 1;
        }
        let mut operators: Vec<(&str, usize)> = counts.into_iter().collect();
        operators.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let operators = operators.iter().map(|(name, count)| format!("{count} {name}"));
        let shapes =
            self.graph.initializer.iter().filter(|tensor| tensor.has_floats() && !tensor.dims.is_empty());
        let shapes = shapes.map(|tensor| format!("{:?}", tensor.dims));
        let producer = format!("{producer_name} {producer_version}");
        self.broken(format!(
            "{reason}; the file is by {}, has the inputs {}, the outputs {}, the operators {}, and {} constants, of the shapes {}",
            if producer_name.is_empty() { "an unnamed program" } else { producer.trim_end() },
            listed(self.graph.input.iter().map(of_value)),
            listed(self.graph.output.iter().map(of_value)),
            listed(operators),
            self.graph.initializer.len(),
            listed(shapes),
        ))
    }
}

/// The first of some things, with commas.
fn listed(things: impl Iterator<Item = String>) -> String {
    let mut things = things.peekable();
    let mut shown: Vec<String> = things.by_ref().take(SHOWN).collect();
    if things.peek().is_some() {
        shown.push("...".to_owned());
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// The toolkit whose script names the input so: `wespeaker/bin/export_onnx.py`,
/// `speakerlab/bin/export_speaker_embedding_onnx.py`.
fn toolkit_of_script(input: &str) -> Option<Toolkit> {
    match input {
        "feats" => Some(Toolkit::Wespeaker),
        "feature" => Some(Toolkit::ThreeDSpeaker),
        _ => None,
    }
}

/// The published networks that have the first and the last layer of these.
fn published(theirs: &Layers<'_>) -> Vec<Recognised> {
    let channels = |layer: Option<&Layer<'_>>| layer.and_then(|layer| layer.shape()?.first().copied());
    let with_weights = || theirs.layers.iter().filter(|layer| layer.weight.is_some());
    let Some((first, last)) = channels(with_weights().next()).zip(channels(with_weights().next_back()))
    else {
        return Vec::new();
    };
    let recognised = |model| Recognised {
        toolkit: Toolkit::of(&model),
        model,
        num_mels: None,
        prefix: String::new(),
        is_named: false,
    };
    sizes::published(first, last).into_iter().map(recognised).collect()
}

fn sizes_of(value: &ValueInfo) -> Vec<Option<&SizeValue>> {
    let kind = value.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let shape = kind.and_then(|kind| kind.shape.as_ref());
    shape.map(|shape| shape.dim.iter().map(|size| size.value.as_ref()).collect()).unwrap_or_default()
}

/// The last size of an input, if it is fixed: the rows of the features.
fn last_size(input: &ValueInfo) -> Option<usize> {
    match sizes_of(input).last() {
        Some(Some(SizeValue::DimValue(size))) => usize::try_from(*size).ok().filter(|&size| size > 0),
        _ => None,
    }
}

fn of_value(value: &ValueInfo) -> String {
    let size = |size: Option<&SizeValue>| match size {
        Some(SizeValue::DimValue(size)) => size.to_string(),
        Some(SizeValue::DimParam(name)) => name.clone(),
        None => "?".to_owned(),
    };
    let sizes: Vec<String> = sizes_of(value).into_iter().map(size).collect();
    format!("{} [{}]", value.name, sizes.join(", "))
}
