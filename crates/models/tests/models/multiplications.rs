//! The size of networks and the products that they compute, against WeSpeaker's table of its VoxCeleb recipe.

use burn::tensor::Device;
use ffsvc_models::{
    CamPlusPlusConfig, GeminiDfResNetConfig, ModelConfig, ResNetConfig, TdnnConfig, TitaNetConfig,
    WespeakerEcapaConfig,
};

use crate::config::num_parameters;

/// `examples/voxceleb/v2/README.md`: Params in millions, Flops in thousand millions of products for 200 frames of 80 bands. Those
/// include what is done for each value alone, which is some per cent of the smaller networks. RepVGG, ERes2Net and Res2Net are left
/// out: the sizes of the table are not those of their defaults here.
#[test]
fn sizes_and_products_are_those_that_wespeaker_published() {
    let ecapa = |channels, global_context, xi| {
        ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig {
            channels,
            aggregated: 1536,
            global_context,
            xi,
            ..WespeakerEcapaConfig::default()
        })
    };
    // Its x-vector has a second layer behind the embedding. Its attention reads mean and deviation at every frame, ours once.
    let (second_layer, at_every_frame) = (512.0 * 513.0 / 1e6, 2.0 * 1536.0 * 128.0 * 200.0 / 1e9);
    let device = Device::flex();
    let mut wrong = Vec::new();
    for (name, config, millions, giga) in [
        ("x-vector", ModelConfig::Tdnn(TdnnConfig::default()), 4.61 - second_layer, 0.53),
        ("ECAPA-TDNN 512, GLOB", ecapa(512, true, false), 6.19, 1.04 - at_every_frame),
        ("ECAPA-TDNN 1024, GLOB", ecapa(1024, true, false), 14.65, 2.65 - at_every_frame),
        ("ECAPA-TDNN 512, xi", ecapa(512, false, true), 5.9, 1.04),
        ("ResNet34", ModelConfig::Resnet(ResNetConfig::default()), 6.63, 4.55),
        (
            "CAM++",
            ModelConfig::CamPlusPlus(CamPlusPlusConfig { embedding_size: 512, ..Default::default() }),
            7.18,
            1.15,
        ),
        (
            "Gemini DF-ResNet114",
            ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { depth: 114, ..Default::default() }),
            6.53,
            5.42,
        ),
    ] {
        let model = config.init(80, &device).unwrap();
        let found =
            [num_parameters(&model) as f64 / 1e6, model.multiply_accumulates(80, 200, &device) as f64 / 1e9];
        println!(
            "{name}: {:.3} million weights, {:.3} GMAC; published {millions}, {giga}",
            found[0], found[1]
        );
        if (found[0] / millions - 1.0).abs() > 0.01 || !(0.92..1.01).contains(&(found[1] / giga)) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Parameters of NeMo's definitions by titanet-large.yaml and titanet-small.yaml, without the layer of the speakers.
#[test]
fn the_sizes_of_titanet_are_nemos() {
    for (channels, expected) in [(1024, 22_122_288), (256, 6_825_264)] {
        let config = ModelConfig::TitaNet(TitaNetConfig { channels, ..Default::default() });
        assert_eq!(num_parameters(&config.init(80, &Device::flex()).unwrap()), expected);
    }
}

/// An LSTM by its formula: each of the four gates of a unit sees the input and all units.
#[test]
fn the_products_of_an_lstm_are_those_of_its_formula() {
    let device = Device::flex();
    let config: ModelConfig =
        toml::from_str("architecture = 'ge2e-lstm'\nhidden = 6\nlayers = 2\nembedding_size = 5").unwrap();
    let model = config.init(13, &device).unwrap();
    let expected = 9 * (4 * 6 * (13 + 6) + 4 * 6 * (6 + 6)) + 6 * 5;
    assert_eq!(model.multiply_accumulates(13, 9, &device), expected);
    // A forward pass without the count leaves nothing behind.
    assert_eq!(model.multiply_accumulates(13, 9, &device), expected);
}
