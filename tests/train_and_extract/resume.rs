//! A run that stops and goes on ends with the bytes of one that does not, whatever it trains with.
//!
//! One test for all: runs of one process share the random generator of Burn's device.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ffsvc_trainer::{Event, ExperimentConfig, HeadInit, InitFrom, Outcome, Run};

use crate::programs::{TINY, weights, with_absolute_paths, workplace};

/// What a run has beside `tiny.toml`, and whether it is a fine-tune.
const CASES: &[(&str, &str)] = &[
    ("sgd, multi-step", "optimizer = { kind = 'sgd' }\nschedule = { kind = 'multi-step', milestones = [1] }"),
    (
        "sgd with Nesterov momentum, exponential, margin and average",
        "optimizer = { kind = 'sgd', nesterov = true, learning_rate = 0.1, weight_decay = 1e-4 }
         schedule = { kind = 'exponential', margin = { begin_epoch = 0.5, end_epoch = 1.5 } }
         train = { ema = 0.9 }",
    ),
    (
        "sgd without momentum, constant",
        "optimizer = { kind = 'sgd', momentum = 0.0 }\nschedule = { kind = 'constant' }",
    ),
    (
        "adam, cosine, sphere-face, clipping, a layer with its own learning rate",
        "optimizer = { clip_norm = 0.5, clip_value = 0.1, rates = [{ layer = 'front', factor = 0.1 }] }
         schedule = { kind = 'cosine' }\nhead = { kind = 'sphere-face', lambda_decay = 0.5 }",
    ),
    (
        "adam-w, one-cycle, linear margin, sub-centres and rivals, groups, accumulation",
        "optimizer = { kind = 'adam-w', weight_decay_on = 'weights' }
         schedule = { kind = 'one-cycle', margin = { end_epoch = 2, shape = 'linear' } }
         head = { kind = 'sub-centre-aam-softmax', sub_centres = 2, top_k = 2, reserve = 2 }
         train = { accumulate = 2, batch_size = 2 }",
    ),
    (
        "balanced classes, epochs in steps, layers that thaw, softmax",
        "sampler = { balance = 'class', epoch_steps = 4 }
         head = { kind = 'softmax' }
         train.freeze = [{ layer = 'front.layer1', epochs = 1 }, { layer = 'front.bn1' }]",
    ),
    ("a fine-tune with an anchor", "train = { anchor = 0.1 }\nhead = { kind = 'aam-softmax', reserve = 1 }"),
    (
        "no head, a teacher that hears the crops, frozen statistics",
        "head = { kind = 'none' }\nteacher = { clean = 0.5 }\ntrain = { batch_norm = 'frozen', ema = 0.9 }
         augment.reverb = { probability = 1.0, simulated = { rooms = 3 } }",
    ),
    (
        "no head, a teacher that hears whole recordings, frozen layers and statistics",
        "head = { kind = 'none' }\nteacher = { target = 'utterance', loss = 'mse' }
         train = { batch_norm = 'frozen', freeze = [{ layer = 'front.layer1', epochs = 1 }] }
         augment.reverb = { probability = 1.0, simulated = { rooms = 3 } }",
    ),
    (
        "a teacher beside a margin head, similarities, accumulation",
        "teacher = { loss = 'similarity', weight = 3.0 }\ntrain = { accumulate = 2, batch_size = 2 }
         augment.speed = { probability = 0.5 }",
    ),
];

/// Puts the values of `more` over those of `base`.
fn merge(base: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (base.get_mut(&key), value) {
            // Another head has other options.
            (_, value) if key == "head" => drop(base.insert(key, value)),
            (Some(toml::Value::Table(base)), toml::Value::Table(more)) => merge(base, more),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

fn config(folder: &Path, more: &str) -> ExperimentConfig {
    let mut table: toml::Table = TINY.parse().unwrap();
    merge(&mut table, more.parse().unwrap());
    table.remove("validation");
    let mut config: ExperimentConfig = table.try_into().unwrap();
    config.data.train = folder.join("data/train").into();
    config.train.checkpoint_steps = 0;
    config
}

/// Trains until `stop_after` steps are done, or to the end.
fn train(config: &ExperimentConfig, exp: &Path, init: &InitFrom, stop_after: Option<usize>) -> Outcome {
    let run = Run::prepare(config, exp, init, &[Device::flex()]).unwrap();
    let stop = AtomicBool::new(false);
    let mut observer = |event: &Event| {
        if let Event::Step { step, .. } = event {
            stop.store(stop_after == Some(*step), Ordering::SeqCst);
        }
    };
    run.train(&stop, &mut observer).unwrap()
}

#[test]
fn every_optimiser_and_schedule_resumes_to_the_bit() {
    let folder = workplace();
    with_absolute_paths(folder.path());
    let path = |name: String| folder.path().join(name);
    let first = path("first".into());
    train(&config(folder.path(), "train = { epochs = 1 }"), &first, &InitFrom::Random, None);
    let mut finals = Vec::new();
    for (number, (name, more)) in CASES.iter().enumerate() {
        let config = config(folder.path(), more);
        let init = if config.train.anchor > 0.0 || config.teacher.is_some() {
            let head = if config.head.has_classes() { HeadInit::Keep } else { HeadInit::New };
            InitFrom::Model { path: first.join("final.safetensors"), head }
        } else {
            InitFrom::Random
        };
        let (whole, parts) = (path(format!("whole-{number}")), path(format!("parts-{number}")));
        assert_eq!(train(&config, &whole, &init, None).step, 8, "{name}");
        // In the middle of the first epoch, and of the second.
        assert!(train(&config, &parts, &init, Some(3)).interrupted, "{name}");
        assert!(train(&config, &parts, &InitFrom::Checkpoint, Some(6)).interrupted, "{name}");
        let end = train(&config, &parts, &InitFrom::Checkpoint, None);
        assert_eq!((end.step, end.interrupted), (8, false), "{name}");
        let of = |exp: &Path, file: &str| weights(&exp.join(file));
        assert!(of(&whole, "final.safetensors") == of(&parts, "final.safetensors"), "{name}");
        if config.teacher.is_some() {
            let mut config = config.clone();
            config.train.workers = if config.train.workers == 3 { 1 } else { 3 };
            let workers = path(format!("workers-{number}"));
            train(&config, &workers, &init, None);
            assert!(of(&whole, "final.safetensors") == of(&workers, "final.safetensors"), "{name}: workers");
        }
        if config.train.ema > 0.0 {
            assert!(of(&whole, "ema.safetensors") == of(&parts, "ema.safetensors"), "{name}: average");
            assert!(of(&whole, "ema.safetensors") != of(&whole, "final.safetensors"));
        }
        let last = std::fs::read_to_string(parts.join("train.jsonl")).unwrap();
        assert_eq!(last.contains("\"margin\":"), config.schedule.margin.is_some(), "{name}");
        finals.push(of(&whole, "final.safetensors"));
    }
    // The options are not without effect.
    finals.sort();
    finals.dedup();
    assert_eq!(finals.len(), CASES.len());
}
