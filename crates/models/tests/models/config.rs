//! Configurations: text, defaults, ranges, and every architecture end to end.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use ffsvc_models::heads::{AamSoftmaxConfig, AmSoftmaxConfig, SoftmaxConfig};
use ffsvc_models::{
    BlockKind, CamPlusPlusConfig, ERes2NetConfig, ERes2NetV2Config, EcapaTdnnConfig, Error, Ge2eLstmConfig,
    GeminiDfResNetConfig, HeadConfig, ModelConfig, PoolingConfig, ReDim2Stage, ReDimNet2Config,
    ReDimNetConfig, ReDimStage, RepVggConfig, Res2NetConfig, ResNetConfig, SimAmResNetConfig, SpeakerModel,
    SpeechBrainEcapaConfig, TdnnConfig, TitaNetConfig, WespeakerEcapaConfig, Windows, named_gradients,
    named_tensors, parameter_ids,
};

use crate::goldens::values_of;

#[test]
fn sections_are_read_with_defaults() {
    let config: ModelConfig = toml::from_str("architecture = 'resnet'\npooling = 'stats-all'").unwrap();
    let expected = ResNetConfig { pooling: PoolingConfig::StatsAll, ..ResNetConfig::default() };
    assert_eq!(config, ModelConfig::Resnet(expected));
    let config: ModelConfig = toml::from_str("architecture = 'ecapa-tdnn'\ncompat = true").unwrap();
    assert_eq!((config.embedding_size(), config.min_frames()), (192, 9));
    let config: ModelConfig = toml::from_str("architecture = 'tdnn'").unwrap();
    assert_eq!((config.embedding_size(), config.min_frames()), (512, 15));

    let config: HeadConfig = toml::from_str("kind = 'aam-softmax'\nmargin = 0.3").unwrap();
    assert_eq!(
        config,
        HeadConfig::AamSoftmax(AamSoftmaxConfig { margin: 0.3, scale: 32.0, easy_margin: false })
    );
    let config: HeadConfig = toml::from_str("kind = 'softmax'").unwrap();
    assert_eq!(config, HeadConfig::Softmax(SoftmaxConfig {}));
    let config: HeadConfig = toml::from_str("kind = 'sub-centre-aam-softmax'\ntop_k = 5").unwrap();
    assert_eq!((config.margin(), config.rows_per_class()), (Some(0.2), 3));
    assert_eq!(toml::from_str::<HeadConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    for config in
        [ModelConfig::Resnet(ResNetConfig::baseline()), ModelConfig::EcapaTdnn(EcapaTdnnConfig::baseline())]
    {
        assert_eq!(toml::from_str::<ModelConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }
}

#[test]
fn unknown_fields_and_kinds_are_errors() {
    for (text, said) in [
        ("architecture = 'resnet'\nhidden_dim = 3", "hidden_dim"),
        ("architecture = 'ecapa-tdnn'\nin_planes = 3", "in_planes"),
        ("architecture = 'conformer'", "conformer"),
        ("in_planes = 3", "architecture"),
    ] {
        let error = toml::from_str::<ModelConfig>(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    for (text, said) in [
        ("kind = 'am-softmax'\neasy_margin = true", "easy_margin"),
        ("kind = 'softmax'\nmargin = 0.1", "margin"),
    ] {
        let error = toml::from_str::<HeadConfig>(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn values_out_of_range_are_errors_that_name_the_field() {
    let device = Device::default();
    let resnet = ResNetConfig::default;
    let ecapa = EcapaTdnnConfig::default;
    let redim = ModelConfig::ReDimNet;
    let cases = [
        ("model.in_planes", ModelConfig::Resnet(ResNetConfig { in_planes: 0, ..resnet() })),
        ("model.in_planes", ModelConfig::Resnet(ResNetConfig { in_planes: usize::MAX, ..resnet() })),
        ("model.depth", ModelConfig::Resnet(ResNetConfig { depth: 20, ..resnet() })),
        ("model.dropout", ModelConfig::Resnet(ResNetConfig { dropout: 1.0, ..resnet() })),
        ("model.dropout", ModelConfig::Resnet(ResNetConfig { dropout: f64::NAN, ..resnet() })),
        ("model.hidden_dim", ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim: 60, ..ecapa() })),
        ("model.scale", ModelConfig::EcapaTdnn(EcapaTdnnConfig { scale: 1, ..ecapa() })),
        (
            "model.channels",
            ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig { channels: 12, ..Default::default() }),
        ),
        (
            "model.scale",
            ModelConfig::SpeechBrainEcapaTdnn(SpeechBrainEcapaConfig { scale: 7, ..Default::default() }),
        ),
        (
            "model.bn_size * model.growth_rate",
            ModelConfig::CamPlusPlus(CamPlusPlusConfig { bn_size: usize::MAX, ..Default::default() }),
        ),
        (
            "model.blocks",
            ModelConfig::ERes2Net(ERes2NetConfig { blocks: [3, 0, 6, 3], ..Default::default() }),
        ),
        ("model.base_width", ModelConfig::ERes2Net(ERes2NetConfig { base_width: 1, ..Default::default() })),
        (
            "8 * model.in_planes * model.expansion",
            ModelConfig::ERes2NetV2(ERes2NetV2Config { expansion: 65_536, ..Default::default() }),
        ),
        ("model.scale", ModelConfig::ERes2NetV2(ERes2NetV2Config { scale: 0, ..Default::default() })),
        ("model.depth", ModelConfig::SimAmResnet(SimAmResNetConfig { depth: 50, ..Default::default() })),
        ("model.stages", redim(ReDimNetConfig { stages: Vec::new(), ..ReDimNetConfig::default() })),
        (
            "model.planar_head",
            ModelConfig::ReDimNet2(ReDimNet2Config {
                planar_head: true,
                head_channels: 0,
                ..Default::default()
            }),
        ),
        ("model.scale", ModelConfig::Res2Net(Res2NetConfig { scale: 1, ..Default::default() })),
        (
            "model.depth",
            ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { depth: 34, ..Default::default() }),
        ),
        ("model.widths", ModelConfig::RepVgg(RepVggConfig { widths: [8, 8, 0, 8], ..Default::default() })),
        ("4 * model.hidden", ModelConfig::Ge2eLstm(Ge2eLstmConfig { hidden: 20_000, ..Default::default() })),
        ("model.layers", ModelConfig::Ge2eLstm(Ge2eLstmConfig { layers: 0, ..Default::default() })),
        (
            "model.windows.shift",
            ModelConfig::Ge2eLstm(Ge2eLstmConfig {
                windows: Windows { shift: 161, ..Default::default() },
                ..Default::default()
            }),
        ),
        (
            "model.xi",
            ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig {
                xi: true,
                global_context: true,
                ..Default::default()
            }),
        ),
        ("model.channels", ModelConfig::TitaNet(TitaNetConfig { channels: 7, ..Default::default() })),
        ("model.kernels", ModelConfig::TitaNet(TitaNetConfig { kernels: vec![7, 8], ..Default::default() })),
        // 80 rows of features: the strides of B1 are 12 in all, and B0's reductions are for 60.
        ("model.stages", redim(ReDimNetConfig::of_size(1).unwrap())),
        ("model.stages.reduction", redim(ReDimNetConfig::of_size(0).unwrap())),
        ("model.group_size", redim(ReDimNetConfig { group_size: 6, ..ReDimNetConfig::default() })),
        ("model.stats_dim", ModelConfig::Tdnn(TdnnConfig { stats_dim: 0, ..TdnnConfig::default() })),
    ];
    for (name, config) in cases {
        match config.init(80, &device) {
            Err(Error::Config { field, .. }) => assert_eq!(field, name),
            other => panic!("{config:?}: {}", if other.is_ok() { "accepted" } else { "another error" }),
        }
    }
    assert!(ModelConfig::Tdnn(TdnnConfig::default()).init(0, &device).is_err());
    for head in [
        HeadConfig::AamSoftmax(AamSoftmaxConfig { margin: -0.1, ..Default::default() }),
        HeadConfig::AmSoftmax(AmSoftmaxConfig { margin: 0.2, scale: 0.0 }),
        HeadConfig::AmSoftmax(AmSoftmaxConfig { margin: f64::NAN, scale: 30.0 }),
        toml::from_str("kind = 'sub-centre-aam-softmax'\nsub_centres = 0").unwrap(),
        toml::from_str("kind = 'sub-centre-aam-softmax'\ntop_k_penalty = 2.0").unwrap(),
        toml::from_str("kind = 'sub-centre-aam-softmax'\nmargin = 4").unwrap(),
        toml::from_str("kind = 'sphere-face'\nmultiple = 9").unwrap(),
        toml::from_str("kind = 'sphere-face'\nlambda = -1").unwrap(),
    ] {
        assert!(matches!(head.validate(), Err(Error::Config { .. })), "{head:?}");
    }
}

/// Small ones of every kind.
pub(crate) fn networks() -> Vec<ModelConfig> {
    let resnet = |depth, pooling| {
        let dropout = 0.0;
        ModelConfig::Resnet(ResNetConfig { in_planes: 2, depth, embedding_size: 5, pooling, dropout })
    };
    let ecapa = |compat| {
        let (hidden_dim, scale, bottleneck, embedding_size) = (8, 4, 3, 5);
        ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim, scale, bottleneck, embedding_size, compat })
    };
    let redimnet = |block, group_size| {
        let stage = |blocks, expansion, reduction| ReDimStage { stride: 1, blocks, expansion, reduction };
        ModelConfig::ReDimNet(ReDimNetConfig {
            channels: 4,
            block,
            group_size,
            stages: vec![stage(1, 1, None), stage(2, 2, Some(13))],
            embedding_size: 5,
            ..ReDimNetConfig::default()
        })
    };
    let repvgg = |deploy| {
        let (widths, blocks) = ([2, 2, 3, 4], [2, 1, 2, 1]);
        ModelConfig::RepVgg(RepVggConfig { widths, blocks, deploy, embedding_size: 5 })
    };
    let redimnet2 = |head_channels, planar_head| {
        let stage = |time_stride, inner_channels, reduction| ReDim2Stage {
            frequency_stride: 1,
            time_stride,
            blocks: 1,
            inner_channels,
            reduction,
        };
        ModelConfig::ReDimNet2(ReDimNet2Config {
            channels: 4,
            stages: vec![stage(1, 4, None), stage(2, 6, Some(13)), stage(2, 4, None)],
            head_channels,
            planar_head,
            embedding_size: 5,
            ..ReDimNet2Config::default()
        })
    };
    let wespeaker = |whole| {
        ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig {
            channels: 8,
            aggregated: 6,
            embedding_size: 5,
            global_context: whole,
            xi: false,
            emb_bn: whole,
        })
    };
    vec![
        resnet(18, PoolingConfig::StatsAll),
        resnet(18, PoolingConfig::Tstp),
        resnet(18, PoolingConfig::Attentive),
        resnet(18, PoolingConfig::Astp),
        resnet(18, PoolingConfig::Mqmha),
        resnet(50, PoolingConfig::Tstp),
        ecapa(false),
        ecapa(true),
        wespeaker(false),
        wespeaker(true),
        ModelConfig::WespeakerEcapaTdnn(WespeakerEcapaConfig {
            channels: 8,
            aggregated: 6,
            embedding_size: 5,
            xi: true,
            ..WespeakerEcapaConfig::default()
        }),
        ModelConfig::SpeechBrainEcapaTdnn(SpeechBrainEcapaConfig {
            channels: 8,
            aggregated: 6,
            scale: 4,
            se_channels: 3,
            attention_channels: 2,
            embedding_size: 5,
        }),
        ModelConfig::CamPlusPlus(CamPlusPlusConfig {
            embedding_size: 5,
            growth_rate: 2,
            bn_size: 2,
            init_channels: 4,
        }),
        ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 }),
        ModelConfig::ERes2Net(ERes2NetConfig {
            in_planes: 2,
            blocks: [1, 1, 1, 2],
            base_width: 32,
            scale: 2,
            expansion: 2,
            embedding_size: 5,
        }),
        ModelConfig::ERes2NetV2(ERes2NetV2Config {
            in_planes: 3,
            blocks: [2, 1, 1, 1],
            base_width: 24,
            scale: 3,
            expansion: 1,
            embedding_size: 5,
        }),
        ModelConfig::SimAmResnet(SimAmResNetConfig { in_planes: 2, depth: 34, embedding_size: 5 }),
        ModelConfig::Res2Net(Res2NetConfig {
            in_planes: 2,
            blocks: [1, 2, 1, 1],
            scale: 3,
            embedding_size: 5,
            ..Res2NetConfig::default()
        }),
        ModelConfig::GeminiDfResnet(GeminiDfResNetConfig { in_planes: 1, depth: 60, embedding_size: 5 }),
        repvgg(false),
        repvgg(true),
        ModelConfig::Ge2eLstm(Ge2eLstmConfig {
            hidden: 6,
            layers: 2,
            embedding_size: 5,
            ..Default::default()
        }),
        ModelConfig::TitaNet(TitaNetConfig {
            channels: 8,
            aggregated: 16,
            kernels: vec![3, 5],
            repeat: 2,
            dropout: 0.0,
            attention_channels: 3,
            embedding_size: 5,
        }),
        redimnet2(0, false),
        redimnet2(3, false),
        redimnet2(3, true),
        redimnet(BlockKind::Basic, 1),
        redimnet(BlockKind::BasicSe, 2),
        redimnet(BlockKind::ConvNeXt, 4),
    ]
}

pub(crate) fn num_parameters(model: &SpeakerModel) -> usize {
    let tensors = named_tensors(model);
    let parameters = tensors.iter().filter(|tensor| !tensor.name.contains("running_"));
    parameters.map(|tensor| tensor.data.len()).sum()
}

/// Millions of parameters as WeSpeaker counts them for its definitions of the sizes.
#[test]
fn the_sizes_of_redimnet_are_wespeakers() {
    let device = Device::default();
    for (size, millions) in [1.0, 2.1, 4.9, 3.2, 6.4, 7.65, 15.0].into_iter().enumerate() {
        let config = ModelConfig::ReDimNet(ReDimNetConfig::of_size(size).unwrap());
        let model = config.init(if size == 0 { 60 } else { 72 }, &device).unwrap();
        let parameters = num_parameters(&model);
        println!("B{size}: {parameters}");
        assert!((parameters as f64 / 1e6 - millions).abs() < 0.06, "B{size}: {parameters}");
    }
    assert_eq!(ReDimNetConfig::of_size(7), None);
}

/// Parameters of WeSpeaker's definitions of the sizes, without the features.
#[test]
fn the_sizes_of_redimnet2_are_wespeakers() {
    let device = Device::default();
    let counts = [703_060, 1_254_992, 2_530_208, 2_364_712, 6_659_744, 7_900_456, 12_394_784];
    for (size, expected) in counts.into_iter().enumerate() {
        let model =
            ModelConfig::ReDimNet2(ReDimNet2Config::of_size(size).unwrap()).init(72, &device).unwrap();
        assert_eq!(num_parameters(&model), expected, "B{size}");
    }
    assert_eq!(ReDimNet2Config::of_size(7), None);
}

#[test]
fn every_network_takes_its_shortest_input_and_trains_all_its_parameters() {
    let plain = Device::default();
    let device = plain.clone().autodiff();
    for config in networks() {
        let num_mels = 13;
        let model = config.init(num_mels, &device).unwrap();
        assert_eq!(model.min_frames(), config.min_frames());
        for frames in [config.min_frames(), config.min_frames() + 22] {
            let features = Tensor::ones([2, num_mels, frames], &plain);
            let embeddings = model.valid().forward(features);
            assert_eq!(embeddings.dims(), [2, config.embedding_size()]);
            assert!(values_of(embeddings).iter().all(|v| v.is_finite()), "{config:?} {frames}");
        }

        let values = (0..2 * num_mels * 30).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
        let data = burn::tensor::TensorData::new(values, [2, num_mels, 30]);
        let loss = model.forward(Tensor::from_data(data, &device)).square().sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let named = named_gradients(&model, &gradients);
        let unused = if matches!(&config, ModelConfig::EcapaTdnn(c) if c.compat) { 9 } else { 0 };
        assert_eq!(named.len() + unused, parameter_ids(&model).len(), "{config:?}");
        assert!(named.iter().all(|g| g.data.iter().all(|v| v.is_finite())), "{config:?}");
    }
}

/// Optimiser records are keyed by id: they must fit the model of the next process.
#[test]
fn parameter_ids_follow_from_names_alone() {
    let device = Device::default();
    for config in networks() {
        let first = parameter_ids(&config.init(13, &device).unwrap());
        let second = parameter_ids(&config.init(13, &device.clone().autodiff()).unwrap());
        assert_eq!(first, second);
        let head = parameter_ids(&HeadConfig::default().init(5, 3, &device));
        let mut ids: Vec<u64> = first.iter().chain(&head).map(|(_, id)| id.val()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), first.len() + 1);
    }
}

/// PyTorch draws weights and biases within 1 / sqrt(fan_in).
#[test]
fn weights_are_drawn_as_pytorch_does() {
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 64, stats_dim: 64, embedding_size: 32 });
    let model = config.init(80, &Device::default()).unwrap();
    let mut compared = 0;
    for tensor in named_tensors(&model) {
        let fan_in = match tensor.name.as_str() {
            "frame_1.conv_1d.weight" => 5 * 80,
            "frame_2.conv_1d.weight" => 3 * 64,
            "seg_1.weight" => 128,
            _ => continue,
        };
        let bound = 1.0 / (fan_in as f32).sqrt();
        let largest = tensor.data.iter().fold(0.0f32, |largest, v| v.abs().max(largest));
        assert!(largest <= bound && largest > 0.99 * bound, "{}: {largest} {bound}", tensor.name);
        let power = tensor.data.iter().map(|v| v * v).sum::<f32>() / tensor.data.len() as f32;
        assert!((power / (bound * bound / 3.0) - 1.0).abs() < 0.05, "{}", tensor.name);
        compared += 1;
    }
    assert_eq!(compared, 3);

    let head = HeadConfig::default().init(64, 100, &Device::default());
    let weight = &named_tensors(&head)[0];
    let bound = (6.0f32 / 164.0).sqrt();
    let largest = weight.data.iter().fold(0.0f32, |largest, v| v.abs().max(largest));
    assert!(weight.shape == [100, 64] && largest <= bound && largest > 0.99 * bound);
}
