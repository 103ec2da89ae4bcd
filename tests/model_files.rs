//! `ffsvc-model`: weights of other toolkits in and out, what a model file holds, how two differ, and embeddings of others.
#![recursion_limit = "256"]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use burn::tensor::Device;
use ffsvc_embeddings::Embeddings;
use ffsvc_models::{
    EcapaTdnnConfig, HeadConfig, ModelConfig, ModelInfo, load_model, named_tensors, save_model,
};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

const CAM_PLUS_PLUS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/models/peer_cam_plus_plus.safetensors");
const FRONT_END: &str =
    "waveform_norm = 'none'\nkind = { type = 'fbank', num_mels = 16, int16_scale = false }\n";

fn program(name: &str, folder: &TempDir) -> Command {
    let mut command = Command::cargo_bin(name).expect("the programs are built with the tests");
    command.env_remove("RUST_LOG").current_dir(folder);
    command
}

fn model(folder: &TempDir, arguments: &[&str]) -> assert_cmd::assert::Assert {
    program("ffsvc-model", folder).args(arguments).assert()
}

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let assert = model(folder, &[arguments, &["--json"]].concat()).success();
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

/// Six recordings of synthetic speakers in `data/dev`, and a small CAM++ as `cam.safetensors`.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    program("ffsvc-data", &folder)
        .args(["synth", "data", "--seed", "1", "--train-speakers", "2", "--train-utterances", "1"])
        .args(["--dev-speakers", "3", "--dev-utterances", "2", "--seconds", "0.8,1.2", "-q"])
        .assert()
        .success();
    std::fs::write(folder.path().join("front-end.toml"), FRONT_END).unwrap();
    let import =
        ["import", "--from", "3dspeaker", CAM_PLUS_PLUS, "cam.safetensors", "--front-end", "front-end.toml"];
    model(&folder, &import).success().stdout(contains("tensors\t815, under model"));
    folder
}

fn weights(path: &Path) -> Vec<ffsvc_models::NamedTensor> {
    named_tensors(&load_model(path, &Device::flex()).unwrap().0)
}

#[test]
fn weights_go_out_and_come_back_unchanged() {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    for (to, file) in [("3dspeaker", "cam.pt"), ("safetensors", "weights.safetensors")] {
        model(&folder, &["export", "--to", to, "cam.safetensors", file])
            .success()
            .stdout(contains("tensors\t815"));
        let back =
            ["import", "--from", "3dspeaker", file, "back.safetensors", "--front-end", "front-end.toml"];
        model(&folder, &back).success();
        assert!(weights(&path("back.safetensors")) == weights(&path("cam.safetensors")), "{to}");
        let findings = json(&folder, &["compare", "cam.safetensors", "back.safetensors"]);
        assert!(findings["tensors"].as_array().unwrap().iter().all(|tensor| tensor["max_difference"] == 0.0));
        assert_eq!(findings["description"], Value::Array(Vec::new()));
    }
    model(&folder, &["export", "--to", "wespeaker", "cam.safetensors", "x.pt"])
        .code(1)
        .stderr(contains("a network of 3D-Speaker, not of WeSpeaker"));
    assert!(!path("x.pt").exists());
}

/// The ONNX file `name` in the folder.
fn onnx_file(folder: &TempDir, name: &str) -> ffsvc_onnx::Model {
    use ffsvc_onnx::Message as _;
    ffsvc_onnx::Model::decode(&std::fs::read(folder.path().join(name)).unwrap()[..]).unwrap()
}

#[test]
fn a_network_goes_out_as_onnx_with_its_mean_and_its_front_end() {
    let folder = workplace();
    let export = |from, to| json(&folder, &["export", "--to", "onnx", from, to]);
    let outcome = export("cam.safetensors", "cam.onnx");
    assert_eq!((&outcome["tensors"], &outcome["left_out"]), (&815.into(), &Value::Array(Vec::new())));
    let plain = onnx_file(&folder, "cam.onnx");
    assert!(plain.metadata_props.iter().any(|entry| entry.key == "framework" && entry.value == "ffsvc"));

    let (network, head, mut info) =
        load_model(folder.path().join("cam.safetensors"), &Device::flex()).unwrap();
    let mean: Vec<f32> = (0..info.model.embedding_size()).map(|place| place as f32).collect();
    info.embedding_mean = Some(mean.clone());
    info.compat_lowpass = true;
    save_model(folder.path().join("centred.safetensors"), &network, head.as_ref(), &info).unwrap();
    let outcome = export("centred.safetensors", "centred.onnx");
    assert_eq!(outcome["left_out"], Value::Array(Vec::new()));
    let centred = onnx_file(&folder, "centred.onnx");
    assert!(centred.metadata_props.iter().any(|entry| entry.key == "compat_lowpass" && entry.value == "1"));
    let graph = centred.graph.unwrap();
    let stored = graph.initializer.iter().find(|tensor| tensor.name == "embedding_mean").unwrap();
    let bytes: Vec<u8> = mean.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(stored.raw_data, bytes);
    let [.., subtraction, output] = graph.node.as_slice() else { panic!("fewer than two nodes") };
    assert_eq!((subtraction.op_type.as_str(), subtraction.input[1].as_str()), ("Sub", "embedding_mean"));
    assert_eq!(output.input, subtraction.output);
    // The model without a mean has all but this constant and this node.
    assert_eq!(plain.graph.unwrap().node.len() + 1, graph.node.len());

    model(&folder, &["export", "--to", "onnx", "cam.safetensors", "nowhere/cam.onnx"])
        .code(2)
        .stderr(contains("nowhere"));
    model(&folder, &["export", "--to", "onnx", "front-end.toml", "x.onnx"])
        .code(1)
        .stderr(contains("front-end.toml"));
    assert!(!folder.path().join("x.onnx").exists());
}

#[test]
fn the_baselines_head_needs_names_and_comes_back_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = EcapaTdnnConfig { hidden_dim: 8, scale: 2, bottleneck: 2, embedding_size: 4, compat: true };
    let (config, head) = (ModelConfig::EcapaTdnn(config), HeadConfig::default());
    let mut info = ModelInfo::new(config.clone(), Default::default());
    info.head = Some(head.clone());
    info.speakers = vec!["ann".into(), "bob".into(), "eve".into()];
    info.compat_lowpass = true;
    let network = config.init(80, &Device::flex()).unwrap();
    let classifier = head.init(4, 3, &Device::flex());
    save_model(folder.path().join("a.safetensors"), &network, Some(&classifier), &info).unwrap();
    std::fs::write(folder.path().join("spk2utt"), "ann ann-1 ann-2\nbob bob-1\neve eve-1\n").unwrap();
    model(&folder, &["export", "--to", "ffsvc", "a.safetensors", "model_1.pkl"]).success();
    let import = ["import", "--from", "ffsvc", "model_1.pkl", "b.safetensors"];
    model(&folder, &[&import[..], &["--speakers", "spk2utt"]].concat())
        .success()
        .stdout(contains("classes\t3"));
    let (again, head, back) = load_model(folder.path().join("b.safetensors"), &Device::flex()).unwrap();
    assert!(named_tensors(&again) == named_tensors(&network));
    assert!(named_tensors(&head.unwrap()) == named_tensors(&classifier));
    assert_eq!((back.model, back.head, back.front_end), (info.model, info.head, info.front_end));
    assert_eq!((back.speakers, back.compat_lowpass), (info.speakers, true));

    model(&folder, &import).success().stdout(contains("left out\t1 tensors")).stdout(contains("classes\t0"));
    std::fs::write(folder.path().join("two"), "ann\nbob\n").unwrap();
    model(&folder, &[&import[..], &["--speakers", "two"]].concat()).code(1).stderr(contains(
        "the head's tensor classifier.weight has the shape [3, 4]; expected [2, 4] for 2 classes",
    ));
}

#[test]
fn what_does_not_fit_is_a_table() {
    let folder = workplace();
    // The file of another network of the same toolkit, in which one tensor is missing.
    let mut bytes = std::fs::read(CAM_PLUS_PLUS).unwrap();
    let name = b"xvector.transit2.linear.weight";
    let place = bytes.windows(name.len()).position(|window| window == name).expect("the header has it");
    bytes[place..place + 7].copy_from_slice(b"xvectoR");
    std::fs::write(folder.path().join("bent.safetensors"), bytes).unwrap();
    model(
        &folder,
        &["import", "--from", "3dspeaker", "bent.safetensors", "x", "--front-end", "front-end.toml"],
    )
    .code(1)
    .stdout(
        "missing\tmodel.xvector.transit2.linear.weight\nleft over\tmodel.xvectoR.transit2.linear.weight\n",
    )
    .stderr(contains("1 tensors are missing, 1 left over and 0 of another shape"));
    assert!(!folder.path().join("x").exists());
    model(&folder, &["import", "--from", "speechbrain", CAM_PLUS_PLUS, "x"])
        .code(1)
        .stderr(contains("it has a network of 3D-Speaker, not of SpeechBrain"));
}

#[test]
fn a_model_file_is_described() {
    let folder = workplace();
    model(&folder, &["info", "cam.safetensors"])
        .success()
        .stdout(contains("network\tarchitecture = \"cam-plus-plus\", embedding_size = 6"))
        .stdout(contains("\"int16_scale\":false"))
        .stdout(contains("imported_from"));
    let info = json(&folder, &["info", "cam.safetensors"]);
    assert_eq!((&info["embedding_size"], &info["head"]), (&Value::from(6), &Value::Null));
    let sum = ffsvc_extraction::checksum(folder.path().join("cam.safetensors")).unwrap();
    assert_eq!(info["sha256"], Value::from(sum));
}

#[test]
fn embeddings_are_verified_and_compared() {
    let folder = workplace();
    let extract = |model: &str, out: &str| {
        program("ffsvc-extract", &folder).args(["--model", model, "data/dev", out, "-q"]).assert().success();
        Embeddings::read(folder.path().join(out)).unwrap()
    };
    let store = extract("cam.safetensors", "dev.npz");
    let verify = ["verify", "cam.safetensors", "--against", "dev.npz", "--data", "data/dev"];
    model(&folder, &verify).success().stdout(contains("passed"));

    // Another vector for one recording.
    let mut bent = Embeddings::new(store.dim());
    for (key, vector) in store.iter() {
        let mut vector = vector.to_vec();
        if Some(key) == store.keys().last().map(String::as_str) {
            vector[0] += 0.1;
        }
        bent.push(key, &vector).unwrap();
    }
    bent.write(folder.path().join("bent.npz")).unwrap();
    let verify = ["verify", "cam.safetensors", "--against", "bent.npz", "--data", "data/dev"];
    let last = store.keys().last().unwrap().clone();
    model(&folder, &verify).code(1).stdout(contains(format!("at {last}"))).stdout(contains("failed"));

    // Loose files, by their paths.
    let wav = std::fs::read_to_string(folder.path().join("data/dev/wav.scp")).unwrap();
    let (key, path) = wav.lines().next().unwrap().split_once(' ').unwrap();
    let mut loose = Embeddings::new(store.dim());
    loose.push(path, store.get(key).unwrap()).unwrap();
    loose.write(folder.path().join("loose.npz")).unwrap();
    model(&folder, &["verify", "cam.safetensors", "--against", "loose.npz"]).success();

    // The mean of the domain: the same directions, moved by it.
    model(&folder, &["mean", "cam.safetensors", "dev.npz", "centred.safetensors"]).success();
    let centred = extract("centred.safetensors", "centred.npz");
    for dimension in 0..store.dim() {
        let mean: f64 = store.iter().map(|(_, v)| f64::from(v[dimension])).sum::<f64>() / store.len() as f64;
        for (key, vector) in centred.iter() {
            let expected = f64::from(store.get(key).unwrap()[dimension]) - mean;
            assert!((f64::from(vector[dimension]) - expected).abs() < 1e-5, "{key}");
        }
    }
    let audio: PathBuf = path.into();
    let compare = ["compare", "cam.safetensors", "centred.safetensors", "--audio", audio.to_str().unwrap()];
    let findings = json(&folder, &compare);
    assert_eq!(findings["description"], Value::from(vec!["mean to subtract"]));
    assert!(findings["embeddings"][0]["cosine_distance"].as_f64().unwrap() > 1e-3);
    // Of embeddings that are centred already it changes nothing.
    model(&folder, &["mean", "centred.safetensors", "centred.npz", "again.safetensors"]).success();
    let again = extract("again.safetensors", "again.npz");
    for (key, vector) in again.iter() {
        let other = centred.get(key).unwrap();
        assert!(vector.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-5), "{key}");
    }
}

#[test]
fn import_finds_the_toolkit_and_takes_a_front_end_in_three_forms() {
    let folder = workplace();
    let section = format!("[features]\n{FRONT_END}");
    let whole =
        format!("seed = 1\n[data]\ntrain = 'data/train'\n{section}[model]\narchitecture = 'resnet'\n");
    let reference = std::fs::read(folder.path().join("cam.safetensors")).unwrap();
    for text in [FRONT_END, &section, &whole] {
        std::fs::write(folder.path().join("fe.toml"), text).unwrap();
        model(&folder, &["import", CAM_PLUS_PLUS, "-o", "again.safetensors", "--front-end", "fe.toml"])
            .success()
            .stdout(contains("toolkit\t3D-Speaker"))
            .stdout(contains("front end\tof fe.toml: {"));
        assert!(std::fs::read(folder.path().join("again.safetensors")).unwrap() == reference);
    }
    model(&folder, &["import", CAM_PLUS_PLUS, "-o", "assumed.safetensors"])
        .success()
        .stdout(contains("front end\tof the recipes of 3D-Speaker (--front-end names another): {"));
    // The toolkit's own configuration lies above the checkpoint.
    let models = folder.path().join("exp/models");
    std::fs::create_dir_all(&models).unwrap();
    std::fs::copy(CAM_PLUS_PLUS, models.join("ckpt.safetensors")).unwrap();
    let of_config = |rows: usize| {
        let extractor =
            "feature_extractor: { obj: speakerlab.process.processor.FBank, args: { mean_nor: true } }";
        let text = format!("sample_rate: 16000\nfbank_dim: {rows}\n{extractor}\n");
        std::fs::write(folder.path().join("exp/config.yaml"), text).unwrap();
        model(&folder, &["import", "exp/models/ckpt.safetensors", "-o", "again.safetensors"])
    };
    of_config(16).success().stdout(contains("front end\tof exp/config.yaml: {"));
    of_config(80).code(1).stderr(contains("80 rows of features by exp/config.yaml"));
    std::fs::write(folder.path().join("fe.toml"), "[features]\nnum_mel = 3\n").unwrap();
    model(&folder, &["import", CAM_PLUS_PLUS, "-o", "x", "--front-end", "fe.toml"])
        .code(1)
        .stderr(contains("fe.toml: no front end").and(contains("unknown field `num_mel`")));
    // One output, by one of its two names.
    model(&folder, &["import", CAM_PLUS_PLUS, "a", "-o", "b"]).code(2);
    model(&folder, &["import", CAM_PLUS_PLUS]).code(2).stderr(contains("--output"));
    // What the run reads is not replaced, and nothing is read for an output that cannot be written.
    for arguments in [
        &["export", "--to", "3dspeaker", "cam.safetensors", "-o", "cam.safetensors"][..],
        &["average", "cam.safetensors", "-o", "./cam.safetensors"],
        &["mean", "cam.safetensors", "nosuch.npz", "cam.safetensors"],
        &["import", "nosuch.pt", "-o", "nosuch/cam.safetensors"],
        &["import", CAM_PLUS_PLUS, "-o", "-"],
    ] {
        model(&folder, arguments).code(2);
    }
    assert!(std::fs::read(folder.path().join("cam.safetensors")).unwrap() == reference);
}

#[test]
fn nothing_compared_is_a_failure() {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    Embeddings::new(6).write(path("empty.npz")).unwrap();
    model(&folder, &["verify", "cam.safetensors", "--against", "empty.npz", "--data", "data/dev"])
        .code(1)
        .stderr(contains("nothing was compared"));
    let mut others = Embeddings::new(6);
    others.push("nobody", &[1.0; 6]).unwrap();
    others.write(path("others.npz")).unwrap();
    let verify = ["verify", "cam.safetensors", "--against", "others.npz", "--data", "data/dev"];
    model(&folder, &verify).code(1).stderr(contains("lacks 1 of 1 that are in others.npz"));
    model(&folder, &[&verify[..], &["--skip-missing"]].concat())
        .code(1)
        .stderr(contains("nothing was compared"));
    for tolerance in ["nan", "-1", "inf"] {
        model(&folder, &[&verify[..], &["--max-distance", tolerance]].concat()).code(2);
    }
    // What is in common is compared, and the rest counted.
    program("ffsvc-extract", &folder)
        .args(["--model", "cam.safetensors", "data/dev", "dev.npz", "-q"])
        .assert()
        .success();
    let mut more = Embeddings::read(path("dev.npz")).unwrap();
    more.push("nobody", &[1.0; 6]).unwrap();
    more.write(path("more.npz")).unwrap();
    let verify =
        ["verify", "cam.safetensors", "--against", "more.npz", "--data", "data/dev", "--skip-missing"];
    let findings = json(&folder, &verify);
    assert_eq!((&findings["embeddings"], &findings["missing"]), (&Value::from(6), &Value::from(1)));

    let config = EcapaTdnnConfig { hidden_dim: 8, scale: 2, bottleneck: 2, embedding_size: 4, compat: true };
    let config = ModelConfig::EcapaTdnn(config);
    let network = config.init(80, &Device::flex()).unwrap();
    save_model(path("ecapa.safetensors"), &network, None, &ModelInfo::new(config, Default::default()))
        .unwrap();
    model(&folder, &["compare", "cam.safetensors", "ecapa.safetensors"])
        .code(1)
        .stdout(contains("differs\tnetwork"))
        .stderr(contains("nothing was compared"));
}

#[test]
fn what_is_left_out_or_added_twice_is_said() {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    let mut store = Embeddings::new(6);
    store.push("a", &[1.0; 6]).unwrap();
    store.push("b", &[0.0; 6]).unwrap();
    store.write(path("field.npz")).unwrap();
    model(&folder, &["mean", "cam.safetensors", "field.npz", "-o", "centred.safetensors"])
        .success()
        .stderr(contains("1 of 2 embeddings are zero (b)").and(contains("already").not()));
    model(&folder, &["mean", "centred.safetensors", "field.npz", "-o", "twice.safetensors"])
        .success()
        .stderr(contains("it subtracts a mean already"));
    model(&folder, &["export", "--to", "3dspeaker", "centred.safetensors", "-o", "cam.pt"])
        .success()
        .stdout(contains("left out\tfront end, mean to subtract from embeddings\n"))
        .stderr(contains("does not subtract the mean"));
    model(&folder, &["average", "centred.safetensors", "cam.safetensors", "-o", "average.safetensors"])
        .success()
        .stdout(contains("left out\tmean to subtract from embeddings"))
        .stderr(contains("`ffsvc-model mean` makes one"));
    let (_, _, info) = load_model(path("average.safetensors"), &Device::flex()).unwrap();
    assert_eq!(info.embedding_mean, None);
}

#[test]
fn a_mean_is_of_the_models_own_embeddings() {
    let folder = workplace();
    let extract = |model: &str, store: &str| {
        let arguments = ["--model", model, "data/dev", "-o", store, "-q"];
        program("ffsvc-extract", &folder).args(arguments).assert().success();
    };
    extract("cam.safetensors", "field.npz");
    let mean = |model_file: &str, store: &str, more: &[&str]| {
        model(&folder, &[&["mean", model_file, store, "-o", "centred.safetensors"], more].concat())
    };
    mean("cam.safetensors", "field.npz", &[]).success().stderr("");
    std::fs::rename(folder.path().join("centred.safetensors"), folder.path().join("first.safetensors"))
        .unwrap();
    // The model with a mean is another model: its own embeddings are wanted, and then nothing is in doubt.
    mean("first.safetensors", "field.npz", &[])
        .code(1)
        .stderr(contains("embeddings of cam.safetensors, not of first.safetensors"));
    mean("first.safetensors", "field.npz", &["--allow-other-model"])
        .success()
        .stderr(contains("it subtracts a mean already"));
    extract("first.safetensors", "centred.npz");
    mean("first.safetensors", "centred.npz", &[]).success().stderr("");
}

#[test]
fn a_checkpoint_of_another_toolkit_is_to_be_imported_first() {
    let folder = workplace();
    model(&folder, &["export", "--to", "3dspeaker", "cam.safetensors", "-o", "cam.pt"]).success();
    let hint = || {
        contains("cam.pt: it is a PyTorch file").and(contains("ffsvc-model import cam.pt -o cam.safetensors"))
    };
    for arguments in [["info", "cam.pt", "--json"], ["compare", "cam.pt", "cam.safetensors"]] {
        model(&folder, &arguments).code(1).stderr(hint());
    }
    let wav = std::fs::read_to_string(folder.path().join("data/dev/wav.scp")).unwrap();
    let wav = wav.lines().next().unwrap().split_once(' ').unwrap().1;
    for (name, arguments) in [
        ("ffsvc-extract", &["--model", "cam.pt", "data/dev", "dev.npz"][..]),
        ("ffsvc-verify", &["--model", "cam.pt", wav, wav]),
    ] {
        program(name, &folder).args(arguments).assert().code(1).stderr(hint());
    }
}
