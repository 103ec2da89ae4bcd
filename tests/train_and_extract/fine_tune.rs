//! Fine-tunes: a head that begins at the speakers' centres, layers with learning rates of their own.

use burn::tensor::Device;
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use crate::programs::{program, trained};

/// The reference is the mean of what the extraction program gives for the same recordings.
#[test]
fn rows_of_the_head_point_to_the_mean_embedding_of_their_speaker() {
    let folder = trained();
    let run = |name: &str, arguments: &[&str]| program(name).current_dir(&folder).args(arguments).assert();
    run("ffsvc-extract", &["--model", "exp/final.safetensors", "data/train", "-o", "train.npz", "-q"])
        .success();
    let fine_tune = ["tiny.toml", "tuned", "--init-from", "exp/final.safetensors", "--head", "centres"];
    let head = ["--set", "head={ kind = \"sub-centre-aam-softmax\", sub_centres = 2, reserve = 1 }", "-q"];
    run("ffsvc-train", &[&fine_tune[..], &head].concat()).success();

    let store = Embeddings::read(folder.path().join("train.npz")).unwrap();
    let utt2spk = Table::read(folder.path().join("data/train/utt2spk")).unwrap();
    let initial = folder.path().join("tuned/initial.safetensors");
    let (_, head, info) = ffsvc_models::load_model(&initial, &Device::flex()).unwrap();
    let rows: Vec<f32> = head.unwrap().weight().unwrap().into_data().iter::<f32>().collect();
    let row = |number: usize| &rows[number * 8..][..8];
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    assert_eq!(info.speakers.len(), 5, "four speakers and a reserved row: {:?}", info.speakers);
    for (class, speaker) in info.speakers[..4].iter().enumerate() {
        let mut sum = vec![0.0_f32; 8];
        for (utterance, embedding) in store.iter().filter(|(name, _)| utt2spk.get(name) == Some(speaker)) {
            assert_eq!(embedding.len(), 8, "{utterance}");
            sum.iter_mut().zip(embedding).for_each(|(sum, value)| *sum += value);
        }
        assert!(cosine(row(2 * class), &sum) > 1.0 - 1e-6, "{speaker}");
        // The second centre is random.
        assert!(cosine(row(2 * class + 1), &sum) < 0.999, "{speaker}");
    }
}

#[test]
fn centres_need_classes() {
    let folder = trained();
    program("ffsvc-train")
        .current_dir(&folder)
        .args(["tiny.toml", "tuned", "--init-from", "exp/final.safetensors", "--head", "centres"])
        .args(["--set", "head={ kind = \"none\" }", "--set", "teacher={}", "-q"])
        .assert()
        .code(1)
        .stderr(contains("head.kind").and(contains("--head centres")));
    assert!(!folder.path().join("tuned/initial.safetensors").exists());
}

/// With plain SGD a step is the gradient times the learning rate, so that a factor shows in the difference of the weights.
#[test]
fn layers_learn_at_their_own_rates() {
    let folder = trained();
    let one_step = |exp: &str, rates: &str| {
        let optimizer = format!(
            "optimizer={{ kind = \"sgd\", momentum = 0.0, weight_decay = 0.0, learning_rate = 0.01, {rates} }}"
        );
        let sets =
            ["schedule={ kind = \"constant\" }", "train.epochs=1", "train.overfit_steps=1", "train.seed=5"];
        let sets = sets.into_iter().chain([optimizer.as_str()]).flat_map(|set| ["--set", set]);
        let start = ["tiny.toml", exp, "--init-from", "exp/final.safetensors", "--head", "match", "-q"];
        program("ffsvc-train").current_dir(&folder).args(start.into_iter().chain(sets)).assert()
    };
    let tensors = |file: &str| {
        let (model, head, _) = ffsvc_models::load_model(folder.path().join(file), &Device::flex()).unwrap();
        let mut tensors = ffsvc_models::named_tensors(&model);
        tensors.extend(ffsvc_models::named_tensors(&head.unwrap()).into_iter().map(|mut tensor| {
            tensor.name = format!("classifier.{}", tensor.name);
            tensor
        }));
        tensors.retain(|tensor| !tensor.name.contains(".running_"));
        tensors
    };
    one_step("plain", "").success();
    let rates = "rates = [{ layer = \"front\", factor = 0.25 }, { layer = \"front.layer4\", factor = 2.0 }]";
    one_step("rates", rates).success();
    let (start, plain, slow) = (
        tensors("exp/final.safetensors"),
        tensors("plain/final.safetensors"),
        tensors("rates/final.safetensors"),
    );
    let mut seen = [0; 3];
    for ((start, plain), slow) in start.iter().zip(&plain).zip(&slow) {
        let (kind, factor) = match start.name.as_str() {
            name if name.starts_with("front.layer4.") => (0, 2.0),
            name if name.starts_with("front.") => (1, 0.25),
            _ => (2, 1.0),
        };
        for ((start, plain), changed) in start.data.iter().zip(&plain.data).zip(&slow.data) {
            let (expected, found) = (factor * (plain - start), changed - start);
            seen[kind] += usize::from(expected.abs() > 1e-5);
            assert!((found - expected).abs() < 1e-6 + 1e-3 * expected.abs(), "{found} {expected}");
        }
    }
    assert!(seen.iter().all(|&count| count > 10), "every kind of layer moved: {seen:?}");
    one_step("none", "rates = [{ layer = \"fronts\", factor = 0.25 }]")
        .code(1)
        .stderr(contains("optimizer.rates").and(contains("classifier")));
}
