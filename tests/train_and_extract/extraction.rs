//! `ffsvc-extract`: the same embeddings in any batch, shard or attempt.

use crate::programs::{program, trained};
use ffsvc_embeddings::Embeddings;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

fn extract(folder: &TempDir, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let model = ["--model", "exp/final.safetensors"];
    program("ffsvc-extract").current_dir(folder).args(model).args(arguments).assert()
}

fn read(folder: &TempDir, store: &str) -> Embeddings {
    Embeddings::read(folder.path().join(store)).unwrap()
}

#[test]
fn batches_shards_and_forms_agree() {
    let folder = trained();
    extract(&folder, &["data/dev", "all.ark"]).success().stdout(contains("9 embeddings in all.ark"));
    let all = read(&folder, "all.scp");
    assert_eq!((all.len(), all.dim()), (9, 8));

    extract(&folder, &["data/dev", "alone.npz", "--batch-size", "1"]).success();
    // All in one padded batch.
    extract(&folder, &["data/dev", "padded.npz", "--length-bucket", "1000"]).success();
    let alone = read(&folder, "alone.npz");
    for other in [alone, read(&folder, "padded.npz")] {
        assert_eq!(all.keys(), other.keys());
        for (a, b) in all.data().iter().zip(other.data()) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}");
        }
    }
    let mut together = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        extract(&folder, &["data/dev", "part.safetensors", "--shard", shard]).success();
        together.extend(read(&folder, "part.safetensors").keys().to_vec());
    }
    assert_eq!(together, all.keys());
    extract(&folder, &["data/dev", "x.ark", "--shard", "4/3"]).code(2).stderr(contains("--shard 4/3"));
}

#[test]
fn the_same_embedding_whatever_else_is_extracted() {
    let folder = trained();
    extract(&folder, &["data/dev", "all.ark"]).success();
    program("ffsvc-data")
        .current_dir(&folder)
        .args(["subset", "data/dev", "-o", "data/one", "--count", "1"])
        .assert()
        .success();
    extract(&folder, &["data/one", "one.ark"]).success();
    let (all, one) = (read(&folder, "all.scp"), read(&folder, "one.scp"));
    let (key, values) = one.iter().next().unwrap();
    for (a, b) in all.get(key).unwrap().iter().zip(values) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn failures_are_listed_and_the_rest_is_written() {
    let folder = trained();
    let broken = folder.path().join("data/wav/dev00001/dev00001-00001.wav");
    assert!(broken.is_file());
    std::fs::write(&broken, "this is no audio").unwrap();
    extract(&folder, &["data/dev", "e.ark"])
        .code(1)
        .stderr(contains("dev00001-00001").and(contains("1 of 9 recordings failed")));
    assert_eq!(read(&folder, "e.scp").len(), 8);
    let list = std::fs::read_to_string(folder.path().join("e.ark.failed")).unwrap();
    assert!(list.starts_with("dev00001-00001 "), "{list}");
    extract(&folder, &["data/dev", "e.ark", "--allow-failures", "--json"])
        .success()
        .stdout(contains("\"embeddings\": 8"));
    assert!(!folder.path().join("e.ark.partial").exists());
}
