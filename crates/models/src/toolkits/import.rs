//! A network of another toolkit as one of ours.

use std::path::Path;

use burn::tensor::Device;
use ffsvc_features::{FrontEndConfig, Kind};

use super::recognise::{Recognised, recognise};
use super::{TensorFile, Toolkit};
use crate::checkpoint::ModelInfo;
use crate::error::{Error, Result, TensorMismatch};
use crate::heads::{HEAD_PREFIX, Head, HeadConfig};
use crate::model::SpeakerModel;
use crate::parameters::{NamedTensor, load_named, settle, tensor_shapes};

/// What a file of weights does not say.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The features that the network was trained on; `None`: those of the toolkit's recipes.
    pub front_end: Option<FrontEndConfig>,
    /// The head and the names of its classes in the order of its rows; `None`: the head is left out.
    pub head: Option<(HeadConfig, Vec<String>)>,
}

/// An imported network.
#[derive(Debug)]
pub struct Imported {
    /// The network, on the device that was asked for.
    pub model: SpeakerModel,
    /// Its head, if names of the classes were given.
    pub head: Option<Head>,
    /// What is known about it.
    pub info: ModelInfo,
    /// Where in the file its tensors were, with the dot; empty: at the top.
    pub prefix: String,
    /// How many tensors it took.
    pub taken: usize,
    /// Tensors of the file that are no part of the network: head, optimiser.
    pub outside: Vec<String>,
}

/// Reads a network of `toolkit` from a `.pt`, `.pth`, `.pkl` or `.safetensors` file. Which network it is, and its sizes,
/// follow from names and shapes; it may lie in nested dictionaries or under `module.`.
///
/// # Errors
/// As [`TensorFile::open`]; [`Error::Checkpoint`] if no network of the toolkit is in the file; [`Error::Tensors`] with the file's names if tensors are missing, left over or of
/// another shape; [`Error::Config`] if a size is out of range.
pub fn import_model(
    path: impl AsRef<Path>,
    toolkit: Toolkit,
    options: &ImportOptions,
    device: &Device,
) -> Result<Imported> {
    let path = path.as_ref();
    let broken = |cause: String| Error::Checkpoint { path: path.to_path_buf(), cause };
    let file = TensorFile::open(path)?;
    let Recognised { model: config, num_mels, prefix } = recognise(toolkit, &file).map_err(broken)?;
    let front_end = options.front_end.clone().unwrap_or_else(|| {
        let mut front_end = toolkit.front_end();
        if let Some(rows) = num_mels {
            match &mut front_end.kind {
                Kind::LogMel(options) => options.num_mels = rows,
                Kind::Fbank(options) => options.num_mels = rows,
                Kind::SpeechBrainFbank(options) => options.num_mels = rows,
            }
        }
        front_end
    });
    let info = ModelInfo {
        model: config,
        head: options.head.as_ref().map(|(head, _)| head.clone()),
        front_end,
        speakers: options.head.as_ref().map(|(_, speakers)| speakers.clone()).unwrap_or_default(),
        config_toml: String::new(),
        training: serde_json::json!({
            "imported_from": toolkit.name(),
            "file": path.file_name().unwrap_or_default().to_string_lossy(),
        }),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        // The baseline's reading of audio belongs to its networks.
        compat_lowpass: toolkit == Toolkit::Ffsvc,
        embedding_mean: None,
    };
    let rows = info.num_mels()?;
    if num_mels.is_some_and(|mels| mels != rows) {
        return Err(Error::Config {
            field: "front_end",
            found: format!("{rows} rows of features"),
            expected: "as many rows as the network was made for",
        });
    }

    let module = info.model.build(rows, device)?;
    let expected = tensor_shapes(&module);
    // Names in the file and their counterparts here.
    let wanted: Vec<(String, String, Vec<usize>)> = expected
        .into_iter()
        .map(|(ours, shape)| (format!("{prefix}{}", toolkit.name_of(&ours)), ours, shape))
        .collect();
    let head_prefix = toolkit.head_prefix().map(|head| match toolkit {
        Toolkit::Ffsvc => head.to_owned(),
        _ => format!("{prefix}{head}"),
    });
    let of_head = |name: &str| {
        head_prefix.as_ref().and_then(|head| name.strip_prefix(head.as_str()).map(str::to_owned))
    };
    let known: std::collections::HashSet<&str> = wanted.iter().map(|(theirs, ..)| theirs.as_str()).collect();
    let (mut outside, mut mismatch) = (Vec::new(), TensorMismatch::default());
    for name in file.names().filter(|name| !known.contains(name)) {
        if !name.starts_with(&prefix) || of_head(name).is_some() {
            outside.push(name.to_owned());
        } else if !name.ends_with(".num_batches_tracked") {
            mismatch.surplus.push(name.to_owned());
        }
    }
    for (theirs, _, shape) in &wanted {
        match file.shape(theirs) {
            None => mismatch.missing.push(theirs.clone()),
            Some(found) if found != shape => {
                mismatch.ill_shaped.push(format!("{theirs}: found {found:?}, expected {shape:?}"));
            }
            Some(_) => {}
        }
    }
    if !mismatch.is_empty() {
        return Err(Error::Tensors { mismatch });
    }
    // Only now are numbers read: as many as the network has.
    let tensors = wanted
        .iter()
        .map(|(theirs, ours, _)| Ok(NamedTensor { name: ours.clone(), ..file.read(theirs)? }))
        .collect::<Result<Vec<_>>>()?;
    let taken = tensors.len();
    let model = settle(load_named(module, tensors)?, "");

    let head = match &options.head {
        None => None,
        Some((config, speakers)) => {
            let head_prefix = head_prefix.as_deref().ok_or_else(|| {
                broken(format!("{} keeps its head in a file of its own; import without it", toolkit.name()))
            })?;
            let head = config.build(info.model.embedding_size(), speakers.len(), device);
            let tensors = tensor_shapes(&head)
                .into_iter()
                .map(|(name, shape)| {
                    let theirs = format!("{head_prefix}{name}");
                    match file.shape(&theirs) {
                        Some(found) if found == shape => Ok(NamedTensor { name, ..file.read(&theirs)? }),
                        Some(found) => Err(broken(format!(
                            "the head's tensor {theirs} has the shape {found:?}; expected {shape:?} for {} classes",
                            speakers.len()
                        ))),
                        None => Err(broken(format!("it has no head: there is no tensor {theirs}"))),
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            outside.retain(|name| of_head(name).is_none());
            Some(settle(load_named(head, tensors)?, HEAD_PREFIX))
        }
    };
    Ok(Imported { model, head, info, prefix, taken, outside })
}
