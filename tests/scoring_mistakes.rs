//! Mistakes that users of `ffsvc-score` make: options that do not apply, outputs in the wrong place, lists and stores with
//! something odd in them, results of nothing.

use std::path::Path;

use assert_cmd::Command;
use ffsvc_embeddings::{Embeddings, Provenance};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

fn run(dir: &Path, arguments: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffsvc-score"));
    command.env_remove("RUST_LOG").current_dir(dir).args(arguments.split_ascii_whitespace()).assert()
}

/// What a run says on stderr that fails with this status. Its stdout is empty, or has the error as JSON.
fn failed(dir: &Path, command: &str, status: i32) -> String {
    let found = run(dir, command).code(status);
    if command.contains("--json") {
        assert_eq!(json(&found)["exit_status"], status, "{command}");
        return stderr(&found);
    }
    stderr(&found.stdout(""))
}

fn json(assert: &assert_cmd::assert::Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

fn store(path: &Path, rows: &[(&str, [f32; 2])]) {
    let mut embeddings = Embeddings::new(2);
    for (name, row) in rows {
        embeddings.push(*name, row).unwrap();
    }
    embeddings.write(path).unwrap();
}

/// Six utterances of three speakers, a list of their trials, its scores, tables and a cohort.
fn workplace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    let rows = [
        ("a1", [1.0, 0.25]),
        ("a2", [2.0, 0.0]),
        ("b1", [0.0, 1.0]),
        ("b2", [-0.25, 0.5]),
        ("c1", [-1.0, 0.1]),
        ("c2", [-1.5, -0.2]),
    ];
    store(&path.join("e.npz"), &rows);
    store(&path.join("cohort.npz"), &[("x1", [0.5, 0.5]), ("y1", [-1.0, 0.5]), ("z1", [0.1, -1.0])]);
    write("trials", "1 a1 a2\n1 b1 b2\n1 c1 c2\n0 a1 b1\n0 a2 c2\n0 b2 c1\n");
    write("unlabelled", "a1 a2\nb1 c2\n");
    write("scores", "a1 a2 2\nb1 b2 1\nc1 c2 0.2\na1 b1 0.4\na2 c2 0.1\nb2 c1 -1\n");
    write("utt2spk", "a1 a\na2 a\nb1 b\nb2 b\nc1 c\nc2 c\n");
    write("utt2x", "a1 1\na2 2\nb1 1\nb2 2\nc1 1\nc2 2\n");
    write("enrolment", "a1 a1\na2 a2\nb1 b1\nb2 b2\nc1 c1\n");
    dir
}

/// The options of a command, as the program itself describes them.
fn options(dir: &Path, command: &str) -> Vec<Value> {
    let dump = json(&run(dir, "--dump-options").success());
    let commands = dump["commands"].as_array().unwrap();
    let found = commands.iter().find(|found| found["name"] == command).unwrap();
    found["options"].as_array().unwrap().clone()
}

/// A store of embeddings that say they are of the model `model`.
fn of_model(path: &Path, from: &str, name: &str, model: &str) {
    let mut embeddings = Embeddings::read(path.join(from)).unwrap();
    embeddings.set_provenance(Some(Provenance::new(format!("{model}.safetensors"), model.repeat(64))));
    embeddings.write(path.join(name)).unwrap();
}

/// With `--scores` every option is used, or refused with its name.
#[test]
fn options_of_scoring_are_refused_where_a_score_file_is_evaluated() {
    let dir = workplace();
    let path = dir.path();
    let used = [
        "trials",
        "trial-columns",
        "scores",
        "skip-missing",
        "p-target",
        "c-miss",
        "c-fa",
        "dcf",
        "fa-rate",
        "compat",
        "by",
        "min-trials",
        "utt2spk",
        "bootstrap",
        "seed",
        "level",
        "scores-out",
        "ffsvc-scores-out",
        "report-out",
        "json",
        "options",
        "quiet",
        "verbose",
        "help",
        "version",
    ];
    let mut refused = 0;
    for option in options(path, "") {
        let name = option["long"].as_str().unwrap();
        if used.contains(&name) {
            continue;
        }
        let value = match option["kind"].as_str().unwrap() {
            "flag" | "count" => String::new(),
            "choice" => option["choices"][0].as_str().unwrap().to_owned(),
            "number" => "2".to_owned(),
            _ => "/nosuch".to_owned(),
        };
        let found =
            run(path, &format!("--trials trials --scores scores --{name} {value}")).code(2).stdout("");
        assert!(stderr(&found).contains(&format!("--{name}")), "{name}: {}", stderr(&found));
        refused += 1;
    }
    assert!(refused >= 12, "{refused}");
}

#[test]
fn options_that_do_not_apply_are_refused_with_the_reason() {
    let dir = workplace();
    let path = dir.path();
    let train = "train-backend --embeddings e.npz --utt2spk utt2spk -o b.safetensors";
    let adapt = "adapt-backend --backend b.safetensors --embeddings e.npz -o c.safetensors";
    let calibrate = "calibrate --trials trials --scores scores -o c.json";
    let flat = "--trials trials --embeddings e.npz";
    let unlabelled = "--trials unlabelled --embeddings e.npz --scores-out s";
    let plot = "plot histogram --trials trials -o p.svg --scores scores --scores scores";
    for (command, option, reason) in [
        (train, "--lda-dim 1", "--transform lda"),
        (train, "--total-covariance-factor 0.5", "--transform lda"),
        (train, "--em-iterations 3", "--plda"),
        (train, "--smoothing 0.1", "--plda"),
        (train, "--plda-length-norm simple", "--plda"),
        (adapt, "--method coral --within-scale 0.5", "coral has no scales"),
        (adapt, "--method coral --between-scale 0.5", "coral has no scales"),
        (adapt, "--method coral --mean-shift-scale 0.5", "--method kaldi"),
        (adapt, "--method coral-plus --mean-shift-scale 0.5", "--method kaldi"),
        (calibrate, "--method pav --ridge 0.1", "--ridge is for --method logistic"),
        (calibrate, "--method pav --scores scores", "--method pav takes one --scores"),
        (calibrate, "--method pav --quality-measure min:utt2x", "--quality-measure is for --method logistic"),
        (calibrate, "--utt2spk utt2spk", "--folds"),
        (calibrate, "--seed 3", "--folds"),
        (flat, "--dcf 0.1,10,1 --c-miss 99", "--c-miss is the cost with --p-target"),
        (flat, "--dcf 0.1,10,1 --c-fa 99", "--c-fa is the cost with --p-target"),
        (flat, "--utt2spk utt2spk", "--utt2spk is for"),
        (flat, "--min-trials 2", "--by"),
        (flat, "--seed 2", "--bootstrap"),
        (flat, "--level 0.5", "--bootstrap"),
        (flat, "--compat --fa-rate 0.1", "--compat"),
        (flat, "--compat --bootstrap 9 --utt2spk utt2spk", "--compat"),
        (flat, "--enrol-average scores", "--enrolment"),
        (flat, "--cohort cohort.npz", "--score-norm"),
        (flat, "--top 2", "--score-norm"),
        (unlabelled, "--p-target 0.1", "unlabelled has no labels"),
        (unlabelled, "--fa-rate 0.1", "unlabelled has no labels"),
        (unlabelled, "--by x=utt2x", "unlabelled has no labels"),
        (unlabelled, "--compat", "unlabelled has no labels"),
        (unlabelled, "--bootstrap 9 --utt2spk utt2spk", "unlabelled has no labels"),
        (plot, "", "histogram takes one --scores"),
        (
            "embedding-quality --embeddings e.npz --measure length -o q",
            "--cohort cohort.npz",
            "length has no cohort",
        ),
    ] {
        let found = run(path, &format!("{command} {option}")).code(2).stdout("");
        assert!(stderr(&found).contains(reason), "{command} {option}: {}", stderr(&found));
    }
    for output in ["b.safetensors", "c.safetensors", "c.json", "p.svg", "q", "s"] {
        assert!(!path.join(output).exists(), "{output}");
    }
}

#[test]
fn numbers_have_ranges() {
    let dir = workplace();
    let path = dir.path();
    let values = ["", "train-backend", "adapt-backend", "calibrate", "embedding-quality"].map(|command| {
        let numbers = options(path, command).into_iter().filter(|option| option["kind"] == "number");
        (command, numbers.collect::<Vec<_>>())
    });
    let mut checked = 0;
    for (command, options) in &values {
        for option in options {
            let name = option["long"].as_str().unwrap();
            assert!(name == "seed" || option["range"].is_string(), "{command} --{name} has no range");
            run(path, &format!("{command} --{name} nan")).code(2).stderr(contains("--").and(contains(name)));
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
    let calibrate = "calibrate --trials trials --scores scores -o c.json";
    run(path, &format!("{calibrate} --folds 100000")).code(2).stderr(contains("2 to 100"));
    run(path, &format!("{calibrate} --folds 50 --utt2spk utt2spk"))
        .code(1)
        .stderr(contains("number of speakers"));
    run(path, &format!("{calibrate} --folds 50")).code(1).stderr(contains("number of trials"));
    run(path, "--trials trials --embeddings e.npz --dcf nan,1,1").code(2);
}

#[test]
fn outputs_are_checked_before_the_work() {
    let dir = workplace();
    let path = dir.path();
    let flat = "--trials trials --embeddings e.npz";
    for (command, reason) in [
        (format!("{flat} --scores-out out --report-out ./out"), "one file"),
        (format!("{flat} --scores-out trials"), "--trials"),
        (format!("{flat} --report-out e.npz"), "--embeddings"),
        (format!("{flat} --scores-out nowhere/s"), "nowhere"),
        (format!("{flat} --scores-out - --json"), "--json"),
        ("calibrate --trials trials --scores scores -o scores".to_owned(), "--scores"),
        ("plot det --trials /nosuch --scores scores -o p.jpg".to_owned(), ".svg or .png"),
        ("train-backend --embeddings /nosuch --utt2spk utt2spk -o b.npz".to_owned(), ".safetensors"),
        ("embedding-quality --embeddings e.npz --measure length -o e.npz".to_owned(), "--embeddings"),
    ] {
        let said = failed(path, &command, 2);
        assert!(said.contains(reason), "{command}: {said}");
    }
    // What was there is as it was.
    assert!(std::fs::read_to_string(path.join("trials")).unwrap().starts_with("1 a1 a2\n"));
    assert!(Embeddings::read(path.join("e.npz")).is_ok());
}

#[cfg(unix)]
#[test]
fn outputs_go_through_links_and_to_standard_output() {
    let dir = workplace();
    let path = dir.path();
    std::fs::write(path.join("real"), "old").unwrap();
    std::os::unix::fs::symlink(path.join("real"), path.join("link")).unwrap();
    let flat = "--trials trials --embeddings e.npz -q";
    run(path, &format!("{flat} --scores-out link --report-out /dev/null")).success();
    assert!(path.join("link").is_symlink());
    assert_eq!(std::fs::read_to_string(path.join("real")).unwrap().lines().count(), 6);
    use std::os::unix::fs::FileTypeExt;
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    // The scores are the result on standard output, and the table goes to the other stream.
    let found = run(path, &format!("{flat} --scores-out -")).success().stderr(contains("EER"));
    assert_eq!(found.get_output().stdout, std::fs::read(path.join("real")).unwrap());
    let report = run(path, &format!("{flat} --report-out -")).success();
    assert_eq!(json(&report)["counts"]["trials"], 6);
    assert!(!path.join("-").exists());
}

#[test]
fn results_of_nothing_are_failures() {
    let dir = workplace();
    let path = dir.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("strangers", "1 x y\n0 x z\n");
    write("one_class", "1 a1 a2\n1 b1 b2\n");
    Embeddings::new(2).write(path.join("empty.npz")).unwrap();
    for (command, reason) in [
        ("--trials strangers --embeddings e.npz --skip-missing", "none of the 2 trials of strangers"),
        ("--trials strangers --scores scores --skip-missing", "none of the 2 trials"),
        ("calibrate --trials strangers --scores scores --skip-missing -o c.json", "none of the 2 trials"),
        ("plot det --trials strangers --scores scores --skip-missing -o p.svg", "none of the 2 trials"),
        ("--trials one_class --embeddings e.npz --compat", "2 target and 0 non-target"),
        ("--trials one_class --scores scores --compat", "2 target and 0 non-target"),
        ("--trials trials --embeddings e.npz --mean-subtract empty.npz", "holds no embedding"),
        ("--trials trials --embeddings e.npz --score-norm z-norm --cohort empty.npz", "0 members"),
        ("--trials trials --embeddings empty.npz --skip-missing", "none of the 6 trials"),
        ("embedding-quality --embeddings empty.npz --measure length -o q", "holds no embedding"),
        ("train-backend --embeddings empty.npz --utt2spk utt2spk -o b.safetensors", "0 utterances"),
    ] {
        let found = run(path, command).code(1).stdout("");
        assert!(stderr(&found).contains(reason), "{command}: {}", stderr(&found));
    }
    for output in ["b.safetensors", "c.json", "p.svg", "q"] {
        assert!(!path.join(output).exists(), "{output}");
    }
}

#[test]
fn what_is_odd_in_a_list_is_counted_or_refused() {
    let dir = workplace();
    let path = dir.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("odd", "1 a1 a2\n1 a1 a2\n1 b1 b1\n0 a1 b1\n0 a2 c2\n0 a2 c2\n");
    write("odd.scores", "a1 a2 2\nb1 b1 1\na1 b1 0.4\na2 c2 0.1\n");
    for source in ["--embeddings e.npz", "--embeddings e.npz --by x=utt2x", "--scores odd.scores"] {
        let found = run(path, &format!("--trials odd {source} --json")).success();
        for line in ["2 trials repeat an earlier one", "1 trials compare an utterance with itself: b1"] {
            assert!(stderr(&found).contains(line), "{source}: {}", stderr(&found));
        }
        let remarks = json(&found)["remarks"].clone();
        let kinds: Vec<&str> =
            remarks.as_array().unwrap().iter().map(|remark| remark["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["self-trials", "repeated-pairs"], "{source}");
        assert_eq!(remarks[1]["first"][0], "a1 a2");
    }
    write("contradictory", "1 a1 a2\n0 a1 b1\n1 b1 b2\n0 a1 a2\n");
    for source in ["--embeddings e.npz", "--embeddings e.npz --by x=utt2x", "--scores scores"] {
        let found = run(path, &format!("--trials contradictory {source} --scores-out s")).code(1).stdout("");
        let said = stderr(&found);
        assert!(said.contains("a1 a2") && said.contains("target"), "{source}: {said}");
        assert!(!path.join("s").exists(), "{source}");
    }
}

#[test]
fn zero_embeddings_and_cohorts_of_the_trials_are_counted() {
    let dir = workplace();
    let path = dir.path();
    let zero = [
        ("a1", [0.0, 0.0]),
        ("a2", [2.0, 0.0]),
        ("b1", [0.0, 1.0]),
        ("b2", [-0.25, 0.5]),
        ("c1", [-1.0, 0.1]),
        ("c2", [-1.5, -0.2]),
        ("unused", [0.0, 0.0]),
    ];
    store(&path.join("zero.npz"), &zero);
    std::fs::write(path.join("cohort2spk"), "a2 a\nc1 c\nw1 w\n").unwrap();
    store(&path.join("own.npz"), &[("a2", [2.0, 0.0]), ("c1", [-1.0, 0.1]), ("w1", [0.3, 1.0])]);
    let backend = "train-backend --embeddings e.npz --utt2spk utt2spk --transform wccn -o w.safetensors";
    run(path, backend).success();
    let of_trials = "zero.npz: 1 embeddings of the trials are zero: a1\n";
    for (command, line) in [
        ("--trials trials --embeddings zero.npz", of_trials),
        ("--trials trials --embeddings zero.npz --mean-subtract e.npz", of_trials),
        ("--trials trials --embeddings zero.npz --backend w.safetensors", of_trials),
        ("--trials trials --embeddings e.npz --enrol-embeddings zero.npz", of_trials),
        (
            "--trials trials --embeddings e.npz --mean-subtract zero.npz",
            "zero.npz: 2 embeddings in the mean are zero: a1, unused\n",
        ),
        (
            "--trials trials --embeddings e.npz --score-norm s-norm --cohort zero.npz",
            "zero.npz: 2 embeddings of the cohort are zero: a1, unused\n",
        ),
        (
            "--trials trials --embeddings e.npz --score-norm s-norm --cohort own.npz",
            "own.npz: 2 utterances of the trials are in the cohort, which should be of other speakers: a2, c1\n",
        ),
        (
            "--trials trials --embeddings e.npz --score-norm s-norm --cohort own.npz --cohort-utt2spk cohort2spk \
             --utt2spk utt2spk",
            "own.npz: 2 speakers of the trials are in the cohort, which should be of others: a, c\n",
        ),
    ] {
        let found = run(path, &format!("{command} --json")).success();
        assert!(stderr(&found).contains(line), "{command}: {}", stderr(&found));
        let remarks = json(&found)["remarks"].to_string();
        assert!(remarks.contains(line.split_once(": ").unwrap().1.trim_end()), "{remarks}");
    }
    let strangers = "--trials trials --embeddings e.npz --score-norm s-norm --cohort cohort.npz";
    assert!(!stderr(&run(path, strangers).success()).contains("in the cohort"));
    // Averages of models: the zero utterance is a member.
    let enrolled = "--trials trials --embeddings zero.npz --enrolment enrolment";
    for average in ["directions", "embeddings", "scores"] {
        run(path, &format!("{enrolled} --enrol-average {average}")).success().stderr(contains(of_trials));
    }
}

#[test]
fn what_a_back_end_cannot_learn_is_said() {
    let dir = workplace();
    let path = dir.path();
    let train = |more: &str| {
        run(path, &format!("train-backend --utt2spk utt2spk -o b.safetensors --embeddings {more}")).success()
    };
    let lda = train("e.npz --transform lda --lda-dim 2");
    assert!(!stderr(&lda).contains("warn"), "{}", stderr(&lda));
    std::fs::write(path.join("two"), "a1 a\na2 a\nb1 b\nb2 b\n").unwrap();
    let lda = "train-backend --utt2spk two -o b.safetensors --embeddings e.npz --transform lda --lda-dim 2";
    run(path, lda).success().stderr(contains("keeps 2 directions, but 2 speakers differ in 1 at most"));
    let same = [
        ("a1", [1.0, 0.5]),
        ("a2", [1.0, 0.5]),
        ("b1", [0.0, 1.0]),
        ("b2", [0.0, 0.0]),
        ("c1", [0.3, 1.0]),
        ("c2", [0.4, 0.7]),
    ];
    store(&path.join("same.npz"), &same);
    let found = train("same.npz --plda");
    for line in [
        "1 embeddings of the training set are zero: b2",
        "1 embeddings of the training set are equal to an earlier one: a2",
    ] {
        assert!(stderr(&found).contains(line), "{}", stderr(&found));
    }
    run(path, "adapt-backend --backend b.safetensors --embeddings same.npz -o c.safetensors")
        .success()
        .stderr(contains("equal to an earlier one: a2"));
    let mut wide = Embeddings::new(8);
    for (name, shift) in [("a1", 0), ("a2", 1), ("b1", 3), ("b2", 4), ("c1", 6)] {
        let row: Vec<f32> = (0..8).map(|at| ((at + shift) % 7) as f32).collect();
        wide.push(name, &row).unwrap();
    }
    wide.write(path.join("wide.npz")).unwrap();
    let said =
        stderr(&run(path, "train-backend --utt2spk utt2spk -o d.safetensors --embeddings wide.npz --plda"));
    assert!(said.contains("the PLDA is of 8 dimensions, and there are 5 vectors to learn it from"), "{said}");
}

#[test]
fn embeddings_of_two_models_are_not_compared() {
    let dir = workplace();
    let path = dir.path();
    of_model(path, "e.npz", "m.npz", "a");
    of_model(path, "e.npz", "n.npz", "b");
    of_model(path, "cohort.npz", "n-cohort.npz", "b");
    run(path, "train-backend --embeddings n.npz --utt2spk utt2spk --plda -o n.safetensors").success();
    let flat = "--trials trials --embeddings m.npz --json";
    for (command, other) in [
        (format!("{flat} --enrol-embeddings n.npz"), "n.npz"),
        (format!("{flat} --mean-subtract n.npz"), "n.npz"),
        (format!("{flat} --mean-subtract m.npz --enrol-mean-subtract n.npz"), "n.npz"),
        (format!("{flat} --score-norm z-norm --cohort n-cohort.npz"), "n-cohort.npz"),
        (format!("{flat} --backend n.safetensors"), "n.safetensors"),
        (
            "adapt-backend --backend n.safetensors --embeddings m.npz -o c.safetensors".to_owned(),
            "n.safetensors",
        ),
        (
            "embedding-quality --embeddings m.npz --measure length --mean-subtract n.npz -o q".to_owned(),
            "n.npz",
        ),
    ] {
        let said = failed(path, &command, 1);
        for part in ["m.npz", other, "come from two models", "(--allow-other-model)"] {
            assert!(said.contains(part), "{command}: {said}");
        }
        run(path, &format!("{command} --allow-other-model"))
            .success()
            .stderr(contains("come from two models"));
    }
    // The report says which model it is of.
    let report = json(&run(path, flat).success().stderr(""));
    assert_eq!(
        (report["model"]["model"].as_str(), report["model"]["model_sha256"].as_str().map(str::len)),
        (Some("a.safetensors"), Some(64))
    );
    run(path, "--trials trials --embeddings m.npz")
        .success()
        .stdout(contains("model        a.safetensors (sha256 aaaaaaaaaaaa)\n"));
    // What does not say is counted and goes on.
    let unknown = run(path, &format!("{flat} --mean-subtract e.npz")).success();
    assert!(stderr(&unknown).contains("1 files do not say which model"), "{}", stderr(&unknown));
    assert_eq!(json(&unknown)["remarks"][0]["kind"], "unknown-model");
}

#[test]
fn score_files_and_calibrations_say_their_model() {
    let dir = workplace();
    let path = dir.path();
    for (model, store, scores) in [("a", "m.npz", "m.scores"), ("b", "n.npz", "n.scores")] {
        of_model(path, "e.npz", store, model);
        run(path, &format!("--trials trials --embeddings {store} --scores-out {scores}")).success();
    }
    let of_scores = json(&run(path, "--trials trials --scores m.scores --json").success());
    assert_eq!(of_scores["model"]["model"], "a.safetensors");

    run(path, "calibrate --trials trials --scores m.scores --ridge 0.001 -o calibration.json").success();
    let text = std::fs::read(path.join("calibration.json")).unwrap();
    let calibration: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(calibration["systems"][0]["model"]["model_sha256"], "a".repeat(64));
    let apply = "apply --trials trials --calibration calibration.json -o llrs --scores";
    run(path, &format!("{apply} m.scores")).success().stderr("");
    run(path, &format!("{apply} n.scores"))
        .code(1)
        .stderr(contains("calibration.json is of trials of a.safetensors").and(contains("b.safetensors")));
    run(path, &format!("{apply} n.scores --allow-other-model")).success().stderr(contains("allowed by"));

    // Scores of another program in their place are of nobody knows which model.
    std::fs::copy(path.join("scores"), path.join("n.scores")).unwrap();
    let unknown = json(&run(path, "--trials trials --scores n.scores --json").success());
    assert_eq!(unknown["model"], Value::Null);
    run(path, &format!("{apply} n.scores")).success();
    // A score file without an origin leaves none of an earlier one behind.
    run(path, "--trials trials --embeddings e.npz --scores-out m.scores").success();
    assert!(!path.join("m.scores.provenance.json").exists());
}

#[test]
fn lists_and_score_files_come_gzipped_and_from_pipes() {
    let dir = workplace();
    let path = dir.path();
    let plain = json(&run(path, "--trials trials --scores scores --json").success());
    let sh = |script: &str| {
        let mut command = Command::new("sh");
        command.current_dir(path).env_remove("RUST_LOG").arg("-c").arg(script);
        command.env("SCORE", env!("CARGO_BIN_EXE_ffsvc-score")).assert().success()
    };
    sh("gzip -c trials > trials.gz && gzip -c scores > scores.gz && mkfifo pipe");
    for script in [
        "$SCORE --trials trials.gz --scores scores.gz --json",
        "$SCORE --trials trials --scores - --json < scores",
        "$SCORE --trials - --scores scores.gz --json < trials.gz",
        "cat scores > pipe & $SCORE --trials trials --scores pipe --json",
    ] {
        let report = json(&sh(script));
        for field in ["/metrics/eer", "/trials/sha256", "/scores/sha256", "/counts"] {
            assert_eq!(report.pointer(field), plain.pointer(field), "{script}: {field}");
        }
    }
    let streamed = json(&sh("cat trials > pipe & $SCORE --trials pipe --embeddings e.npz --json"));
    assert_eq!(streamed["trials"]["sha256"], plain["trials"]["sha256"]);
}
