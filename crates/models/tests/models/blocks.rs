//! Long recordings, which go through a network in blocks, against the same network on all frames at once.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_models::{
    CamPlusPlusConfig, ERes2NetConfig, ERes2NetV2Config, EcapaTdnnConfig, GeminiDfResNetConfig, ModelConfig,
    PoolingConfig, RepVggConfig, Res2NetConfig, ResNetConfig, SpeechBrainEcapaConfig, TdnnConfig,
    TitaNetConfig, WespeakerEcapaConfig, keep_running_statistics, load_named, named_tensors,
};

use crate::goldens::values_of;

const MELS: usize = 16;

fn features(frames: usize, device: &Device) -> Tensor<3> {
    let value = |n: usize| {
        ((n % frames) as f32 * 0.013 * ((n / frames) as f32 + 1.3)).sin() + ((n * 7919) % 101) as f32 * 0.01
    };
    let values = Vec::from_iter((0..2 * MELS * frames).map(value));
    Tensor::from_data(TensorData::new(values, [2, MELS, frames]), device)
}

fn cosine_distance(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn long_recordings_in_blocks_equal_the_whole() {
    let resnet = |depth, pooling| {
        let size = ResNetConfig { in_planes: 2, depth, pooling, embedding_size: 8, ..Default::default() };
        ModelConfig::Resnet(size)
    };
    let ecapa = |compat| {
        let (hidden_dim, scale, bottleneck) = (16, 4, 6);
        ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim, scale, bottleneck, embedding_size: 8, compat })
    };
    let wespeaker_ecapa = |global_context| {
        let (channels, aggregated, embedding_size) = (16, 24, 8);
        let size = WespeakerEcapaConfig { channels, aggregated, embedding_size, ..Default::default() };
        ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig { global_context, ..size })
    };
    let cam = CamPlusPlusConfig { embedding_size: 8, growth_rate: 4, bn_size: 2, init_channels: 8 };
    let networks = [
        resnet(34, PoolingConfig::Tstp),
        resnet(18, PoolingConfig::StatsAll),
        resnet(50, PoolingConfig::Attentive),
        resnet(18, PoolingConfig::Astp),
        resnet(18, PoolingConfig::Mqmha),
        ModelConfig::CamPlusPlus(cam),
        ModelConfig::RepVgg(RepVggConfig { widths: [2, 4, 8, 16], embedding_size: 8, ..Default::default() }),
        ModelConfig::Res2Net(Res2NetConfig { in_planes: 2, embedding_size: 8, ..Default::default() }),
        ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { in_planes: 1, depth: 60, embedding_size: 8 }),
        ModelConfig::ERes2Net(ERes2NetConfig { in_planes: 2, embedding_size: 8, ..Default::default() }),
        ModelConfig::ERes2NetV2(ERes2NetV2Config { in_planes: 3, embedding_size: 8, ..Default::default() }),
        ModelConfig::Tdnn(TdnnConfig { hidden_dim: 8, stats_dim: 12, embedding_size: 8 }),
        ecapa(false),
        ecapa(true),
        wespeaker_ecapa(false),
        wespeaker_ecapa(true),
        ModelConfig::SpeechBrainEcapaTdnn(SpeechBrainEcapaConfig {
            channels: 16,
            aggregated: 24,
            scale: 4,
            se_channels: 6,
            attention_channels: 5,
            embedding_size: 8,
        }),
        ModelConfig::TitaNet(TitaNetConfig {
            channels: 16,
            aggregated: 24,
            kernels: vec![7, 15],
            dropout: 0.0,
            attention_channels: 5,
            embedding_size: 8,
            ..Default::default()
        }),
    ];
    let plain = Device::flex();
    let with_gradients = plain.clone().autodiff();
    for config in networks {
        let model = config.init(MELS, &with_gradients).unwrap();
        // Statistics of running BatchNorm that differ from 0 and 1.
        model.forward(features(300, &with_gradients));
        // With gradients the whole recording goes through at once.
        let at_once = keep_running_statistics(
            load_named(config.init(MELS, &with_gradients).unwrap(), named_tensors(&model)).unwrap(),
        );
        for frames in [8_000, 13_579] {
            let expected = values_of(at_once.forward(features(frames, &with_gradients)).inner());
            let found = values_of(model.valid().forward(features(frames, &plain)));
            let distances = found.chunks(8).zip(expected.chunks(8)).map(|(a, b)| cosine_distance(a, b));
            let worst = distances.fold(0.0, f64::max);
            println!("{config:?} {frames}: {worst:e}");
            assert!(worst < 1e-10, "{config:?}, {frames} frames: a cosine distance of {worst:e}");
        }
    }
}
