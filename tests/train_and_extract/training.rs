//! `ffsvc-train`: repeatable to the bit, whatever the number of workers and however often it is killed.

#[cfg(unix)]
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::programs::{TINY, count_lines, final_model, program, weights, workplace};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

fn train(folder: &TempDir, arguments: &[&str]) -> assert_cmd::assert::Assert {
    program("ffsvc-train").current_dir(folder).args(arguments).timeout(Duration::from_secs(300)).assert()
}

/// Starts a run and lets it get through `steps` more steps.
fn start(folder: &TempDir, arguments: &[&str], steps: usize) -> Child {
    let log = folder.path().join(arguments[1]).join("train.jsonl");
    let before = count_lines(&log, "\"event\":\"step\"");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_ffsvc-train"))
        .current_dir(folder)
        .args(arguments)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while count_lines(&log, "\"event\":\"step\"") < before + steps {
        assert!(Instant::now() < deadline, "the run does not get on");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_again_and_again_ends_like_one_that_is_not() {
    let folder = workplace();
    let six_epochs = ["--set", "train.epochs=6"];
    train(&folder, &[&["tiny.toml", "whole"][..], &six_epochs].concat())
        .success()
        .stdout(contains("final model"));
    let expected = std::fs::read(final_model(&folder, "whole")).unwrap();
    assert_eq!(count_lines(&folder.path().join("whole/train.jsonl"), "\"event\":\"step\""), 24);

    // A checkpoint is written after every step, so most kills hit the writing of one. The pauses put them at
    // different moments.
    let mut arguments = [&["tiny.toml", "killed"][..], &six_epochs].concat();
    for pause_ms in [0, 3, 9, 27] {
        let mut child = start(&folder, &arguments, 1);
        std::thread::sleep(Duration::from_millis(pause_ms));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (None, Some(9)), "it ended before it was killed");
        assert!(!folder.path().join("killed/final.safetensors").exists());
        let checkpoints = folder.path().join("killed/checkpoints");
        let complete = |path: &Path| path.join("state/progress.json").is_file();
        let any = std::fs::read_dir(checkpoints).unwrap().any(|entry| complete(&entry.unwrap().path()));
        arguments = [&["tiny.toml", "killed"][..], &six_epochs].concat();
        if any {
            arguments.push("--resume");
        }
    }
    let done = count_lines(&folder.path().join("killed/train.jsonl"), "\"event\":\"step\"");
    assert!((4..24).contains(&done), "{done} steps in four runs");
    // What a kill in the middle of writing and of removing a checkpoint leaves.
    let checkpoints = folder.path().join("killed/checkpoints");
    std::fs::create_dir_all(checkpoints.join(".unfinished-step-00000099/state")).unwrap();
    std::fs::create_dir_all(checkpoints.join("step-00000098/state")).unwrap();
    std::fs::write(checkpoints.join("step-00000098/model.safetensors"), "half").unwrap();

    train(&folder, &arguments).success();
    assert!(std::fs::read(final_model(&folder, "killed")).unwrap() == expected);
    assert_eq!(count_lines(&folder.path().join("killed/train.jsonl"), "\"event\":\"step\""), 24);
    assert!(!checkpoints.join("step-00000098").exists(), "a half checkpoint is cleared away");
    let best = |exp: &str| std::fs::read(folder.path().join(exp).join("best.safetensors")).unwrap();
    assert!(best("killed") == best("whole"));
}

#[test]
fn the_number_of_workers_and_threads_changes_nothing() {
    let folder = workplace();
    for (exp, workers, threads) in [("one", "train.workers=1", "1"), ("three", "train.workers=3", "3")] {
        program("ffsvc-train")
            .current_dir(&folder)
            .env("RAYON_NUM_THREADS", threads)
            .args(["tiny.toml", exp, "--set", workers, "--set", "train.epochs=1"])
            .assert()
            .success();
    }
    assert!(weights(&final_model(&folder, "one")) == weights(&final_model(&folder, "three")));
    // And the seed changes everything.
    train(&folder, &["tiny.toml", "seed", "--set", "train.seed=4", "--set", "train.epochs=1"]).success();
    assert!(weights(&final_model(&folder, "one")) != weights(&final_model(&folder, "seed")));
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_step_and_leaves_a_checkpoint() {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    // Batch systems send SIGTERM or SIGUSR1.
    for signal in ["INT", "TERM", "USR1"] {
        let arguments =
            ["tiny.toml", signal, "--set", "train.checkpoint_steps=0", "--set", "train.epochs=50"];
        let mut child = start(&folder, &arguments, 2);
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");

        let log = std::fs::read_to_string(path(signal).join("train.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["interrupted"]), (&"end".into(), &true.into()), "{signal}");
        let steps = count_lines(&path(signal).join("train.jsonl"), "\"event\":\"step\"");
        assert_eq!(last["step"], steps, "{signal}");
        let checkpoint = path(signal).join(format!("checkpoints/step-{steps:08}/state/progress.json"));
        assert!(checkpoint.is_file(), "{signal}: the checkpoint is {}", checkpoint.display());
    }
}

/// Two runs in one folder: the second is refused, and the first ends as if alone.
#[test]
fn a_folder_has_one_run_at_a_time() {
    let folder = workplace();
    let arguments = ["tiny.toml", "exp", "--set", "train.epochs=15"];
    let mut first = start(&folder, &arguments, 1);
    for second in [&[][..], &["--resume"], &["--set", "train.seed=5"]] {
        train(&folder, &[&arguments[..], second].concat()).code(1).stderr(
            contains("exp is being written by ffsvc-train").and(contains(format!("process {}", first.id()))),
        );
    }
    assert!(first.try_wait().unwrap().is_none(), "the first run ended too early for this test");
    assert!(first.wait().unwrap().success());
    train(&folder, &["tiny.toml", "alone", "--set", "train.epochs=15"]).success();
    assert!(weights(&final_model(&folder, "exp")) == weights(&final_model(&folder, "alone")));
    let log = folder.path().join("exp/train.jsonl");
    assert_eq!(count_lines(&log, "\"event\":\"start\""), 1);
    // The lock ends with the run.
    train(&folder, &[&arguments[..], &["--resume"]].concat()).success();
}

/// The same utterances, sounds and trials at another path are the same run; others are not.
#[test]
fn a_run_goes_on_where_its_data_have_moved_to() {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    let noises: String = (0..3).map(|n| format!("data/wav/dev0000{n}/dev0000{n}-00000.wav\n")).collect();
    std::fs::write(path("noise.list"), &noises).unwrap();
    let augmented = "[augment.additive]\nprobability = 0.5\nnoise.list = 'noise.list'\n";
    std::fs::write(path("noisy.toml"), std::fs::read_to_string(path("tiny.toml")).unwrap() + augmented)
        .unwrap();
    train(&folder, &["noisy.toml", "exp", "--set", "train.epochs=1"]).success();
    train(&folder, &["noisy.toml", "whole"]).success();

    std::fs::rename(path("data"), path("elsewhere")).unwrap();
    for list in ["train/wav.scp", "dev/wav.scp"] {
        let table = std::fs::read_to_string(path("elsewhere").join(list)).unwrap();
        std::fs::write(path("elsewhere").join(list), table.replace(" data/", " elsewhere/")).unwrap();
    }
    std::fs::write(path("moved.list"), noises.replace("data/", "elsewhere/")).unwrap();
    let moved = [
        "noisy.toml",
        "exp",
        "--resume",
        "--set",
        "data.train=elsewhere/train",
        "--set",
        "augment.additive.noise.list=moved.list",
        "--set",
        "validation.data=elsewhere/dev",
        "--set",
        "validation.trials=elsewhere/dev/trials",
    ];
    // Other sounds, trials or speakers under the same names are another run.
    let list = |text: &str| std::fs::write(path("moved.list"), text).unwrap();
    let right = std::fs::read_to_string(path("moved.list")).unwrap();
    let mut other: Vec<&str> = right.lines().collect();
    other.swap(0, 1);
    list(&(other.join("\n") + "\n"));
    train(&folder, &moved).code(1).stderr(contains("the sounds (augment: noise.list -> moved.list)"));
    list(&right);
    let trials = path("elsewhere/dev/trials");
    let before = std::fs::read_to_string(&trials).unwrap();
    std::fs::write(&trials, before.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    train(&folder, &moved).code(1).stderr(contains("the validation trials (validation: data/dev, "));
    std::fs::write(&trials, before).unwrap();

    train(&folder, &moved).success();
    assert!(weights(&final_model(&folder, "exp")) == weights(&final_model(&folder, "whole")));
}

/// The command line of a job that is started again and again.
#[test]
fn one_command_starts_a_run_and_goes_on_with_it() {
    let folder = workplace();
    train(&folder, &["tiny.toml", "start", "--set", "train.epochs=1"]).success();
    let start = ["--init-from", "start/final.safetensors", "--head", "keep"];
    // What is left out is the model's, also when the run goes on and the model is gone.
    let sections = folder.path().join("tiny.toml");
    let text = std::fs::read_to_string(&sections).unwrap();
    let (before, after) = text.split_once("[model]").unwrap();
    let after = after.split_once("[head]").unwrap().1;
    std::fs::write(folder.path().join("tuned.toml"), format!("{before}[head]{after}")).unwrap();
    train(&folder, &[&["tuned.toml", "whole"], &start[..]].concat()).success();

    let again = [&["tuned.toml", "exp", "--resume-or-start"], &start[..]].concat();
    // A run that was killed before its first checkpoint has none.
    std::fs::create_dir_all(folder.path().join("exp/checkpoints/.unfinished-step-00000001")).unwrap();
    train(&folder, &[&again[..], &["--set", "train.epochs=1"]].concat()).success();
    std::fs::rename(folder.path().join("start"), folder.path().join("gone")).unwrap();
    train(&folder, &again).success().stderr(contains("4 done"));
    assert!(weights(&final_model(&folder, "exp")) == weights(&final_model(&folder, "whole")));
    train(&folder, &again).success().stderr(contains("8 done"));
    for args in [
        &["tuned.toml", "new", "--resume-or-start", "--resume"][..],
        &["tuned.toml", "--dry-run", "--resume-or-start"],
    ] {
        train(&folder, args).code(2).stderr(contains("--resume-or-start"));
    }
}

#[test]
fn a_schedule_that_depends_on_the_length_is_not_extended() {
    let folder = workplace();
    let run = |exp: &str, kind: &str, epochs: &str, more: &[&str]| {
        let (kind, epochs) = (format!("schedule.kind={kind}"), format!("train.epochs={epochs}"));
        train(&folder, &[&["tiny.toml", exp, "--set", &kind, "--set", &epochs][..], more].concat())
    };
    run("cosine", "cosine", "1", &[]).success();
    run("cosine", "cosine", "2", &["--resume"]).code(1).stderr(
        contains("rates of schedule.kind = \"cosine\" depend").and(contains("constant or multi-step")),
    );
    run("constant", "constant", "1", &[]).success();
    run("constant", "constant", "2", &["--resume"]).success().stderr(contains("4 done"));
}

#[test]
fn a_run_is_not_overwritten_and_not_mixed_with_another() {
    let folder = workplace();
    train(&folder, &["tiny.toml", "exp", "--resume"]).code(1).stderr(contains("no complete checkpoint"));
    train(&folder, &["tiny.toml", "exp", "--set", "train.epochs=1"]).success();
    train(&folder, &["tiny.toml", "exp"])
        .code(1)
        .stderr(contains("already holds the checkpoints of a run; give --resume"));
    train(&folder, &["tiny.toml", "exp", "--resume", "--set", "train.batch_size=8"])
        .code(1)
        .stderr(contains("train.batch_size: 4 -> 8"));
    // A longer run of the same kind goes on.
    train(&folder, &["tiny.toml", "exp", "--resume"]).success();
    train(&folder, &["tiny.toml", "whole"]).success();
    assert!(weights(&final_model(&folder, "exp")) == weights(&final_model(&folder, "whole")));
    // Another list of utterances is another run.
    std::fs::write(folder.path().join("utts"), "train00000-00000\ntrain00001-00000\n").unwrap();
    program("ffsvc-data")
        .current_dir(&folder)
        .args(["subset", "data/train", "-o", "data/two", "--utterances", "utts"])
        .assert()
        .success();
    train(&folder, &["tiny.toml", "exp", "--resume", "--set", "data.train=data/two"])
        .code(1)
        .stderr(contains("data.train").and(contains("the training utterances")));
}

#[test]
fn a_fine_tune_starts_from_the_weights_it_is_given() {
    let folder = workplace();
    train(&folder, &["tiny.toml", "first", "--set", "train.epochs=1"]).success();
    let model = "first/final.safetensors";
    let short = ["--set", "train.epochs=1", "--set", "optimizer.learning_rate=1e-9"];
    let run = |exp: &str, more: &[&str]| {
        let arguments = [&["tiny.toml", exp, "--init-from", model][..], &short, more].concat();
        train(&folder, &arguments)
    };
    run("with-head", &["--head", "match"]).success();
    assert!(
        weights(&folder.path().join("with-head/initial.safetensors"))
            == weights(&final_model(&folder, "first"))
    );
    // The model is measured before it changes.
    run("new-head", &["--validate-first"])
        .success()
        .stderr(contains("epoch 0: EER").and(contains("epoch 1/1: loss").and(contains(" %, EER"))));
    assert!(
        weights(&folder.path().join("new-head/initial.safetensors"))
            != weights(&final_model(&folder, "first"))
    );

    // Other speakers cannot keep the head; another network cannot keep the weights.
    program("ffsvc-data")
        .current_dir(&folder)
        .args(["subset", "data/train", "-o", "data/few", "--count", "9"])
        .assert()
        .success();
    run("few", &["--head", "match", "--set", "data.train=data/few"])
        .code(1)
        .stderr(contains("1 that the data lack (train00003), 0 that it lacks; --head keep"));
    run("kept", &["--head", "keep", "--set", "data.train=data/few"]).success();
    run("other", &["--set", "model.in_planes=4"]).code(1).stderr(
        contains("[model] of the configuration is not the model's, which has in_planes: 4 -> 2; leave the section out")
            .and(contains("\n[model]\narchitecture = \"resnet\"\n")),
    );
}

#[test]
fn a_fine_tune_takes_network_and_front_end_from_the_model() {
    let folder = workplace();
    train(&folder, &["tiny.toml", "first", "--set", "train.epochs=1"]).success();
    let without: String = TINY
        .split("\n\n")
        .filter(|section| !section.contains("[model]") && !section.contains("[features"))
        .flat_map(|section| [section, "\n\n"])
        .collect();
    std::fs::write(folder.path().join("short.toml"), &without).unwrap();
    let from = ["--init-from", "first/final.safetensors"];
    train(&folder, &[&["tiny.toml", "whole"][..], &from].concat()).success();
    train(&folder, &[&["short.toml", "exp", "--set", "train.epochs=1"][..], &from].concat()).success();
    train(&folder, &["short.toml", "exp", "--resume"]).success();
    assert!(weights(&final_model(&folder, "exp")) == weights(&final_model(&folder, "whole")));
    // Nowhere else are they to be had.
    train(&folder, &["short.toml", "new"])
        .code(1)
        .stderr(contains("short.toml: missing: model.architecture\n"));
}

#[test]
fn what_cannot_be_trained_is_an_error_that_says_why() {
    let folder = workplace();
    train(&folder, &["tiny.toml", "exp", "--set", "train.epoch=3"]).code(1).stderr(contains("epochs"));
    train(&folder, &["tiny.toml", "exp", "--set", "train.batch_size=0"])
        .code(1)
        .stderr(contains("train.batch_size = 0 is out of range, expected 1 to 65536"));
    train(&folder, &["tiny.toml", "exp", "--set", "head.margin=7"]).code(1).stderr(contains("head.margin"));
    train(&folder, &["tiny.toml", "exp", "--set", "model.depth=42"]).code(1).stderr(contains("18, 34, 50"));
    train(&folder, &["tiny.toml"]).code(2);
    train(&folder, &["none.toml", "exp"]).code(1).stderr(contains("none.toml"));
    std::fs::write(folder.path().join("short.toml"), "[data]\n").unwrap();
    train(&folder, &["short.toml", "exp"])
        .code(1)
        .stderr(contains("short.toml: missing: data.train, model.architecture, head.kind\n"));
    // The loss cannot survive this learning rate.
    let absurd = ["--set", "optimizer.learning_rate=1e30", "--set", "optimizer.kind=sgd"];
    train(&folder, &[&["tiny.toml", "nan"][..], &absurd].concat())
        .code(1)
        .stderr(contains("the loss is").and(contains("train0000")));
    // A recording that is gone.
    std::fs::remove_file(folder.path().join("data/wav/train00002/train00002-00001.wav")).unwrap();
    train(&folder, &["tiny.toml", "gone"]).code(1).stderr(contains("train00002-00001"));
}
