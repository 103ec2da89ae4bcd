//! A network that learns from a teacher: without labels, in views of each crop, beside a head.

use std::path::Path;

use burn::tensor::Device;
use ffsvc_dataset::{
    BatchMaker, CropConfig, Draw, FurtherView, Labels, Sampler, SamplerConfig, Scratch, View,
};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use crate::programs::{final_model, program, trained, weights, workplace};

/// Simulated rooms and babble: no files are needed.
const ROOMS: &str = "
    [additive]
    probability = 1.0
    babble = { talkers = [2, 2] }
    [reverb]
    probability = 1.0
    simulated = { rooms = 3 }
";

/// A fine-tune of `exp/final.safetensors` by itself, without labels.
const TEACHER: &[&str] = &[
    "--set",
    "head={ kind = \"none\" }",
    "--set",
    "data.train=data/unlabelled",
    "--set",
    "teacher={ clean = 0.5 }",
    "--set",
    "train.batch_norm=frozen",
    "--set",
    "augment.reverb={ probability = 1.0, simulated = { rooms = 3 } }",
];

/// `data/unlabelled`: the recordings of `data/train`, and nothing about their speakers.
fn without_labels(folder: &Path) {
    let bare = folder.join("data/unlabelled");
    std::fs::create_dir_all(&bare).unwrap();
    std::fs::copy(folder.join("data/train/wav.scp"), bare.join("wav.scp")).unwrap();
}

fn first_batch(maker: &BatchMaker) -> (ffsvc_dataset::Batch, Vec<Draw>) {
    let sampler = Sampler::new(&SamplerConfig::default(), maker.set(), 8, 1, maker.seed()).unwrap();
    let draws = sampler.plan(0).batch(0).to_vec();
    (maker.make(0, &draws, &mut Scratch::default()).unwrap(), draws)
}

#[test]
fn views_are_of_the_same_samples() {
    let folder = workplace();
    // Paths in data directories are from the folder.
    let list = folder.path().join("data/train/wav.scp");
    let absolute = std::fs::read_to_string(&list)
        .unwrap()
        .replace(" data/", &format!(" {}/data/", folder.path().display()));
    std::fs::write(&list, absolute).unwrap();
    without_labels(folder.path());
    let data = |name: &str| {
        let path = folder.path().join("data").join(name);
        toml::from_str(&format!("train = {:?}", path.to_str().unwrap())).unwrap()
    };
    let (labelled, unlabelled) = (data("train"), data("unlabelled"));
    let (features, silent) = Default::default();
    let rooms = toml::from_str(ROOMS).unwrap();
    let views = [View::Recorded, View::Augmented(0), View::Augmented(1)]
        .map(|view| FurtherView { view, front_end: Default::default() });
    let open = |config: &CropConfig<'_>| BatchMaker::open(config).unwrap();
    let plain = CropConfig::new(&labelled, &features, &silent, 40, 7);
    let in_rooms = CropConfig::new(&labelled, &features, &rooms, 40, 7);
    let with_views = CropConfig { further_views: &views, ..in_rooms };

    let (recorded, _) = first_batch(&open(&plain));
    let (alone, _) = first_batch(&open(&in_rooms));
    let maker = open(&with_views);
    let (batch, draws) = first_batch(&maker);
    assert_eq!(batch.features, alone.features, "further views change nothing in the first");
    let of = |view: usize| &batch.further[view].features;
    assert_eq!(of(0), &recorded.features, "the crop as recorded");
    assert_eq!(of(1), &batch.features);
    assert!(of(2) != of(1) && of(2) != of(0), "drawn independently");

    let plan = maker.plan(0, draws[0]);
    let printed = plan.to_string();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    assert!(lines[0].starts_with("view\taugmented 0 of train") && lines[0].contains("babble"), "{printed}");
    assert!(
        lines[1].starts_with("view\trecorded of train") && lines[1].ends_with("{\"speed\":1.0}"),
        "{printed}"
    );

    // All crops stay clean, or about half of them.
    let (clean, _) = first_batch(&open(&CropConfig { clean_share: 1.0, ..in_rooms }));
    assert_eq!(clean.features, recorded.features);
    let half = open(&CropConfig { clean_share: 0.5, ..in_rooms });
    let draw = |utterance| Draw { utterance, repetition: 0 };
    let stay = |epoch| (0..16).filter(|&u| half.plan(epoch, draw(u)).views[0].plan.reverb.is_none()).count();
    let clean: usize = (0..20).map(stay).sum();
    assert!((110..210).contains(&clean), "{clean} of 320");

    // Without labels each utterance is a speaker of its own, and the crops are the same.
    let refused = BatchMaker::open(&CropConfig { data: &unlabelled, ..plain }).unwrap_err().to_string();
    assert!(refused.contains("no speaker"), "{refused}");
    let bare = open(&CropConfig { data: &unlabelled, labels: Labels::Optional, ..plain });
    assert_eq!((bare.set().speakers.len(), bare.set().has_speakers), (16, false));
    assert_eq!(first_batch(&bare).0.features, recorded.features);
}

#[test]
fn a_student_learns_without_labels() {
    let folder = trained();
    without_labels(folder.path());
    let start = "exp/final.safetensors";
    let train = |exp: &str, more: &[&str]| {
        let base = ["tiny.toml", exp, "--init-from", start, "--set", "train.epochs=3"];
        program("ffsvc-train").current_dir(&folder).args(base).args(TEACHER).args(more).assert()
    };
    train("student", &["--set", "optimizer.learning_rate=0.003"])
        .success()
        .stderr(contains("16 utterances without labels"));
    let log = std::fs::read_to_string(folder.path().join("student/train.jsonl")).unwrap();
    let losses: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "step")
        .map(|event| {
            assert_eq!(event["loss"], event["teacher_loss"]);
            assert_eq!(event.get("accuracy"), None, "there are no classes");
            event["loss"].as_f64().unwrap()
        })
        .collect();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&losses[8..]) < mean(&losses[..4]), "{losses:?}");
    // The model has no head, and is one like any other.
    program("ffsvc-extract")
        .current_dir(&folder)
        .args(["--model", "student/final.safetensors", "data/dev", "dev.npz"])
        .assert()
        .success();
    train("matched", &["--head", "match"]).code(1).stderr(contains("head.kind").and(contains("--head new")));

    // The statistics are those of the start; the teacher is a copy of it.
    let statistics = |file: &str| {
        let (model, _, _) = ffsvc_models::load_model(folder.path().join(file), &Device::flex()).unwrap();
        let statistics = ffsvc_models::running_statistics(&model).into_iter();
        statistics.map(|values| values.into_data().iter::<f32>().collect()).collect::<Vec<Vec<f32>>>()
    };
    assert!(statistics(start) == statistics("student/final.safetensors"));
    assert!(
        weights(&folder.path().join(start)) == weights(&folder.path().join("student/teacher.safetensors"))
    );
    train("moving", &["--set", "train.batch_norm=batch"]).success();
    assert!(statistics(start) != statistics("moving/final.safetensors"));
}

#[test]
fn whole_recordings_are_embedded_once() {
    let folder = trained();
    without_labels(folder.path());
    let train = |exp: &str, more: &[&str]| {
        program("ffsvc-train")
            .current_dir(&folder)
            .args(["tiny.toml", exp])
            .args(TEACHER)
            .args(["--set", "teacher.target=utterance"])
            .args(more)
            .assert()
    };
    let from = ["--init-from", "exp/final.safetensors"];
    train("whole", &from).success();
    let targets = folder.path().join("whole/teacher-targets.safetensors");
    let stored = ffsvc_embeddings::Embeddings::read(&targets).unwrap();
    // They are what extraction gives.
    program("ffsvc-extract")
        .current_dir(&folder)
        .args(["--model", "exp/final.safetensors", "data/unlabelled", "own.npz"])
        .assert()
        .success();
    let own = ffsvc_embeddings::Embeddings::read(folder.path().join("own.npz")).unwrap();
    assert_eq!(stored.len(), 16);
    for (id, target) in stored.iter() {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * (1.0 + b.abs());
        assert!(target.iter().zip(own.get(id).unwrap()).all(near), "{id}");
    }
    // A resumed run needs neither the teacher's file nor the start's.
    train("parts", &[&from[..], &["--set", "train.epochs=1"]].concat()).success();
    std::fs::remove_dir_all(folder.path().join("exp")).unwrap();
    train("parts", &["--resume"]).success();
    assert!(weights(&final_model(&folder, "whole")) == weights(&final_model(&folder, "parts")));
}

#[test]
fn the_dry_run_shows_the_views_and_mistakes_are_named() {
    let folder = trained();
    without_labels(folder.path());
    let run = |arguments: &[&str]| {
        program("ffsvc-train").current_dir(&folder).args(["tiny.toml"]).args(arguments).assert()
    };
    let from = ["--init-from", "exp/final.safetensors", "--dry-run"];
    run(&[TEACHER, &from].concat())
        .success()
        .stdout(contains("view\taugmented 0 of ").and(contains("view\trecorded of ")));
    run(&[TEACHER, &["exp2"]].concat()).code(1).stderr(contains("teacher.model = absent"));
    let named = ["--set", "teacher.model=exp/final.safetensors", "exp2"];
    run(&[TEACHER, &named].concat())
        .code(1)
        .stderr(contains("train.batch_norm").and(contains("a model to start from")));
    run(&["exp2", "--set", "head={ kind = \"none\" }"]).code(1).stderr(contains("without a teacher"));
    run(&[&["--set", "teacher={ weight = 0 }"], &from[..]].concat())
        .code(1)
        .stderr(contains("teacher.weight = 0"));
    let wider =
        ["--set", "model.embedding_size=16", "--set", "teacher={ model = \"exp/final.safetensors\" }"];
    run(&[&wider[..], &["--dry-run"]].concat())
        .code(1)
        .stderr(contains("the teacher exp/final.safetensors gives 8").and(contains("similarity")));
    run(&[&wider[..], &["--dry-run", "--set", "teacher.loss=similarity"]].concat()).success();
}
