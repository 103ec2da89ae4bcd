//! Inputs and outputs of a run that are refused before it begins, and those that are not.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use ffsvc_cli::RunFiles;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.at("trials"), "a b target\n").unwrap();
        fs::write(place.at("scores"), "a b 1\n").unwrap();
        fs::hard_link(place.at("trials"), place.at("hard")).unwrap();
        symlink("trials", place.at("soft")).unwrap();
        symlink("new", place.at("dangling")).unwrap();
        fs::create_dir(place.at("data")).unwrap();
        symlink("data", place.at("data_link")).unwrap();
        assert!(Command::new("mkfifo").arg(place.at("fifo")).status().unwrap().success());
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        if name.starts_with('/') || name == "-" { name.into() } else { self.0.path().join(name) }
    }
}

/// `in NAME`, `out NAME`, `store NAME`, `folder NAME`, `json`.
fn run(place: &Place, words: &str) -> Result<(), String> {
    let (mut files, mut json) = (RunFiles::new(), false);
    for (number, word) in words.split(", ").enumerate() {
        let (what, name) = word.split_once(' ').unwrap_or((word, ""));
        let (option, path) = (format!("--{what}-{number}"), [place.at(name)]);
        files = match what {
            "in" => files.input(&option, path),
            "out" => files.output(&option, path),
            "store" => files.regular_output(&option, path),
            "folder" => files.output_folder(&option, path),
            _ => {
                json = true;
                files
            }
        };
    }
    let root = place.0.path().to_str().unwrap().to_owned() + "/";
    files.check(json).map(drop).map_err(|error| error.to_string().replace(&root, ""))
}

#[test]
fn what_would_cost_work_or_data_is_refused() {
    let place = Place::new();
    for (words, message) in [
        ("out new, out new", "--out-0 new and --out-1 new are one file"),
        ("out new, out data/../new", "are one file"),
        ("out new, out dangling", "are one file"),
        ("out trials, out hard", "are one file"),
        ("out data_link/x, store data/x", "are one file"),
        ("out fifo, out fifo", "are one file"),
        ("folder out, folder out", "are one file"),
        ("out -, out -", "--out-0 standard output and --out-1 standard output are one file"),
        ("out -, out /dev/stdout", "are one file"),
        (
            "in trials, out trials",
            "--out-1 trials: the run reads this file (--in-0), and would replace what it reads",
        ),
        ("in trials, out hard", "the run reads this file"),
        ("in trials, out soft", "the run reads this file"),
        ("in soft, out trials", "the run reads this file"),
        ("in data, folder data_link", "--folder-1 data_link: the run reads this folder (--in-0)"),
        ("out no/such/x", "--out-0 no/such/x: the folder no/such does not exist: make it first"),
        ("out trials/x", "--out-0 trials/x: "),
        ("out data", "--out-0 data: this is a folder, expected a file"),
        ("store data_link", "this is a folder"),
        ("folder trials", "--folder-0 trials: trials is not a folder"),
        ("folder trials/x/y", "trials is not a folder"),
        ("store fifo", "--store-0 fifo: this is a FIFO, and the format needs a regular file"),
        ("store /dev/stdout", "this is standard output, and the format needs a regular file"),
        ("out -, json", "--out-0 standard output and --json both write to standard output"),
        ("out /dev/fd/987", "987 is not open"),
        ("in -, in /dev/stdin", "are one stream, which can be read only once"),
        ("in fifo, in fifo", "are one stream, which can be read only once"),
        ("in fifo, out fifo", "the run reads this file"),
    ] {
        match run(&place, words) {
            Ok(()) => panic!("{words} is not refused"),
            Err(error) => assert!(error.contains(message), "{words}: {error}"),
        }
    }
}

#[test]
fn the_rest_is_not_and_nothing_is_touched() {
    let place = Place::new();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(place.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for words in [
        "in trials, in scores, out new, store data/x.npz, out -",
        "in trials, in trials",
        "in missing, out new",
        "out dangling, out fifo",
        "folder made/later, out made/later/picture.svg, store made/later/deep/x.npz",
        "in data, out data/scores",
        "json, out new",
        "in -, out -",
    ] {
        assert_eq!(run(&place, words), Ok(()), "{words}");
    }
    // Not named as a target of a write: only looked at.
    if Path::new("/dev/full").exists() {
        assert_eq!(run(&place, "out /dev/full, out /dev/full, in /dev/full"), Ok(()));
    }
    assert_eq!(names(), before);
}
