//! `recipes/task2_rounds.sh`: rounds of clustering and fine-tuning, killed again and again.

use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

const TINY: &str = r#"
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
epochs = 2
batch_size = 4
max_frames = 40
checkpoint_steps = 1
"#;

fn program(name: &str, folder: &TempDir, arguments: &[&str]) {
    let output = Command::new(cargo_bin(name)).current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Six source and six target speakers, four others with trials, and a network that has not learnt much.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let synth =
        "synth data --seed 1 --train-speakers 12 --train-utterances 4 --dev-speakers 4 --dev-utterances 3";
    let synth: Vec<&str> = synth.split(' ').chain(["--seconds", "0.8,1.2", "-q"]).collect();
    program("ffsvc-data", &folder, &synth);
    let speakers = std::fs::read_to_string(folder.path().join("data/train/spk2utt")).unwrap();
    let speakers: Vec<&str> = speakers.lines().filter_map(|line| line.split(' ').next()).collect();
    for (domain, speakers) in [("source", &speakers[..6]), ("target", &speakers[6..])] {
        std::fs::write(folder.path().join(domain), speakers.join("\n")).unwrap();
        let (list, out) = (domain, format!("data/{domain}"));
        program("ffsvc-data", &folder, &["subset", "data/train", "--speakers", list, "-o", &out, "-q"]);
    }
    std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    program("ffsvc-train", &folder, &["tiny.toml", "pre", "--set", "data.train=data/source", "-q"]);
    folder
}

/// The rounds in `folder/WORK`, killed after `seconds`.
fn rounds(folder: &TempDir, work: &str, seconds: f64, more: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/task2_rounds.sh");
    Command::new("timeout")
        .args(["-s", "KILL", &seconds.to_string(), "bash"])
        .arg(script)
        .current_dir(folder)
        .env("FFSVC_BIN", cargo_bin("ffsvc-train").parent().unwrap())
        .args(["--model", "pre/final.safetensors", "--config", "tiny.toml", "--source", "data/source"])
        .args(["--target", "data/target", "--dev", "data/dev", "--trials", "data/dev/trials"])
        .args(["--true-labels", "data/target/utt2spk", "--work", work, "--rounds", "2"])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn rounds_that_are_killed_at_any_stage_end_as_if_they_had_not_been() {
    let folder = workplace();
    let options = ["--k", "3..9", "--min-size", "1"];
    let whole = rounds(&folder, "whole", 600.0, &options);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let table = String::from_utf8(whole.stdout).unwrap();
    assert!(table.contains("best: round") && table.lines().count() >= 6, "{table}");

    let mut kills = 0;
    loop {
        // Each attempt lives a little longer, so that every stage is hit and the last one ends.
        let attempt = rounds(&folder, "killed", 0.15 * f64::from(kills + 1), &options);
        if attempt.status.success() {
            break;
        }
        kills += 1;
        assert!(kills < 200, "{}", String::from_utf8_lossy(&attempt.stderr));
    }
    assert!(kills > 0, "it was over before it could be killed");
    let read = |work: &str| std::fs::read_to_string(folder.path().join(work).join("rounds.txt")).unwrap();
    assert_eq!(read("killed"), read("whole"));
    let weights =
        |work: &str| std::fs::read(folder.path().join(work).join("best.safetensors")).unwrap().len();
    assert_eq!(weights("killed"), weights("whole"));
}

#[test]
fn a_missing_input_is_named_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let output = rounds(&folder, "work", 60.0, &[]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("pre/final.safetensors is missing"), "{error}");
    assert!(!folder.path().join("work").exists());
}

#[test]
fn some_recordings_without_groups_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["pre/final.safetensors", "tiny.toml", "near"] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    for (dir, files) in [("source", "utt2spk"), ("target", "utt2spk"), ("dev", "trials")] {
        let dir = folder.path().join("data").join(dir);
        std::fs::create_dir_all(&dir).unwrap();
        for file in ["wav.scp", files] {
            std::fs::write(dir.join(file), "").unwrap();
        }
    }
    let output = rounds(&folder, "work", 60.0, &["--cluster-only", "near"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("--cluster-only needs --group-by"), "{error}");
}
