//! Parameters by name, in PyTorch's layouts.
//!
//! Burn keeps the weight of a linear layer as `[in, out]`; every name, shape and value that crosses this module's
//! border is in PyTorch's `[out, in]`.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, TensorMismatch};

/// A tensor with the name that PyTorch's `state_dict` gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// For example `front.layer1.0.conv1.weight`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub data: Vec<f32>,
}

/// Parameters and running statistics of `module`, in the order of its fields.
pub fn named_tensors<M: Module>(module: &M) -> Vec<NamedTensor> {
    let mut exporter = Exporter::default();
    module.visit(&mut exporter);
    exporter.tensors
}

/// Replaces all parameters and running statistics of `module`. Parameter ids, device and trainability stay as they
/// are: on an autodiff device the loaded parameters train.
///
/// PyTorch's `num_batches_tracked` counters are ignored. Running statistics are shared by clones of a module, so
/// clones of `module` made earlier see the new ones.
///
/// # Errors
/// [`Error::Tensors`] with every name that is missing, left over or of another shape; nothing is changed then.
pub fn load_named<M: Module>(module: M, tensors: Vec<NamedTensor>) -> Result<M> {
    let mut tensors: HashMap<String, NamedTensor> = tensors
        .into_iter()
        .filter(|tensor| !tensor.name.ends_with(".num_batches_tracked"))
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let shapes = tensor_shapes(&module);

    let mut mismatch = TensorMismatch::default();
    for (name, expected) in &shapes {
        match tensors.get(name) {
            None => mismatch.missing.push(name.clone()),
            Some(NamedTensor { shape, data, .. })
                if shape != expected || data.len() != shape.iter().product::<usize>() =>
            {
                mismatch.ill_shaped.push(format!("{name}: found {shape:?}, expected {expected:?}"));
            }
            Some(_) => {}
        }
    }
    let known: std::collections::HashSet<&String> = shapes.iter().map(|(name, _)| name).collect();
    mismatch.surplus = tensors.keys().filter(|name| !known.contains(name)).cloned().collect();
    mismatch.surplus.sort();
    if !mismatch.is_empty() {
        return Err(Error::Tensors { mismatch });
    }

    let mut importer = Importer { path: Path::default(), tensors: std::mem::take(&mut tensors) };
    Ok(module.map(&mut importer))
}

/// Name and shape of every tensor of [`named_tensors`], without drawing any.
pub(crate) fn tensor_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    shapes.shapes
}

/// Name and id of every trainable parameter (running statistics are not among them), in the order of the fields.
///
/// Modules made by this crate have ids that depend on the name alone: the first eight bytes of its SHA-256, with
/// `classifier.` before the names of a head. Optimiser records are keyed by id. So they fit any model of the same
/// architecture, in this process or the next.
pub fn parameter_ids<M: Module>(module: &M) -> Vec<(String, ParamId)> {
    let mut ids = Ids::default();
    module.visit(&mut ids);
    ids.ids
}

/// Gradients by name, in PyTorch's layouts; a parameter that took no part in the loss has none.
pub fn named_gradients<M: Module>(module: &M, gradients: &GradientsParams) -> Vec<NamedTensor> {
    let mut exporter = GradientExporter { path: Path::default(), gradients, tensors: Vec::new() };
    module.visit(&mut exporter);
    exporter.tensors
}

/// Draws all lazily initialised parameters now, in the order of the fields, and gives them ids derived from `prefix`
/// and their names. Otherwise the weights of a seed would depend on which parameter is looked at first.
pub(crate) fn initialise<M: Module>(module: M, prefix: &str) -> M {
    module.map(&mut Initialiser { path: Path::default(), prefix })
}

/// Place in the module tree during a traversal.
#[derive(Default)]
pub(crate) struct Path {
    names: Vec<String>,
    in_linear: bool,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        // Which variant an enum holds is not part of PyTorch's names.
        if !container.starts_with("Enum:") {
            self.names.push(name.to_owned());
        }
        self.in_linear = container == "Struct:Linear";
    }

    pub(crate) fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.names.pop();
        }
    }

    pub(crate) fn name(&self) -> String {
        self.names.join(".")
    }

    /// Whether this is a running statistic of batch normalisation and no parameter.
    pub(crate) fn is_statistic(&self) -> bool {
        self.names.last().is_some_and(|name| name.starts_with("running_"))
    }

    /// Whether Burn's layout is the transpose of PyTorch's here.
    fn is_transposed(&self) -> bool {
        self.in_linear && self.names.last().is_some_and(|name| name == "weight")
    }

    fn shape(&self, dims: &[usize]) -> Vec<usize> {
        let mut shape = dims.to_vec();
        if self.is_transposed() {
            shape.reverse();
        }
        shape
    }

    fn export<const D: usize>(&self, tensor: Tensor<D>) -> NamedTensor {
        let shape = self.shape(&tensor.dims());
        let mut data: Vec<f32> = tensor.into_data().iter::<f32>().collect();
        if self.is_transposed() {
            data = transposed(&data, shape[1], shape[0]);
        }
        NamedTensor { name: self.name(), shape, data }
    }
}

fn transposed(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| data[row * columns + column])).collect()
}

/// The two methods by which a traversal keeps its [`Path`].
macro_rules! track_path {
    () => {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }

        fn exit_module(&mut self, _name: &str, container_type: &str) {
            self.path.exit(container_type);
        }
    };
}
pub(crate) use track_path;

#[derive(Default)]
struct Exporter {
    path: Path,
    tensors: Vec<NamedTensor>,
}

impl ModuleVisitor for Exporter {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.push(self.path.export(param.val().detach()));
    }
}

struct GradientExporter<'a> {
    path: Path,
    gradients: &'a GradientsParams,
    tensors: Vec<NamedTensor>,
}

impl ModuleVisitor for GradientExporter<'_> {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.tensors.push(self.path.export(gradient));
        }
    }
}

#[derive(Default)]
struct Shapes {
    path: Path,
    shapes: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Without drawing it: the values are about to be replaced.
        self.shapes.push((self.path.name(), self.path.shape(param.lazy_shape().as_slice())));
    }
}

#[derive(Default)]
struct Ids {
    path: Path,
    ids: Vec<(String, ParamId)>,
}

impl ModuleVisitor for Ids {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.is_statistic() {
            self.ids.push((self.path.name(), param.id));
        }
    }
}

struct Importer {
    path: Path,
    tensors: HashMap<String, NamedTensor>,
}

impl ModuleMapper for Importer {
    track_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(NamedTensor { mut shape, mut data, .. }) = self.tensors.remove(&self.path.name()) else {
            return param;
        };
        if self.path.is_transposed() {
            data = transposed(&data, shape[0], shape[1]);
            shape.reverse();
        }
        let id = param.id;
        let tensor = Tensor::from_data(TensorData::new(data, shape), &param.lazy_device());
        // Keeps whether the parameter trains, also for a model that is on a plain device at the moment.
        param.transform_for_load(tensor, id)
    }
}

struct Initialiser<'a> {
    path: Path,
    prefix: &'a str,
}

impl ModuleMapper for Initialiser<'_> {
    track_path!();

    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.val();
        let digest = Sha256::digest(format!("{}{}", self.prefix, self.path.name()));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        param.id = ParamId::from(u64::from_le_bytes(bytes));
        param
    }
}
