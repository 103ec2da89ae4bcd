//! A network of another toolkit as one of ours.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ffsvc_features::FrontEndConfig;

use super::names::in_toolkit;
use super::recognise::{Recognised, recognise};
use super::{TensorFile, Toolkit, config_file, onnx_file};
use crate::error::{Error, Result, TensorMismatch};
use crate::heads::{HEAD_PREFIX, Head, HeadConfig};
use crate::model::SpeakerModel;
use crate::model_info::ModelInfo;
use crate::parameters::{NamedTensor, initialise, load_named, tensor_shapes};

/// What a file of weights does not say.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The toolkit that the file comes from; `None`: the one that has a network of these names and shapes.
    pub toolkit: Option<Toolkit>,
    /// The features that the network was trained on; `None`: those of the toolkit's `config.yaml` beside the file or up to two
    /// folders above it (WeSpeaker, 3D-Speaker; NeMo: `model_config.yaml`), or else of the toolkit's recipes.
    pub front_end: Option<FrontEndConfig>,
    /// The head and the names of its classes in the order of its rows; `None`: the head is left out.
    pub head: Option<(HeadConfig, Vec<String>)>,
}

/// An imported network.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The network, on the device that was asked for.
    pub model: SpeakerModel,
    /// Its head, if names of the classes were given.
    pub head: Option<Head>,
    /// What is known about it.
    pub info: ModelInfo,
    /// Where it comes from.
    pub toolkit: Toolkit,
    /// The toolkit's configuration file that names the front end, if it was taken from one.
    pub config_file: Option<PathBuf>,
    /// Whether the front end was taken from the file itself: an ONNX file that this toolkit has exported.
    pub from_metadata: bool,
    /// Where in the file its tensors were, with the dot; empty: at the top.
    pub prefix: String,
    /// How many tensors it took.
    pub taken: usize,
    /// Tensors of the file that are no part of the network: head, optimiser.
    pub outside: Vec<String>,
}

/// Reads a network of another toolkit from a `.pt`, `.pth`, `.pkl` or `.safetensors` file. The toolkit, the network and
/// its sizes are recognised by names and shapes. The network may be in nested dictionaries or under `module.`.
///
/// Also reads `.onnx` files: those of [`export_onnx`](crate::export_onnx), which come back as they were, and those that the
/// toolkits' scripts export. There a batch normalisation may be part of the layer before it. It then becomes one that adds a bias.
///
/// # Errors
/// - As [`TensorFile::open`].
/// - [`Error::Checkpoint`] if the file has no known network, or none of `options.toolkit`; if it is an ONNX file and a head is
///   wanted.
/// - [`Error::Checkpoint`] with the tensor's name, if a number is not finite or a variance is negative.
/// - [`Error::Tensors`] with the file's names, if tensors are missing, left over or of another shape.
/// - [`Error::Config`] if a size is out of range.
pub fn import_model(path: impl AsRef<Path>, options: &ImportOptions, device: &Device) -> Result<Imported> {
    let path = path.as_ref();
    if is_onnx(path)? {
        return onnx_file::import(path, options, device);
    }
    let file = TensorFile::open(path)?;
    let recognised = recognise(options.toolkit, &file)
        .map_err(|cause| Error::Checkpoint { path: path.to_path_buf(), cause })?;
    let (config_file, front_end) = match &options.front_end {
        Some(front_end) => (None, Some(front_end.clone())),
        None => front_end_of_config_file(path, recognised.toolkit)?.unzip(),
    };
    let info = describe(path, &recognised, options, front_end);
    let num_mels = info.num_mels()?;
    check_rows(&recognised, num_mels, config_file.as_deref())?;
    let source = Source { file: &file, network: &recognised };

    let module = info.model.build(num_mels, device)?;
    let (wanted, mut outside) = source.compare(tensor_shapes(&module))?;
    // Only now are numbers read: as many as the network has.
    let tensors = source.read(&wanted)?;
    let model = initialise(load_named(module, tensors)?, "");

    let head = match &options.head {
        None => None,
        Some((config, speakers)) => {
            let head = config.build(info.model.embedding_size(), speakers.len(), device);
            let wanted = source.compare_head(tensor_shapes(&head), speakers.len())?;
            outside.retain(|name| source.name_in_head(name).is_none());
            Some(initialise(load_named(head, source.read(&wanted)?)?, HEAD_PREFIX))
        }
    };
    let Recognised { toolkit, prefix, .. } = recognised;
    let (taken, from_metadata) = (wanted.len(), false);
    Ok(Imported { model, head, info, toolkit, config_file, from_metadata, prefix, taken, outside })
}

/// Whether the file begins as an ONNX model does.
fn is_onnx(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    file.map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    Ok(ffsvc_onnx::is_model(&start))
}

/// Fails if the front end, which may be that of a configuration file, gives other rows than the network takes.
pub(super) fn check_rows(network: &Recognised, num_mels: usize, config_file: Option<&Path>) -> Result<()> {
    if network.num_mels.is_none_or(|rows| rows == num_mels) {
        return Ok(());
    }
    let whence = config_file.map(|file| format!(" by {}", file.display())).unwrap_or_default();
    Err(Error::Config {
        field: "front_end",
        found: format!("{num_mels} rows of features{whence}"),
        expected: "as many rows as the network was made for",
    })
}

/// The toolkit's configuration file of a checkpoint, with the front end that it names, if there is one.
pub(super) fn front_end_of_config_file(
    path: &Path,
    toolkit: Toolkit,
) -> Result<Option<(PathBuf, FrontEndConfig)>> {
    let Some(file) = config_file::beside(path, toolkit) else { return Ok(None) };
    Ok(config_file::front_end(toolkit, &file)?.map(|front_end| (file, front_end)))
}

/// What is known about the network before its numbers are read.
pub(super) fn describe(
    path: &Path,
    recognised: &Recognised,
    options: &ImportOptions,
    front_end: Option<FrontEndConfig>,
) -> ModelInfo {
    let toolkit = recognised.toolkit;
    let front_end = front_end.unwrap_or_else(|| {
        let mut front_end = toolkit.front_end();
        if let Some(rows) = recognised.num_mels {
            *front_end.kind.num_mels_mut() = rows;
        }
        front_end
    });
    let mut info = ModelInfo::new(recognised.model.clone(), front_end);
    if let Some((head, speakers)) = &options.head {
        info.head = Some(head.clone());
        info.speakers.clone_from(speakers);
    }
    info.training = serde_json::json!({
        "imported_from": toolkit.name(),
        "file": path.file_name().unwrap_or_default().to_string_lossy(),
    });
    // The baseline's reading of audio belongs to its networks.
    info.compat_lowpass = toolkit == Toolkit::Ffsvc;
    info
}

/// A tensor of a module and its counterpart in the file.
struct Wanted {
    ours: String,
    theirs: String,
    shape: Vec<usize>,
}

/// The file with the place and the names of its network.
struct Source<'a> {
    file: &'a TensorFile,
    network: &'a Recognised,
}

impl Source<'_> {
    /// The network's tensors in the file, and the names of the tensors that are no part of it.
    fn compare(&self, shapes: Vec<(String, Vec<usize>)>) -> Result<(Vec<Wanted>, Vec<String>)> {
        let Recognised { model, prefix, .. } = self.network;
        let wanted: Vec<Wanted> = shapes
            .into_iter()
            .map(|(ours, shape)| {
                let theirs = format!("{prefix}{}", in_toolkit(model, &ours));
                Wanted { ours, theirs, shape }
            })
            .collect();
        let known: HashSet<&str> = wanted.iter().map(|wanted| wanted.theirs.as_str()).collect();
        let (mut outside, mut mismatch) = (Vec::new(), TensorMismatch::default());
        for name in self.file.names().filter(|name| !known.contains(name)) {
            let is_outside = !name.starts_with(prefix.as_str()) || self.is_beside_network(name);
            if is_outside || self.name_in_head(name).is_some() {
                outside.push(name.to_owned());
            } else if !name.ends_with(".num_batches_tracked") {
                mismatch.surplus.push(name.to_owned());
            }
        }
        for Wanted { theirs, shape, .. } in &wanted {
            match self.file.shape(theirs) {
                None => mismatch.missing.push(theirs.clone()),
                Some(found) if found != shape => {
                    mismatch.ill_shaped.push(format!("{theirs}: found {found:?}, expected {shape:?}"));
                }
                Some(_) => {}
            }
        }
        if mismatch.is_empty() { Ok((wanted, outside)) } else { Err(Error::Tensors { mismatch }) }
    }

    /// The head's tensors in the file.
    fn compare_head(&self, shapes: Vec<(String, Vec<usize>)>, num_classes: usize) -> Result<Vec<Wanted>> {
        let prefix = self.head_prefix().ok_or_else(|| {
            let toolkit = self.network.toolkit.name();
            self.broken(format!("{toolkit} keeps its head in a file of its own; import without it"))
        })?;
        let find = |(ours, shape): (String, Vec<usize>)| {
            let theirs = format!("{prefix}{ours}");
            match self.file.shape(&theirs) {
                Some(found) if found == shape => Ok(Wanted { ours, theirs, shape }),
                Some(found) => Err(self.broken(format!(
                    "the head's tensor {theirs} has the shape {found:?}; expected {shape:?} for {num_classes} classes"
                ))),
                None => Err(self.broken(format!("it has no head: there is no tensor {theirs}"))),
            }
        };
        shapes.into_iter().map(find).collect()
    }

    /// The tensors by our names, with numbers that a network can have.
    fn read(&self, wanted: &[Wanted]) -> Result<Vec<NamedTensor>> {
        let read: Result<Vec<NamedTensor>> =
            wanted.iter().map(|wanted| self.file.read(&wanted.theirs)).collect();
        let tensors = read?;
        check_numbers(&tensors).map_err(|cause| self.broken(cause))?;
        let ours =
            |(wanted, tensor): (&Wanted, NamedTensor)| NamedTensor { name: wanted.ours.clone(), ..tensor };
        Ok(wanted.iter().zip(tensors).map(ours).collect())
    }

    /// What stands before the head's names in the file; `None` where the toolkit keeps the head elsewhere.
    fn head_prefix(&self) -> Option<String> {
        let Recognised { toolkit, prefix, .. } = self.network;
        let head = toolkit.head_prefix()?;
        // The baseline's head lies beside the network, WeSpeaker's in it.
        Some(if *toolkit == Toolkit::Ffsvc { head.to_owned() } else { format!("{prefix}{head}") })
    }

    fn is_beside_network(&self, name: &str) -> bool {
        let Recognised { toolkit, prefix, .. } = self.network;
        let name = name.strip_prefix(prefix.as_str()).unwrap_or(name);
        toolkit.beside_network().is_some_and(|beside| name.starts_with(beside))
    }

    /// What the tensor is called in the head, if it is of the head.
    fn name_in_head<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.head_prefix()?.as_str())
    }

    fn broken(&self, cause: String) -> Error {
        Error::Checkpoint { path: self.file.path().to_path_buf(), cause }
    }
}

/// Fails if numbers are not finite, or variances negative.
pub(super) fn check_numbers(tensors: &[NamedTensor]) -> std::result::Result<(), String> {
    let faults: Vec<String> = tensors.iter().filter_map(fault).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let more = if faults.len() > TensorMismatch::SHOWN { "; ..." } else { "" };
    let shown = faults[..faults.len().min(TensorMismatch::SHOWN)].join("; ");
    Err(format!(
        "numbers that no network computes with, in {} of {} tensors: {shown}{more}",
        faults.len(),
        tensors.len()
    ))
}

/// What is wrong with a tensor's numbers.
fn fault(tensor: &NamedTensor) -> Option<String> {
    let NamedTensor { name, data, .. } = tensor;
    let first = |wrong: &dyn Fn(f32) -> bool| data.iter().position(|&value| wrong(value));
    if let Some(place) = first(&|value| !value.is_finite()) {
        return Some(format!("{name} has {} at place {place}, expected finite numbers", data[place]));
    }
    let place = first(&|value| name.ends_with("running_var") && value < 0.0)?;
    Some(format!("{name} has {} at place {place}, expected variances of 0 or more", data[place]))
}
