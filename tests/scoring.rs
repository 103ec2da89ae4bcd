//! `ffsvc-score`: from files to a table, a JSON report, score files and exit codes.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use ffsvc_embeddings::Embeddings;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffsvc-score"));
    command.env_remove("RUST_LOG");
    command
}

/// A folder with four embeddings, lists of trials and nothing else.
fn workplace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut embeddings = Embeddings::new(2);
    for (name, row) in [("a1", [1.0, 0.25]), ("a2", [2.0, 0.0]), ("b1", [0.0, 1.0]), ("b2", [-0.25, 0.5])] {
        embeddings.push(name, &row).unwrap();
    }
    embeddings.write(dir.path().join("e.scp")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("trials", "1 a1 a2\n1 b1 b2\n0 a1 b1\n0 a2 b2\n");
    write("trials_eval", "a1.wav a2.wav\na1.wav b1.wav\n");
    write("trials_more", "a1 a2 target\na1 b1 nontarget\na1 c1 nontarget\n");
    dir
}

fn run(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    program().current_dir(dir).args(arguments).assert()
}

fn json(assert: &assert_cmd::assert::Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

#[test]
fn scores_then_evaluates_its_own_score_file() {
    let dir = workplace();
    let arguments =
        ["--trials", "trials", "--embeddings", "e.scp", "--scores-out", "s", "--report-out", "r.json"];
    run(dir.path(), &arguments).success().stdout(contains("EER             0.000 %")).stderr("");
    let scores = std::fs::read_to_string(dir.path().join("s")).unwrap();
    assert_eq!(scores.lines().count(), 4);
    assert!(scores.starts_with("a1 a2 0.9701425\n"), "{scores}");
    let report: Value = serde_json::from_slice(&std::fs::read(dir.path().join("r.json")).unwrap()).unwrap();

    let again = run(dir.path(), &["--trials", "trials", "--scores", "s", "--json"]).success();
    let again = json(&again);
    for (path, expected) in [("/counts/target", 2.0), ("/counts/nontarget", 2.0), ("/metrics/eer", 0.0)] {
        assert_eq!(report.pointer(path).and_then(Value::as_f64), Some(expected), "{path}");
        assert_eq!(again.pointer(path), report.pointer(path), "{path}");
    }
    assert_eq!(again["trials"], report["trials"]);
    assert_eq!(again["trials"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(
        (report["scores"]["kind"].as_str(), again["scores"]["kind"].as_str()),
        (Some("cosine"), Some("file"))
    );
    assert_eq!(report["metrics"]["min_dcf"].as_array().map(Vec::len), Some(2));
}

#[test]
fn compat_is_the_baselines_definition() {
    let dir = workplace();
    std::fs::write(dir.path().join("equal"), "0.5\n0.5\n0.5\n0.5\n").unwrap();
    let eer = |more: &[&str]| {
        let arguments = [&["--trials", "trials", "--scores", "equal", "--json"], more].concat();
        json(&run(dir.path(), &arguments).success())["metrics"]["eer"].as_f64()
    };
    assert_eq!((eer(&[]), eer(&["--compat"])), (Some(0.5), Some(1.0)));
}

#[test]
fn a_list_without_labels_gives_scores_only() {
    let dir = workplace();
    let list = ["--trials", "trials_eval", "--embeddings", "e.scp"];
    let arguments = [&list[..], &["--ffsvc-scores-out", "scores.txt"]].concat();
    run(dir.path(), &arguments)
        .success()
        .stdout(contains("the trial list has no labels"))
        .stderr(contains("3 utterance names matched only without, or only with, a .wav suffix"));
    let scores = std::fs::read_to_string(dir.path().join("scores.txt")).unwrap();
    assert_eq!(scores.lines().collect::<Vec<_>>(), ["0.9701425", "0.24253562"]);
    run(dir.path(), &list).code(2).stdout("").stderr(contains("--scores-out"));
}

#[test]
fn missing_utterances_fail_or_are_skipped() {
    let dir = workplace();
    let arguments = ["--trials", "trials_more", "--embeddings", "e.scp", "--json"];
    let failed = run(dir.path(), &arguments).code(1);
    assert_eq!(json(&failed)["exit_status"], 1);
    failed.stderr(contains("1 of 3 trials").and(contains("c1")));
    let skipped = run(dir.path(), &[&arguments[..], &["--skip-missing"]].concat()).success();
    let report = json(&skipped);
    assert_eq!(
        (report["counts"]["skipped"].as_u64(), report["counts"]["trials"].as_u64()),
        (Some(1), Some(3))
    );
    assert!(String::from_utf8_lossy(&skipped.get_output().stderr).contains("1 of 3 trials have no score"));
}

#[test]
fn the_mean_is_subtracted() {
    let dir = workplace();
    let arguments = [
        "--trials",
        "trials",
        "--embeddings",
        "e.scp",
        "--mean-subtract",
        "e.scp",
        "--scores-out",
        "s",
        "--json",
    ];
    let report = json(&run(dir.path(), &arguments).success());
    assert_eq!(report["scores"]["mean_subtracted"], "e.scp");
    // Mean (0.6875, 0.4375): a1 is (0.3125, -0.1875), a2 (1.3125, -0.4375).
    let expected =
        (0.3125 * 1.3125 + 0.1875 * 0.4375) / (0.3125_f64.hypot(0.1875) * 1.3125_f64.hypot(0.4375));
    let scores = std::fs::read_to_string(dir.path().join("s")).unwrap();
    let found: f64 = scores.split_ascii_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
}

#[test]
fn wrong_usage_and_bad_input_have_their_exit_codes() {
    let dir = workplace();
    let path = dir.path();
    run(path, &["--trials", "trials"]).code(2);
    run(path, &["--trials", "trials", "--embeddings", "e.scp", "--scores", "s"]).code(2);
    run(path, &["--trials", "trials", "--embeddings", "e.scp", "--p-target", "1.5"])
        .code(2)
        .stderr(contains("--p-target").and(contains("> 0 and < 1")));
    run(path, &["--trials", "nowhere", "--embeddings", "e.scp"]).code(1).stderr(contains("nowhere"));
    run(path, &["--trials", "trials", "--embeddings", "nowhere.scp"]).code(1).stderr(contains("nowhere.scp"));
    std::fs::write(path.join("one_class"), "1 a1 a2\n1 b1 b2\n").unwrap();
    run(path, &["--trials", "one_class", "--embeddings", "e.scp"])
        .code(1)
        .stderr(contains("2 target and 0 non-target"));
    std::fs::write(path.join("nan"), "a1 a2 nan\n").unwrap();
    run(path, &["--trials", "trials", "--scores", "nan"]).code(1).stderr(contains("nan:1"));
    run(path, &["--help"])
        .success()
        .stdout(contains("From the baseline's scripts").and(contains("Exit status")));
    assert_eq!(std::fs::read_dir(path).unwrap().filter(|f| is_litter(f.as_ref().unwrap().path())).count(), 0);
}

fn is_litter(path: PathBuf) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp"))
}

fn the_baselines_embeddings_give_the_baselines_result() {
    let golden = ffsvc_test_data::shared("golden/scoring");
    let arguments = [
        "--trials",
        "trials_key_last",
        "--embeddings",
        "embd_dict.npy",
        "--compat",
        "--json",
        "--p-target",
        "0.01",
    ];
    let report = json(&run(&golden, &arguments).success());
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap();
    assert!((number("/metrics/eer") - 0.1372515663859447).abs() < 1e-12);
    assert!((number("/metrics/min_dcf/0/cost") - 0.8116730340224528).abs() < 1e-12);
}

/// Ten speakers with three recordings each, all pairs of different recordings, scores that tell speakers apart.
fn crowd() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let name = |n: usize| format!("s{}-{}", n / 3, n % 3);
    let (mut trials, mut scores) = (String::new(), String::new());
    for a in 0..30 {
        for b in 0..a {
            let target = a / 3 == b / 3;
            let score = (a * 37 + b * 101) % 89 + if target { 60 } else { 0 };
            trials += &format!("{} {} {}\n", u8::from(target), name(a), name(b));
            scores += &format!("{} {} {}\n", name(a), name(b), score as f64 / 20.0 - 4.0);
        }
    }
    let table = |value: &dyn Fn(usize) -> String| {
        (0..30).map(|n| format!("{} {}\n", name(n), value(n))).collect::<String>()
    };
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("trials", &trials);
    write("s", &scores);
    write("utt2spk", &table(&|n| format!("s{}", n / 3)));
    write("utt2visit", &table(&|n| (n % 3 + 1).to_string()));
    write("spk2gender", &(0..10).map(|n| format!("s{n} {}\n", ["f", "m"][n % 2])).collect::<String>());
    dir
}

#[test]
fn conditions_that_are_too_small_come_with_what_would_work() {
    let dir = crowd();
    let list = ["--trials", "trials", "--scores", "s", "--min-trials", "3"];
    let by = |by: &str| {
        let done = run(dir.path(), &[&list[..], &["--by", by]].concat()).success();
        String::from_utf8_lossy(&done.get_output().stderr).into_owned()
    };
    // A pair of speakers has target or non-target trials, never both; a speaker has both.
    let stderr = by("speaker=utt2spk");
    for expected in [
        "--by both:speaker=utt2spk: 55 of 55 conditions have fewer than 3 trials of a class; --by ",
        "--by test:speaker=utt2spk measures ",
        "a table with fewer values makes larger conditions; no condition has both target and non-target",
    ] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    assert!(!stderr.contains("relation:speaker"), "{stderr}");
    assert_eq!(by("test:visit=utt2visit"), "");
    let report = run(dir.path(), &[&list[..], &["--by", "speaker=utt2spk", "--json"]].concat()).success();
    let report = json(&report);
    let alternatives = report["conditions"][0]["alternatives"].as_array().unwrap();
    assert!(
        !alternatives.is_empty() && alternatives.iter().all(|other| other["measurable"].as_u64() > Some(0))
    );
}

#[test]
fn every_measure_has_its_interval_and_its_row() {
    let dir = crowd();
    let arguments = [
        "--trials",
        "trials",
        "--scores",
        "s",
        "--utt2spk",
        "utt2spk",
        "--bootstrap",
        "50",
        "--fa-rate",
        "0.1",
        "--dcf",
        "0.5,1,1",
        "--by",
        "gap:visit=utt2visit",
        "--by",
        "gender=spk2gender",
        "--min-trials",
        "15",
    ];
    let table = run(dir.path(), &arguments).success();
    let table = String::from_utf8_lossy(&table.get_output().stdout).into_owned();
    for expected in
        ["50 resamplings of 10 speakers, seed 0", "actDCF", "min Cllr", "at FAR <= 10 %", "too few trials"]
    {
        assert!(table.contains(expected), "{expected}: {table}");
    }
    let report = json(&run(dir.path(), &[&arguments[..], &["--json"]].concat()).success());
    let metrics = &report["metrics"];
    assert_eq!(metrics["min_dcf"].as_array().map(Vec::len), Some(1));
    for (value, interval) in [
        ("/eer", "/eer_interval"),
        ("/min_dcf/0/cost", "/min_dcf/0/interval"),
        ("/act_dcf/0/cost", "/act_dcf/0/interval"),
        ("/miss_at_fa/0/p_miss", "/miss_at_fa/0/interval"),
        ("/cllr/actual", "/cllr/actual_interval"),
        ("/cllr/minimum", "/cllr/minimum_interval"),
    ] {
        let number =
            |path: String| metrics.pointer(&path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}"));
        let (low, high) = (number(format!("{interval}/low")), number(format!("{interval}/high")));
        assert!(low <= high && number(value.to_owned()).is_finite(), "{value}");
    }
    assert_eq!(report["utt2spk"]["sha256"].as_str().map(str::len), Some(64));
    let visits = &report["conditions"][0];
    assert_eq!((visits["name"].as_str(), visits["sides"].as_str()), (Some("visit"), Some("gap")));
    // 30 target pairs: 20 of them one visit apart, 10 two apart, none of the same visit.
    let counts: Vec<_> = visits["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["value"].as_str().unwrap(), c["target"].as_u64().unwrap(), c["metrics"].is_null()))
        .collect();
    assert_eq!(counts, [("0", 0, true), ("1", 20, false), ("2", 10, true)]);
    assert_eq!(report["conditions"][1]["conditions"].as_array().map(Vec::len), Some(4));
    // The same draws, whatever the number of threads.
    let one = program()
        .current_dir(dir.path())
        .env("RAYON_NUM_THREADS", "1")
        .args([&arguments[..], &["--json"]].concat())
        .assert();
    assert_eq!(json(&one), report);
}

#[test]
fn tables_that_say_too_little_are_refused() {
    let dir = crowd();
    let list = ["--trials", "trials", "--scores", "s"];
    let refused = |more: &[&str], code: i32, message: &'static str| {
        run(dir.path(), &[&list[..], more].concat()).code(code).stdout("").stderr(contains(message));
    };
    std::fs::write(dir.path().join("partial"), "s0-0 x\n").unwrap();
    refused(&["--by", "test:d=partial"], 1, "belong nowhere");
    refused(&["--bootstrap", "5", "--utt2spk", "partial"], 1, "no speaker in partial");
    refused(&["--by", "d"], 2, "SIDES:NAME=TABLE");
    refused(&["--bootstrap", "5"], 2, "--utt2spk");
    refused(&["--fa-rate", "2"], 2, "0 to 1");
    refused(&["--dcf", "1,1"], 2, "0.01,1,1");
}

#[test]
fn pictures_of_scores_and_of_reports() {
    let dir = crowd();
    let plot = |arguments: &[&str]| run(dir.path(), &[&["plot"], arguments].concat());
    let scores = ["--trials", "trials", "--scores", "one=s", "-o", "p.svg"];
    let drawn = |text: &str| {
        let svg = std::fs::read_to_string(dir.path().join("p.svg")).unwrap();
        assert!(svg.contains(text), "{text}");
        std::fs::remove_file(dir.path().join("p.svg")).unwrap();
    };
    plot(&[&["det"], &scores[..], &["--scores", "two=s"]].concat()).success().stdout("");
    drawn("two: EER");
    for picture in ["det", "histogram", "calibration"] {
        plot(&[&[picture, "--title", "Far from near"], &scores[..]].concat()).success();
        drawn("Far from near");
    }
    plot(&[&["histogram"], &scores[..]].concat()).success();
    drawn("30 target trials");
    plot(&[&["calibration"], &scores[..]].concat()).success();
    drawn("one: Cllr");
    let by = ["--trials", "trials", "--scores", "s", "--utt2spk", "utt2spk", "--report-out", "r.json"];
    let by = [&by[..], &["--by", "relation:gender=spk2gender", "--min-trials", "1"]].concat();
    run(dir.path(), &by).success();
    plot(&["conditions", "--report", "one=r.json", "-o", "p.svg"]).success();
    drawn("same");
    plot(&["conditions", "--report", "r.json", "--title", "By gender", "-o", "p.svg"]).success();
    drawn("By gender");
    plot(&["conditions", "--report", "r.json", "--by", "device", "-o", "p.svg"])
        .code(1)
        .stderr(contains("gender"));
    plot(&[&["det"], &scores[..4], &["-o", "p.pdf"]].concat()).code(2).stderr(contains(".svg or .png"));
    assert!(!dir.path().join("p.svg").exists());
}

#[test]
fn scores_are_normalised_by_a_cohort() {
    let dir = workplace();
    let path = dir.path();
    let mut cohort = Embeddings::new(2);
    for (name, row) in [("c1", [1.0, 0.0]), ("c2", [0.5, 0.5]), ("d1", [-0.5, 1.0]), ("e1", [-1.0, -0.25])] {
        cohort.push(name, &row).unwrap();
    }
    cohort.write(path.join("cohort.safetensors")).unwrap();
    std::fs::write(path.join("utt2spk"), "c1 c\nc2 c\nd1 d\ne1 e\n").unwrap();
    let base = ["--trials", "trials", "--embeddings", "e.scp", "--json", "--scores-out", "s"];
    let with = |more: &[&str]| {
        let report = json(&run(path, &[&base[..], more].concat()).success());
        (report, std::fs::read_to_string(path.join("s")).unwrap())
    };
    let (report, scores) = with(&[
        "--score-norm",
        "s-norm",
        "--cohort",
        "cohort.safetensors",
        "--cohort-utt2spk",
        "utt2spk",
        "--top",
        "2",
    ]);
    let normalisation = &report["normalisation"];
    assert_eq!(normalisation["norm"], "s-norm");
    assert_eq!((normalisation["size"].as_u64(), normalisation["top"].as_u64()), (Some(3), Some(2)));
    assert_eq!(normalisation["cohort_utt2spk"]["path"], "utt2spk");
    // By hand: speakers are (0.75, 0.25), (-0.5, 1), (-1, -0.25); of two scores the mean is half their sum, the deviation
    // half their difference.
    let cosine =
        |a: [f64; 2], b: [f64; 2]| (a[0] * b[0] + a[1] * b[1]) / (a[0].hypot(a[1]) * b[0].hypot(b[1]));
    let normalised = |a: [f64; 2], b: [f64; 2]| {
        let of = |x| {
            let mut scores = [[0.75, 0.25], [-0.5, 1.0], [-1.0, -0.25]].map(|member| cosine(x, member));
            scores.sort_by(|a, b| b.total_cmp(a));
            (cosine(a, b) - (scores[0] + scores[1]) / 2.0) / ((scores[0] - scores[1]) / 2.0)
        };
        (of(a) + of(b)) / 2.0
    };
    let expected = [
        normalised([1.0, 0.25], [2.0, 0.0]),
        normalised([0.0, 1.0], [-0.25, 0.5]),
        normalised([1.0, 0.25], [0.0, 1.0]),
        normalised([2.0, 0.0], [-0.25, 0.5]),
    ];
    for (line, expected) in scores.lines().zip(expected) {
        let found: f64 = line.split(' ').nth(2).unwrap().parse().unwrap();
        assert!((found - expected).abs() < 1e-5, "{line}, expected {expected}");
    }

    let refused = [&base[..], &["--score-norm", "as-norm", "--cohort", "cohort.safetensors"]].concat();
    run(path, &[&refused[..], &["--top", "5"]].concat()).code(1).stderr(contains("4 members"));
    run(path, &[&base[..], &["--score-norm", "as-norm"]].concat()).code(2).stderr(contains("--cohort"));
    run(path, &[&base[..], &["--score-norm", "x", "--cohort", "e.scp"]].concat()).code(2);
}

#[test]
fn options_may_stand_in_a_file() {
    let dir = workplace();
    let options =
        "trials = \"trials\"\nembeddings = \"e.scp\"\np_target = [0.01, 0.2]\njson = true\ncompat = false\n";
    std::fs::write(dir.path().join("scoring.toml"), options).unwrap();
    let spelled_out =
        ["--trials", "trials", "--embeddings", "e.scp", "--p-target", "0.01", "--p-target", "0.2", "--json"];
    let expected = json(&run(dir.path(), &spelled_out).success());
    assert_eq!(json(&run(dir.path(), &["--options", "scoring.toml"]).success()), expected);
    std::fs::write(dir.path().join("scoring.toml"), "trials = { a = 1 }").unwrap();
    run(dir.path(), &["--options", "scoring.toml"]).code(2).stderr(contains("trials is a table"));
    run(dir.path(), &["--options", "none.toml"]).code(2).stderr(contains("none.toml"));
}

/// Every option of the shipped file exists.
#[test]
fn the_shipped_options_are_understood() {
    let options = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/scoring.toml");
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("exp/task1")).unwrap();
    run(dir.path(), &["--options", options]).code(1).stderr(contains("data/ffsvc2022/dev/trials"));
}

ffsvc_test_data::shared_tests!(the_baselines_embeddings_give_the_baselines_result);
