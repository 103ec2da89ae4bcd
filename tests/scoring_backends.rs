//! `ffsvc-score` with back ends, calibration and fusion: from files to files.

use std::path::Path;

use assert_cmd::Command;
use ffsvc_embeddings::Embeddings;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

fn run(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffsvc-score"));
    command.env_remove("RUST_LOG").current_dir(dir).args(arguments).assert()
}

fn json(assert: &assert_cmd::assert::Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

const SPEAKERS: usize = 24;
const UTTERANCES: usize = 4;

/// A number between -1 and 1 that looks random.
fn noise(seed: usize) -> f32 {
    let mut x = (seed as u32).wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995;
    for _ in 0..3 {
        x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
        x ^= x >> 12;
    }
    x as f32 / u32::MAX as f32 * 2.0 - 1.0
}

/// Embeddings of speakers who differ in the first four of six dimensions, each with noise that is strong in the last
/// two; a second, noisier store of the same utterances as of another device; lists.
fn workplace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let (mut clean, mut far, mut other) = (Embeddings::new(6), Embeddings::new(6), Embeddings::new(6));
    let (mut utt2spk, mut utt2domain, mut utt2dur, mut trials, mut models, mut model_trials) =
        (String::new(), String::new(), String::new(), String::new(), String::new(), String::new());
    for a in 0..SPEAKERS * UTTERANCES {
        let speaker = a / UTTERANCES;
        let strength = [0.5, 0.5, 0.5, 0.5, 2.5, 2.5];
        let row = |salt: usize, shift: f32| -> Vec<f32> {
            let value = |d: usize| {
                let own = if d < 4 { 2.0 * noise(speaker * 31 + d * 7 + 1) } else { 0.0 };
                own + strength[d] * noise(a * 57 + d * 13 + salt) + shift
            };
            (0..6).map(value).collect()
        };
        clean.push(format!("u{a}"), &row(100_000, 0.0)).unwrap();
        far.push(format!("u{a}"), &row(200_000, 1.5)).unwrap();
        other.push(format!("u{a}"), &row(300_000, if a % 2 == 0 { 3.0 } else { -3.0 })).unwrap();
        utt2spk += &format!("u{a} s{speaker}\n");
        utt2domain += &format!("u{a} {}\n", if a % 2 == 0 { "phone" } else { "tv" });
        utt2dur += &format!("u{a} {:.2}\n", 3.0 + noise(a));
        for b in 0..a {
            trials += &format!("{} u{a} u{b}\n", u8::from(speaker == b / UTTERANCES));
        }
        if a % UTTERANCES == 0 {
            models += &format!("m{speaker} u{a} u{} u{}\n", a + 1, a + 2);
            for other in 0..SPEAKERS {
                let last = other * UTTERANCES + 3;
                model_trials += &format!("{} m{speaker} u{last}\n", u8::from(other == speaker));
            }
        }
    }
    clean.write(path.join("clean.scp")).unwrap();
    far.write(path.join("far.scp")).unwrap();
    other.write(path.join("other.scp")).unwrap();
    for (name, text) in [
        ("utt2spk", utt2spk),
        ("utt2domain", utt2domain),
        ("utt2dur", utt2dur),
        ("trials", trials),
        ("models", models),
        ("model_trials", model_trials),
    ] {
        std::fs::write(path.join(name), text).unwrap();
    }
    dir
}

fn words(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

fn eer(dir: &Path, arguments: &str) -> f64 {
    let report = json(&run(dir, &words(&format!("{arguments} --json"))).success());
    report["metrics"]["eer"].as_f64().unwrap()
}

#[test]
fn a_back_end_is_trained_adapted_and_scored_with() {
    let dir = workplace();
    let path = dir.path();
    let train = "train-backend --embeddings clean.scp --utt2spk utt2spk --transform lda --lda-dim 4 --plda -o b.safetensors";
    run(path, &words(train)).success().stdout("").stderr("");
    let bytes = std::fs::read(path.join("b.safetensors")).unwrap();
    run(path, &words(train)).success();
    assert_eq!(
        std::fs::read(path.join("b.safetensors")).unwrap(),
        bytes,
        "the same training, the same bytes"
    );

    let cosine = eer(path, "--trials trials --embeddings far.scp");
    let with_plda = "--trials trials --embeddings far.scp --mean-subtract far.scp --backend b.safetensors";
    assert!(eer(path, with_plda) < 0.8 * cosine);
    let report = json(&run(path, &words(&format!("{with_plda} --json"))).success());
    assert_eq!(report["scores"]["kind"], "plda");
    assert_eq!(report["scores"]["backend"]["path"], "b.safetensors");
    assert_eq!(report["scores"]["backend"]["sha256"].as_str().map(str::len), Some(64));
    run(path, &words(with_plda))
        .success()
        .stdout(contains("PLDA of far.scp, minus the mean of far.scp, back end b.safetensors"));

    for method in ["kaldi", "coral", "coral-plus --within-scale 0.2"] {
        let adapt = format!(
            "adapt-backend --backend b.safetensors --embeddings far.scp --method {method} -o a.safetensors"
        );
        run(path, &words(&adapt)).success().stdout("");
        assert!(eer(path, "--trials trials --embeddings far.scp --backend a.safetensors") < 0.8 * cosine);
    }
    let text = String::from_utf8_lossy(&std::fs::read(path.join("a.safetensors")).unwrap()).into_owned();
    assert!(
        text.contains(r#"\"step\":\"trained\""#) && text.contains(r#"\"method\":\"coral-plus\""#),
        "its history"
    );

    let wccn = "train-backend --embeddings clean.scp --utt2spk utt2spk --transform wccn -o w.safetensors";
    run(path, &words(wccn)).success();
    assert!(eer(path, "--trials trials --embeddings clean.scp --backend w.safetensors") < cosine);
    let plda = "train-backend --embeddings clean.scp --utt2spk utt2spk --plda";
    run(path, &words(&format!("{plda} -o l.safetensors"))).success();
    run(path, &words(&format!("{plda} --no-length-norm -o n.safetensors"))).success();
    assert_ne!(
        std::fs::read(path.join("l.safetensors")).unwrap(),
        std::fs::read(path.join("n.safetensors")).unwrap()
    );
    let info = String::from_utf8_lossy(&std::fs::read(path.join("n.safetensors")).unwrap()).into_owned();
    assert!(info.contains(r#"\"length_norm\":false"#), "the options are in the file");
    run(path, &words("adapt-backend --backend w.safetensors --embeddings far.scp -o x.safetensors"))
        .code(1)
        .stderr(contains("no PLDA"));
    assert!(!path.join("x.safetensors").exists());
}

#[test]
fn means_are_of_sides_and_domains() {
    let dir = workplace();
    let path = dir.path();
    let list = "--trials trials --embeddings other.scp";
    let plain = eer(path, list);
    let global = eer(path, &format!("{list} --mean-subtract other.scp"));
    let by_domain = eer(path, &format!("{list} --mean-subtract other.scp --utt2domain utt2domain"));
    assert!(by_domain < 0.7 * global.min(plain), "{by_domain} {global} {plain}");

    // Examples of each domain: with a table they are the same means, and without one the embedding tells the domain.
    let store = Embeddings::read(path.join("other.scp")).unwrap();
    for (remainder, name) in [(0, "phone"), (1, "tv")] {
        let mut examples = Embeddings::new(6);
        for (place, (utterance, row)) in store.iter().enumerate() {
            if place % 2 == remainder {
                examples.push(utterance, row).unwrap();
            }
        }
        examples.write(path.join(format!("{name}.scp"))).unwrap();
    }
    let domains = format!("{list} --domain phone=phone.scp --domain tv=tv.scp");
    assert_eq!(eer(path, &format!("{domains} --utt2domain utt2domain")), by_domain);
    assert_eq!(eer(path, &domains), by_domain);
    run(path, &words(&domains))
        .success()
        .stdout(contains("domain       tv (tv.scp): 48 of the enrolment side, 48 of the test side"));
    assert!(eer(path, &format!("{domains} --score-norm as-norm --top 20")) < plain);
    let models = "--trials model_trials --enrolment models --embeddings other.scp --domain phone=phone.scp --domain tv=tv.scp";
    assert!(eer(path, &format!("{models} --score-norm s-norm")) < plain);
    run(path, &words(&format!("{list} --domain phone=phone.scp"))).code(2).stderr(contains("two at least"));
    run(path, &words(&format!("{domains} --domain tv=other.scp")))
        .code(1)
        .stderr(contains("tv is given twice"));
    run(path, &words(&format!("{list} --score-norm s-norm")))
        .code(2)
        .stderr(contains("--cohort, or --domain"));

    let sides = "--trials trials --embeddings far.scp --enrol-embeddings clean.scp";
    let one_mean = eer(path, &format!("{sides} --mean-subtract far.scp"));
    let per_side = format!("{sides} --mean-subtract far.scp --enrol-mean-subtract clean.scp");
    assert!(eer(path, &per_side) < one_mean);
    run(path, &words(&per_side))
        .success()
        .stdout(contains("minus the mean of far.scp (enrolment: of clean.scp)"));

    std::fs::write(path.join("some_domains"), "u0 phone\nu1 tv\n").unwrap();
    run(path, &words(&format!("{list} --mean-subtract other.scp --utt2domain some_domains")))
        .code(1)
        .stdout("")
        .stderr(contains("94 utterances have no domain in some_domains").and(contains("and 84 more")));
    run(path, &words(&format!("{list} --utt2domain utt2domain"))).code(2);
}

#[test]
fn speakers_are_enrolled_with_several_utterances() {
    let dir = workplace();
    let path = dir.path();
    let list = "--trials model_trials --embeddings clean.scp --enrolment models";
    std::fs::write(
        path.join("first"),
        std::fs::read_to_string(path.join("models"))
            .unwrap()
            .lines()
            .map(|line| {
                let words = words(line);
                format!("{} {}\n", words[0], words[1])
            })
            .collect::<String>(),
    )
    .unwrap();
    let one = eer(path, "--trials model_trials --embeddings clean.scp --enrolment first");
    for average in ["", "--enrol-average embeddings", "--enrol-average scores"] {
        assert!(eer(path, &format!("{list} {average}")) < one, "{average}");
    }
    let train = "train-backend --embeddings clean.scp --utt2spk utt2spk --plda -o b.safetensors";
    run(path, &words(train)).success();
    assert!(eer(path, &format!("{list} --backend b.safetensors")) < one);
    run(path, &words(&format!("{list} --backend b.safetensors --enrol-average directions"))).code(2);

    std::fs::write(path.join("bad"), "m0 u0 x1\nm1 u4 u5\n").unwrap();
    let bad = "--trials model_trials --embeddings clean.scp --enrolment bad";
    run(path, &words(&format!("{bad} --enrol-average scores"))).code(1).stderr(
        contains("1 of 2 models of bad are incomplete: no embedding for x1").and(contains("--skip-missing")),
    );
    std::fs::write(path.join("two_models"), "m0 u0 u1\nm1 u4 u5\n").unwrap();
    for average in ["directions", "scores"] {
        let two = "--trials model_trials --embeddings clean.scp --enrolment two_models";
        run(path, &words(&format!("{two} --enrol-average {average}"))).code(1).stderr(contains(
            "22 names on the enrolment side of the trials are no models of two_models: m2, m3",
        ));
    }
    run(path, &words(&format!("{bad} --skip-missing --json"))).success();
    std::fs::write(path.join("two_trials"), "1 m1 u7\n0 m1 u11\n0 m0 u7\n").unwrap();
    let bad = bad.replace("model_trials", "two_trials");
    run(path, &words(&bad))
        .code(1)
        .stderr(contains("1 of 2 models of bad are incomplete").and(contains("x1")));
    let report = json(&run(path, &words(&format!("{bad} --skip-missing --json"))).success());
    assert_eq!(report["counts"]["skipped"], 1);
    assert_eq!(report["scores"]["enrol_average"], "directions");

    let normed = "--score-norm as-norm --cohort clean.scp --cohort-utt2spk utt2spk --top 10";
    for average in ["directions", "scores"] {
        let report =
            json(&run(path, &words(&format!("{list} --enrol-average {average} {normed} --json"))).success());
        assert_eq!(report["normalisation"]["size"], SPEAKERS);
        assert!(report["metrics"]["eer"].as_f64().unwrap() < one);
    }
    run(path, &words(&format!("{list} --backend b.safetensors {normed}"))).code(2).stderr(contains("PLDA"));
}

#[test]
fn scores_are_calibrated_fused_and_applied() {
    let dir = workplace();
    let path = dir.path();
    for store in ["clean", "far"] {
        let score = format!(
            "--trials trials --embeddings {store}.scp --mean-subtract {store}.scp --scores-out {store}.scores"
        );
        run(path, &words(&score)).success();
    }
    let calibrate = "calibrate --trials trials --scores clean.scores -o c.json --p-target 0.05 \
                     --folds 6 --utt2spk utt2spk --scores-out held_out --json";
    let report = json(&run(path, &words(calibrate)).success());
    assert_eq!(report["measured_on"], "held-out speakers");
    let cost = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap();
    assert!(cost("/after/act_dcf/0/cost") < cost("/before/0/act_dcf/0/cost"));
    assert!(cost("/after/cllr/actual") < cost("/before/0/cllr/actual"));

    let fuse = "calibrate --trials trials --scores clean.scores --scores far.scores -o f.json --p-target 0.05 \
                --quality-measure log-min:utt2dur --folds 6 --utt2spk utt2spk --json";
    let fused = json(&run(path, &words(fuse)).success());
    let eer = |value: &Value| value["eer"].as_f64().unwrap();
    assert!(
        eer(&fused["after"]) < eer(&fused["before"][0]) && eer(&fused["after"]) < eer(&fused["before"][1])
    );
    assert_eq!(fused["calibration"]["weights"].as_array().map(Vec::len), Some(2));

    let apply = "apply --trials trials --scores clean.scores --scores far.scores --calibration f.json \
                 --quality-measure log-min:utt2dur -o fused";
    run(path, &words(apply)).success().stdout("");
    let (scores, model): (String, Value) = (
        std::fs::read_to_string(path.join("fused")).unwrap(),
        serde_json::from_slice(&std::fs::read(path.join("f.json")).unwrap()).unwrap(),
    );
    let first = |file: &str| -> f64 {
        let text = std::fs::read_to_string(path.join(file)).unwrap();
        words(text.lines().next().unwrap())[2].parse().unwrap()
    };
    let durations = std::fs::read_to_string(path.join("utt2dur")).unwrap();
    let duration = |line: usize| -> f64 { words(durations.lines().nth(line).unwrap())[1].parse().unwrap() };
    let weight = |pointer: &str| model.pointer(pointer).and_then(Value::as_f64).unwrap();
    let expected = weight("/calibration/offset")
        + weight("/calibration/weights/0") * first("clean.scores")
        + weight("/calibration/weights/1") * first("far.scores")
        + weight("/calibration/quality_weights/0") * duration(0).min(duration(1)).ln();
    assert!((first("fused") - expected).abs() < 1e-5, "{expected}");
    assert_eq!(scores.lines().count(), SPEAKERS * UTTERANCES * (SPEAKERS * UTTERANCES - 1) / 2);

    for quality in
        ["length --mean-subtract clean.scp", "cohort-mean --cohort far.scp --cohort-utt2spk utt2spk --top 5"]
    {
        run(path, &words(&format!("embedding-quality --embeddings clean.scp -o q --measure {quality}")))
            .success()
            .stdout("");
        assert_eq!(std::fs::read_to_string(path.join("q")).unwrap().lines().count(), SPEAKERS * UTTERANCES);
        let calibrate = "calibrate --trials trials --scores clean.scores -o q.json --quality-measure mean:q --p-target 0.05";
        run(path, &words(calibrate)).success().stdout(contains("mean of q"));
    }
    run(path, &words("embedding-quality --embeddings clean.scp -o q --measure cohort-mean")).code(2);

    let pav = "calibrate --trials trials --scores clean.scores -o p.json --method pav";
    run(path, &words(pav))
        .success()
        .stdout(contains("knots").and(contains("measured on the training trials")));
}

#[test]
fn wrong_usage_of_calibrations_is_told() {
    let dir = workplace();
    let path = dir.path();
    run(path, &words("--trials trials --embeddings clean.scp --scores-out s")).success();
    run(path, &words("calibrate --trials trials --scores s --scores s -o m.json"))
        .code(1)
        .stderr(contains("weighted sum of others"));
    run(path, &words("calibrate --trials trials --scores s -o m.json --p-target 1")).code(2);
    run(path, &words("calibrate --trials trials --scores s -o m.json --quality-measure middle:utt2dur"))
        .code(2)
        .stderr(contains("middle"));
    run(path, &words("calibrate --trials trials --scores s -o m.json --folds 2 --utt2spk utt2spk"))
        .code(1)
        .stderr(contains("at least 3"));
    assert!(!path.join("m.json").exists());
    run(path, &words("calibrate --trials trials --scores s -o m.json")).success();
    run(
        path,
        &words("apply --trials trials --scores s --calibration m.json --quality-measure min:utt2dur -o o"),
    )
    .code(2)
    .stderr(contains("expected none"));
    run(path, &words("apply --trials trials --scores s --scores s --calibration m.json -o o"))
        .code(2)
        .stderr(contains("found 2 --scores, expected 1"));
    run(path, &words("apply --trials trials --scores s --calibration trials -o o"))
        .code(1)
        .stderr(contains("is not a calibration"));
    run(path, &words("--trials trials --embeddings clean.scp --backend trials"))
        .code(1)
        .stderr(contains("trials"));
    run(path, &words("train-backend --embeddings clean.scp --utt2spk utt2spk -o b.json")).code(2);
    assert!(!path.join("o").exists());
}
