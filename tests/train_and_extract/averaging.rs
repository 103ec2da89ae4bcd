//! `ffsvc-model average`, on the checkpoints of a run.

use std::path::Path;

use crate::programs::{final_model, program, workplace};
use burn::tensor::Device;
use ffsvc_models::{load_model, named_tensors};
use predicates::str::contains;

/// Every number of the network and its head, by name.
fn numbers(path: &Path) -> Vec<(String, Vec<f32>)> {
    let (model, head, _) = load_model(path, &Device::flex()).unwrap();
    let of_head = head.as_ref().map(named_tensors).unwrap_or_default();
    named_tensors(&model).into_iter().chain(of_head).map(|tensor| (tensor.name, tensor.data)).collect()
}

#[test]
fn the_last_checkpoints_are_averaged() {
    let folder = workplace();
    let model = |arguments: &[&str]| {
        program("ffsvc-model").current_dir(&folder).arg("average").args(arguments).assert()
    };
    // A checkpoint a step, of which three are kept.
    program("ffsvc-train").current_dir(&folder).args(["tiny.toml", "exp", "-q"]).assert().success();
    model(&["-o", "mean.safetensors", "--last", "3", "exp"]).success().stdout(contains("averaged\t3"));
    let path = |name: &str| folder.path().join(name);
    let steps = ["6", "7", "8"]
        .map(|step| numbers(&path(&format!("exp/checkpoints/step-0000000{step}/model.safetensors"))));
    for (index, (name, mean)) in numbers(&path("mean.safetensors")).iter().enumerate() {
        for (position, value) in mean.iter().enumerate() {
            let [a, b, c] = steps.each_ref().map(|step| f64::from(step[index].1[position]));
            assert_eq!(*value, ((a + b + c) / 3.0) as f32, "{name}");
        }
    }
    model(&["-o", "more.safetensors", "--last", "4", "exp"]).code(1).stderr(contains("found 3 checkpoints"));
    model(&["-o", "two.safetensors", "--last", "1", "exp", "exp"]).code(2);

    // The same model once is itself, and its statistics can be those of the data.
    model(&["exp/final.safetensors", "-o", "same.safetensors"]).success();
    let last = numbers(&final_model(&folder, "exp"));
    assert!(numbers(&path("same.safetensors")) == last);
    let with_statistics = ["--reestimate-batch-norm", "data/train", "--batches", "3", "--json"];
    model(&[&["exp/final.safetensors", "-o", "fresh.safetensors"][..], &with_statistics].concat())
        .success()
        .stdout(contains("\"statistics_from_batches\": 3"));
    for ((name, fresh), (_, last)) in numbers(&path("fresh.safetensors")).iter().zip(&last) {
        assert_eq!(fresh == last, !name.contains(".running_"), "{name}");
    }
    // Masks change what BatchNorm hears.
    let without = ["--no-augmentation", "-o", "unmasked.safetensors"];
    model(&[&["exp/final.safetensors"][..], &without, &with_statistics].concat()).success();
    assert!(numbers(&path("unmasked.safetensors")) != numbers(&path("fresh.safetensors")));
    program("ffsvc-extract")
        .current_dir(&folder)
        .args(["--model", "fresh.safetensors", "data/dev", "dev.npz", "-q"])
        .assert()
        .success();

    // Another network is refused by name.
    let other = ["tiny.toml", "other", "-q", "--set", "model.in_planes=3", "--set", "train.epochs=1"];
    program("ffsvc-train").current_dir(&folder).args(other).assert().success();
    model(&["exp/final.safetensors", "other/final.safetensors", "-o", "bad.safetensors"])
        .code(1)
        .stderr(contains("its network is not that of exp/final.safetensors"));
    assert!(!path("bad.safetensors").exists());
}
