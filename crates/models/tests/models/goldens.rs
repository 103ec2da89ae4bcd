//! Reading of reference values, and the two tiny models that they are of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use ffsvc_models::{
    EcapaTdnnConfig, Head, HeadConfig, ModelConfig, NamedTensor, PoolingConfig, ResNetConfig, SpeakerModel,
    load_named,
};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// All tensors of a safetensors file, as doubles.
pub(crate) struct Goldens(HashMap<String, (Vec<usize>, Vec<f64>)>);

impl Goldens {
    /// A file of the repository.
    pub(crate) fn committed(name: &str) -> Self {
        let folder = ffsvc_test_data::repository().join("tests/data/models");
        Self::read(&folder.join(format!("{name}.safetensors")))
    }

    /// Tensors of the shared folder beside the repository, which not everybody has.
    pub(crate) fn shared(name: &str) -> Self {
        Self::read(&Self::shared_file(&format!("{name}.safetensors")))
    }

    /// A file of the shared folder.
    pub(crate) fn shared_file(name: &str) -> PathBuf {
        ffsvc_test_data::shared("golden/models").join(name)
    }

    /// A file anywhere.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.iter().map(|(name, view)| {
            let data = view.data();
            let values: Vec<f64> = match view.dtype() {
                Dtype::F32 => {
                    data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
                }
                Dtype::F64 => {
                    data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
                }
                Dtype::I64 => {
                    data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
                }
                other => panic!("{name} is {other:?}"),
            };
            (name.to_owned(), (view.shape().to_vec(), values))
        });
        Self(tensors.collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        &self.0.get(name).unwrap_or_else(|| panic!("no golden {name}")).1
    }

    pub(crate) fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.0[name];
        let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        Tensor::from_data(TensorData::new(values, shape.clone()), device)
    }

    pub(crate) fn labels(&self, name: &str, device: &Device) -> Tensor<1, Int> {
        let values: Vec<i64> = self.values(name).iter().map(|v| *v as i64).collect();
        Tensor::from_data(TensorData::new(values, [self.values(name).len()]), device)
    }

    /// The one tensor of a file that has no other.
    pub(crate) fn only(&self) -> &[f64] {
        assert_eq!(self.0.len(), 1, "{:?}", self.0.keys());
        self.0.values().next().map(|(_, values)| values.as_slice()).unwrap_or_default()
    }

    pub(crate) fn shape(&self, name: &str) -> &[usize] {
        &self.0[name].0
    }

    /// The tensors under `prefix`, without it, as a safetensors file.
    pub(crate) fn safetensors(&self, prefix: &str) -> Vec<u8> {
        safetensors(&self.named(prefix))
    }

    /// The tensors under `prefix`, without it.
    pub(crate) fn named(&self, prefix: &str) -> Vec<NamedTensor> {
        let named = self.0.iter().filter_map(|(name, (shape, values))| {
            Some(NamedTensor {
                name: name.strip_prefix(prefix)?.to_owned(),
                shape: shape.clone(),
                data: values.iter().map(|v| *v as f32).collect(),
            })
        });
        named.collect()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Tiny {
    Resnet,
    Ecapa,
}

impl Tiny {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Resnet => "resnet_tiny",
            Self::Ecapa => "ecapa_tiny",
        }
    }

    pub(crate) fn config(self) -> ModelConfig {
        match self {
            Self::Resnet => ModelConfig::Resnet(ResNetConfig {
                in_planes: 8,
                depth: 34,
                embedding_size: 64,
                pooling: PoolingConfig::StatsAll,
                dropout: 0.0,
            }),
            Self::Ecapa => ModelConfig::EcapaTdnn(EcapaTdnnConfig {
                hidden_dim: 64,
                scale: 8,
                bottleneck: 16,
                embedding_size: 32,
                compat: true,
            }),
        }
    }

    /// The model with the baseline's weights.
    pub(crate) fn model(self, device: &Device) -> SpeakerModel {
        let model = self.config().init(80, device).unwrap();
        load_named(model, Goldens::committed(self.name()).named("model.")).unwrap()
    }

    /// A head of ten classes with the baseline's weights.
    pub(crate) fn head(self, config: &HeadConfig, device: &Device) -> Head {
        let head = config.init(self.config().embedding_size(), 10, device);
        load_named(head, Goldens::committed(self.name()).named("classifier.")).unwrap()
    }
}

/// Values of a tensor, as doubles.
pub(crate) fn values_of<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Largest difference.
pub(crate) fn max_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|v| v.is_finite()), "not all finite");
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Euclidean length of the difference over that of the expected values.
pub(crate) fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    difference / squares(&mut expected.iter().copied())
}

/// A safetensors file of floats.
pub(crate) fn safetensors(tensors: &[NamedTensor]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        (tensor.name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}
