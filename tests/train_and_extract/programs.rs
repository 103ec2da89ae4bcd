//! What the end-to-end tests of training and extraction share: the programs, and a corpus of a few seconds.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A program of this package, with a clean environment.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::cargo_bin(name).expect("the programs are built with the tests");
    command.env_remove("RUST_LOG");
    command
}

/// A folder with `data/` (4 training and 3 other speakers, 16 + 9 utterances) and `tiny.toml`, an experiment
/// of 2 epochs of 4 steps with a network of some thousand parameters.
pub(crate) fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    program("ffsvc-data")
        .current_dir(&folder)
        .args(["synth", "data", "--seed", "1", "--train-speakers", "4", "--train-utterances", "4"])
        .args(["--dev-speakers", "3", "--dev-utterances", "3", "--seconds", "0.8,1.2", "-q"])
        .assert()
        .success();
    std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    folder
}

/// A workplace with a network that has learnt one epoch.
pub(crate) fn trained() -> TempDir {
    let folder = workplace();
    program("ffsvc-train")
        .current_dir(&folder)
        .args(["tiny.toml", "exp", "--set", "train.epochs=1", "-q"])
        .assert()
        .success();
    folder
}

pub(crate) const TINY: &str = r#"
[data]
train = "data/train"

[features.kind]
type = "log-mel"
num_mels = 16

[augment.spec_augment]

[model]
architecture = "resnet"
in_planes = 2
depth = 18
embedding_size = 8
dropout = 0.2

[head]
kind = "aam-softmax"

[optimizer]
learning_rate = 1e-3

[schedule]
warmup_epochs = 1.0

[train]
epochs = 2
batch_size = 4
max_frames = 40
seed = 3
checkpoint_steps = 1

[validation]
data = "data/dev"
trials = "data/dev/trials"
"#;

/// The programs' paths count from the folder; a test that trains in its own process needs absolute ones.
pub(crate) fn with_absolute_paths(folder: &Path) {
    for name in ["train", "dev"] {
        let list = folder.join("data").join(name).join("wav.scp");
        let table = std::fs::read_to_string(&list).unwrap();
        std::fs::write(list, table.replace(" data/", &format!(" {}/data/", folder.display()))).unwrap();
    }
}

/// The weights of a model file: its bytes without the header, which holds the configuration.
pub(crate) fn weights(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

/// Lines of a file that contain `text`.
pub(crate) fn count_lines(path: &Path, text: &str) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().filter(|line| line.contains(text)).count()
}

/// The final model of an experiment.
pub(crate) fn final_model(folder: &TempDir, exp: &str) -> PathBuf {
    folder.path().join(exp).join("final.safetensors")
}
