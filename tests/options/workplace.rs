//! A folder with small inputs of every kind, made once and copied for each run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use ffsvc_embeddings::Embeddings;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use crate::corpora;
use crate::dump::{CHECKED, program};

/// An experiment of one step, with a network of some thousand parameters.
const TINY: &str = "
data.train = 'corpus/train'
augment = {}
model = { architecture = 'resnet', in_planes = 2, depth = 18, embedding_size = 8 }
head.kind = 'aam-softmax'
train = { epochs = 1, batch_size = 4, max_frames = 40 }

[features.kind]
type = 'log-mel'
num_mels = 16
";

/// Inputs that programs make, each of what stands before it.
const MADE: &[(&str, &str)] = &[
    (
        "ffsvc-data",
        "synth corpus --train-speakers 2 --train-utterances 2 --dev-speakers 2 --dev-utterances 2 --seconds 0.6,0.8",
    ),
    ("ffsvc-train", "tiny.toml exp"),
    ("ffsvc-model", "export --to wespeaker exp/final.safetensors --output net.pkl"),
    ("ffsvc-model", "export --to onnx exp/final.safetensors --output net.onnx"),
    ("ffsvc-extract", "--model exp/final.safetensors corpus/dev heard.npz"),
    ("ffsvc-score", "--trials corpus/dev/trials --embeddings heard.npz --report-out heard.json"),
    (
        "ffsvc-verify",
        "enrol ann corpus/wav/dev00000/dev00000-00000.wav --model exp/final.safetensors --database people",
    ),
    ("ffsvc-cluster", "kmeans e.npz clusters --k 6"),
    ("ffsvc-score", "train-backend --embeddings e.npz --utt2spk utt2spk --plda --output plda.safetensors"),
    ("ffsvc-score", "calibrate --trials trials --scores scores --output calibration.json"),
    ("ffsvc-score", "--trials trials --scores scores --by device=utt2device --report-out report.json"),
];

/// A copy of the inputs. Programs run in it, so that command lines name files without folders.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        copy(inputs().path(), place.path());
        Self(place)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `program` with the words of a command line.
    pub(crate) fn run(&self, name: &str, words: &str) -> Output {
        program(name).current_dir(&self.0).args(words.split_whitespace()).output().unwrap()
    }

    /// Every file below, with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap_or_default();
                    found.push((path, bytes));
                }
            }
        }
        found.sort();
        found
    }
}

/// What a program said, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// Weights of the shapes of Silero VAD that take everything for speech.
fn write_silero(path: &Path) {
    let shapes: [(&str, &[usize]); 15] = [
        ("conv1.bias", &[128]),
        ("conv1.weight", &[128, 129, 3]),
        ("conv2.bias", &[64]),
        ("conv2.weight", &[64, 128, 3]),
        ("conv3.bias", &[64]),
        ("conv3.weight", &[64, 64, 3]),
        ("conv4.bias", &[128]),
        ("conv4.weight", &[128, 64, 3]),
        ("final_conv.bias", &[1]),
        ("final_conv.weight", &[1, 128, 1]),
        ("lstm_cell.bias_hh", &[512]),
        ("lstm_cell.bias_ih", &[512]),
        ("lstm_cell.weight_hh", &[512, 128]),
        ("lstm_cell.weight_ih", &[512, 128]),
        ("stft_conv.weight", &[258, 1, 256]),
    ];
    let tensors = shapes.map(|(name, shape)| {
        let number = if name == "final_conv.bias" { 5.0_f32 } else { 0.0 };
        let values = (0..shape.iter().product()).flat_map(|_: usize| number.to_le_bytes());
        (name, shape, values.collect::<Vec<u8>>())
    });
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

fn inputs() -> &'static TempDir {
    static INPUTS: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        folder
    });
    &INPUTS
}

/// 30 utterances of 6 speakers: embeddings, all pairs of them as trials, and tables.
fn make(folder: &Path) {
    let name = |n: usize| format!("utt{n:02}");
    let mut store = Embeddings::new(8);
    for n in 0..30 {
        let row: Vec<f32> = (0..8)
            .map(|at| {
                let noise = ((n * 8 + at) as u32).wrapping_mul(2_654_435_761) >> 16;
                (noise % 1000) as f32 / 1000.0 - 0.5 + if at == n % 6 { 2.0 } else { 0.0 }
            })
            .collect();
        store.push(name(n), &row).unwrap();
    }
    store.write(folder.join("e.npz")).unwrap();
    let pairs: Vec<(usize, usize)> = (0..30).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    let lines =
        |line: &dyn Fn(usize, usize) -> String| pairs.iter().map(|&(a, b)| line(a, b)).collect::<String>();
    let table = |value: &dyn Fn(usize) -> String| {
        (0..30).map(|n| format!("{} {}\n", name(n), value(n))).collect::<String>()
    };
    let is_target = |a: usize, b: usize| a % 6 == b % 6;
    let write = |file: &str, text: String| fs::write(folder.join(file), text).unwrap();
    write("trials", lines(&|a, b| format!("{} {} {}\n", u8::from(is_target(a, b)), name(a), name(b))));
    let score = |a: usize, b: usize| (a * 37 + b * 101) % 89 + if is_target(a, b) { 60 } else { 0 };
    write("scores", lines(&|a, b| format!("{} {} {}\n", name(a), name(b), score(a, b) as f64 / 20.0 - 4.0)));
    write("utt2spk", table(&|n| format!("s{}", n % 6)));
    write("spk2utt", (0..6).map(|s| format!("s{s} {}\n", name(s))).collect());
    write("utt2device", table(&|n| ["far", "near"][n % 2].to_owned()));
    fs::create_dir(folder.join("data")).unwrap();
    write("data/wav.scp", table(&|n| format!("{n}.wav")));
    write("tiny.toml", format!("{TINY}\n[validation]\ndata = 'corpus/dev'\ntrials = 'corpus/dev/trials'\n"));
    write("no-validation.toml", TINY.to_owned());
    corpora::write(folder);
    write_silero(&folder.join("silero.safetensors"));
    let can_be_made = |words: &&(&str, &str)| {
        CHECKED.contains(&words.0) && (cfg!(feature = "networks") || !words.1.contains("heard"))
    };
    for (name, words) in MADE.iter().filter(can_be_made) {
        let output = program(name).current_dir(folder).args(words.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "{name} {words}: {}", said(&output));
    }
}
