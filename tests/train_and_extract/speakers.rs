//! Enrolled speakers: `ffsvc-verify enrol`, `claim`, `identify`, `list`, `remove`.

use assert_cmd::assert::Assert;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{program, trained};

const MODEL: [&str; 2] = ["--model", "exp/final.safetensors"];

/// Recordings of the second and third speaker of the corpus.
const BOB: [&str; 2] = ["data/wav/dev00001/dev00001-00000.wav", "data/wav/dev00001/dev00001-00001.wav"];
const EVE: &str = "data/wav/dev00002/dev00002-00000.wav";

fn verify(folder: &TempDir, arguments: &[&str]) -> Assert {
    program("ffsvc-verify").current_dir(folder).args(arguments).args(["--database", "people"]).assert()
}

fn with_model(folder: &TempDir, arguments: &[&str]) -> Assert {
    verify(folder, &[arguments, &MODEL].concat())
}

fn json(assert: Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

#[test]
fn speakers_are_enrolled_claimed_identified_and_forgotten() {
    let folder = trained();
    verify(&folder, &["list"]).code(1).stderr(contains("no speaker database"));
    with_model(&folder, &["enrol", "bob", BOB[0]]).success().stdout(contains("bob: 1 recordings"));
    with_model(&folder, &["enrol", "bob", BOB[0]]).code(1).stderr(contains("is enrolled already"));
    with_model(&folder, &["enrol", "Eve/../2", EVE]).success();
    let listed = json(verify(&folder, &["list", "--json"]).success());
    let names: Vec<&str> =
        listed["speakers"].as_array().unwrap().iter().map(|s| s["speaker"].as_str().unwrap()).collect();
    assert_eq!(names, ["Eve/../2", "bob"]);

    // The recording that a speaker was enrolled with is the speaker.
    let found = json(with_model(&folder, &["identify", EVE, "--threshold", "0.99", "--json"]).success());
    assert_eq!(found["identified"], "Eve/../2", "{found}");
    let best = &found["candidates"][0];
    assert!((best["score"].as_f64().unwrap() - 1.0).abs() < 1e-6 && best["speaker"] == "Eve/../2", "{found}");
    with_model(&folder, &["identify", EVE, "--threshold", "1.5", "--exit-code"])
        .code(3)
        .stdout(contains("decision   nobody"));
    with_model(&folder, &["identify", EVE, "--show", "1", "--exit-code"])
        .code(4)
        .stdout(contains("decision   none").and(contains("bob").not()));

    with_model(&folder, &["claim", "bob", BOB[0], "--threshold", "0.99", "--exit-code"])
        .success()
        .stdout(contains("decision   it is bob"));
    // A second recording moves the mean.
    with_model(&folder, &["enrol", "bob", BOB[1]]).success().stdout(contains("bob: 2 recordings"));
    with_model(&folder, &["claim", "bob", EVE, "--threshold", "1.5", "--exit-code"])
        .code(3)
        .stdout(contains("decision   it is not bob"));
    with_model(&folder, &["claim", "ann", EVE])
        .code(1)
        .stderr(contains("no speaker `ann`; enrolled: Eve/../2, bob"));

    // A database belongs to one model.
    program("ffsvc-verify")
        .current_dir(&folder)
        .args(["identify", EVE, "--database", "people", "--model", "exp/initial.safetensors"])
        .assert()
        .code(1)
        .stderr(contains("holds embeddings of exp/final.safetensors").and(contains("enrol again")));

    verify(&folder, &["remove", "bob"]).success().stdout(contains("1 speakers left"));
    verify(&folder, &["remove", "bob"]).code(1).stderr(contains("no speaker `bob`"));
    std::fs::write(folder.path().join("people/speakers/bob.json"), "{}").unwrap();
    verify(&folder, &["list"]).code(1).stderr(contains("bob.json").and(contains("expected")));
}
