//! The data path through the programs: a recording that cannot be read, and how fast batches are made.

use std::path::Path;

use ffsvc_audio::{SampleFormat, write_wav};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use crate::programs::{final_model, program, weights, workplace};

/// The first training utterance and its file.
fn first_recording(folder: &Path) -> (String, String) {
    let table = std::fs::read_to_string(folder.join("data/train/wav.scp")).unwrap();
    let (id, path) = table.lines().next().unwrap().split_once(' ').unwrap();
    (id.to_string(), path.to_string())
}

#[test]
fn another_utterance_takes_the_place_of_one_that_cannot_be_read() {
    let folder = workplace();
    let (id, path) = first_recording(folder.path());
    let bytes = std::fs::read(folder.path().join(&path)).unwrap();
    std::fs::write(folder.path().join(&path), &bytes[..bytes.len() / 2]).unwrap();
    let train = |exp: &str, arguments: &[&str]| {
        program("ffsvc-train").current_dir(&folder).args(["tiny.toml", exp]).args(arguments).assert()
    };
    let allowed = ["--set", "data.max_failed_share=0.1", "--set"];
    let named = format!("utterance {id}: ");
    for (exp, workers) in [("one", "train.workers=1"), ("three", "train.workers=3")] {
        let run = train(exp, &[&allowed[..], &[workers]].concat())
            .success()
            .stderr(contains("so far 1 of 16 recordings could not be used"));
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        let warnings = said.lines().filter(|line| line.contains(&named)).count();
        assert_eq!(warnings, 1, "named once, not in every epoch:\n{said}");
        assert!(said.contains("truncated") || said.contains("shorter"), "why it failed:\n{said}");
    }
    assert!(weights(&final_model(&folder, "one")) == weights(&final_model(&folder, "three")));

    train("strict", &[])
        .code(1)
        .stderr(contains("1 of 16 training recordings cannot be used").and(contains(path.as_str())));
    train("wrong", &["--set", "data.max_failed_share=2"])
        .code(1)
        .stderr(contains("data.max_failed_share = 2"));
}

#[test]
fn short_and_silent_recordings_are_counted_and_named() {
    let folder = workplace();
    let table = std::fs::read_to_string(folder.path().join("data/train/wav.scp")).unwrap();
    let paths: Vec<&str> = table.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let write = |path: &str, samples: &[f32]| {
        write_wav(folder.path().join(path), samples, 16_000, SampleFormat::Pcm16).unwrap();
    };
    let tone: Vec<f32> = (0..800).map(|n| (n as f32 * 0.1).sin() * 0.2).collect();
    paths[2..6].iter().for_each(|path| write(path, &tone));
    write(paths[9], &[0.0; 16_000]);
    let name = |index: usize| table.lines().nth(index).unwrap().split(' ').next().unwrap();
    let short = format!(
        "4 recordings are shorter than the crop; repeated: {}, {}, {}, ...",
        name(2),
        name(3),
        name(4)
    );
    let silent = format!("1 recording is silent: {}", name(9));
    let train = |arguments: &[&str]| {
        program("ffsvc-train").current_dir(&folder).arg("tiny.toml").args(arguments).assert().success()
    };
    let run = train(&["exp"]).stderr(contains(&*short).and(contains(&*silent)));
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert_eq!(said.matches(&*short).count(), 1, "once, not in every epoch:\n{said}");
    train(&["--dry-run"]).stdout(contains(&*short).and(contains(&*silent)));
}

#[test]
fn the_loader_is_measured_stage_by_stage() {
    let folder = workplace();
    let bench = |arguments: &[&str]| {
        program("ffsvc-data")
            .current_dir(&folder)
            .args(["bench-loader", "tiny.toml", "--measure-seconds", "0.3"])
            .args(arguments)
            .assert()
    };
    let measured = bench(&["--threads", "1,2", "--json"]).success();
    let report: Value = serde_json::from_slice(&measured.get_output().stdout).unwrap();
    assert_eq!((&report["utterances"], &report["batch_size"]), (&16.into(), &4.into()));
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["threads"].as_u64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    for run in runs {
        let rate = run["utterances_per_s"].as_f64().unwrap();
        let stages = run["stages"].as_array().unwrap();
        let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
        assert_eq!(names, ["read", "decode", "resample", "augment", "features"]);
        let shares: Vec<f64> = stages.iter().map(|stage| stage["share"].as_f64().unwrap()).collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
        let most = shares.iter().copied().fold(0.0, f64::max);
        assert_eq!(run["bottleneck"], names[shares.iter().position(|share| *share == most).unwrap()]);
        // The corpus has the network's rate.
        assert!(stages[2]["utterances_per_s"].is_null() && rate > 0.0);
        for stage in [0, 1, 3, 4].map(|index| &stages[index]) {
            // No stage alone is slower than all of them together.
            assert!(stage["utterances_per_s"].as_f64().unwrap() > rate * 0.9, "{stage} {rate}");
        }
    }
    // With a change of rate there is something to resample.
    let wide = bench(&["--threads", "1", "--json", "--set", "features.sample_rate=8000"]).success();
    let report: Value = serde_json::from_slice(&wide.get_output().stdout).unwrap();
    assert!(report["runs"][0]["stages"][2]["share"].as_f64().unwrap() > 0.01);

    bench(&["--threads", "2"])
        .success()
        .stdout(contains("threads  utterances/s").and(contains("\n      2 ")));
    bench(&["--threads", "0"]).code(2);
    bench(&["--seconds", "-1"]).code(2);
}
