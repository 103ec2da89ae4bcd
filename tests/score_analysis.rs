//! `ffsvc-score compare` and `errors`: from score files to tables and JSON.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

fn run(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ffsvc-score"));
    program.env_remove("RUST_LOG").current_dir(dir).args(arguments).assert()
}

/// Six speakers with two utterances each, all pairs; `good` ranks all but one pair of them right, `bad` none.
fn workplace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> =
        (0..6).flat_map(|speaker| (0..2).map(move |n| format!("s{speaker}-{n}"))).collect();
    let (mut trials, mut good, mut bad) = (String::new(), String::new(), String::new());
    for (at, a) in names.iter().enumerate() {
        for b in &names[at + 1..] {
            let is_target = a[..2] == b[..2];
            trials += &format!("{} {a} {b}\n", u8::from(is_target));
            let score = if is_target && at > 0 { 0.9 } else { 0.1 + 0.01 * at as f64 };
            good += &format!("{a} {b} {score}\n");
            bad += &format!("{a} {b} {}\n", -score);
        }
    }
    let table: String = names.iter().map(|name| format!("{name} {}\n", &name[..2])).collect();
    for (name, text) in [("trials", trials), ("good", good), ("bad", bad), ("utt2spk", table)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

const COMPARE: [&str; 9] =
    ["compare", "--trials", "trials", "--utt2spk", "utt2spk", "--scores", "bad", "--scores", "new=good"];

#[test]
fn systems_are_compared_on_the_same_trials() {
    let dir = workplace();
    run(dir.path(), &COMPARE)
        .success()
        .stdout(contains(
            "first: bad, second: new\n66 trials that all systems have scored, 6 of them target trials; 6 speakers",
        ))
        .stdout(contains("minDCF(0.01): the second is better by more than chance"));
    let more = [&COMPARE[..], &["--json", "--bootstrap", "50", "--report-out", "c.json"]].concat();
    let printed = run(dir.path(), &more).success();
    let printed: Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(dir.path().join("c.json")).unwrap()).unwrap();
    assert_eq!(printed, written);
    assert_eq!(written["comparisons"][0]["measures"][1]["measure"], "minDCF(0.01)");
    assert_eq!(written["comparisons"][0]["bootstrap"]["replicates"], 50);

    run(dir.path(), &COMPARE[..7]).code(2).stderr(contains("found one system, expected two or more"));
    run(dir.path(), &[&COMPARE[..], &["--scores", "utt2spk"]].concat()).failure();
    std::fs::write(dir.path().join("utt2spk"), "s0-0 s0\n").unwrap();
    run(dir.path(), &COMPARE).code(1).stderr(contains("utt2spk").and(contains("s0-1")));
}

#[test]
fn errors_are_shown_with_their_speakers() {
    let dir = workplace();
    let arguments = ["errors", "--trials", "trials", "--scores", "good", "--utt2spk", "utt2spk"];
    let more = ["--threshold", "0.5", "--table", "speaker=utt2spk", "--report-out", "e.json"];
    run(dir.path(), &[&arguments[..], &more].concat())
        .success()
        .stdout(contains(
            "threshold 0.500000: 1 of 6 target trials missed, 0 of 60 non-target trials accepted",
        ))
        .stdout(contains("0.100000  s0-0 s0-1  speaker s0/s0"))
        .stdout(contains("1 of 1").and(contains("false alarms, highest").not()));
    let written: Value = serde_json::from_slice(&std::fs::read(dir.path().join("e.json")).unwrap()).unwrap();
    assert_eq!(written["misses"]["worst"][0]["test"], "s0-1");
    assert_eq!(written["speakers"][0]["name"], "s0");

    // Without a threshold, that of the EER; and a list without labels has no errors.
    run(dir.path(), &arguments).success().stdout(contains("threshold 0."));
    std::fs::write(dir.path().join("trials"), "s0-0 s0-1\n").unwrap();
    run(dir.path(), &arguments).code(1).stderr(contains("expected a trial list with labels"));
}
