//! Shards from end to end: made of a data directory, read as WeSpeaker's are, and as training reads them.

use std::fs;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

/// The program, run inside `folder`.
fn ffsvc_data(folder: &TempDir, words: &str) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("ffsvc-data").expect("the program is built with the tests");
    command.current_dir(folder).args(words.split_whitespace()).assert()
}

/// A folder with the data directory `voices/train` of 12 utterances.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let size =
        "--train-speakers 3 --train-utterances 4 --dev-speakers 2 --dev-utterances 2 --seconds 0.4,0.6";
    ffsvc_data(&folder, &format!("synth voices {size}")).success();
    folder
}

fn names(folder: &TempDir, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path().join(dir)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn shards_are_a_data_directory_that_from_shards_makes_too() {
    let folder = workplace();
    ffsvc_data(&folder, "to-shards voices/train packed --utterances-per-shard 5")
        .success()
        .stdout("packed: 12 utterances in 3 tar files\n");
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let shards =
        ["packed/shards_000000000.tar", "packed/shards_000000001.tar", "packed/shards_000000002.tar"];
    assert_eq!(read("packed/shard.list"), shards.map(|shard| format!("{shard}\n")).concat().as_bytes());
    ffsvc_data(&folder, "validate packed")
        .success()
        .stdout(contains("12 utterances, 3 speakers, no problem"));
    ffsvc_data(&folder, "from-shards packed/shard.list again").success();
    for table in ["wav.scp", "utt2spk", "spk2utt"] {
        assert_eq!(read(&format!("packed/{table}")), read(&format!("again/{table}")), "{table}");
    }
    assert_eq!(read("packed/spk2gender"), read("voices/train/spk2gender"));

    // The same seed, the same bytes; shards of shards have the same recordings.
    ffsvc_data(&folder, "to-shards voices/train twin --utterances-per-shard 5 --seed 0 --json").success();
    ffsvc_data(&folder, "to-shards packed other --utterances-per-shard 5 --seed 1").success();
    ffsvc_data(&folder, "to-shards other back --utterances-per-shard 5").success();
    for shard in shards {
        let [packed, twin, back] = ["packed", "twin", "back"].map(|dir| read(&shard.replace("packed", dir)));
        assert!(packed == twin && packed == back, "{shard}");
    }
    assert!(read(shards[0]) != read(&shards[0].replace("packed", "other")));
}

#[test]
fn nothing_is_replaced_unasked_and_nothing_looks_complete_that_is_not() {
    let folder = workplace();
    let path = |name: &str| folder.path().join(name);
    ffsvc_data(&folder, "to-shards voices/train packed").success();
    ffsvc_data(&folder, "to-shards voices/train packed")
        .code(1)
        .stderr(contains("packed/wav.scp").and(contains("--overwrite")));
    for table in ["wav.scp", "utt2spk", "spk2utt"] {
        fs::remove_file(path("packed").join(table)).unwrap();
    }
    ffsvc_data(&folder, "to-shards voices/train packed").code(1).stderr(contains("packed/shard.list exists"));
    ffsvc_data(&folder, "to-shards voices/train packed --overwrite").success();
    ffsvc_data(&folder, "to-shards packed packed --overwrite").code(2);

    fs::create_dir(path("bad")).unwrap();
    for table in ["wav.scp", "utt2spk"] {
        fs::copy(path("voices/train").join(table), path("bad").join(table)).unwrap();
    }
    let list = fs::read_to_string(path("bad/wav.scp")).unwrap();
    let (first, rest) = list.split_once('\n').unwrap();
    let utterance = first.split_once(' ').unwrap().0;
    fs::write(path("bad/wav.scp"), format!("{utterance} nowhere.wav\n{rest}")).unwrap();
    ffsvc_data(&folder, "to-shards bad packed --overwrite")
        .code(1)
        .stderr(contains(format!("failed: {utterance}: nowhere.wav")).and(contains("--allow-failures")));
    let left = names(&folder, "packed");
    assert!(!left.iter().any(|name| name == "wav.scp" || name == "shard.list"), "{left:?}");
    ffsvc_data(&folder, "to-shards bad packed --overwrite --allow-failures")
        .success()
        .stdout("packed: 11 utterances in 1 tar files\n");
    ffsvc_data(&folder, "validate packed").success();
}

#[test]
fn the_loader_reads_shards_from_their_beginning_to_their_end() {
    let folder = workplace();
    ffsvc_data(&folder, "to-shards voices/train packed --utterances-per-shard 5").success();
    let config =
        "[data]\ntrain = 'packed'\n[train]\nbatch_size = 4\nmax_frames = 20\n[sampler]\nshuffle_buffer = 6\n";
    fs::write(folder.path().join("c.toml"), config).unwrap();
    let bench = "bench-loader c.toml --threads 1,3 --measure-seconds 0.2 --json";
    let assert = ffsvc_data(&folder, bench).success();
    let report: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    for run in report["runs"].as_array().unwrap() {
        assert!(run["utterances"].as_u64().unwrap() > 0, "{report}");
    }
    ffsvc_data(&folder, &format!("{bench} --set data.train=voices/train"))
        .code(1)
        .stderr(contains("sampler.shuffle_buffer = 6 for files that are no archives"));
    ffsvc_data(&folder, &format!("{bench} --set sampler.balance=class"))
        .code(1)
        .stderr(contains("sampler.shuffle_buffer = 6 beside sampler.balance = \"class\""));
}
