//! The programs of `examples/` run, one after the other on a corpus of synthetic speakers.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `cargo test` builds the examples beside the programs.
fn example(name: &str) -> PathBuf {
    let programs = assert_cmd::cargo::cargo_bin("ffsvc-data");
    programs.parent().unwrap().join("examples").join(name)
}

fn run(folder: &Path, program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}\n{stderr}", program.display(), output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_example_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let program = |name: &str, arguments: &[&str]| {
        run(folder, &assert_cmd::cargo::cargo_bin(name), arguments);
    };
    let example = |name: &str, arguments: &[&str]| run(folder, &example(name), arguments);
    let size =
        ["--train-speakers", "4", "--train-utterances", "4", "--dev-speakers", "3", "--dev-utterances", "3"];
    program("ffsvc-data", &[&["synth", "data", "--seed", "1", "--seconds", "0.8,1.2"][..], &size].concat());
    std::fs::write(folder.join("small.toml"), SMALL).unwrap();

    let steps = example("train_small", &["small.toml", "exp"]);
    assert_eq!(steps.matches("loss").count(), 4, "{steps}");
    let [a, b] = ["data/wav/dev00000/dev00000-00000.wav", "data/wav/dev00001/dev00001-00000.wav"];
    let model = "exp/final.safetensors";
    assert!(example("embed_wav", &[model, a]).starts_with("8 numbers"));
    assert!(example("verify_two", &[model, a, a, "0.9"]).contains("score 1.000000\nsame speaker"));
    assert!(example("verify_two", &[model, a, b, "1.5"]).contains("different speakers"));
    assert!(example("fbank", &[a]).starts_with("80 bands, "));
    assert!(example("augment_room", &[a, "room.wav", "7"]).contains(" m from the microphone"));
    assert!(example("fbank", &["room.wav"]).starts_with("80 bands, "));

    program("ffsvc-extract", &["--model", model, "data/dev", "-o", "dev.ark"]);
    assert!(example("score_trials", &["data/dev/trials", "dev.scp"]).starts_with("EER "));
    let labels = example("cluster_and_label", &["dev.scp", "3"]);
    assert!(labels.lines().count() >= 3 && labels.contains(" cluster"), "{labels}");
}

const SMALL: &str = r#"
[data]
train = "data/train"

[features.kind]
type = "log-mel"
num_mels = 16

[model]
architecture = "resnet"
in_planes = 2
depth = 18
embedding_size = 8

[head]
kind = "aam-softmax"

[train]
epochs = 1
batch_size = 4
max_frames = 60
"#;
