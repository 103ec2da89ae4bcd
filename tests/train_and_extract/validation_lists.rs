//! `[validation.lists]`: several trial lists, far-field ones among them, and which of them chooses the best model.

use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{TINY, program, workplace};

fn run(folder: &TempDir, name: &str, arguments: &str) -> assert_cmd::assert::Assert {
    program(name).current_dir(folder).args(arguments.split_ascii_whitespace()).assert()
}

/// Every validation of a run.
fn validations(folder: &TempDir, exp: &str) -> Vec<Value> {
    let log = std::fs::read_to_string(folder.path().join(exp).join("train.jsonl")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "validation").collect()
}

/// A workplace with a second recording of each utterance's speaker under the utterance's name, in `data/far`, and a list
/// with every pair both ways round, so that each side has all utterances.
fn two_lists() -> TempDir {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    let table = std::fs::read_to_string(path("data/dev/wav.scp")).unwrap();
    let rows: Vec<(&str, &str)> = table.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let speaker = |id: &str| id.split('-').next().unwrap().to_owned();
    let next_of = |id: &str| {
        let same: Vec<_> = rows.iter().filter(|(other, _)| speaker(other) == speaker(id)).collect();
        let place = same.iter().position(|(other, _)| *other == id).unwrap();
        same[(place + 1) % same.len()].1
    };
    let far: String = rows.iter().map(|(id, _)| format!("{id} {}\n", next_of(id))).collect();
    std::fs::create_dir(path("data/far")).unwrap();
    std::fs::write(path("data/far/wav.scp"), far).unwrap();
    let trials = std::fs::read_to_string(path("data/dev/trials")).unwrap();
    let both: String = trials
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{line}\n{} {} {}\n", words[0], words[2], words[1])
        })
        .collect();
    std::fs::write(path("both-ways"), both).unwrap();
    let (before, _) = TINY.split_once("[validation]").unwrap();
    let lists = "[validation]\nbest = 'far'\n\
        [validation.lists.clean]\ndata = 'data/dev'\ntrials = 'data/dev/trials'\n\
        [validation.lists.far]\nenrol_data = 'data/dev'\ndata = 'data/far'\ntrials = 'both-ways'\nmean_subtract = true\n";
    std::fs::write(path("lists.toml"), format!("{before}{lists}")).unwrap();
    folder
}

#[test]
fn each_list_is_measured_as_the_programs_measure_it() {
    let folder = two_lists();
    run(&folder, "ffsvc-train", "lists.toml exp").success();
    let last = validations(&folder, "exp").pop().unwrap();
    for set in ["dev", "far"] {
        run(&folder, "ffsvc-extract", &format!("--model exp/final.safetensors data/{set} {set}.npz -q"))
            .success();
    }
    let score = |arguments: &str| -> Value {
        let found = run(&folder, "ffsvc-score", &format!("{arguments} --json")).success();
        serde_json::from_slice::<Value>(&found.get_output().stdout).unwrap()["metrics"].clone()
    };
    for (list, arguments) in [
        ("clean", "--trials data/dev/trials --embeddings dev.npz"),
        (
            "far",
            "--trials both-ways --enrol-embeddings dev.npz --embeddings far.npz --enrol-mean-subtract dev.npz \
             --mean-subtract far.npz",
        ),
    ] {
        let (expected, found) = (score(arguments), &last["lists"][list]);
        assert_eq!(found["eer"], expected["eer"], "{list}: {last}");
        assert_eq!(found["min_dcf"], expected["min_dcf"][0]["cost"], "{list}: {last}");
    }
    // The stated list chooses.
    assert_eq!(last["eer"], last["lists"]["far"]["eer"]);
    run(&folder, "ffsvc-train", "lists.toml exp --resume").success();

    let toml = std::fs::read_to_string(folder.path().join("lists.toml")).unwrap();
    std::fs::write(folder.path().join("mean.toml"), toml.replace("best = 'far'\n", "")).unwrap();
    run(&folder, "ffsvc-train", "mean.toml mean").success();
    let of_mean = validations(&folder, "mean").pop().unwrap();
    assert_eq!(of_mean["lists"], last["lists"]);
    let rate = |list: &str| last["lists"][list]["eer"].as_f64().unwrap();
    assert_eq!(of_mean["eer"], (rate("clean") + rate("far")) / 2.0);
}

#[test]
fn lists_that_contradict_each_other_are_refused() {
    let folder = two_lists();
    for (set, expected) in [
        ("validation.best=near", "one of clean, far"),
        ("validation.data=data/dev", "validation.lists"),
        ("validation.lists.far.data=data/train", "data/train lacks"),
    ] {
        run(&folder, "ffsvc-train", &format!("lists.toml exp --dry-run --set {set}"))
            .code(1)
            .stderr(contains(expected));
    }
    std::fs::write(
        folder.path().join("none.toml"),
        format!("{}[validation]\n", TINY.split("[validation]").next().unwrap()),
    )
    .unwrap();
    run(&folder, "ffsvc-train", "none.toml exp --dry-run")
        .code(1)
        .stderr(contains("validation = no trial list"));
}
