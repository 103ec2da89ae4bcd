//! `[validation]`: checked before the first step, and no danger to the run at the end of an epoch.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_trainer::{Event, ExperimentConfig, InitFrom, Run};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

use crate::programs::{TINY, count_lines, final_model, program, weights, with_absolute_paths, workplace};

fn train(folder: &TempDir, arguments: &[&str]) -> assert_cmd::assert::Assert {
    program("ffsvc-train").current_dir(folder).args(arguments).assert()
}

/// Id and file of the first validation recording.
fn first_recording(folder: &Path) -> (String, String) {
    let table = std::fs::read_to_string(folder.join("data/dev/wav.scp")).unwrap();
    let (id, path) = table.lines().next().unwrap().split_once(' ').unwrap();
    (id.to_string(), path.to_string())
}

/// What spoils a workplace's validation data.
type Spoil = fn(&Path);

fn rewrite_trials(folder: &Path, change: impl Fn(&str) -> Option<String>) {
    let path = folder.join("data/dev/trials");
    let trials = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = trials.lines().filter_map(change).collect();
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

#[test]
fn what_a_validation_would_fail_on_is_refused_before_the_first_step() {
    let cases: &[(&str, Spoil, &[&str])] = &[
        (
            "targets only",
            |folder| {
                rewrite_trials(folder, |line| line.starts_with("1 ").then(|| line.to_string()));
            },
            &["data/dev/trials", " target and 0 nontarget trials", "both kinds"],
        ),
        (
            "no labels",
            |folder| {
                let unlabelled = |line: &str| Some(line.split(' ').skip(1).collect::<Vec<_>>().join(" "));
                rewrite_trials(folder, unlabelled);
            },
            &["data/dev/trials", "without labels"],
        ),
        (
            "an unknown utterance",
            |folder| rewrite_trials(folder, |line| Some(line.replacen("dev00001-00000", "nobody", 1))),
            &["data/dev/trials", "1 of ", "data/dev lacks", "nobody"],
        ),
        (
            "no trial list",
            |folder| std::fs::remove_file(folder.join("data/dev/trials")).unwrap(),
            &["data/dev/trials"],
        ),
        (
            "no data directory",
            |folder| std::fs::remove_dir_all(folder.join("data/dev")).unwrap(),
            &["data/dev"],
        ),
        (
            "a missing recording",
            |folder| std::fs::remove_file(folder.join(first_recording(folder).1)).unwrap(),
            &["1 of 9 that cannot be used", "utterance dev00000-00000", "dev00000-00000.wav", "No such file"],
        ),
        (
            "five missing recordings",
            |folder| {
                let table = std::fs::read_to_string(folder.join("data/dev/wav.scp")).unwrap();
                for line in table.lines().take(5) {
                    std::fs::remove_file(folder.join(line.split(' ').nth(1).unwrap())).unwrap();
                }
            },
            &["5 of 9 that cannot be used", "dev00000-00002", ", ...;"],
        ),
        (
            "a recording of one sample",
            |folder| {
                write_wav(folder.join(first_recording(folder).1), &[0.1], 16_000, SampleFormat::Pcm16)
                    .unwrap();
            },
            &["utterance dev00000-00000: 1 samples are too short"],
        ),
    ];
    for (name, spoil, words) in cases {
        let folder = workplace();
        spoil(folder.path());
        for arguments in [&["tiny.toml", "--dry-run"][..], &["tiny.toml", "exp"]] {
            let failed = train(&folder, arguments).code(1);
            let said = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
            for word in *words {
                assert!(said.contains(word), "{name}, {arguments:?}: no {word:?} in:\n{said}");
            }
        }
        assert!(!folder.path().join("exp").exists(), "{name}");
    }
}

#[test]
fn a_validation_that_fails_costs_its_result_and_nothing_else() {
    let folder = workplace();
    train(&folder, &["tiny.toml", "good"]).success();
    // Its header is right.
    let (id, path) = first_recording(folder.path());
    let good = std::fs::read(folder.path().join(&path)).unwrap();
    write_wav(folder.path().join(&path), &[0.1; 16_000], 16_000, SampleFormat::Float32).unwrap();
    let mut bytes = std::fs::read(folder.path().join(&path)).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(folder.path().join(&path), bytes).unwrap();

    let failing =
        contains("the validation after epoch 1 failed").and(contains("the validation after epoch 2 failed"));
    train(&folder, &["tiny.toml", "exp"]).success().stderr(failing.and(contains(format!("utterance {id}"))));
    let log = folder.path().join("exp/train.jsonl");
    assert_eq!(count_lines(&log, "\"event\":\"validation-failed\""), 2);
    assert_eq!(count_lines(&log, "\"event\":\"validation\""), 0);
    assert!(!folder.path().join("exp/best.safetensors").exists());
    assert!(weights(&final_model(&folder, "exp")) == weights(&final_model(&folder, "good")));

    // The recording is mended: the validation after the last epoch is all that is left to do.
    std::fs::write(folder.path().join(&path), good).unwrap();
    train(&folder, &["tiny.toml", "exp", "--resume"]).success().stdout(contains("best model"));
    assert_eq!(count_lines(&log, "\"event\":\"validation\""), 1);
    assert_eq!(count_lines(&log, "\"event\":\"step\""), 8);
    assert!(weights(&folder.path().join("exp/best.safetensors")) == weights(&final_model(&folder, "good")));
}

/// The checkpoint of an epoch is complete before its validation begins; a run that ends between the two measures first when it
/// goes on.
#[test]
fn a_run_that_stops_during_a_validation_makes_up_for_it() {
    let folder = workplace();
    with_absolute_paths(folder.path());
    let mut config: ExperimentConfig = toml::from_str(TINY).unwrap();
    for path in config.input_paths_mut() {
        *path = folder.path().join(&*path);
    }
    let path = |exp: &str| folder.path().join(exp);
    let train = |exp: &str, init: &InitFrom, stop_at: Option<usize>| {
        let run = Run::prepare(&config, path(exp), init, &[Device::flex()]).unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = |event: &Event| {
            if let Event::Checkpoint { step, .. } = event {
                stop.store(stop_at == Some(*step), Ordering::SeqCst);
            }
        };
        run.train(&stop, &mut observer).unwrap()
    };
    train("whole", &InitFrom::Random, None);
    // At the end of the first epoch, and of the last.
    let first = train("parts", &InitFrom::Random, Some(4));
    assert_eq!((first.step, first.interrupted, first.validations.len()), (4, true, 0));
    let second = train("parts", &InitFrom::Checkpoint, Some(8));
    assert_eq!((second.step, second.interrupted, second.validations.len()), (8, true, 1));
    assert!(second.final_model.is_none());
    let third = train("parts", &InitFrom::Checkpoint, None);
    assert_eq!((third.step, third.interrupted, third.validations.len()), (8, false, 2));
    for file in ["final.safetensors", "best.safetensors"] {
        let of = |exp: &str| std::fs::read(path(exp).join(file)).unwrap();
        assert!(of("whole") == of("parts"), "{file}");
    }
    let validations = |exp: &str| {
        let log = std::fs::read_to_string(path(exp).join("train.jsonl")).unwrap();
        let lines: Vec<String> =
            log.lines().filter(|l| l.contains("\"validation\"")).map(String::from).collect();
        lines
    };
    assert_eq!(validations("parts"), validations("whole"));
}
