//! Augmentation through the programs: repeatable, counted where a sound is missing, and written out to listen to.

use std::path::Path;

use ffsvc_kaldi_io::DataDir;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{count_lines, final_model, program, weights, workplace};

/// Everything at once: other speeds as new speakers, simulated rooms, noise from a list, babble, a telephone.
const FAR: &str = r#"
[augment.speed]
probability = 0.66
[augment.reverb]
probability = 0.5
[augment.reverb.simulated]
rooms = 5
[augment.additive]
probability = 0.7
count = [1, 2]
[augment.additive.noise]
list = "noise.list"
[augment.additive.babble]
[augment.gain]
probability = 0.3
[augment.channel]
telephone_band = 0.3
"#;

/// A workplace with `far.toml`: the tiny experiment, one epoch, with [`FAR`]. The noises are recordings of the other
/// speakers, of which `missing` more are listed than exist.
fn far_workplace(missing: usize) -> TempDir {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    let tiny = std::fs::read_to_string(path("tiny.toml")).unwrap();
    std::fs::write(path("far.toml"), tiny + FAR).unwrap();
    let mut list: String = (0..3).map(|n| format!("data/wav/dev0000{n}/dev0000{n}-00000.wav\n")).collect();
    (0..missing).for_each(|n| list.push_str(&format!("gone/{n}.wav\n")));
    std::fs::write(path("noise.list"), list).unwrap();
    folder
}

fn train(folder: &TempDir, exp: &str, arguments: &[&str]) -> assert_cmd::assert::Assert {
    program("ffsvc-train")
        .current_dir(folder)
        .args(["far.toml", exp, "--set", "train.epochs=1"])
        .args(arguments)
        .assert()
}

#[test]
fn an_augmented_run_repeats_on_any_number_of_workers_and_whatever_the_caches_hold() {
    let folder = far_workplace(0);
    train(&folder, "one", &["--set", "train.workers=1"])
        .success()
        .stderr(contains("16 utterances of 12 speakers"));
    train(&folder, "three", &["--set", "train.workers=3", "--set", "augment.sound_cache_mib=0"]).success();
    assert!(weights(&final_model(&folder, "one")) == weights(&final_model(&folder, "three")));
    program("ffsvc-train")
        .current_dir(&folder)
        .args(["tiny.toml", "clean", "--set", "train.epochs=1"])
        .assert()
        .success();
    assert!(weights(&final_model(&folder, "clean")) != weights(&final_model(&folder, "one")));
}

#[test]
fn unusable_sounds_are_named_and_a_list_without_any_usable_is_refused() {
    let folder = far_workplace(2);
    train(&folder, "exp", &[]).success().stderr(
        contains("noise list: 3 files").and(contains("gone/0.wav")).and(contains("2 cannot be used")),
    );
    std::fs::write(folder.path().join("noise.list"), "gone/0.wav\n").unwrap();
    train(&folder, "none", &[]).code(1).stderr(contains("the noise list has no usable file"));
    train(&folder, "bad", &["--set", "augment.speed.probability=1.5"])
        .code(1)
        .stderr(contains("augment.speed.probability = 1.5"));
}

#[test]
fn a_copy_can_be_listened_to_and_its_plans_are_those_that_are_printed() {
    let folder = far_workplace(0);
    let augment = |arguments: &[&str], threads: &str| {
        program("ffsvc-data")
            .current_dir(&folder)
            .env("RAYON_NUM_THREADS", threads)
            .args(["augment", "data/train", "--config", "far.toml", "--seed", "5"])
            .args(arguments)
            .assert()
            .success()
    };
    augment(&["a"], "1").stdout("a: 16 utterances\n");
    augment(&["b"], "3");
    let printed = augment(&["--plan"], "2");
    let printed = String::from_utf8(printed.get_output().stdout.clone()).unwrap();
    let written = std::fs::read_to_string(folder.path().join("a/plans.jsonl")).unwrap();
    assert_eq!(written, printed);

    let copy = DataDir::open(folder.path().join("a")).unwrap();
    assert_eq!(copy.len(), 16);
    let mut changed = 0;
    for (utterance, line) in copy.utterances().zip(written.lines()) {
        let plan: Value = serde_json::from_str(line).unwrap();
        assert_eq!(plan["utterance"], utterance.id);
        let read = |exp: &str| {
            let name = format!("{exp}/wav/{}.wav", utterance.id);
            std::fs::read(folder.path().join(name)).unwrap()
        };
        assert!(read("a") == read("b"), "{}", utterance.id);
        // At another speed the recording is as much shorter or longer, and its speaker is another.
        let speed = plan["plan"]["speed"].as_f64().unwrap();
        let samples = |path: &Path| {
            ffsvc_audio::AudioFile::open(folder.path().join(path)).unwrap().frames().unwrap() as f64
        };
        let speaker = &utterance.id[..10];
        let original = format!("data/wav/{speaker}/{}.wav", utterance.id);
        let expected = samples(Path::new(&original)) / speed;
        assert!((samples(Path::new(utterance.wav)) - expected).abs() <= 0.51, "{line}");
        let name = if speed == 1.0 { speaker.to_string() } else { format!("{speaker}-speed{speed}") };
        assert_eq!(utterance.speaker, Some(name.as_str()));
        changed += usize::from(speed != 1.0);
    }
    assert!((4..=15).contains(&changed), "{changed} of 16 at another speed");
    assert!(count_lines(&folder.path().join("a/plans.jsonl"), "\"simulated\"") > 0);

    // A data directory is not written over.
    program("ffsvc-data")
        .current_dir(&folder)
        .args(["augment", "data/train", "a", "--config", "far.toml"])
        .assert()
        .code(1)
        .stderr(contains("a/wav.scp").and(contains("already")));
}

#[test]
fn a_copy_has_every_recording_from_every_microphone() {
    let folder = far_workplace(0);
    let array = "[augment.reverb]\nprobability = 1.0\n[augment.reverb.simulated]\nrooms = 3\n\
        [[augment.reverb.simulated.ranges.microphones]]\nname = '0.25M'\nahead_m = 0.25\nheight_m = 1.2\n\
        [[augment.reverb.simulated.ranges.microphones]]\nname = 'L3M'\nahead_m = 0.0\nleft_m = 3.0\nheight_m = 0.8\n\
        [augment.additive]\nprobability = 1.0\nnoise.list = 'noise.list'\n";
    std::fs::write(folder.path().join("array.toml"), array).unwrap();
    let augment = |arguments: &[&str]| {
        let command = ["augment", "data/dev", "--config", "array.toml", "--seed", "5"];
        program("ffsvc-data").current_dir(&folder).args(command).args(arguments).assert()
    };
    augment(&["array"]).success();
    let (original, copy) = (folder.path().join("data/dev"), folder.path().join("array"));
    let (original, copy) = (DataDir::open(original).unwrap(), DataDir::open(copy).unwrap());
    assert_eq!(copy.len(), 2 * original.len());
    let utt2mic = std::fs::read_to_string(folder.path().join("array/utt2mic")).unwrap();
    for utterance in copy.utterances() {
        let (of, microphone) = utterance.id.rsplit_once('-').unwrap();
        assert!(utt2mic.contains(&format!("{} {microphone}\n", utterance.id)), "{utt2mic}");
        let before = original.utterances().find(|other| other.id == of).unwrap();
        assert_eq!(before.speaker, utterance.speaker);
        assert!(["0.25M", "L3M"].contains(&microphone));
    }
    let printed = augment(&["--plan"]).success();
    let written = std::fs::read(folder.path().join("array/plans.jsonl")).unwrap();
    assert_eq!(written, printed.get_output().stdout);

    augment(&["other", "--set", "augment.reverb.probability=0.5"]).failure().stderr(
        contains("microphones").and(contains("reverb.probability = 1")).and(contains("panicked").not()),
    );
}
