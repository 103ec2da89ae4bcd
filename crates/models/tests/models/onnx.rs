//! ONNX files: that they are valid, and that they hold the network's numbers. `tests/peers/onnx_models.py` runs them.

use std::collections::HashMap;

use burn::tensor::Device;
use ffsvc_features::{Cmn, FbankOptions, FrontEndConfig, Kind, LogMelOptions, WaveformNorm};
use ffsvc_models::{
    Error, ModelConfig, ModelInfo, OnnxInput, ResNetConfig, TdnnConfig, export_onnx, named_tensors,
};
use ffsvc_onnx::{Message as _, Model, SizeValue, ValueInfo, check};

use crate::config::networks;

/// Features of 16 rows, as `networks` take them.
fn front_end() -> FrontEndConfig {
    let kind = Kind::LogMel(LogMelOptions { num_mels: 16, ..LogMelOptions::default() });
    FrontEndConfig { kind, ..FrontEndConfig::default() }
}

fn exported(info: &ModelInfo) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let (network, path) =
        (info.model.init(info.num_mels().unwrap(), &Device::flex()).unwrap(), folder.path().join("a"));
    let tensors = export_onnx(&path, info, &network, OnnxInput::Features).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let model = Model::decode(&bytes[..]).unwrap();

    let named = named_tensors(&network);
    assert_eq!(tensors, named.len());
    let stored: HashMap<&str, _> =
        model.graph.as_ref().unwrap().initializer.iter().map(|one| (one.name.as_str(), one)).collect();
    let mut absent = Vec::new();
    for tensor in named {
        let Some(found) = stored.get(tensor.name.as_str()) else {
            absent.push(tensor.name);
            continue;
        };
        assert_eq!(
            found.dims,
            Vec::from_iter(tensor.shape.iter().map(|&size| size as i64)),
            "{}",
            tensor.name
        );
        let bytes: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert!(found.raw_data == bytes, "{}", tensor.name);
    }
    // The baseline's ECAPA-TDNN has a convolution in each block that takes no part in the result.
    let is_baseline = matches!(&info.model, ModelConfig::EcapaTdnn(config) if config.compat);
    let without_effect =
        |name: &String| is_baseline && (name.contains("convs.0.") || name.contains("bns.0."));
    assert_eq!(absent.len(), if is_baseline { 3 * 5 } else { 0 }, "{absent:?}");
    assert!(absent.iter().all(without_effect), "{absent:?}");

    // The same model gives the same bytes.
    export_onnx(&path, info, &network, OnnxInput::Features).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
    model
}

fn sizes(value: &ValueInfo) -> Vec<SizeValue> {
    let tensor = value.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).unwrap();
    tensor.shape.as_ref().unwrap().dim.iter().map(|size| size.value.clone().unwrap()).collect()
}

#[test]
fn every_network_gives_a_valid_file_with_its_tensors() {
    for config in networks() {
        let model = exported(&ModelInfo::new(config.clone(), front_end()));
        assert_eq!(check(&model), Ok(()), "{config:?}");
        let graph = model.graph.unwrap();
        let ([input], [output]) = (graph.input.as_slice(), graph.output.as_slice()) else {
            panic!("{config:?}")
        };
        assert_eq!((input.name.as_str(), output.name.as_str()), ("feats", "embs"));
        let free = |name: &str| SizeValue::DimParam(name.to_owned());
        assert_eq!(sizes(input), [free("B"), free("T"), SizeValue::DimValue(16)]);
        assert_eq!(sizes(output), [free("B"), SizeValue::DimValue(5)]);
        let read: Vec<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
        for tensor in &graph.initializer {
            assert!(read.contains(&&tensor.name), "{config:?}: nothing reads {}", tensor.name);
        }
    }
}

fn entries(info: &ModelInfo) -> HashMap<String, String> {
    exported(info).metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

/// The names are those that `sherpa-onnx/csrc/speaker-embedding-extractor-model.cc` of sherpa-onnx reads.
#[test]
fn the_metadata_describe_the_features_as_sherpa_onnx_reads_them() {
    let resnet = ModelConfig::Resnet(ResNetConfig {
        in_planes: 2,
        depth: 18,
        embedding_size: 5,
        ..ResNetConfig::default()
    });
    let fbank = |int16_scale, num_mels| FrontEndConfig {
        waveform_norm: WaveformNorm::None,
        kind: Kind::Fbank(FbankOptions { int16_scale, num_mels, ..FbankOptions::default() }),
        ..FrontEndConfig::default()
    };
    let of = |front_end| entries(&ModelInfo::new(resnet.clone(), front_end));
    let scaled = of(fbank(true, 80));
    let expected = [
        ("framework", "wespeaker"),
        ("language", "unknown"),
        ("sample_rate", "16000"),
        ("output_dim", "5"),
        ("normalize_samples", "0"),
        ("feature_normalize_type", "global-mean"),
        ("min_frames", "1"),
        ("compat_lowpass", "0"),
    ];
    for (key, value) in expected {
        assert_eq!(scaled[key], value, "{key}");
    }
    let described: FrontEndConfig = serde_json::from_str(&scaled["front_end"]).unwrap();
    assert_eq!(described, fbank(true, 80));
    assert_eq!(serde_json::from_str::<ModelConfig>(&scaled["network"]).unwrap(), resnet);

    let plain = of(FrontEndConfig { cmn: Cmn::None {}, ..fbank(false, 80) });
    assert_eq!((plain["framework"].as_str(), plain["normalize_samples"].as_str()), ("wespeaker", "1"));
    assert!(!plain.contains_key("feature_normalize_type"));

    // sherpa-onnx would compute other features: it is not told that it can.
    let normalised = FrontEndConfig { waveform_norm: WaveformNorm::MeanStd, ..fbank(true, 80) };
    for front_end in [fbank(true, 40), normalised, FrontEndConfig::default()] {
        assert_eq!(of(front_end)["framework"], "ffsvc");
    }
}

#[test]
fn a_network_that_is_not_the_described_one_is_an_error() {
    let config = |stats_dim| ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim, embedding_size: 5 });
    let network = config(6).init(16, &Device::flex()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    let resnet = ModelConfig::Resnet(ResNetConfig::default());
    let error =
        export_onnx(&path, &ModelInfo::new(resnet, front_end()), &network, OnnxInput::Features).unwrap_err();
    let Error::Tensors { mismatch } = &error else { panic!("{error}") };
    assert!(mismatch.missing.contains(&"front.conv1.weight".to_owned()), "{mismatch}");
    assert!(mismatch.surplus.contains(&"frame_1.conv_1d.weight".to_owned()), "{mismatch}");
    assert!(!path.exists());

    let info = ModelInfo::new(config(6), front_end());
    let error = export_onnx(folder.path().join("nowhere/a.onnx"), &info, &network, OnnxInput::Features)
        .unwrap_err()
        .to_string();
    assert!(error.contains("nowhere"), "{error}");
}
