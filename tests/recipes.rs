//! The recipes of the challenge and of VoxCeleb, from end to end on trees of the corpora's real file names. Voices are
//! synthetic and the network is tiny, so error rates mean nothing here: stages, files and resumption do.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use ffsvc_audio::{SampleFormat, write_wav};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, is_empty};

/// `recipes/NAME`, with the programs of this build.
fn recipe(name: &str, args: &[&str]) -> Assert {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = Path::new(env!("CARGO_BIN_EXE_ffsvc-data")).parent().unwrap();
    Command::new(root.join("recipes").join(name)).env("FFSVC_BIN", programs).args(args).assert()
}

/// Corpora under their publishers' names.
struct Corpora {
    folder: PathBuf,
    /// Utterances of each synthetic speaker, `train00000` and so on, then `dev00000`.
    voices: Vec<Vec<PathBuf>>,
}

const DEV_SPEAKERS: usize = 3;

impl Corpora {
    fn make(folder: &Path) -> Self {
        let synth = folder.join("synth");
        let mut program = Program::new(env!("CARGO_BIN_EXE_ffsvc-data"));
        program.arg("synth").arg(&synth).args(["-q", "--train-speakers", "6", "--train-utterances", "4"]);
        program.args(["--dev-speakers", "3", "--dev-utterances", "4", "--seconds", "0.6,0.8"]);
        assert!(program.output().unwrap().status.success());
        let speakers =
            (0..6).map(|n| format!("train{n:05}")).chain((0..DEV_SPEAKERS).map(|n| format!("dev{n:05}")));
        let voices = speakers
            .map(|speaker| {
                (0..4).map(|n| synth.join(format!("wav/{speaker}/{speaker}-{n:05}.wav"))).collect()
            })
            .collect();
        let corpora = Self { folder: folder.join("corpora"), voices };
        corpora.voxceleb();
        corpora.supplement();
        corpora.ffsvc2022();
        corpora.sounds();
        corpora
    }

    fn place(&self, name: &str, sound: &Path) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(sound, path).unwrap();
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The first three speakers in VoxCeleb2, the dev speakers in VoxCeleb1.
    fn voxceleb(&self) {
        for (number, voice) in self.voices.iter().enumerate() {
            for (part, sound) in voice.iter().enumerate() {
                if number < 3 {
                    self.place(
                        &format!("VoxCeleb2/dev/aac/id0001{number}/21Uxsk56VDQ/0000{part}.wav"),
                        sound,
                    );
                } else if number >= 6 {
                    self.place(
                        &format!("VoxCeleb1/test/wav/id1027{number}/x6uYqmx31kE/0000{part}.wav"),
                        sound,
                    );
                }
            }
        }
        let mut trials = String::new();
        for number in 6..9 {
            let name = |number: usize, part: usize| format!("id1027{number}/x6uYqmx31kE/0000{part}.wav");
            writeln!(trials, "1 {} {}", name(number, 0), name(number, 1)).unwrap();
            writeln!(trials, "0 {} {}", name(number, 0), name(6 + (number - 5) % 3, 2)).unwrap();
        }
        self.write("lists/veri_test2.txt", &trials);
    }

    /// Three more speakers, at two visits, two utterances on two devices each.
    fn supplement(&self) {
        for (number, voice) in self.voices.iter().enumerate().take(6).skip(3) {
            for (visit, part, device) in
                [("F", 0, "I1M"), ("F", 1, "PAD3M"), ("S", 2, "I0.25M"), ("S", 3, "PAD-1.5M")]
            {
                let name = format!("{visit}/{visit}010{number}_10{number}{device}_1_0007_normal.wav");
                self.place(&format!("FFSVC2020_supplement/{name}"), &voice[part]);
            }
        }
    }

    /// The dev speakers, in both sets.
    fn ffsvc2022(&self) {
        let mut meta = "Original_Name FFSVC2022_Name\n".to_owned();
        let (mut keys, mut eval) = (String::new(), String::new());
        let name =
            |set: &str, number: usize, part: usize| format!("ffsvc22_{set}_{:06}", 4 * (number - 6) + part);
        for (number, voice) in self.voices.iter().enumerate().skip(6) {
            for (part, sound) in voice.iter().enumerate() {
                writeln!(meta, "T034{number}_34{number}I1M_1_000{part}_fast {}", name("dev", number, part))
                    .unwrap();
                for set in ["dev", "eval"] {
                    self.place(&format!("FFSVC2022/{set}/{}.wav", name(set, number, part)), sound);
                }
            }
            let other = 6 + (number - 5) % 3;
            for part in 1..4 {
                let (enrol, same) = (name("dev", number, 0), name("dev", number, part));
                writeln!(keys, "1 {enrol}.wav {same}.wav\n0 {enrol}.wav {}.wav", name("dev", other, part))
                    .unwrap();
                writeln!(eval, "{}.wav {}.wav", name("eval", number, 0), name("eval", other, part)).unwrap();
            }
        }
        self.write("lists/dev_meta_list", &meta);
        self.write("lists/trials_dev_keys", &keys);
        self.write("lists/trials_eval", &eval);
    }

    fn sounds(&self) {
        let sound = &self.voices[0][0];
        for name in
            ["noise/free-sound/noise-free-sound", "music/fma/music-fma", "speech/librivox/speech-librivox"]
        {
            self.place(&format!("musan/{name}-0000.wav"), sound);
        }
        let response: Vec<f32> = (0..400_i16).map(|n| (-f32::from(n) / 50.0).exp()).collect();
        let file = self.folder.join("response.wav");
        write_wav(&file, &response, 16_000, SampleFormat::Pcm16).unwrap();
        for name in ["smallroom/Room001/Room001-00001", "mediumroom/Room129/Room129-00098"] {
            self.place(&format!("RIRS_NOISES/simulated_rirs/{name}.wav"), &file);
        }
        let real = "RIRS_NOISES/real_rirs_isotropic_noises/RWCP_type1_rir_cirline_jr1_imp010.wav";
        self.place(real, &file);
        let line = format!("--rir-id 00001 --room-id RWCP_type1_cirline_jr1 {real}\n");
        self.write("RIRS_NOISES/real_rirs_isotropic_noises/rir_list", &line);
    }
}

/// A network of a few hundred parameters, trained on a few batches.
const CONFIG: &str = r#"
[data]
train = "-"

[features.kind]
type = "log-mel"
num_mels = 24

[augment]
compat = true
additive.noise.list = "-"
additive.music.list = "-"
reverb.list = "-"

[model]
architecture = "resnet"
in_planes = 2
depth = 18
embedding_size = 8

[head]
kind = "aam-softmax"

[optimizer]
kind = "adam"
learning_rate = 1e-3

[schedule]
warmup_epochs = 0.0
kind = "multi-step"
milestones = []

[train]
epochs = 1
batch_size = 4
max_frames = 30
seed = 1

[validation]
data = "-"
trials = "-"
every_epochs = 1
"#;

fn lines(path: PathBuf) -> Vec<String> {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_recipes_run_on_trees_of_the_corpora() {
    let folder = tempfile::tempdir().unwrap();
    let corpora = Corpora::make(folder.path());
    fs::write(folder.path().join("tiny.toml"), CONFIG).unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (tree, config) = (corpora.folder.to_str().unwrap(), at("tiny.toml"));
    let has_zip = Program::new("zip").arg("-v").output().is_ok();
    if !has_zip {
        assert!(
            std::env::var_os("FFSVC_REQUIRE_DATA").is_none(),
            "FFSVC_REQUIRE_DATA is set, and there is no zip"
        );
        eprintln!("skipped: the evaluation set, no zip");
        fs::remove_dir_all(corpora.folder.join("FFSVC2022/eval")).unwrap();
    }

    let vox = at("vox");
    recipe("voxceleb/run.sh", &["--corpora", tree, "--config", &config, "--work", &vox]).success();
    let results = lines(Path::new(&vox).join("model/results.txt"));
    assert!(results.len() == 2 && results[1].starts_with("o_cleaned "), "{results:?}");

    let task1 = at("task1");
    let work = Path::new(&task1);
    let args =
        ["--corpora", tree, "--pretrain-config", &config, "--finetune-config", &config, "--work", &task1];
    recipe("ffsvc2022/task1/run.sh", &args).success().stdout(contains("Stage 2: pre-train"));
    let results = lines(work.join("results.txt"));
    assert!(results[1].starts_with("pretrained ") && results[2].starts_with("fine-tuned "), "{results:?}");
    assert_eq!(lines(work.join("data/combined/spk2utt")).len(), 3 + 3, "VoxCeleb2 and the supplement");
    if has_zip {
        let scores = lines(work.join("scores.txt"));
        assert_eq!(scores.len(), lines(work.join("data/eval/trials")).len());
        assert!(scores.iter().all(|score| score.parse::<f64>().is_ok()), "{scores:?}");
        assert!(fs::read(work.join("scores.zip")).unwrap().starts_with(b"PK"));
    }

    // Again: what is finished stays as it is.
    let model = work.join("fine-tuned/final.safetensors");
    let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = (written(&model), written(&work.join("embeddings/dev-fine-tuned.ark")));
    recipe("ffsvc2022/task1/run.sh", &args).success();
    assert_eq!((written(&model), written(&work.join("embeddings/dev-fine-tuned.ark"))), before);

    let task2 = at("task2");
    let work = Path::new(&task2);
    let pretrained = Path::new(&task1).join("pretrained/final.safetensors");
    let rounds =
        ["--rounds", "1", "--k", "3", "--keep-share", "1", "--min-size", "1", "--quality", "--cluster-near"];
    let mut args = vec!["--corpora", tree, "--model", pretrained.to_str().unwrap(), "--work", &task2];
    args.extend(["--finetune-config", &config]);
    args.extend(rounds);
    recipe("ffsvc2022/task2/run.sh", &args).success().stdout(contains("Pre-training is left out"));
    assert!(!work.join("data/supplement/utt2spk").exists(), "nobody says who speaks");
    let table = lines(work.join("results.txt"));
    assert_eq!(table.len(), 3, "{table:?}");
    let row: Vec<&str> = table[2].split_whitespace().collect();
    assert_eq!((row[0], row[1]), ("1", "3"), "{table:?}");
    let pseudo = lines(work.join("rounds/round-1/pseudo/utt2spk"));
    assert_eq!(
        lines(work.join("rounds/round-1/clusters/assignments")).len(),
        3,
        "one near recording a speaker"
    );
    assert_eq!(pseudo.len(), 6, "those and what another device recorded of the same utterances");
    if has_zip {
        assert_eq!(lines(work.join("scores.txt")).len(), lines(work.join("data/eval/trials")).len());
    }
}

#[test]
fn what_is_missing_is_said_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (corpora, work) = (at("corpora"), at("work"));
    fs::create_dir_all(folder.path().join("corpora/musan")).unwrap();
    for name in ["voxceleb/run.sh", "ffsvc2022/task1/run.sh", "ffsvc2022/task2/run.sh"] {
        recipe(name, &["--corpora", &corpora, "--work", &work])
            .code(2)
            .stdout(is_empty())
            .stderr(contains("RIRS_NOISES is missing (--rirs)").and(contains("https://www.openslr.org/28/")))
            .stderr(contains("veri_test2.txt is missing (--lists)").and(contains("musan is missing").not()))
            .stderr(contains("nothing was done"));
        assert!(!Path::new(&work).exists(), "{name}");
        recipe(name, &["--corpse"]).code(2).stderr(contains("unknown option --corpse (try --help)"));
        recipe(name, &["--help"]).success().stdout(contains("--stop-stage").and(contains("Stages: 1")));
    }
    for name in ["ffsvc2022/task1/run.sh", "ffsvc2022/task2/run.sh"] {
        recipe(name, &["--corpora", &corpora, "--work", &work])
            .code(2)
            .stderr(contains("zenodo.org/records/6465819").and(contains("ffsvc2022/trials_dev_keys")));
    }
}

#[test]
fn the_far_field_recipe_says_what_it_needs_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (here, work) = (at(""), at("work"));
    let name = "far-field/run.sh";
    let refused = |args: &[&str], what: &str| {
        let args = [args, &["--work", &work]].concat();
        recipe(name, &args).code(2).stdout(is_empty()).stderr(contains(what));
        assert!(!Path::new(&work).exists(), "{args:?}");
    };
    refused(&[], "--corpus DIR is no folder");
    refused(&["--corpus", &here], "--rooms DIR is no folder");
    refused(&["--corpus", &here, "--rooms", &here, "--noise", "nowhere"], "--noise nowhere is no folder");
    let inputs = ["--corpus", &here, "--rooms", &here, "--noise", &here];
    refused(&[&inputs[..], &["--weights", "none.pt"]].concat(), "--weights none.pt is no file");
    refused(&[&inputs[..], &["--seed", "one"]].concat(), "whole numbers, not \"one\"");
    recipe(name, &["--stage"]).code(2).stderr(contains("--stage needs a value"));
    recipe(name, &["--corpse", "x"]).code(2).stderr(contains("unknown option --corpse (try --help)"));
    recipe(name, &["--help"]).success().stdout(contains("--stop-stage").and(contains("Stages: 1")));
}

/// A split of the adaptation's lists: nobody and nothing is on both sides.
#[test]
fn development_lists_share_nothing_with_what_they_are_measured_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let from = root.join("recipes/speechocean762/lists");
    let (from_name, out) = (from.to_str().unwrap(), folder.path().join("lists"));
    recipe("far-field/development-lists.sh", &[from_name, out.to_str().unwrap()]).success();
    let column = |folder: &Path, name: &str, column: usize| -> std::collections::BTreeSet<String> {
        let lines = lines(folder.join(name));
        lines.iter().filter_map(|line| line.split_whitespace().nth(column)).map(str::to_owned).collect()
    };
    let (train, dev) = (column(&out, "train.utt2spk", 1), column(&out, "dev.utt2spk", 1));
    assert_eq!((train.len(), dev.len()), (100, 25));
    assert!(train.is_disjoint(&dev));
    assert!(train.union(&dev).all(|speaker| column(&from, "train.utt2spk", 1).contains(speaker)));
    for (kind, count) in [("rooms", (5, 2)), ("noise", (50, 20))] {
        let list = |use_: &str| column(&out, &format!("{kind}-{use_}"), 0);
        let (adaptation, evaluation) = (list("train"), list("evaluation"));
        assert_eq!((adaptation.len(), evaluation.len()), count, "{kind}");
        assert!(adaptation.is_disjoint(&evaluation));
        let reported = column(&from, &format!("{kind}-evaluation"), 0);
        assert!(reported.is_disjoint(&adaptation) && reported.is_disjoint(&evaluation), "{kind}");
    }
}

/// With `cargo` on the path that prints its arguments.
#[test]
fn the_programs_are_built_with_what_a_device_needs() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, "#!/bin/sh\necho \"$@\"\n").unwrap();
    let mut permissions = fs::metadata(&cargo).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&cargo, permissions).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    for (device, feature) in
        [("cpu", ""), ("cuda:0,1", " --features ffsvc/cuda"), ("wgpu:0", " --features ffsvc/wgpu")]
    {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/build.sh");
        let output = Program::new(script).arg(device).env("PATH", &path).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, format!("build --release --workspace --locked --quiet{feature}\n"), "{device}");
    }
}
