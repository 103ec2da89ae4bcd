//! Networks in 8 bits beside themselves in 32.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use ffsvc_models::{
    CamPlusPlusConfig, ERes2NetV2Config, EcapaTdnnConfig, ModelConfig, PreparedLayers, ResNetConfig,
    SpeakerModel, load_named, named_tensors,
};

use crate::goldens::values_of;

const MELS: usize = 16;
const FRAMES: usize = 120;

fn networks() -> Vec<ModelConfig> {
    vec![
        ModelConfig::Resnet(ResNetConfig {
            in_planes: 8,
            depth: 18,
            embedding_size: 16,
            dropout: 0.0,
            ..Default::default()
        }),
        ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim: 32, embedding_size: 16, ..Default::default() }),
        ModelConfig::CamPlusPlus(CamPlusPlusConfig {
            embedding_size: 16,
            growth_rate: 4,
            init_channels: 16,
            ..Default::default()
        }),
        ModelConfig::ERes2NetV2(ERes2NetV2Config { in_planes: 16, embedding_size: 16, ..Default::default() }),
    ]
}

/// Always the same weights, of a size that keeps that of what passes through.
fn evaluated(config: &ModelConfig) -> SpeakerModel {
    let device = Device::flex();
    let model = config.init(MELS, &device.clone().autodiff()).unwrap().valid();
    let mut tensors = named_tensors(&model);
    let mut state = 1u32;
    for tensor in tensors.iter_mut().filter(|tensor| tensor.shape.len() > 1) {
        let inputs: usize = tensor.shape[1..].iter().product();
        let most = (6.0 / inputs as f32).sqrt();
        tensor.data.fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            most * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        });
    }
    load_named(model, tensors).unwrap()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_in_8_bits_are_near_and_do_not_depend_on_their_batch() {
    let device = Device::flex();
    for config in networks() {
        let model = evaluated(&config);
        let loud = Tensor::<3>::random([1, MELS, FRAMES], Distribution::Normal(0.0, 1.0), &device);
        let quiet = Tensor::<3>::random([1, MELS, FRAMES], Distribution::Normal(1.0, 0.1), &device);
        let exact = values_of(model.forward(loud.clone()));
        let layers = PreparedLayers::in_8_bits(&model, &device).unwrap();
        let rounded = |input| values_of(PreparedLayers::scope(Some(&layers), || model.forward(input)));
        let alone = rounded(loud.clone());
        let near = cosine(&exact, &alone);
        assert!(near > 0.98 && near < 1.0 - 1e-9, "{config:?}: {near}");
        let number = layers.len();
        assert!(number > 4, "{config:?}: {number} layers");
        let together = rounded(Tensor::cat(vec![quiet, loud], 0));
        let same = cosine(&together[alone.len()..], &alone);
        assert!(same > 1.0 - 1e-9, "{config:?}: {same}");
        assert_eq!(layers.len(), number, "{config:?}: layers are made once");
    }
}
