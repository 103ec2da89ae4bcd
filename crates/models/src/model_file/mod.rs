//! `model.safetensors`: weights with PyTorch's names and layouts, and what is needed to use them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;
use ffsvc_features::{FrontEnd, FrontEndConfig};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::heads::{HEAD_PREFIX, Head, HeadConfig};
use crate::model::{ModelConfig, SpeakerModel};
use crate::parameters::{NamedTensor, load_named, named_tensors, settle};

/// Key of [`ModelInfo`] in the file's metadata. The only one: the order of several would differ from run to run.
const INFO_KEY: &str = "ffsvc";

/// What a checkpoint says about its weights.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The network.
    pub model: ModelConfig,
    /// The head, if it is in the file.
    pub head: Option<HeadConfig>,
    /// The features that the network was trained on.
    pub front_end: FrontEndConfig,
    /// Names of the head's classes, in the order of its rows.
    pub speakers: Vec<String>,
    /// The whole configuration of the training run, as it was read.
    pub config_toml: String,
    /// Summary of the training (epochs, losses, error rates); whatever the trainer records.
    pub training: serde_json::Value,
    /// Version of the program that wrote the file.
    pub program_version: String,
    /// Whether recordings went through the baseline's low-pass before a change of sample rate; extraction does the
    /// same.
    #[serde(default)]
    pub compat_lowpass: bool,
    /// Subtracted from every embedding that the network gives, `[embedding]`: the mean of a domain. Extraction does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_mean: Option<Vec<f32>>,
}

impl ModelInfo {
    /// Rows of the features.
    ///
    /// # Errors
    /// [`Error::Config`] if the front end's options are not valid.
    pub fn num_mels(&self) -> Result<usize> {
        FrontEnd::new(&self.front_end).map(|front_end| front_end.num_mels()).map_err(|e| Error::Config {
            field: "front_end",
            found: e.to_string(),
            expected: "options of a usable front end",
        })
    }
}

/// Writes network, head and description to `path`, completely or not at all. The same weights and description give the
/// same bytes.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written, [`Error::Checkpoint`] if the tensors cannot be serialised.
pub fn save_model(
    path: impl AsRef<Path>,
    model: &SpeakerModel,
    head: Option<&Head>,
    info: &ModelInfo,
) -> Result<()> {
    let path = path.as_ref();
    let mut tensors = named_tensors(model);
    if let Some(head) = head {
        tensors.extend(named_tensors(head).into_iter().map(|mut tensor| {
            tensor.name.insert_str(0, HEAD_PREFIX);
            tensor
        }));
    }
    let broken = |cause: String| Error::Checkpoint { path: path.to_path_buf(), cause };
    let info = serde_json::to_string(info).map_err(|e| broken(e.to_string()))?;
    let metadata = HashMap::from([(INFO_KEY.to_owned(), info)]);
    let views = tensors.iter().map(|tensor| (tensor.name.as_str(), F32View(tensor)));
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(e.to_string()))?;
    ffsvc_atomic_file::write(path, bytes).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

/// Reads the description alone; the weights are not looked at.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Checkpoint`] if it is not a checkpoint of this crate.
pub fn load_info(path: impl AsRef<Path>) -> Result<ModelInfo> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, &e))?;
    parse_info(path, &metadata)
}

/// Reads a checkpoint. The head is returned if the file has one.
///
/// On an autodiff device the result trains; [`Module::valid`](burn::module::Module::valid) of it, or loading onto the
/// plain device, evaluates. Parameter ids are those of a freshly initialised model
/// (see [`parameter_ids`](crate::parameter_ids)), so optimiser records fit.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Checkpoint`] if it is truncated, damaged, without description or
/// has tensors that are not 32-bit floats; [`Error::Config`] if the description is out of range; [`Error::Tensors`]
/// with the names if tensors are missing, left over or of another shape.
pub fn load_model(
    path: impl AsRef<Path>,
    device: &Device,
) -> Result<(SpeakerModel, Option<Head>, ModelInfo)> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, &e))?;
    let info = parse_info(path, &metadata)?;
    if let Some(mean) = &info.embedding_mean
        && mean.len() != info.model.embedding_size()
    {
        let cause = format!(
            "the mean to subtract has {} numbers; expected {}, as many as an embedding",
            mean.len(),
            info.model.embedding_size()
        );
        return Err(Error::Checkpoint { path: path.to_path_buf(), cause });
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, &e))?;

    let mut of_model = Vec::new();
    let mut of_head = Vec::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            let cause = format!("tensor {name} is {:?}, expected F32", view.dtype());
            return Err(Error::Checkpoint { path: path.to_path_buf(), cause });
        }
        let (name, tensors) = match name.strip_prefix(HEAD_PREFIX) {
            Some(name) if info.head.is_some() => (name, &mut of_head),
            _ => (name, &mut of_model),
        };
        let (values, _) = view.data().as_chunks::<4>();
        let data = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        tensors.push(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), data });
    }

    // Loaded before it is settled: no random weights are drawn, and no memory is taken that the file does not fill.
    let model = settle(load_named(info.model.build(info.num_mels()?, device)?, of_model)?, "");
    let head = match &info.head {
        None => None,
        Some(config) => {
            config.validate()?;
            // The number of classes is that of the file; `load_named` compares the rest of the shapes.
            let num_classes = of_head
                .iter()
                .find(|tensor| tensor.name == "weight")
                .and_then(|tensor| tensor.shape.first().map(|rows| rows / config.rows_per_class()))
                .filter(|classes| *classes > 0)
                .unwrap_or(1);
            let head = config.build(info.model.embedding_size(), num_classes, device);
            Some(settle(load_named(head, of_head)?, HEAD_PREFIX))
        }
    };
    Ok((model, head, info))
}

/// A tensor's values as the little-endian bytes of the file.
pub(crate) struct F32View<'a>(pub(crate) &'a NamedTensor);

impl View for F32View<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.data.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.data.as_slice())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

fn damaged(path: &Path, cause: &safetensors::SafeTensorError) -> Error {
    Error::Checkpoint {
        path: path.to_path_buf(),
        cause: format!("{cause}; expected a safetensors file, is it truncated?"),
    }
}

fn parse_info(path: &Path, metadata: &Metadata) -> Result<ModelInfo> {
    let unusable = |cause: String| Error::Checkpoint { path: path.to_path_buf(), cause };
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(INFO_KEY)).ok_or_else(|| {
        unusable(format!("its metadata have no entry `{INFO_KEY}`; expected a file written by this toolkit"))
    })?;
    serde_json::from_str(text)
        .map_err(|e| unusable(format!("the description in its metadata is not valid: {e}")))
}
