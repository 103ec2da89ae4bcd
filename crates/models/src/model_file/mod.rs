//! `model.safetensors`: weights with PyTorch's names and layouts, and what is needed to use them.

mod description;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, View};

use self::description::{Description, TensorBytes};
use crate::error::{Error, Result};
use crate::heads::{HEAD_PREFIX, Head};
use crate::model::SpeakerModel;
use crate::model_info::{ModelIdentity, ModelInfo};
use crate::parameters::{NamedTensor, initialise, load_named, named_tensors};
use crate::toolkits::is_torch_file;

/// Key of the description in the file's metadata. The only one: the order of several would differ from run to run.
const INFO_KEY: &str = "ffsvc";

/// Writes network, head and description to `path`, completely or not at all. The same weights and description give the
/// same bytes. The description has a checksum of itself and of the weights.
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
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let tensors: Vec<F32View<'_>> = tensors.iter().map(F32View::new).collect();
    let broken = |cause: String| Error::Checkpoint { path: path.to_path_buf(), cause };
    let text =
        description::write(info, tensors.iter().map(F32View::as_bytes)).map_err(|e| broken(e.to_string()))?;
    let metadata = HashMap::from([(INFO_KEY.to_owned(), text)]);
    let views = tensors.iter().map(|tensor| (tensor.name, tensor));
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(e.to_string()))?;
    ffsvc_atomic_file::write(path, bytes).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

/// A model file that was read and checked; [`load`](Self::load) makes the network.
///
/// ```no_run
/// let file = ffsvc_models::ModelFile::open("model.safetensors")?;
/// println!("{} {}", file.identity().sha256, file.info().model.embedding_size());
/// let (model, _head) = file.load(&burn::tensor::Device::default())?;
/// # Ok::<(), ffsvc_models::Error>(())
/// ```
pub struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
    description: Description,
}

impl std::fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ModelFile {
    /// Reads a model file and compares its checksum. A file of an older version of this toolkit has none; then a warning
    /// is logged.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Foreign`] if it is of another toolkit; [`Error::Checkpoint`]
    /// if it is truncated, damaged or of a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read(path)?;
        let broken = |cause: &str| Error::Checkpoint { path: path.to_path_buf(), cause: cause.to_owned() };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, &e))?;
        let text = description_text(path, &metadata)?;
        let description = parse(path, text)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, &e))?;
        let mut tensors = Vec::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(broken(&format!("tensor {name} is {:?}, expected F32", view.dtype())));
            }
            tensors.push((name, view));
        }
        tensors.sort_by_key(|(name, _)| *name);
        let of_file =
            tensors.iter().map(|(name, view)| TensorBytes { name, shape: view.shape(), data: view.data() });
        if !description.fits(text, of_file) {
            return Err(broken(
                "its checksum is not that of its content: it was damaged, or another program changed it. Copy it again; \
                 after a wanted change, take `format` and `sha256` out of its description",
            ));
        }
        if !description.is_checked() {
            tracing::warn!("{}: no checksum (an older program wrote it)", path.display());
        }
        Ok(Self { path: path.to_path_buf(), bytes, description })
    }

    /// The description.
    pub fn info(&self) -> &ModelInfo {
        &self.description.info
    }

    /// What identifies the model.
    pub fn identity(&self) -> ModelIdentity {
        let info = self.info();
        ModelIdentity {
            sha256: ffsvc_hashing::sha256(&self.bytes),
            architecture: info.model.architecture(),
            embedding_size: info.model.embedding_size(),
            front_end: serde_json::to_value(&info.front_end).unwrap_or_default(),
        }
    }

    /// The network, and the head if the file has one.
    ///
    /// On an autodiff device the result trains; [`Module::valid`](burn::module::Module::valid) of it, or loading onto the
    /// plain device, evaluates. Parameter ids are those of a freshly initialised model
    /// (see [`parameter_ids`](crate::parameter_ids)), so optimiser records fit.
    ///
    /// # Errors
    /// - [`Error::Config`] if the description is out of range.
    /// - [`Error::Tensors`] with the names, if tensors are missing, left over or of another shape.
    /// - [`Error::Checkpoint`] if the network of the description has far more tensors than the file, or its mean has
    ///   another length than an embedding.
    pub fn load(&self, device: &Device) -> Result<(SpeakerModel, Option<Head>)> {
        let info = self.info();
        let broken = |cause: String| Error::Checkpoint { path: self.path.clone(), cause };
        if let Some(mean) = &info.embedding_mean
            && mean.len() != info.model.embedding_size()
        {
            return Err(broken(format!(
                "the mean to subtract has {} numbers; expected {}, as many as an embedding",
                mean.len(),
                info.model.embedding_size()
            )));
        }
        let file = SafeTensors::deserialize(&self.bytes).map_err(|e| damaged(&self.path, &e))?;
        info.model.validate()?;
        info.model.check_layers(file.len()).map_err(broken)?;

        let mut of_model = Vec::new();
        let mut of_head = Vec::new();
        for (name, view) in file.iter() {
            let (name, tensors) = match name.strip_prefix(HEAD_PREFIX) {
                Some(name) if info.head.is_some() => (name, &mut of_head),
                _ => (name, &mut of_model),
            };
            let (values, _) = view.data().as_chunks::<4>();
            let data = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            tensors.push(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), data });
        }

        // Loaded before it is settled: no random weights are drawn, and no memory is taken that the file does not fill.
        let model = initialise(load_named(info.model.build(info.num_mels()?, device)?, of_model)?, "");
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
                Some(initialise(load_named(head, of_head)?, HEAD_PREFIX))
            }
        };
        Ok((model, head))
    }
}

/// Reads the description alone; the weights are not looked at, and so not compared with the checksum.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Foreign`] or [`Error::Checkpoint`] if it is not a model file of this
/// crate.
pub fn load_info(path: impl AsRef<Path>) -> Result<ModelInfo> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, &e))?;
    Ok(parse(path, description_text(path, &metadata)?)?.info)
}

/// [`ModelFile::open`] and [`ModelFile::load`] in one.
///
/// # Errors
/// As these two.
pub fn load_model(
    path: impl AsRef<Path>,
    device: &Device,
) -> Result<(SpeakerModel, Option<Head>, ModelInfo)> {
    let file = ModelFile::open(path)?;
    let (model, head) = file.load(device)?;
    Ok((model, head, file.description.info))
}

/// A tensor with its values as the little-endian bytes of the file.
pub(crate) struct F32View<'a> {
    pub(crate) name: &'a str,
    shape: &'a [usize],
    data: Vec<u8>,
}

impl<'a> F32View<'a> {
    pub(crate) fn new(tensor: &'a NamedTensor) -> Self {
        let data = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: &tensor.name, shape: &tensor.shape, data }
    }

    fn as_bytes(&self) -> TensorBytes<'_> {
        TensorBytes { name: self.name, shape: self.shape, data: &self.data }
    }
}

impl View for &F32View<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    if is_torch_file(&bytes) {
        return Err(Error::Foreign { path: path.to_path_buf(), found: "a PyTorch file (torch.save)" });
    }
    Ok(bytes)
}

fn damaged(path: &Path, cause: &safetensors::SafeTensorError) -> Error {
    Error::Checkpoint {
        path: path.to_path_buf(),
        cause: format!("{cause}; expected a safetensors file, is it truncated?"),
    }
}

fn description_text<'a>(path: &Path, metadata: &'a Metadata) -> Result<&'a str> {
    match metadata.metadata().as_ref().and_then(|entries| entries.get(INFO_KEY)) {
        Some(text) => Ok(text),
        None => Err(Error::Foreign {
            path: path.to_path_buf(),
            found: "a safetensors file without the description `ffsvc` in its metadata",
        }),
    }
}

fn parse(path: &Path, text: &str) -> Result<Description> {
    description::read(text).map_err(|cause| Error::Checkpoint {
        path: path.to_path_buf(),
        cause: format!("the description in its metadata is not valid: {cause}"),
    })
}
