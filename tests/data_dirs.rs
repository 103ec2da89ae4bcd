//! `ffsvc-data` from end to end: results on stdout, the rest on stderr, exit status 0, 1 or 2.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, is_empty, starts_with};
use tempfile::TempDir;

/// The program, run inside `folder`.
fn ffsvc_data(folder: &TempDir, args: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("ffsvc-data").expect("the program is built with the tests");
    command.current_dir(folder).args(args).assert()
}

/// A folder with the data directory `d`: two speakers, three utterances, audio files of no content.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    for name in ["1.wav", "far field.wav", "3.wav"] {
        fs::write(folder.path().join(name), "RIFF").unwrap();
    }
    write(&folder, "d/wav.scp", "a1 1.wav\na2 far field.wav\nb1 3.wav\n");
    write(&folder, "d/utt2spk", "a1 a\na2 a\nb1 b\n");
    folder
}

fn write(folder: &TempDir, name: &str, content: &str) {
    fs::write(folder.path().join(name), content).unwrap();
}

fn read(folder: &TempDir, name: impl AsRef<Path>) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

fn json(assert: &assert_cmd::assert::Assert) -> serde_json::Value {
    serde_json::from_slice(&assert.get_output().stdout).expect("stdout is JSON alone")
}

#[test]
fn validate_says_what_is_wrong_and_fails() {
    let folder = workplace();
    ffsvc_data(&folder, &["validate", "d"])
        .success()
        .stdout("d: 3 utterances, 2 speakers, no problem\n")
        .stderr(is_empty());

    write(&folder, "d/wav.scp", "b1 3.wav\r\na1 gone.wav\na2 far field.wav\nc1 x.sph |\n");
    let assert = ffsvc_data(&folder, &["validate", "d"]).code(1).stderr(is_empty());
    let out = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    for line in [
        "d/wav.scp:1: CR LF line end",
        "d/wav.scp:2: not sorted in byte order: a1",
        "d/wav.scp:2: audio file missing: gone.wav of a1",
        "d/wav.scp:4: command in place of a path, refused without --allow-pipes: x.sph | of c1",
        "d/wav.scp:4: utterance without a speaker in utt2spk: c1",
        "1 x CR LF line end",
        "d: 4 utterances, 2 speakers, 5 problems",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} in\n{out}");
    }
    let report = json(&ffsvc_data(&folder, &["validate", "d", "--json", "--allow-pipes"]).code(1));
    assert_eq!(report["problems"].as_array().unwrap().len(), 4);
    assert_eq!(report["problems"][0]["kind"], "carriage-return");
}

#[test]
fn fix_leaves_a_valid_directory_and_a_backup() {
    let folder = workplace();
    let untidy = "b1 3.wav\r\na1 1.wav\r\nc1 1.wav\r\n";
    write(&folder, "d/wav.scp", untidy);
    ffsvc_data(&folder, &["fix", "d"]).success().stdout(
        "dropped c1: utterance without a speaker in utt2spk\n\
         wrote spk2utt utt2spk wav.scp; the former tables are in d/.backup\n\
         d: 2 utterances, 1 dropped\n",
    );
    assert_eq!(read(&folder, "d/.backup/wav.scp"), untidy);
    ffsvc_data(&folder, &["validate", "d"]).success();
    let again = json(&ffsvc_data(&folder, &["--json", "fix", "d"]).success());
    assert_eq!((&again["utterances"], &again["backup"]), (&2.into(), &serde_json::Value::Null));
}

#[test]
fn combine_needs_prefixes_for_equal_names() {
    let folder = workplace();
    ffsvc_data(&folder, &["combine", "d", "d", "-o", "all"])
        .code(1)
        .stdout(is_empty())
        .stderr(starts_with("ffsvc-data: error: d: the utterance a1 is also in d; give each"));
    ffsvc_data(&folder, &["combine", "d", "d", "-o", "all", "--prefix", "x-"])
        .code(2)
        .stderr(contains("found 1 --prefix for 2 directories"));
    ffsvc_data(&folder, &["combine", "d", "d", "-o", "all", "--prefix", "", "--prefix", "x-"])
        .success()
        .stdout("all: 6 utterances, 4 speakers\n");
    assert_eq!(read(&folder, "all/spk2utt"), "a a1 a2\nb b1\nx-a x-a1 x-a2\nx-b x-b1\n");
    ffsvc_data(&folder, &["combine", "d", "-o", "all"]).code(1).stderr(contains("--overwrite"));
}

#[test]
fn subset_by_list_and_by_number() {
    let folder = workplace();
    write(&folder, "keep", "b\n");
    ffsvc_data(&folder, &["subset", "d", "--speakers", "keep", "-o", "s"])
        .success()
        .stdout("s: 1 of 3 utterances\n");
    assert_eq!(read(&folder, "s/wav.scp"), "b1 3.wav\n");
    for output in ["r1", "r2"] {
        ffsvc_data(&folder, &["subset", "d", "--count", "2", "--seed", "5", "-o", output]).success();
    }
    assert_eq!(read(&folder, "r1/wav.scp"), read(&folder, "r2/wav.scp"));
    write(&folder, "keep", "b1\nzz\n");
    ffsvc_data(&folder, &["subset", "d", "--utterances", "keep", "-o", "u"])
        .code(1)
        .stderr(contains("1 of 2 utterances are unknown here, the first is zz"));
    for wrong in
        [&["subset", "d", "-o", "u"][..], &["subset", "d", "-o", "u", "--count", "1", "--speakers", "keep"]]
    {
        ffsvc_data(&folder, wrong).code(2).stderr(contains("Usage"));
    }
}

#[test]
fn split_writes_numbered_parts() {
    let folder = workplace();
    ffsvc_data(&folder, &["split", "d", "--parts", "2", "-o", "parts"])
        .success()
        .stdout("parts/1: 2 utterances\nparts/2: 1 utterances\n");
    assert_eq!(read(&folder, "parts/2/utt2spk"), "b1 b\n");
    let parts = json(&ffsvc_data(
        &folder,
        &["split", "d", "--parts", "3", "--by", "utterances", "-o", "p", "--json"],
    ));
    assert_eq!(parts[2]["path"], "p/3");
    ffsvc_data(&folder, &["split", "d", "--parts", "3", "-o", "q"])
        .code(1)
        .stderr(contains("has 2 speakers"));
}

#[test]
fn speaker_tables_into_each_other() {
    let folder = workplace();
    ffsvc_data(&folder, &["utt2spk-to-spk2utt", "d/utt2spk"]).success().stdout("a a1 a2\nb b1\n");
    ffsvc_data(&folder, &["utt2spk-to-spk2utt", "d/utt2spk", "-o", "d/spk2utt"]).success().stdout(is_empty());
    ffsvc_data(&folder, &["spk2utt-to-utt2spk", "d/spk2utt"]).success().stdout(read(&folder, "d/utt2spk"));
    let map = json(&ffsvc_data(&folder, &["spk2utt-to-utt2spk", "d/spk2utt", "--json"]));
    assert_eq!(map["b1"], "b");
    write(&folder, "twice", "a u1\nb u1\n");
    ffsvc_data(&folder, &["spk2utt-to-utt2spk", "twice"])
        .code(1)
        .stderr(contains("twice:2: the utterance u1"));
}

#[test]
fn trials_are_counted_and_looked_up() {
    let folder = workplace();
    write(&folder, "trials", "1 a1 a2\n0 a1 b1\n0 a2 b1\n");
    ffsvc_data(&folder, &["trials", "trials", "--data", "d"])
        .success()
        .stdout("trials         3\ntarget         1\nnontarget      2\nnames          3\n")
        .stderr(is_empty());
    write(&folder, "trials", "a1.wav a2.wav 1\na1.wav z.wav 0\n");
    let assert = ffsvc_data(&folder, &["trials", "trials", "--data", "d", "--json"]).code(1).stderr(
        contains("2 of 3 names of trials have a .wav suffix")
            .and(contains("1 of 3 names are not in d: z.wav")),
    );
    assert_eq!(json(&assert)["missing"][0], "z.wav");
    write(&folder, "trials", "1 0 1\n0 1 1\n");
    ffsvc_data(&folder, &["trials", "trials"]).code(1).stderr(contains("--trial-columns label-first"));
    ffsvc_data(&folder, &["trials", "trials", "--trial-columns", "label-last"])
        .success()
        .stdout(contains("target         2"));
    ffsvc_data(&folder, &["trials", "trials", "--trial-columns", "first"]).code(2);
}

#[test]
fn commands_in_wav_scp_need_leave() {
    let folder = workplace();
    write(&folder, "d/wav.scp", "a1 cat 1.wav |\na2 far field.wav\nb1 3.wav\n");
    ffsvc_data(&folder, &["split", "d", "--parts", "2", "-o", "p"]).code(1).stderr(contains("--allow-pipes"));
    ffsvc_data(&folder, &["split", "d", "--parts", "2", "-o", "p", "--allow-pipes"]).success();
}

#[test]
fn prepare_says_what_it_wrote_and_what_it_left_out() {
    let folder = workplace();
    fs::create_dir_all(folder.path().join("corpus/F")).unwrap();
    for name in ["F0101_101I1M_1_0007_normal.wav", "F0101_101PAD3M_1_0007_normal.wav", "noise.wav"] {
        fs::write(folder.path().join("corpus/F").join(name), "RIFF").unwrap();
    }
    ffsvc_data(&folder, &["prepare", "ffsvc2020", "corpus", "out"])
        .success()
        .stdout("out: 2 utterances, 1 speakers\n")
        .stderr(contains("left out").and(contains("1 (corpus/F/noise.wav)")));
    ffsvc_data(&folder, &["validate", "out"]).success();
    ffsvc_data(&folder, &["prepare", "ffsvc2020", "corpus", "out"]).code(1).stderr(contains("--overwrite"));
    let prepared = json(&ffsvc_data(
        &folder,
        &["prepare", "ffsvc2020", "corpus", "d", "out", "--overwrite", "--unlabelled", "--json"],
    ));
    assert_eq!(prepared["written"][0]["entries"], 2);
    assert_eq!(prepared["surplus"]["first"][0], "corpus/F/noise.wav");
    assert!(!folder.path().join("out/utt2spk").exists());
    ffsvc_data(&folder, &["prepare", "voxceleb1", "corpus", "vox"])
        .code(1)
        .stderr(contains("no file of VoxCeleb1 in corpus").and(contains("id10270/x6uYqmx31kE/00001.wav")));
    ffsvc_data(&folder, &["prepare", "musan", "nowhere", "lists"])
        .code(1)
        .stderr(contains("cannot list nowhere"));
    ffsvc_data(&folder, &["prepare", "ffsvc2020", "corpus"]).code(2);
    ffsvc_data(&folder, &["prepare", "librispeech", "corpus", "out"]).code(2);
}

#[test]
fn every_subcommand_has_a_manual_with_an_example() {
    let folder = workplace();
    for command in [
        "validate",
        "fix",
        "combine",
        "subset",
        "split",
        "trials",
        "utt2spk-to-spk2utt",
        "spk2utt-to-utt2spk",
        "prepare",
    ] {
        let example = format!("\n  ffsvc-data {command} ");
        ffsvc_data(&folder, &[command, "--help"])
            .success()
            .stdout(contains("Example").and(contains(example)));
    }
    ffsvc_data(&folder, &[]).code(2);
}

#[test]
fn ffsvc_tables_say_what_the_names_say() {
    let folder = workplace();
    let list = "Original_Name FFSVC2022_Name\nT0344_344I1M_1_0307_normal ffsvc22_dev_000001\n\
                F0336_336PAD-1.5M_1_0009_fast ffsvc22_dev_000000\n";
    write(&folder, "dev_meta_list", list);
    let found = json(&ffsvc_data(&folder, &["ffsvc-tables", "dev_meta_list", "tables", "--json"]).success());
    assert_eq!(found["utt2device"], serde_json::json!({"I": 1, "PAD": 1}));
    for (table, first, second) in [
        ("utt2spk", "0336", "0344"),
        ("utt2device", "PAD", "I"),
        ("utt2distance", "-1.5M", "1M"),
        ("utt2visit", "1", "3"),
        ("utt2sentence", "0009", "0307"),
        ("utt2speed", "fast", "normal"),
    ] {
        let expected = format!("ffsvc22_dev_000000 {first}\nffsvc22_dev_000001 {second}\n");
        assert_eq!(read(&folder, format!("tables/{table}")), expected, "{table}");
    }
    write(&folder, "wrong", "X0336 ffsvc22_dev_000000\n");
    ffsvc_data(&folder, &["ffsvc-tables", "wrong", "none"]).code(1);
    assert!(!folder.path().join("none").exists());
}

fn the_tables_of_ffsvc2022() {
    let folder = tempfile::tempdir().unwrap();
    let list = ffsvc_test_data::shared("lists/ffsvc2022/dev_meta_list");
    let found =
        json(&ffsvc_data(&folder, &["ffsvc-tables", list.to_str().unwrap(), "real", "--json"]).success());
    assert_eq!(found["utt2spk"].as_object().unwrap().len(), 30);
    assert_eq!(found["utt2distance"]["0.25M"], 7989);
    assert_eq!(found["utt2visit"], serde_json::json!({"1": 21775, "2": 24154, "3": 22614}));
}

ffsvc_test_data::shared_tests!(the_tables_of_ffsvc2022);
