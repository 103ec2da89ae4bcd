//! `ffsvc-extract`: the same embeddings in any batch, shard or attempt.

use std::time::{Duration, Instant};

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
    extract(&folder, &["data/dev", "x.ark", "--shard", "4/3"]).code(2).stderr(contains("'4/3' for '--shard"));
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

#[test]
fn embeddings_in_8_bits_are_near_and_say_so() {
    let folder = trained();
    extract(&folder, &["data/dev", "exact.npz"]).success();
    let of_threads = |store: &str, threads: &str| {
        program("ffsvc-extract")
            .current_dir(&folder)
            .env("RAYON_NUM_THREADS", threads)
            .args(["--model", "exp/final.safetensors", "data/dev", store, "--precision", "int8"])
            .assert()
            .success();
        read(&folder, store)
    };
    let (exact, rounded) = (read(&folder, "exact.npz"), of_threads("rounded.npz", "1"));
    assert_eq!(rounded.data(), of_threads("three.npz", "3").data());
    assert_eq!(rounded.provenance().unwrap().precision.as_deref(), Some("int8"));
    assert_eq!(exact.provenance().unwrap().precision, None);
    assert_ne!(rounded.data(), exact.data());
    for (key, a) in exact.iter() {
        let b = rounded.get(key).unwrap();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine > 0.98, "{key}: {cosine}");
    }
    extract(&folder, &["data/dev", "exact.npz", "--precision", "int8"])
        .success()
        .stderr(contains("exact.npz: started anew, because of a change of how recordings are read"));
}

#[test]
fn recordings_keep_to_the_memory_that_is_given() {
    let folder = trained();
    extract(&folder, &["data/dev", "all.npz", "--memory", "4G"]).success();
    extract(&folder, &["data/dev", "none.npz", "--memory", "10KiB"])
        .code(1)
        .stderr(contains("10.0 KiB are left; cut the recording"));
}

#[test]
fn what_is_wrong_with_the_command_is_said_before_the_work() {
    let folder = trained();
    let wrong: [(&[&str], &str); 11] = [
        (&["data/dev", "emb.h5"], "emb.h5: a store of embeddings is written as"),
        (&["data/dev", "-o", "emb"], "emb: a store of embeddings is written as"),
        (&["data/dev", "x.ark", "--batch-size", "0"], "--batch-size"),
        (&["data/dev", "x.ark", "--length-bucket", "0"], "--length-bucket"),
        (&["data/dev", "x.ark", "--jobs", "0"], "--jobs"),
        (&["data/dev", "x.ark", "--max-seconds", "nan"], "--max-seconds"),
        (&["data/dev", "x.ark", "--max-bytes", "0"], "--max-bytes"),
        (&["data/dev", "x.ark", "--channel", "left"], "--channel"),
        (&["data/dev", "x.ark", "--precision", "int4"], "precision \"int4\": expected f32 or int8"),
        (&["data/dev", "x.ark", "--memory", "4X"], "--memory"),
        (&["data/dev", "x.ark", "--memory", "0G"], "--memory"),
    ];
    for (arguments, message) in wrong {
        extract(&folder, arguments).code(2).stdout("").stderr(contains(message));
    }
    for name in ["emb.h5.partial", "emb.partial", "x.ark.partial"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_finished_extraction_does_nothing_and_a_failed_one_leaves_nothing_stale() {
    let folder = trained();
    extract(&folder, &["data/dev", "e.npz"]).success();
    let written = std::fs::metadata(folder.path().join("e.npz")).unwrap().modified().unwrap();
    extract(&folder, &["data/dev", "e.npz"]).success().stdout("e.npz is already complete: 9 embeddings\n");
    assert_eq!(std::fs::metadata(folder.path().join("e.npz")).unwrap().modified().unwrap(), written);
    extract(&folder, &["data/dev", "e.npz", "--channel", "mix"])
        .success()
        .stderr(contains("e.npz: started anew, because of a change of how recordings are read"));
    // All recordings fail; a shard has none.
    extract(&folder, &["nowhere.wav", "-o", "e.npz", "--allow-failures"])
        .success()
        .stdout(contains("0 embeddings, no e.npz written (0 taken over, 1 failed)\n"));
    assert!(!folder.path().join("e.npz").exists());
    extract(&folder, &["data/dev", "e.npz"]).success();
    extract(&folder, &["data/dev", "e.npz", "--shard", "1/100"])
        .success()
        .stdout(contains("0 embeddings, no e.npz"));
    assert!(!folder.path().join("e.npz").exists());
}

/// Writes a data directory of `wav.scp` lines.
fn listed(folder: &TempDir, lines: &str) {
    std::fs::create_dir_all(folder.path().join("listed")).unwrap();
    std::fs::write(folder.path().join("listed/wav.scp"), lines).unwrap();
}

#[test]
fn one_recording_does_not_end_the_list() {
    let folder = trained();
    let good = "data/wav/dev00001/dev00001-00000.wav";
    listed(
        &folder,
        &format!("a {good}\nb cat /dev/zero |\nc wav.ark:1234\nd {good}\ne exit 3 |\nf data/dev\n"),
    );
    extract(&folder, &["listed", "e.npz", "--allow-pipes", "--max-bytes", "1000000"])
        .code(1)
        .stderr(contains(
            "failed: b: command `cat /dev/zero`: still not at the end of its output after 1000000 bytes",
        ))
        .stderr(contains(
            "failed: c: wav.ark:1234: no recording at byte 1234 of the archive wav.ark: No such file",
        ))
        .stderr(contains("failed: e: command `exit 3`"))
        .stderr(contains("failed: f: data/dev: this is a folder"))
        .stderr(contains("1 of them exceed a limit: --max-bytes allows longer pipes"));
    assert_eq!(read(&folder, "e.npz").keys(), ["a", "d"]);
    extract(&folder, &[good, "-o", "short.npz", "--max-seconds", "0.1"]).code(1).stderr(
        contains("longer than the limit of 0.1 s").and(contains("--max-seconds allows longer recordings")),
    );
}

#[test]
fn oddities_of_recordings_are_counted_once_a_kind() {
    let folder = trained();
    let write = |name: &str, rate: u32, level: f32| {
        let samples: Vec<f32> = (0..rate).map(|n| (n as f32 * 0.1).sin() * level).collect();
        ffsvc_audio::write_wav(folder.path().join(name), &samples, rate, Default::default()).unwrap();
    };
    for name in ["a.wav", "b.wav", "c.wav", "d.wav"] {
        write(name, 8000, 0.3);
    }
    write("silent.wav", 16_000, 0.0);
    let stereo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio/tone_16k_stereo.flac");
    let m4a = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio/tone_16k_mono.m4a");
    let inputs = ["a.wav", "b.wav", "c.wav", "d.wav", "silent.wav", stereo, m4a, "-o", "e.npz"];
    let lines = [
        "4 recordings have a sample rate other than 16000 Hz; converted: a.wav, b.wav, c.wav, ...",
        "1 recording has several channels; the first (channel 0) was taken: tone_16k_stereo.flac",
        "1 recording is silent: silent.wav",
    ];
    let assert = extract(&folder, &inputs).success();
    let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert_eq!(stderr.matches("WARN").count(), lines.len(), "{stderr}");
    for line in lines {
        assert!(stderr.contains(line), "{stderr}");
    }
    let json = extract(&folder, &[&inputs[..], &["--json"]].concat()).success();
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(report["notices"]["other_rate"]["count"], 4, "{report}");
    assert_eq!(report["notices"]["silent"]["first"][0], "silent.wav", "{report}");
}

/// Also while a recording is being read or computed: here one that takes a minute.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_within_two_seconds_and_keeps_what_is_done() {
    let folder = trained();
    let good = "data/wav/dev00001/dev00001-00000.wav";
    listed(&folder, &format!("a {good}\nb {good}\nc sleep 60; cat {good} |\n"));
    let binary = program("ffsvc-extract").get_program().to_owned();
    let mut child = std::process::Command::new(binary)
        .current_dir(&folder)
        .args(["--model", "exp/final.safetensors", "listed", "e.npz", "--allow-pipes", "--jobs", "1", "-q"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let block = folder.path().join("e.npz.partial/block-000000.safetensors");
    let begun = Instant::now();
    while !block.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "what is ready is saved every two seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
    let interrupted = Instant::now();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(interrupted.elapsed() < Duration::from_secs(2), "{:?}", interrupted.elapsed());
    assert!(!folder.path().join("e.npz").exists());
    assert_eq!(Embeddings::read(&block).unwrap().keys(), ["a", "b"]);
}
