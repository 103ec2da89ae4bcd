//! Utterances of different lengths in one batch: each has the embedding that it has alone.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use ffsvc_models::{
    GeminiDfResNetConfig, ModelConfig, PoolingConfig, RepVggConfig, ResNetConfig, SpeakerModel, TdnnConfig,
    load_named, named_tensors,
};

use crate::goldens::{max_difference, values_of};

const MELS: usize = 16;
/// Odd lengths, where a stride cuts a frame off; the shortest is the least that the TDNN takes.
const FRAMES: [usize; 4] = [61, 48, 33, 15];

fn resnet(depth: usize, pooling: PoolingConfig) -> ModelConfig {
    ModelConfig::Resnet(ResNetConfig { in_planes: 2, depth, pooling, embedding_size: 8, dropout: 0.0 })
}

fn networks() -> Vec<ModelConfig> {
    let rep_vgg = |deploy| {
        let widths = [2, 4, 8, 16];
        ModelConfig::RepVgg(RepVggConfig { widths, embedding_size: 8, deploy, ..Default::default() })
    };
    vec![
        resnet(18, PoolingConfig::Tstp),
        resnet(18, PoolingConfig::StatsAll),
        resnet(50, PoolingConfig::Tstp),
        rep_vgg(false),
        rep_vgg(true),
        ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { in_planes: 1, depth: 60, embedding_size: 8 }),
        ModelConfig::Tdnn(TdnnConfig { hidden_dim: 8, stats_dim: 12, embedding_size: 8 }),
    ]
}

/// With weights that keep the size of what passes through: of initial ones, which let it shrink from layer to layer, a deep
/// network would have the same embedding for all.
fn evaluated(config: &ModelConfig) -> SpeakerModel {
    let model = config.init(MELS, &Device::flex().autodiff()).unwrap().valid();
    let mut tensors = named_tensors(&model);
    for tensor in tensors.iter_mut().filter(|tensor| tensor.shape.len() > 1) {
        tensor.data.iter_mut().for_each(|value| *value *= 2.0);
    }
    load_named(model, tensors).unwrap()
}

/// Random features of each length, and all of them as a batch with zeros behind their ends.
fn utterances() -> (Vec<Tensor<3>>, Tensor<3>) {
    let device = Device::flex();
    let random = |frames| Tensor::random([1, MELS, frames], Distribution::Normal(0.0, 1.0), &device);
    let utterances: Vec<Tensor<3>> = FRAMES.into_iter().map(random).collect();
    let padded = utterances.iter().zip(FRAMES).map(|(utterance, frames)| {
        let behind = Tensor::zeros([1, MELS, FRAMES[0] - frames], &device);
        if frames == FRAMES[0] { utterance.clone() } else { Tensor::cat(vec![utterance.clone(), behind], 2) }
    });
    let batch = Tensor::cat(padded.collect(), 0);
    (utterances, batch)
}

#[test]
fn an_utterance_in_a_batch_is_as_it_is_alone() {
    for config in networks() {
        let model = evaluated(&config);
        assert!(model.supports_padding(), "{config:?}");
        let (utterances, batch) = utterances();
        // Without the lengths the padding would count.
        let careless = values_of(model.forward(batch.clone()));
        let together = values_of(model.forward_padded(batch, &FRAMES).unwrap());
        let size = together.len() / FRAMES.len();
        for (number, utterance) in utterances.into_iter().enumerate() {
            let alone = values_of(model.forward(utterance));
            let found = &together[number * size..][..size];
            let largest = alone.iter().fold(0f64, |most, value| most.max(value.abs()));
            let error = max_difference(found, &alone) / largest;
            assert!(error < 1e-5, "{config:?}, {} frames: {error:e}", FRAMES[number]);
            let careless = max_difference(&careless[number * size..][..size], &alone) / largest;
            assert!(number == 0 || careless > 1e-3, "{config:?}, {} frames: {careless:e}", FRAMES[number]);
        }
    }
}

#[test]
fn networks_that_need_the_whole_utterance_say_so() {
    let (_, batch) = utterances();
    for pooling in [PoolingConfig::Attentive, PoolingConfig::Astp, PoolingConfig::Mqmha] {
        let model = evaluated(&resnet(18, pooling));
        assert!(!model.supports_padding(), "{pooling:?}");
        assert!(model.forward_padded(batch.clone(), &FRAMES).is_none(), "{pooling:?}");
    }
}
