//! Where outputs go: every option that names an output, on every kind of target.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::process::{Command, Output};

use crate::dump::{CHECKED, Opt, options};
use crate::modes::without;
use crate::workplace::{Place, said};

/// The kinds that options have in [`crate::dump`] follow from their form.
fn kind_of(form: Form) -> &'static str {
    if form == Form::Text { "output-file" } else { "output-path" }
}

/// A run that writes an output, named by `OUTPUT` in its words.
struct Run {
    program: &'static str,
    words: &'static str,
    /// Files that the words name and the run reads.
    inputs: &'static [&'static str],
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Goes anywhere.
    Text,
    /// Needs a regular file.
    File,
    Folder,
}

const fn run(program: &'static str, form: Form, words: &'static str, inputs: &'static [&'static str]) -> Run {
    Run { program, words, inputs, form }
}

const RUNS: &[Run] = &[
    run(
        "ffsvc-score",
        Form::Text,
        "--trials trials --scores scores --scores-out OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "--trials trials --scores scores --ffsvc-scores-out OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "--trials trials --scores scores --report-out OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::File,
        "train-backend --embeddings e.npz --utt2spk utt2spk --output OUTPUT",
        &["e.npz", "utt2spk"],
    ),
    run(
        "ffsvc-score",
        Form::File,
        "adapt-backend --embeddings e.npz --backend plda.safetensors --output OUTPUT",
        &["e.npz", "plda.safetensors"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "calibrate --trials trials --scores scores --output OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "calibrate --trials trials --scores scores --output new.json --scores-out OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "apply --trials trials --scores scores --calibration calibration.json --output OUTPUT",
        &["trials", "scores", "calibration.json"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "embedding-quality --embeddings e.npz --measure length --output OUTPUT",
        &["e.npz"],
    ),
    run(
        "ffsvc-score",
        Form::File,
        "plot det --trials trials --scores scores --output OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::File,
        "plot histogram --trials trials --scores scores --output OUTPUT",
        &["trials", "scores"],
    ),
    run(
        "ffsvc-score",
        Form::File,
        "plot calibration --trials trials --scores scores --output OUTPUT",
        &["trials", "scores"],
    ),
    run("ffsvc-score", Form::File, "plot conditions --report report.json --output OUTPUT", &["report.json"]),
    run("ffsvc-cluster", Form::Folder, "kmeans e.npz --k 6 --output OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::Folder, "ahc e.npz --k 6 --output OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::Folder, "sweep e.npz --k 2..6:2 --output OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::File, "sweep e.npz --k 2..6:2 --output sweep --plot-out OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::Folder, "labels clusters data --output OUTPUT", &["clusters", "data"]),
];

impl Run {
    fn option(&self) -> &'static Opt {
        let words: Vec<&str> = self.words.split_whitespace().collect();
        let place = words.iter().position(|word| *word == "OUTPUT").expect("the words name the output");
        let of_program = || options().iter().filter(|option| option.program == self.program);
        // The longest subcommand that the words begin with.
        let command = of_program()
            .map(|option| option.command.as_str())
            .filter(|command| command.split_whitespace().zip(&words).all(|(a, b)| a == *b))
            .max_by_key(|command| command.len())
            .unwrap_or_default();
        let name = words[place - 1];
        of_program()
            .find(|option| option.command == command && option.name() == name)
            .unwrap_or_else(|| panic!("{} {command} has no {name}", self.program))
    }

    fn with(&self, place: &Place, output: &str) -> Output {
        place.run(self.program, &self.words.replace("OUTPUT", output))
    }

    /// The run is refused as wrong usage, says why, and touches nothing.
    fn is_refused(&self, place: &Place, output: &str, why: &str, faults: &mut Vec<String>) {
        let before = place.files();
        let result = self.with(place, output);
        let stderr = String::from_utf8_lossy(&result.stderr);
        if result.status.code() != Some(2) || !stderr.contains(why) {
            faults.push(format!(
                "{} {} with {output} is not refused ({why}): {}",
                self.program,
                self.words,
                said(&result)
            ));
        }
        if place.files() != before {
            faults
                .push(format!("{} {} with {output} was refused and changed files", self.program, self.words));
        }
    }
}

fn runs() -> impl Iterator<Item = &'static Run> {
    RUNS.iter().filter(|run| CHECKED.contains(&run.program))
}

#[test]
fn every_output_option_has_a_run() {
    let with_run: Vec<String> = runs().map(|run| run.option().to_string()).collect();
    // A positional argument is the second form of --output.
    let outputs = options().iter().filter(|option| option.is_output() && option.long.is_some());
    let faults: Vec<String> =
        outputs.map(ToString::to_string).filter(|output| !with_run.contains(output)).collect();
    assert!(faults.is_empty(), "give these a run in RUNS:\n{}", faults.join("\n"));
    for run in runs() {
        assert_eq!(run.option().kind, kind_of(run.form), "{}", run.option());
    }
}

#[test]
fn what_would_cost_work_or_data_is_refused_before_the_work() {
    let mut faults = Vec::new();
    for run in runs() {
        let place = Place::new();
        fs::create_dir(place.at("a-folder")).unwrap();
        if run.form != Form::Folder {
            run.is_refused(&place, "no-such-folder/file.svg", "no-such-folder", &mut faults);
            run.is_refused(&place, "a-folder", "folder", &mut faults);
        }
        for input in run.inputs {
            run.is_refused(&place, input, input, &mut faults);
            let link = format!("link-to-{input}");
            symlink(input, place.at(&link)).unwrap();
            run.is_refused(&place, &link, input, &mut faults);
            fs::remove_file(place.at(&link)).unwrap();
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn two_outputs_of_one_run_are_two_files() {
    let mut faults = Vec::new();
    for run in runs() {
        let option = run.option();
        let others = options().iter().filter(|other| {
            other.is_output() && (other.program, &other.command) == (option.program, &option.command)
        });
        for other in others.filter(|other| other.name() != option.name() && other.long.is_some()) {
            let place = Place::new();
            let long = other.long.as_deref().unwrap_or_default();
            let words = format!("{} --{long} both.svg", without(run.words, long));
            let both = Run { words: String::leak(words), ..*run };
            both.is_refused(&place, "both.svg", "one file", &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn text_goes_to_devices_pipes_links_and_standard_output() {
    for run in runs().filter(|run| run.form == Form::Text) {
        let place = Place::new();
        let succeeds = |output: &str| {
            let result = run.with(&place, output);
            assert!(result.status.success(), "{} {} to {output}: {}", run.program, run.words, said(&result));
            result
        };
        succeeds("plain");
        let plain = fs::read(place.at("plain")).unwrap();
        assert!(!plain.is_empty());

        // `-` is standard output, and what the program has to say goes to standard error.
        for name in ["-", "/dev/stdout"] {
            let result = succeeds(name);
            assert_eq!(
                String::from_utf8_lossy(&result.stdout),
                String::from_utf8_lossy(&plain),
                "{}",
                run.option()
            );
        }
        assert!(!place.at("-").exists());

        fs::write(place.at("target"), "old").unwrap();
        symlink("target", place.at("link")).unwrap();
        symlink("new", place.at("dangling")).unwrap();
        for (link, target) in [("link", "target"), ("dangling", "new")] {
            succeeds(link);
            assert!(fs::symlink_metadata(place.at(link)).unwrap().is_symlink(), "{}: {link}", run.option());
            assert_eq!(fs::read(place.at(target)).unwrap(), plain, "{}: {link}", run.option());
        }

        assert!(Command::new("mkfifo").arg(place.at("fifo")).status().unwrap().success());
        let fifo = place.at("fifo");
        let reader = std::thread::spawn(move || fs::read(fifo).unwrap());
        succeeds("fifo");
        assert_eq!(reader.join().unwrap(), plain, "{}", run.option());
        assert!(fs::metadata(place.at("fifo")).unwrap().file_type().is_fifo());

        // A device of our own: who may make one could also destroy the machine's.
        if Command::new("mknod")
            .arg(place.at("null"))
            .args(["c", "1", "3"])
            .output()
            .is_ok_and(|o| o.status.success())
        {
            let before = fs::metadata(place.at("null")).unwrap();
            succeeds("null");
            let after = fs::symlink_metadata(place.at("null")).unwrap();
            assert!(after.file_type().is_char_device() && after.ino() == before.ino(), "{}", run.option());
        }
    }
}

#[test]
fn what_needs_a_file_says_so() {
    let mut faults = Vec::new();
    for run in runs().filter(|run| run.form != Form::Text) {
        let place = Place::new();
        run.is_refused(&place, "-", "standard output", &mut faults);
        if run.form == Form::File {
            // Some are refused for the ending already.
            run.is_refused(&place, "/dev/stdout", &run.option().name(), &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
