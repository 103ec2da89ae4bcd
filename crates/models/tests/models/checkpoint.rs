//! Checkpoint files: round trip, names, and files that are not what they should be.

use std::path::Path;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use ffsvc_models::{
    Error, HeadConfig, ModelConfig, ModelInfo, NamedTensor, TdnnConfig, load_info, load_model, load_named,
    named_tensors, parameter_ids, save_model,
};
use safetensors::SafeTensors;

use crate::goldens::{Goldens, Tiny, values_of};

fn info(model: ModelConfig) -> ModelInfo {
    ModelInfo {
        model,
        head: Some(HeadConfig::default()),
        front_end: ffsvc_features::FrontEndConfig::default(),
        speakers: (0..10).map(|i| format!("spk{i}")).collect(),
        config_toml: "seed = 1\n[model]\n# ü\n".into(),
        training: serde_json::json!({ "epoch": 3, "eer": 0.0512 }),
        program_version: "0.1.0".into(),
        compat_lowpass: true,
        embedding_mean: None,
    }
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
            .chain([("classifier.weight".into(), vec![10, head.weight().dims()[1]])])
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
    let info = ModelInfo { head: None, speakers: Vec::new(), ..info(config) };
    save_model(&path, &model, None, &info).unwrap();
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
    // A bit flipped anywhere in the header: an error or the same shapes, never a panic.
    let header = 8 + usize::from_le_bytes(whole[..8].try_into().unwrap());
    for place in (0..header).step_by(7) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&path, &damaged).unwrap();
        let _ = load_model(&path, &device);
    }
    std::fs::write(
        &path,
        safetensors::serialize([] as [(&str, safetensors::tensor::TensorView<'_>); 0], None).unwrap(),
    )
    .unwrap();
    let error = load_model(&path, &device).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("ffsvc"), "{error}");
}
