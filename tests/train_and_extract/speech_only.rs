//! `ffsvc-verify --speech-only`: pauses left out, and said so.

use assert_cmd::assert::Assert;
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::DataDir;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{program, trained};
use crate::recordings::{vowels, write};

const MODEL: &str = "--model exp/final.safetensors";

fn run(folder: &TempDir, name: &str, words: &str) -> Assert {
    program(name).current_dir(folder).args(words.split_whitespace()).assert()
}

fn json(assert: Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

/// A corpus with two recordings: `a` has pauses of its own and a second of noise before it, `b` is another.
fn with_pauses() -> TempDir {
    let folder = trained();
    let noise = vowels(6.0)[..4000].repeat(4);
    write(&folder, "a.wav", &[noise, vowels(3.0)].concat());
    write(&folder, "b.wav", &vowels(2.0));
    write(&folder, "silent.wav", &[0.0; 16_000]);
    folder
}

#[test]
fn the_score_is_that_of_the_speech_and_what_was_left_out_is_told() {
    let folder = with_pauses();
    let speech = "--speech-only noise-floor";
    run(&folder, "ffsvc-extract", &format!("{MODEL} a.wav b.wav -o e.npz {speech}")).success();
    let store = Embeddings::read(folder.path().join("e.npz")).unwrap();
    let [a, b] = ["a.wav", "b.wav"].map(|name| store.get(name).unwrap());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();

    let found = json(run(&folder, "ffsvc-verify", &format!("{MODEL} a.wav b.wav {speech} --json")).success());
    assert!((found["score"].as_f64().unwrap() - cosine).abs() < 1e-5, "{found}, expected {cosine}");
    let whole = json(run(&folder, "ffsvc-verify", &format!("{MODEL} a.wav b.wav --json")).success());
    assert!((whole["score"].as_f64().unwrap() - cosine).abs() > 1e-4, "{whole}");
    assert!(whole["enrolment"]["speech_only"].is_null());

    // The parts are those that `segment` writes.
    std::fs::create_dir(folder.path().join("d")).unwrap();
    std::fs::write(folder.path().join("d/wav.scp"), "a a.wav\n").unwrap();
    run(&folder, "ffsvc-data", "segment d parts").success();
    let expected: Vec<f64> = DataDir::open(folder.path().join("parts"))
        .unwrap()
        .utterances()
        .flat_map(|part| [part.segment.unwrap().start_s, part.segment.unwrap().end_s.unwrap()])
        .collect();
    let told = &found["enrolment"]["speech_only"];
    let parts: Vec<f64> = told["parts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|part| [part[0].as_f64().unwrap(), part[1].as_f64().unwrap()])
        .collect();
    assert_eq!(parts.len(), expected.len(), "{parts:?} {expected:?}");
    assert!(parts.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.006), "{parts:?} {expected:?}");
    let number = |key: &str| told[key].as_f64().unwrap();
    let sum: f64 = parts.chunks(2).map(|part| part[1] - part[0]).sum();
    assert!((number("embedded_s") - sum).abs() < 1e-9 && (sum + number("left_out_s") - 4.0).abs() < 1e-9);
    assert!((1.0..2.9).contains(&sum), "{sum} s of 1.5 s, with hangover");
    assert_eq!(told["detector"], "noise-floor");

    let text = format!(
        "embedded: {sum:.2} s in {} parts (noise-floor); left out: {:.2} s",
        parts.len() / 2,
        4.0 - sum
    );
    run(&folder, "ffsvc-verify", &format!("{MODEL} a.wav b.wav {speech}"))
        .success()
        .stdout(contains(text.as_str()));
}

#[test]
fn a_recording_without_speech_has_no_score_and_no_decision() {
    let folder = with_pauses();
    let verify = |words: &str| run(&folder, "ffsvc-verify", &format!("{words} {MODEL} --speech-only kaldi"));
    verify("a.wav silent.wav --threshold 0 --exit-code").code(4).stdout(
        contains("embedded: 0.00 s in 0 parts (energy); left out: 1.00 s")
            .and(contains("score      none"))
            .and(contains("decision   none: silent.wav is silent")),
    );
    let found = json(verify("silent.wav a.wav --threshold 0 --json").success());
    assert!(found["score"].is_null() && found["same_speaker"].is_null(), "{found}");
    verify("enrol ann silent.wav --database people").code(1).stderr(contains("silent.wav is silent"));
    verify("enrol ann a.wav --database people").success();
    verify("claim ann silent.wav --database people --threshold 0 --exit-code").code(4);
    let found = json(verify("identify silent.wav --database people --threshold 0 --json").success());
    assert_eq!(found["candidates"], serde_json::json!([]), "{found}");

    run(&folder, "ffsvc-verify", &format!("a.wav b.wav {MODEL} --speech-only silero"))
        .code(2)
        .stderr(contains("--speech-only silero needs --vad-model"));
    run(&folder, "ffsvc-verify", &format!("a.wav b.wav {MODEL} --vad-model x"))
        .code(2)
        .stderr(contains("--vad-model is for --speech-only silero"));
}

#[test]
fn a_rule_or_an_enrolment_of_whole_recordings_is_told_from_one_of_speech() {
    let folder = with_pauses();
    let extract = |store: &str, more: &str| {
        run(&folder, "ffsvc-extract", &format!("{MODEL} data/dev -o {store}.npz --allow-failures {more}"))
            .success();
        let words = format!(
            "--trials data/dev/trials --embeddings {store}.npz --skip-missing --report-out {store}.json --scores-out {store}.scores"
        );
        run(&folder, "ffsvc-score", &words).success();
        let words = format!(
            "calibrate --trials data/dev/trials --scores {store}.scores --skip-missing --ridge 0.01 -o {store}.map"
        );
        run(&folder, "ffsvc-score", &words).success();
    };
    extract("whole", "");
    extract("speech", "--speech-only noise-floor");
    let warning = "the threshold is for scores of";
    for (store, speech, warned) in [
        ("whole", "", false),
        ("whole", "--speech-only noise-floor", true),
        ("speech", "", true),
        ("speech", "--speech-only noise-floor", false),
        ("speech", "--speech-only kaldi", true),
    ] {
        for rule in
            [format!("--threshold-from {store}.json"), format!("--calibration {store}.map --p-target 0.5")]
        {
            let said =
                run(&folder, "ffsvc-verify", &format!("a.wav b.wav {MODEL} {rule} {speech}")).success();
            let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
            assert_eq!(said.contains(warning), warned, "{rule} {speech}: {said}");
        }
    }
    run(
        &folder,
        "ffsvc-verify",
        &format!("enrol ann a.wav {MODEL} --database people --speech-only noise-floor"),
    )
    .success();
    let said = "it is not used here, and was `noise-floor` when ann was enrolled with a.wav";
    for (speech, warned) in [("", true), ("--speech-only noise-floor", false)] {
        for command in ["claim ann", "identify"] {
            let words = format!("{command} b.wav {MODEL} --database people {speech}");
            let found = run(&folder, "ffsvc-verify", &words).success();
            assert_eq!(String::from_utf8_lossy(&found.get_output().stderr).contains(said), warned, "{words}");
        }
    }
}
