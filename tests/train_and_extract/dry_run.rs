//! `ffsvc-train --dry-run` and `--overfit`.

use crate::programs::{program, workplace};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let folder = workplace();
    let dry = |more: &[&str]| {
        let mut command = program("ffsvc-train");
        command.current_dir(&folder).args(["tiny.toml", "--dry-run"]).args(more).assert()
    };
    let said = dry(&["--set", "schedule.margin.end_epoch=1"]).success();
    said.stdout(
        contains("data\tdata/train: 16 utterances, 4 of each batch")
            .and(contains("speakers\t4, with 4 to 4 utterances (median 4), each utterance drawn"))
            .and(contains("steps\t8 (2 epochs of 4)"))
            .and(contains("2.50e-4 at first, 1.00e-3 at most"))
            .and(contains("4 steps of warm-up"))
            .and(contains("margin\t0 at first, 0.2000 at last"))
            .and(contains("two batches\tloss "))
            .and(contains(" for 8 steps, at ").and(contains(" for 2 epochs of VoxCeleb2 dev (1092009 utt"))),
    );
    let json = dry(&["--json", "exp", "--set", "augment.speed.probability=0.5"]).success();
    let plan: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!((&plan["speakers"], &plan["classes"]), (&4.into(), &12.into()));
    assert!(plan["first_step"]["loss"].as_f64().is_some_and(|loss| loss > 0.0));
    assert_eq!(plan["pace"]["step_utterances"], 4);
    let seconds = |key: &str| plan[key].as_f64().unwrap();
    let step = plan["pace"]["step_seconds"].as_f64().unwrap();
    assert!(step >= plan["first_step"]["step_seconds"].as_f64().unwrap());
    assert!((seconds("run_seconds") - 8.0 * step).abs() < 1e-9 * step);
    assert!((seconds("voxceleb2_seconds") - (1_092_009 / 4 * 2) as f64 * step).abs() < 1e-3 * step);
    assert!(!folder.path().join("exp").exists());
    let two = |second: &str| {
        format!("data.train=[{{ path = 'data/train', share = 3.0 }}, {{ path = '{second}', share = 1.0 }}]")
    };
    dry(&["--set", &two("data/dev"), "--set", "sampler.balance=class"]).success().stdout(
        contains("data\tdata/train: 16 utterances, 3 of each batch")
            .and(contains("data\tdata/dev: 9 utterances, 1 of each batch"))
            .and(contains("speakers\t7, with 3 to 4 utterances (median 4), each speaker drawn")),
    );
    dry(&["--set", &two("data/train")]).code(1).stderr(contains("utterance train00000-00000 twice"));
    // What is done to the crops, what is frozen, and a warm-up that never ends; a folder stands for a list.
    std::fs::create_dir(folder.path().join("noises")).unwrap();
    for n in 0..3 {
        let name = format!("dev0000{n}-00000.wav");
        let from = folder.path().join(format!("data/wav/dev0000{n}")).join(&name);
        std::fs::copy(from, folder.path().join("noises").join(name)).unwrap();
    }
    let sets = [
        "augment.additive.probability=0.5",
        "augment.additive.noise.list=noises",
        "augment.additive.babble={}",
        "augment.reverb={ probability = 0.2, simulated = { rooms = 2 } }",
        "augment.spec_augment.probability=0.25",
        "train.freeze=[{ layer = 'front.layer1', epochs = 1 }, { layer = 'front.bn1' }]",
        "schedule.warmup_epochs=3",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let said = dry(&sets).success();
    let out = String::from_utf8_lossy(&said.get_output().stdout).into_owned();
    let line = out.lines().find(|line| line.starts_with("augmentation\t")).unwrap_or_else(|| panic!("{out}"));
    // 50 % of the crops have a noise, half of them babble.
    for (what, share) in
        [("simulated room", 20.0), ("noise", 25.0), ("babble", 25.0), ("masks", 25.0), ("nothing", 30.0)]
    {
        let found = line.split(&format!("{what} ")).nth(1).and_then(|rest| rest.split(' ').next());
        let found: f64 = found.unwrap_or_else(|| panic!("no {what}: {line}")).parse().unwrap();
        assert!((found - share).abs() <= 2.0, "{what}: {line}");
    }
    said.stdout(contains("frozen\tfront.layer1 for 1 epochs, front.bn1 always"))
        .stderr(contains("schedule.warmup_epochs = 3 is longer than the run of 2 epochs"));
    // CAM++ has a layer called `head`, which is not what [head] describes.
    let cam = "model={ architecture = 'cam-plus-plus', growth_rate = 4, init_channels = 8 }";
    let frozen =
        |layer: &str| dry(&["--set", cam, "--set", &format!("train.freeze=[{{ layer = '{layer}' }}]")]);
    let line = "frozen\tnetwork.head always (a layer of the network, not the classifier of [head])";
    frozen("network.head").success().stdout(contains(line)).stderr(contains("train.freeze").not());
    frozen("head").success().stdout(contains(line)).stderr(contains("best written \"network.head\""));
    frozen("classifier").success().stdout(contains("frozen\tclassifier always\n"));
    frozen("network.classifier").code(1).stderr(contains("the classifier of [head] is \"classifier\""));
    // What training would refuse, it refuses.
    dry(&["--set", "train.freeze=[{ layer = 'head' }]"])
        .code(1)
        .stderr(contains("layer \"head\", expected a layer of the network; it has front"));
    dry(&["--set", "model.architecture=cam-plus-plus"]).code(1).stderr(
        contains("[model] of the configuration has depth").and(contains("remove with --set model.depth=")),
    );
    dry(&["--set", "train.freeze=[{ layer = 'front.layer9' }]"])
        .code(1)
        .stderr(contains("layer \"front.layer9\", expected a layer of the network; it has front"));
    dry(&["--set", "train.anchor=0.1"]).code(1).stderr(contains("--init-from"));
    dry(&["--set", "head.margn=0.1"]).code(1).stderr(contains("margn"));
    program("ffsvc-train").current_dir(&folder).arg("tiny.toml").assert().code(2);
}

#[test]
fn a_run_says_how_long_it_takes_after_its_first_steps() {
    let folder = workplace();
    let mut command = program("ffsvc-train");
    command.current_dir(&folder).args(["tiny.toml", "exp", "--set", "train.batch_size=2"]);
    command.args(["--set", "train.checkpoint_steps=0"]).assert().success().stderr(
        contains(" for 10 steps that are left, at ")
            .and(contains("2 epochs of VoxCeleb2 dev (1092009 utterances of 5994 speakers)"))
            .and(contains("about ").count(1)),
    );
}

#[test]
fn a_few_batches_are_learnt_by_heart() {
    let folder = workplace();
    let set = ["model.dropout=0", "train.epochs=40", "train.checkpoint_steps=0", "schedule.kind=constant"];
    let mut command = program("ffsvc-train");
    command.current_dir(&folder).args(["tiny.toml", "exp", "--overfit", "2", "--json", "-q"]);
    for set in set.iter().chain(&["optimizer.learning_rate=0.01", "validation.every_epochs=40"]) {
        command.args(["--set", set]);
    }
    let outcome = command.assert().success();
    let outcome: serde_json::Value = serde_json::from_slice(&outcome.get_output().stdout).unwrap();
    assert_eq!((&outcome["step"], &outcome["accuracy"]), (&80.into(), &1.0.into()), "{outcome}");
}
