//! Loose recordings: `ffsvc-extract --output`, `ffsvc-verify`, and `ffsvc-data audio-quality`.

use assert_cmd::assert::Assert;
use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use ffsvc_synth::{Speaker, Vowel, sustained_vowel};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, starts_with};
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{program, trained, workplace};

const MODEL: [&str; 2] = ["--model", "exp/final.safetensors"];

fn extract(folder: &TempDir, arguments: &[&str]) -> Assert {
    program("ffsvc-extract").current_dir(folder).args(MODEL).args(arguments).assert()
}

fn compare(folder: &TempDir, arguments: &[&str]) -> Assert {
    program("ffsvc-verify").current_dir(folder).args(MODEL).args(arguments).assert()
}

fn json(assert: &Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

pub(crate) fn write(folder: &TempDir, name: &str, samples: &[f32]) {
    write_wav(folder.path().join(name), samples, 16_000, SampleFormat::Pcm16).unwrap();
}

/// Vowels with pauses as long as they are, over a little noise: half of it is speech.
pub(crate) fn vowels(seconds: f64) -> Vec<f32> {
    let speaker = Speaker::draw(0, 1);
    let vowel = sustained_vowel(&speaker, Vowel::Hod, speaker.f0_hz, 0.25);
    let mut samples = [vec![0.0; 4000], vowel].concat().repeat((2.0 * seconds) as usize);
    for (n, sample) in samples.iter_mut().enumerate() {
        let noise = (n as u32).wrapping_mul(2_654_435_761) >> 16;
        *sample += 0.0005 * (noise as f32 / 32_768.0 - 1.0);
    }
    samples
}

#[test]
fn files_are_extracted_under_their_names() {
    let folder = trained();
    let wav = |utterance: &str| format!("data/wav/{}/{utterance}.wav", &utterance[..8]);
    let (a, b) = (wav("dev00001-00000"), wav("dev00000-00002"));
    extract(&folder, &[&a, &b, "-o", "loose.npz"]).success().stdout(contains("2 embeddings in loose.npz"));
    let loose = Embeddings::read(folder.path().join("loose.npz")).unwrap();
    assert_eq!(loose.keys(), ["dev00001-00000.wav", "dev00000-00002.wav"]);
    extract(&folder, &["data/dev", "--output", "dev.npz"]).success();
    let listed = Embeddings::read(folder.path().join("dev.npz")).unwrap();
    for (name, values) in loose.iter() {
        for (a, b) in values.iter().zip(listed.get(name.trim_end_matches(".wav")).unwrap()) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{name}: {a} {b}");
        }
    }

    // What cannot be told apart, or has no name, is wrong usage.
    std::fs::create_dir(folder.path().join("other")).unwrap();
    std::fs::copy(folder.path().join(&a), folder.path().join("other/dev00001-00000.wav")).unwrap();
    std::fs::copy(folder.path().join(&a), folder.path().join("with space.wav")).unwrap();
    let wrong: [(&[&str], &str); 8] = [
        (&[&a, "other/dev00001-00000.wav", "--output", "x.npz"], "would both be dev00001-00000.wav"),
        (&["with space.wav", "--output", "x.npz"], "without white space"),
        (&[&a, "data/dev", "--output", "x.npz"], "data/dev is a folder, beside other arguments"),
        (&["data/dev", "data/train", "--output", "x.npz"], "is a folder, beside other arguments"),
        (&[&a, "x.npz"], "recordings need --output STORE"),
        (&[&a, &b, &b], "recordings need --output STORE"),
        (&["data/dev"], "no store"),
        (&["data/dev", "x.npz", "y.npz"], "found 3 arguments"),
    ];
    for (arguments, message) in wrong {
        extract(&folder, arguments).code(2).stderr(contains(message));
    }
    extract(&folder, &[&a, "--output", "x.npz", "--allow-pipes"]).code(2).stderr(contains("--allow-pipes"));
    // A missing one does not keep the other from being written.
    extract(&folder, &[&a, "nowhere.wav", "--output", "x.npz"])
        .code(1)
        .stderr(contains("failed: nowhere.wav").and(contains("1 of 2 recordings failed")));
    assert_eq!(Embeddings::read(folder.path().join("x.npz")).unwrap().keys(), ["dev00001-00000.wav"]);
    assert!(!folder.path().join("x.npz.partial").exists());
}

#[test]
fn a_pipe_of_audio_is_read_once() {
    let folder = trained();
    let a = "data/wav/dev00001/dev00001-00000.wav";
    let audio = std::fs::read(folder.path().join(a)).unwrap();
    extract(&folder, &[a, "-o", "file.npz"]).success();
    program("ffsvc-extract")
        .current_dir(&folder)
        .args(MODEL)
        .args(["/dev/stdin", "-o", "pipe.npz"])
        .write_stdin(audio.clone())
        .assert()
        .success();
    let read = |name: &str| Embeddings::read(folder.path().join(name)).unwrap();
    assert_eq!(read("file.npz").data(), read("pipe.npz").data());
    let scores = |enrolment: &str| {
        let mut command = program("ffsvc-verify");
        command.current_dir(&folder).args(MODEL).args([enrolment, a, "--json"]).write_stdin(audio.clone());
        json(&command.assert().success())["score"].as_f64().unwrap()
    };
    assert_eq!(scores("/dev/stdin"), scores(a));
}

#[test]
fn the_score_of_a_pair_is_that_of_a_trial_list_and_the_threshold_names_its_origin() {
    let folder = trained();
    extract(&folder, &["data/dev", "dev.ark"]).success();
    program("ffsvc-score")
        .current_dir(&folder)
        .args(["--trials", "data/dev/trials", "--embeddings", "dev.scp"])
        .args(["--report-out", "dev.json", "--scores-out", "scores"])
        .assert()
        .success();
    let report: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("dev.json")).unwrap()).unwrap();
    let scores = std::fs::read_to_string(folder.path().join("scores")).unwrap();
    let wav = Table::read(folder.path().join("data/dev/wav.scp")).unwrap();
    let mut decisions = [0, 0];
    for line in scores.lines().step_by(9) {
        let words: Vec<&str> = line.split(' ').collect();
        let [a, b] = [wav.get(words[0]).unwrap(), wav.get(words[1]).unwrap()];
        let result = json(&compare(&folder, &[a, b, "--threshold-from", "dev.json", "--json"]).success());
        let score = result["score"].as_f64().unwrap();
        assert!((score - words[2].parse::<f64>().unwrap()).abs() < 1e-5, "{line}: {score}");
        let threshold = &result["threshold"];
        assert_eq!(threshold["value"], report["metrics"]["eer_threshold"]);
        let same = score >= threshold["value"].as_f64().unwrap();
        assert_eq!(result["same_speaker"], same, "{result}");
        decisions[usize::from(same)] += 1;
        let origin = &threshold["origin"];
        assert_eq!((&origin["kind"], &origin["point"]), (&"report".into(), &"eer".into()));
        assert_eq!(origin["trials"], report["trials"]);
        assert_eq!(origin["target"], report["counts"]["target"]);
    }
    assert!(decisions.iter().all(|&count| count > 0), "{decisions:?}");

    let [a, b] = ["data/wav/dev00000/dev00000-00000.wav", "data/wav/dev00001/dev00001-00000.wav"];
    compare(&folder, &[a, b, "--threshold-from", "dev.json", "--operating-point", "min-dcf:0.05"])
        .success()
        .stdout(contains("minDCF").and(contains("at P_target 0.05 of 9 target and")))
        .stdout(contains("in data/dev/trials, from dev.json"));
    compare(&folder, &[a, b]).success().stdout(contains("decision   none: no threshold was given"));
    compare(&folder, &[a, b, "--threshold", "-1.5"])
        .success()
        .stdout(contains("threshold  -1.500000 (given on the command line)\ndecision   same speaker\n"));
    program("ffsvc-verify")
        .current_dir(&folder)
        .args([a, a, "--threshold", "1.5", MODEL[0], MODEL[1]])
        .assert()
        .success()
        .stdout(contains("score      1.000000 (cosine)").and(contains("decision   different speakers\n")));

    // The mean that was subtracted is a part of what a threshold means.
    compare(&folder, &[a, b, "--mean-subtract", "dev.scp"])
        .success()
        .stdout(contains("minus the mean of dev.scp"));
    compare(&folder, &[a, b, "--mean-subtract", "dev.scp", "--threshold-from", "dev.json"])
        .code(2)
        .stderr(contains("without a mean subtracted"));
    compare(&folder, &[a, b, "--threshold-from", "dev.json", "--operating-point", "min-dcf:0.3"])
        .code(1)
        .stderr(contains("no minDCF at P_target 0.3; it has 0.01, 0.05"));
    let of_another = [a, b, "--threshold-from", "dev.json", "--model", "exp/initial.safetensors"];
    let of_another =
        |more: &[&str]| program("ffsvc-verify").current_dir(&folder).args(of_another).args(more).assert();
    of_another(&[]).code(1).stderr(contains("--allow-other-model takes it"));
    of_another(&["--allow-other-model"]).success().stdout(contains("decision "));
    for wrong in [
        &["--operating-point", "eer"][..],
        &["--threshold", "nan"],
        &["--threshold", "0", "--threshold-from", "x"],
    ] {
        compare(&folder, &[&[a, b], wrong].concat()).code(2).stdout("");
    }
    compare(&folder, &[a]).code(2);
    compare(&folder, &[a, b, a]).code(2);
}

#[test]
fn a_threshold_and_a_calibration_hold_for_their_model() {
    let folder = trained();
    let run = |name: &str, arguments: &str| {
        program(name).current_dir(&folder).args(arguments.split(' ')).assert().success();
    };
    run("ffsvc-extract", "--model exp/initial.safetensors data/dev other.ark -q");
    run(
        "ffsvc-score",
        "--trials data/dev/trials --embeddings other.scp --report-out other.json --scores-out other.scores",
    );
    run(
        "ffsvc-score",
        "calibrate --trials data/dev/trials --scores other.scores --ridge 0.001 -o calibration.json",
    );
    let [a, b] = ["data/wav/dev00000/dev00000-00000.wav", "data/wav/dev00001/dev00001-00000.wav"];
    for rule in
        [&["--threshold-from", "other.json"][..], &["--calibration", "calibration.json", "--p-target", "0.1"]]
    {
        compare(&folder, &[&[a, b], rule].concat())
            .code(1)
            .stdout("")
            .stderr(contains(rule[0]).and(contains("is of trials of exp/initial.safetensors")));
        compare(&folder, &[&[a, b], rule, &["--allow-other-model"]].concat())
            .success()
            .stdout(contains("decision"))
            .stderr(contains("allowed by --allow-other-model"));
        program("ffsvc-verify")
            .current_dir(&folder)
            .args(["--model", "exp/initial.safetensors", a, b])
            .args(rule)
            .assert()
            .success()
            .stderr(contains("other-model").not());
    }
    compare(&folder, &[a, b, "--threshold", "0", "--allow-other-model"]).code(2);
}

#[test]
fn what_is_wrong_with_a_recording_is_said_with_the_score() {
    let folder = trained();
    let good = vowels(6.0);
    write(&folder, "good.wav", &good);
    write(&folder, "short.wav", &good[..16_000]);
    write(&folder, "clipped.wav", &good.iter().map(|x| x * 8.0).collect::<Vec<_>>());
    write(&folder, "silent.wav", &[0.0; 16_000]);
    write(&folder, "offset.wav", &good.iter().map(|x| 0.5 * x + 0.1).collect::<Vec<_>>());
    let telephone: Vec<f32> = good.iter().step_by(2).copied().collect();
    write_wav(folder.path().join("8k.wav"), &telephone, 8000, SampleFormat::Pcm16).unwrap();

    let pair =
        |test: &str| json(&compare(&folder, &["good.wav", test, "--threshold", "0", "--json"]).success());
    let expected = [
        ("good.wav", None),
        ("short.wav", Some("too little speech: 0.")),
        ("clipped.wav", Some("clipped: ")),
        ("silent.wav", Some("silent: all samples are equal")),
        ("offset.wav", Some("constant offset: 10.0 % of full scale")),
        ("8k.wav", Some("sample rate: 8000 Hz of at least 16000 Hz")),
    ];
    for (name, warning) in expected {
        let result = pair(name);
        assert_eq!(result["enrolment"]["warnings"], serde_json::json!([]), "{result}");
        let warnings = result["test"]["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{name}: {result}");
        if let Some(warning) = warning {
            assert!(warnings[0].as_str().unwrap().starts_with(warning), "{name}: {result}");
        }
        assert_eq!(result["same_speaker"].is_null(), name == "silent.wav", "{name}: {result}");
    }
    let speech_s = pair("good.wav")["test"]["speech_s"].as_f64().unwrap();
    assert!((2.9..4.4).contains(&speech_s), "{speech_s} s of 3 s, with hangover");
    compare(&folder, &["good.wav", "short.wav", "--min-speech", "0.1"])
        .success()
        .stdout(starts_with("enrolment  good.wav: 6.00 s, ").and(contains("warning").not()));
    compare(&folder, &["silent.wav", "good.wav", "--threshold", "0"]).success().stdout(
        contains("           warning: silent").and(contains("decision   none: silent.wav is silent")),
    );

    std::fs::write(folder.path().join("text.wav"), "this is no audio").unwrap();
    std::fs::write(folder.path().join("empty.wav"), "").unwrap();
    write(&folder, "click.wav", &good[..100]);
    let failures = [
        ("nowhere.wav", "No such file"),
        ("text.wav", "not audio"),
        ("empty.wav", "the file is empty"),
        ("click.wav", "100 samples"),
        ("data", "this is a folder"),
    ];
    for (name, message) in failures {
        compare(&folder, &["good.wav", name])
            .code(1)
            .stdout("")
            .stderr(contains(name).and(contains(message)));
    }
}

#[test]
fn quality_tables_cover_a_data_directory() {
    let folder = workplace();
    let quality = |arguments: &[&str]| {
        program("ffsvc-data").current_dir(&folder).arg("audio-quality").args(arguments).assert()
    };
    quality(&["data/dev", "q", "--min-speech", "0"])
        .success()
        .stdout(contains("data/dev: 9 recordings").and(contains("0 with a warning, 0 unreadable")));
    let table = |path: &str| Table::read(folder.path().join(path)).unwrap();
    let number = |table: &Table, utterance: &str| table.get(utterance).unwrap().parse::<f64>().unwrap();
    let (expected, found) = (table("data/dev/utt2dur"), table("q/utt2dur"));
    assert!(expected.iter().eq(found.iter()), "durations are those of the corpus");
    let mut total_s = 0.0;
    for (utterance, _) in expected.iter() {
        let speech_s = number(&table("q/utt2speech"), utterance);
        assert!(speech_s <= number(&found, utterance), "{utterance}: {speech_s}");
        total_s += speech_s;
        assert_eq!(number(&table("q/utt2clipping"), utterance), 0.0);
        // What the corpus's levels are drawn from, less what the peak limit takes.
        assert!((-60.0..-17.0).contains(&number(&table("q/utt2level"), utterance)));
    }
    assert!(total_s > 3.0, "{total_s} s of speech in 9 recordings of about a second");
    assert_eq!(std::fs::read_to_string(folder.path().join("q/utt2warning")).unwrap(), "");

    // Into the directory itself, with a recording that cannot be read and one that is silent.
    std::fs::write(folder.path().join("data/wav/dev00001/dev00001-00001.wav"), "no audio").unwrap();
    write(&folder, "data/wav/dev00002/dev00002-00000.wav", &[0.0; 8000]);
    quality(&["data/dev", "data/dev", "--vad", "kaldi", "--min-speech", "0"])
        .code(1)
        .stdout(
            contains("dev00002-00000: silent: all samples are equal")
                .and(contains("silent: 1 recording (dev00002-00000)"))
                .and(contains("1 unreadable")),
        )
        .stderr(contains("failed: dev00001-00001"));
    assert_eq!(table("data/dev/utt2speech").len(), 8);
    assert_eq!(table("data/dev/utt2warning").len(), 1);
    let summary = json(&quality(&["data/dev", "q", "--allow-failures", "--json"]).success());
    assert_eq!(summary["recordings"], 9);
    assert!(summary["failed"]["dev00001-00001"].as_str().unwrap().contains("not audio"));
    program("ffsvc-data").current_dir(&folder).args(["validate", "data/dev"]).assert().success();

    // Nothing measured is no result.
    for recording in Table::read(folder.path().join("data/dev/wav.scp")).unwrap().iter() {
        std::fs::write(folder.path().join(recording.1), "no audio").unwrap();
    }
    quality(&["data/dev", "empty", "--allow-failures"])
        .code(1)
        .stdout("")
        .stderr(contains("none of 9 recordings could be measured"));
    assert!(!folder.path().join("empty").exists());
}
