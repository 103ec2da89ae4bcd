//! Checkpoint files: round trip, names, and files that are not what they should be.

use std::path::Path;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use ffsvc_models::toolkits::{ExportFormat, Toolkit, export_model};
use ffsvc_models::{
    EcapaTdnnConfig, Error, HeadConfig, ModelConfig, ModelFile, ModelIdentity, ModelInfo, NamedTensor,
    SpeechBrainEcapaConfig, TdnnConfig, TensorMismatch, load_info, load_model, load_named, named_tensors,
    parameter_ids, save_model,
};
use safetensors::SafeTensors;

use crate::goldens::{Goldens, Tiny, values_of};

fn info(model: ModelConfig) -> ModelInfo {
    let mut info = ModelInfo::new(model, ffsvc_features::FrontEndConfig::default());
    info.head = Some(HeadConfig::default());
    info.speakers = (0..10).map(|i| format!("spk{i}")).collect();
    info.config_toml = "seed = 1\n[model]\n# ü\n".into();
    info.training = serde_json::json!({ "epoch": 3, "eer": 0.0512 });
    info.compat_lowpass = true;
    info
}

fn without_head(model: ModelConfig) -> ModelInfo {
    let mut info = info(model);
    info.head = None;
    info.speakers.clear();
    info
}

fn bits(tensors: &[NamedTensor]) -> Vec<(&str, &[usize], Vec<u32>)> {
    let bits = |tensor: &NamedTensor| tensor.data.iter().map(|v| v.to_bits()).collect();
    tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice(), bits(t))).collect()
}

#[test]
fn round_trip_is_bit_equal_and_repeatable() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::default();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        let (model, head) = (tiny.model(&device), tiny.head(&HeadConfig::default(), &device));
        let info = info(tiny.config());
        save_model(&first, &model, Some(&head), &info).unwrap();
        let (loaded, loaded_head, loaded_info) = load_model(&first, &device).unwrap();
        assert_eq!(bits(&named_tensors(&loaded)), bits(&named_tensors(&model)));
        let loaded_head = loaded_head.unwrap();
        assert_eq!(bits(&named_tensors(&loaded_head)), bits(&named_tensors(&head)));
        assert_eq!(loaded_info, info);
        assert_eq!(load_info(&first).unwrap(), info);
        assert_eq!(parameter_ids(&loaded), parameter_ids(&model));
        save_model(&second, &loaded, Some(&loaded_head), &loaded_info).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    }
}

/// The names and shapes that the baseline's `load_state_dict` asks for.
#[test]
fn names_and_shapes_are_the_state_dicts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::default();
    for tiny in [Tiny::Resnet, Tiny::Ecapa] {
        let head = tiny.head(&HeadConfig::default(), &device);
        save_model(&path, &tiny.model(&device), Some(&head), &info(tiny.config())).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut found: Vec<_> =
            file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect();
        let golden = Goldens::committed(tiny.name());
        let mut expected: Vec<_> = golden
            .named("model.")
            .into_iter()
            .map(|tensor| (tensor.name, tensor.shape))
            .chain([("classifier.weight".into(), vec![10, head.weight().unwrap().dims()[1]])])
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_loaded_model_trains_and_evaluates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let plain = Device::default();
    let device = plain.clone().autodiff();
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let head = HeadConfig::default();
    let model = config.init(80, &plain).unwrap();
    save_model(&path, &model, Some(&head.init(5, 3, &plain)), &info(config)).unwrap();

    let (model, head, _) = load_model(&path, &device).unwrap();
    let head = head.unwrap();
    let values: Vec<f32> = (0..2 * 80 * 20).map(|i| (i as f32 * 0.37).sin()).collect();
    let data = burn::tensor::TensorData::new(values, [2, 80, 20]);
    let features = Tensor::from_data(data, &device);
    let loss = head.forward(model.forward(features), Tensor::from_ints([0, 2], &device)).loss;
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let before = named_tensors(&model);
    let trained = AdamConfig::new().init().step(0.1, model, gradients);
    for (old, new) in before.iter().zip(named_tensors(&trained)) {
        if old.name.contains("running_") {
            continue;
        }
        // A bias right before a batch normalisation would not move; here ReLU lies between.
        assert_ne!(old.data, new.data, "{}", old.name);
    }
    // Evaluation does not touch the model that goes on training.
    let statistics =
        |name: &str| named_tensors(&trained).into_iter().find(|tensor| tensor.name == name).unwrap();
    let old = statistics("frame_1.bn.running_mean");
    let embedding = trained.valid().forward(Tensor::ones([1, 80, 30], &plain));
    assert!(values_of(embedding).iter().all(|v| v.is_finite()));
    assert_eq!(statistics("frame_1.bn.running_mean"), old);
}

#[test]
fn a_network_alone_is_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let model = config.init(80, &Device::default()).unwrap();
    save_model(&path, &model, None, &without_head(config)).unwrap();
    let (loaded, head, _) = load_model(&path, &Device::default()).unwrap();
    assert!(head.is_none());
    assert_eq!(named_tensors(&loaded), named_tensors(&model));
}

#[test]
fn tensors_that_do_not_fit_are_listed() {
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let model = config.init(80, &Device::default()).unwrap();
    let mut tensors = named_tensors(&model);
    let before = tensors.clone();
    tensors.remove(0);
    tensors[1].shape.push(1);
    tensors.push(NamedTensor { name: "frame_9".into(), shape: vec![1], data: vec![0.0] });
    tensors.push(NamedTensor { name: "bn.num_batches_tracked".into(), shape: vec![], data: vec![7.0] });
    let Err(Error::Tensors { mismatch }) = load_named(model.clone(), tensors) else {
        panic!("accepted");
    };
    assert_eq!(mismatch.missing, [before[0].name.clone()]);
    assert_eq!(mismatch.surplus, ["frame_9"]);
    assert_eq!(mismatch.ill_shaped.len(), 1);
    assert!(
        mismatch.ill_shaped[0].starts_with("frame_1.bn.weight: found [4, 1], expected [4]"),
        "{mismatch}"
    );
    assert_eq!(named_tensors(&model), before);
}

/// Writes a safetensors file with the description of `info` and the tensors of `model`, changed by `change`.
fn forge(path: &Path, model: ModelConfig, metadata: impl Fn(&mut serde_json::Value)) {
    let device = Device::default();
    let small = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let network = small.init(80, &device).unwrap();
    let mut description = serde_json::to_value(info(model)).unwrap();
    metadata(&mut description);
    let mut tensors = named_tensors(&network);
    let mut head = named_tensors(&HeadConfig::default().init(5, 3, &device)).remove(0);
    head.name = "classifier.weight".into();
    tensors.push(head);
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.data.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|(t, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, t.shape.clone(), bytes);
        (t.name.as_str(), view.unwrap())
    });
    let metadata = [("ffsvc".to_owned(), description.to_string())].into();
    std::fs::write(path, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
}

#[test]
fn hostile_descriptions_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged");
    let device = Device::default();
    let small = || ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    forge(&path, small(), |_| {});
    load_model(&path, &device).unwrap();

    // A network that would need 60 GB.
    let huge = TdnnConfig { hidden_dim: 65536, stats_dim: 65536, embedding_size: 65536 };
    forge(&path, ModelConfig::Tdnn(huge), |_| {});
    assert!(matches!(load_model(&path, &device), Err(Error::Tensors { .. })));
    forge(&path, small(), |d| d["model"]["hidden_dim"] = u64::MAX.into());
    assert!(matches!(load_model(&path, &device), Err(Error::Config { .. })));
    forge(&path, small(), |d| d["model"]["architecture"] = "perceptron".into());
    assert!(matches!(load_model(&path, &device), Err(Error::Checkpoint { .. })));
    forge(&path, small(), |d| d["head"]["scale"] = (-1.0).into());
    assert!(matches!(load_model(&path, &device), Err(Error::Config { .. })));
    forge(&path, small(), |d| d["head"] = serde_json::Value::Null);
    assert!(matches!(
        load_model(&path, &device),
        Err(Error::Tensors { mismatch }) if mismatch.surplus == ["classifier.weight"]
    ));
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let device = Device::default();
    assert!(matches!(load_model(&path, &device), Err(Error::Io { .. })));
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let model = config.init(80, &device).unwrap();
    save_model(&path, &model, Some(&HeadConfig::default().init(5, 10, &device)), &info(config)).unwrap();
    let whole = std::fs::read(&path).unwrap();

    let step = whole.len() / 40;
    for length in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(load_model(&path, &device), Err(Error::Checkpoint { .. })), "{length}");
    }
    // A bit flipped anywhere is noticed: one of every byte of the header, one of every fourth number.
    let header = 8 + usize::from_le_bytes(whole[..8].try_into().unwrap());
    for place in (0..header).chain((header..whole.len()).step_by(17)) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << ((place + place / 8) % 8);
        std::fs::write(&path, &damaged).unwrap();
        assert!(ModelFile::open(&path).is_err(), "byte {place}");
    }
    std::fs::write(
        &path,
        safetensors::serialize([] as [(&str, safetensors::tensor::TensorView<'_>); 0], None).unwrap(),
    )
    .unwrap();
    let error = load_model(&path, &device).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("`ffsvc`"), "{error}");
}

#[test]
fn versions_of_the_form_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = || ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    // Version 0, what was written before there were versions and checksums.
    forge(&path, config(), |_| {});
    assert_eq!(load_model(&path, &Device::default()).unwrap().2, info(config()));
    for (field, value, reason) in [
        ("format", serde_json::json!(2), "`format` is 2; expected a version from 1 to 1"),
        ("format", serde_json::json!("1"), "`format` is \"1\""),
        ("format", serde_json::json!(1), "no checksum `sha256`"),
        ("sha256", serde_json::json!("0".repeat(64)), "unknown field `sha256`"),
        ("embeding_mean", serde_json::json!([0.0]), "unknown field `embeding_mean`"),
    ] {
        forge(&path, config(), |description| description[field] = value.clone());
        for error in [load_model(&path, &Device::default()).unwrap_err(), load_info(&path).unwrap_err()] {
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}

/// Another program may lay out the file anew: the checksum is of what the file says, not of its bytes.
#[test]
fn a_file_that_was_laid_out_anew_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let model = config.init(80, &Device::default()).unwrap();
    save_model(&path, &model, None, &without_head(config)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let header = usize::from_le_bytes(bytes[..8].try_into().unwrap());
    let mut longer = (header as u64 + 8).to_le_bytes().to_vec();
    longer.extend([&bytes[8..8 + header], &[b' '; 8], &bytes[8 + header..]].concat());
    std::fs::write(&other, longer).unwrap();
    let (a, b) = (ModelFile::open(&path).unwrap(), ModelFile::open(&other).unwrap());
    assert_eq!(a.info(), b.info());
    assert_ne!(a.identity().sha256, b.identity().sha256);
}

#[test]
fn a_model_is_known_by_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = ModelConfig::Tdnn(TdnnConfig { hidden_dim: 4, stats_dim: 6, embedding_size: 5 });
    let model = config.init(80, &Device::default()).unwrap();
    save_model(&path, &model, None, &without_head(config)).unwrap();
    let identity = ModelFile::open(&path).unwrap().identity();
    assert_eq!(identity.sha256, ffsvc_hashing::sha256_of_file(&path).unwrap());
    assert_eq!((identity.architecture.as_str(), identity.embedding_size), ("tdnn", 5));
    assert_eq!(identity.front_end["sample_rate"], 16000);
    let text = serde_json::to_string(&identity).unwrap();
    assert_eq!(serde_json::from_str::<ModelIdentity>(&text).unwrap(), identity);
}

#[test]
fn files_of_other_toolkits_are_to_be_imported_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    let config = Tiny::Ecapa.config();
    let model = Tiny::Ecapa.model(&Device::default());
    for (format, found) in [
        (ExportFormat::Torch(Toolkit::Ffsvc), "a PyTorch file"),
        (ExportFormat::Safetensors, "a safetensors file without the description"),
    ] {
        export_model(&path, &config, &model, None, format).unwrap();
        for error in [load_model(&path, &Device::default()).unwrap_err(), load_info(&path).unwrap_err()] {
            assert!(matches!(error, Error::Foreign { .. }), "{error}");
            let error = error.to_string();
            assert!(
                error.contains("model.pt") && error.contains(found) && error.contains("import it first"),
                "{error}"
            );
        }
    }
}

/// A header of a few bytes does not build hundreds of thousands of layers.
#[test]
fn a_network_of_far_more_layers_than_tensors_is_not_built() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for config in [
        ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim: 65536, scale: 65536, ..Default::default() }),
        ModelConfig::SpeechBrainEcapaTdnn(SpeechBrainEcapaConfig {
            channels: 65536,
            scale: 65536,
            ..Default::default()
        }),
    ] {
        forge(&path, config, |_| {});
        let begin = std::time::Instant::now();
        let error = load_model(&path, &Device::default()).unwrap_err().to_string();
        assert!(error.contains("its network has more than 196608 layers"), "{error}");
        assert!(begin.elapsed().as_secs_f64() < 1.0);
    }
}

#[test]
fn a_message_shows_ten_names_of_many() {
    let missing = (0..500).map(|n| format!("layer.{n}")).collect();
    let mut mismatch = TensorMismatch { missing, ..Default::default() };
    let text = mismatch.to_string();
    assert!(text.starts_with("500 missing (layer.0, layer.1,") && text.ends_with("layer.9, ...)"), "{text}");
    mismatch.missing.truncate(10);
    assert!(mismatch.to_string().ends_with("layer.9)"));
}
