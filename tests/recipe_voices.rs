//! recipes/voices from end to end, on a tree with the real file names of VOiCES. Voices are synthetic and the network has not learnt
//! anything, so error rates mean nothing here: tables, trials and stages do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, is_empty};

/// An experiment of one step.
const TINY: &str = "
data.train = 'synth/train'
augment = {}
model = { architecture = 'resnet', in_planes = 2, depth = 18, embedding_size = 8 }
head.kind = 'aam-softmax'
train = { epochs = 1, batch_size = 4, max_frames = 40 }
features.kind = { type = 'log-mel', num_mels = 16 }
";

fn run(folder: &Path, program: &str, words: &str) {
    let mut command = Command::cargo_bin(program).unwrap();
    command.current_dir(folder).env_remove("RUST_LOG").args(words.split(' ')).assert().success();
}

fn recipe(folder: &Path, args: &[&str]) -> Assert {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = Path::new(env!("CARGO_BIN_EXE_ffsvc-data")).parent().unwrap();
    let mut command = Command::new(root.join("recipes/voices/run.sh"));
    command.current_dir(folder).env("FFSVC_BIN", programs).args(args).assert()
}

fn lines(path: impl AsRef<Path>) -> Vec<String> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// The devkit of three speakers with two sentences each, in two rooms, without distractor and in babble, by microphones 1 and 5.
/// Beside it `distances.csv`, with columns in another order than the page has them.
fn devkit(folder: &Path) {
    run(
        folder,
        "ffsvc-data",
        "synth synth --train-speakers 3 --train-utterances 2 --dev-speakers 2 --dev-utterances 2 --seconds 0.6,0.8 -q",
    );
    fs::write(folder.join("tiny.toml"), TINY).unwrap();
    run(folder, "ffsvc-train", "tiny.toml model -q");
    let mut distances = "query_name,floor,foreground,distractor 1,distractor 2\r\n".to_owned();
    for (speaker, number) in [("sp0032", 0), ("sp0115", 1), ("sp1088", 2)] {
        for (sentence, name) in [(0, "ch004137-sg0007"), (1, "ch121720-sg0008")] {
            let voice = folder.join(format!("synth/wav/train{number:05}/train{number:05}-{sentence:05}.wav"));
            let place = |path: String| {
                let path = folder.join("VOiCES_devkit").join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::copy(&voice, path).unwrap();
            };
            place(format!("source-16k/test/{speaker}/Lab41-SRI-VOiCES-src-{speaker}-{name}.wav"));
            for room in ["rm1", "rm2"] {
                for noise in ["none", "babb"] {
                    for (microphone, inches) in [("mc01-stu-clo", 40), ("mc05-stu-far", 160)] {
                        let stem =
                            format!("Lab41-SRI-VOiCES-{room}-{noise}-{speaker}-{name}-{microphone}-dg150");
                        place(format!("distant-16k/speech/test/{room}/{noise}/{speaker}/{stem}.wav"));
                        distances += &format!("{stem},40,{inches},90,110\r\n");
                    }
                }
            }
        }
    }
    distances += "Lab41-SRI-VOiCES-rm3-none-sp9999-ch000001-sg0001-mc01-stu-clo-dg150,40,50,60,70\r\n";
    fs::write(folder.join("distances.csv"), distances).unwrap();
}

#[test]
fn the_recipe_ends_in_tables_by_room_and_distance() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    devkit(folder);
    let args = ["--corpus", "VOiCES_devkit", "--model", "model/final.safetensors", "--nontargets", "all"];
    let with_distances = [&args[..], &["--distances", "distances.csv", "--work", "exp"]].concat();
    recipe(folder, &with_distances).success();
    let data = folder.join("exp/data/test");
    assert_eq!(lines(data.join("utt2spk")).len(), 3 * 2 * (1 + 8));
    let distances = lines(data.join("utt2distance"));
    assert_eq!(distances.len(), 3 * 2 * 8);
    assert!(
        distances.contains(&"rm1-babb-sp0032-ch004137-sg0007-mc05-stu-far-dg150 4.06".to_owned()),
        "{distances:?}"
    );
    let trials = lines(data.join("trials"));
    let targets: Vec<&String> = trials.iter().filter(|trial| trial.starts_with("1 ")).collect();
    // Each sentence enrols against the eight recordings of the other one of its speaker, and all of other speakers.
    assert_eq!((targets.len(), trials.len()), (6 * 8, 6 * 8 * 5));
    for trial in &targets {
        let names: Vec<&str> = trial.split(' ').collect();
        let sentences: BTreeSet<&str> =
            names[1..].iter().map(|name| if name.contains("sg0007") { "sg0007" } else { "sg0008" }).collect();
        assert!(
            sentences.len() == 2 && names[1].starts_with("src-") && names[2].starts_with("rm"),
            "{trial}"
        );
    }
    let results = lines(folder.join("exp/final-test/results.txt")).join("\n");
    for line in [
        "room of the test",
        "noise of the test",
        "microphone of the test",
        "metres of the test",
        "1..2 ",
        "4..6 ",
    ] {
        assert!(results.contains(line), "no {line:?} in {results}");
    }
    // Without distances, the rest.
    recipe(folder, &[&args[..], &["--work", "exp2", "--stop-stage", "2"]].concat()).success();
    assert!(
        folder.join("exp2/data/test/trials").is_file()
            && !folder.join("exp2/data/test/utt2distance").exists()
    );
}

#[test]
fn what_is_missing_is_said_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("kit/source-16k/test")).unwrap();
    let refused = |args: &[&str], what: &str| {
        recipe(folder, &[args, &["--work", "exp"]].concat())
            .code(2)
            .stdout(is_empty())
            .stderr(contains(what));
        assert!(!folder.join("exp").exists(), "{args:?}");
    };
    refused(&[], "--corpus DIR: no folder");
    refused(&["--corpus", "kit"], "no folder kit/distant-16k/speech/test");
    fs::create_dir_all(folder.join("kit/distant-16k/speech/test")).unwrap();
    refused(&["--corpus", "kit"], "--model FILE is no file");
    fs::write(folder.join("m"), "").unwrap();
    refused(&["--corpus", "kit", "--model", "m", "--distances", "d.csv"], "d.csv is no file");
    recipe(folder, &["--stage"]).code(2).stderr(contains("--stage needs a value"));
    recipe(folder, &["--corpse", "x"]).code(2).stderr(contains("unknown option --corpse (try --help)"));
    recipe(folder, &["--help"]).success().stdout(contains("--stop-stage").and(contains("Stages: 1")));
}
