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
        Form::Text,
        "compare --trials trials --utt2spk utt2spk --scores a=scores --scores b=scores --bootstrap 20 --report-out OUTPUT",
        &["trials", "scores", "utt2spk"],
    ),
    run(
        "ffsvc-score",
        Form::Text,
        "errors --trials trials --scores scores --report-out OUTPUT",
        &["trials", "scores"],
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
    run(
        "ffsvc-score",
        Form::Text,
        "report --trials trials --scores scores --utt2spk utt2spk --output OUTPUT",
        &["trials", "scores", "utt2spk"],
    ),
    run("ffsvc-cluster", Form::Folder, "kmeans e.npz --k 6 --output OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::Folder, "ahc e.npz --k 6 --output OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::Folder, "sweep e.npz --k 2..6:2 --output OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::File, "sweep e.npz --k 2..6:2 --output sweep --plot-out OUTPUT", &["e.npz"]),
    run("ffsvc-cluster", Form::Folder, "labels clusters data --output OUTPUT", &["clusters", "data"]),
    run(
        "ffsvc-data",
        Form::Folder,
        "combine corpus/train corpus/dev --output OUTPUT",
        &["corpus/train", "corpus/dev"],
    ),
    run("ffsvc-data", Form::Folder, "subset corpus/train --count 2 --output OUTPUT", &["corpus/train"]),
    run("ffsvc-data", Form::Folder, "split corpus/train --parts 2 --output OUTPUT", &["corpus/train"]),
    run("ffsvc-data", Form::Text, "utt2spk-to-spk2utt utt2spk --output OUTPUT", &["utt2spk"]),
    run("ffsvc-data", Form::Text, "spk2utt-to-utt2spk spk2utt --output OUTPUT", &["spk2utt"]),
    run("ffsvc-data", Form::Folder, "synth OUTPUT", &[]),
    run(
        "ffsvc-data",
        Form::Folder,
        "prepare voxceleb1 vox1 OUTPUT --trials veri_test2.txt",
        &["vox1", "veri_test2.txt"],
    ),
    run("ffsvc-data", Form::Folder, "prepare voxceleb2 vox2 OUTPUT", &["vox2"]),
    run("ffsvc-data", Form::Folder, "prepare ffsvc2020 ffsvc2020 OUTPUT", &["ffsvc2020"]),
    run(
        "ffsvc-data",
        Form::Folder,
        "prepare ffsvc2022-dev ffsvc2022-dev OUTPUT --meta dev_meta_list --trials trials_dev_keys",
        &["ffsvc2022-dev", "dev_meta_list", "trials_dev_keys"],
    ),
    run(
        "ffsvc-data",
        Form::Folder,
        "prepare ffsvc2022-eval ffsvc2022-eval OUTPUT --trials trials_eval",
        &["ffsvc2022-eval", "trials_eval"],
    ),
    run(
        "ffsvc-data",
        Form::Folder,
        "prepare cnceleb-train CN-Celeb_flac CN-Celeb2_flac OUTPUT",
        &["CN-Celeb_flac", "CN-Celeb2_flac"],
    ),
    run("ffsvc-data", Form::Folder, "prepare cnceleb-eval CN-Celeb_flac OUTPUT", &["CN-Celeb_flac"]),
    run("ffsvc-data", Form::Folder, "prepare librispeech LibriSpeech OUTPUT", &["LibriSpeech"]),
    run("ffsvc-data", Form::Folder, "prepare voices VOiCES OUTPUT", &["VOiCES"]),
    run("ffsvc-data", Form::Folder, "prepare musan musan OUTPUT", &["musan"]),
    run("ffsvc-data", Form::Folder, "prepare rirs RIRS_NOISES OUTPUT", &["RIRS_NOISES"]),
    run("ffsvc-data", Form::Folder, "from-folders tree OUTPUT", &["tree"]),
    run("ffsvc-data", Form::Folder, "from-shards shard.list OUTPUT", &["shard.list"]),
    run("ffsvc-data", Form::Folder, "to-shards corpus/dev OUTPUT", &["corpus/dev"]),
    run(
        "ffsvc-data",
        Form::Text,
        "make-trials corpus/dev --enrol-utterances 1 --models-out models --output OUTPUT",
        &["corpus/dev/utt2spk"],
    ),
    run(
        "ffsvc-data",
        Form::Text,
        "make-trials corpus/dev --enrol-utterances 1 --models-out OUTPUT --output new-trials",
        &["corpus/dev/utt2spk"],
    ),
    run("ffsvc-data", Form::Folder, "convert corpus/dev OUTPUT", &["corpus/dev"]),
    run(
        "ffsvc-data",
        Form::Folder,
        "augment corpus/dev OUTPUT --config tiny.toml",
        &["corpus/dev", "tiny.toml"],
    ),
    run("ffsvc-data", Form::Folder, "audio-quality corpus/dev OUTPUT", &[]),
    run("ffsvc-data", Form::Folder, "segment corpus/dev OUTPUT", &["corpus/dev"]),
    run(
        "ffsvc-data",
        Form::Folder,
        "segment corpus/dev OUTPUT --vad silero --vad-model silero.safetensors",
        &["silero.safetensors"],
    ),
    run("ffsvc-data", Form::Folder, "ffsvc-tables dev_meta_list OUTPUT", &["dev_meta_list"]),
    run("ffsvc-train", Form::Folder, "tiny.toml OUTPUT", &["tiny.toml", "corpus/train", "corpus/dev"]),
    run(
        "ffsvc-train",
        Form::Folder,
        "tiny.toml OUTPUT --init-from exp/final.safetensors",
        &["exp/final.safetensors"],
    ),
    run("ffsvc-train", Form::Folder, "tiny.toml out --tensorboard OUTPUT", &["tiny.toml", "corpus/train"]),
    run("ffsvc-train", Form::Text, "report exp --output OUTPUT", &["exp/train.jsonl", "exp/config.toml"]),
    run(
        "ffsvc-extract",
        Form::File,
        "--model exp/final.safetensors corpus/dev --output OUTPUT",
        &["exp/final.safetensors", "corpus/dev/wav.scp"],
    ),
    run(
        "ffsvc-extract",
        Form::File,
        "--model exp/final.safetensors corpus/wav/dev00000/dev00000-00000.wav --output OUTPUT",
        &["exp/final.safetensors", "corpus/wav/dev00000/dev00000-00000.wav"],
    ),
    run("ffsvc-model", Form::File, "import net.pkl --output OUTPUT", &["net.pkl"]),
    run("ffsvc-model", Form::File, "import net.onnx --output OUTPUT", &["net.onnx"]),
    run(
        "ffsvc-model",
        Form::File,
        "export --to wespeaker exp/final.safetensors --output OUTPUT",
        &["exp/final.safetensors"],
    ),
    run(
        "ffsvc-model",
        Form::File,
        "export --to onnx exp/final.safetensors --output OUTPUT",
        &["exp/final.safetensors"],
    ),
    run(
        "ffsvc-model",
        Form::File,
        "export --to onnx --with-front-end exp/final.safetensors --output OUTPUT",
        &["exp/final.safetensors"],
    ),
    run(
        "ffsvc-model",
        Form::File,
        "mean exp/final.safetensors heard.npz --output OUTPUT",
        &["exp/final.safetensors", "heard.npz"],
    ),
    run(
        "ffsvc-model",
        Form::File,
        "average exp/final.safetensors exp/initial.safetensors --output OUTPUT",
        &["exp/final.safetensors", "exp/initial.safetensors"],
    ),
    run(
        "ffsvc-verify",
        Form::Folder,
        "enrol eve corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database OUTPUT",
        &["exp/final.safetensors", "corpus/wav/dev00001/dev00001-00000.wav"],
    ),
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
        let is_it = |option: &&Opt| match name.starts_with("--") {
            true => option.name() == name,
            false => option.is_output() && option.long.is_none(),
        };
        of_program()
            .filter(|option| option.command == command)
            .find(is_it)
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
    let is_named = |option: &Opt| option.long.as_deref() == Some("output");
    let outputs = options().iter().filter(|option| option.is_output()).filter(|option| {
        // A positional argument beside --output is its second form.
        let beside =
            options().iter().filter(|o| (o.program, &o.command) == (option.program, &option.command));
        option.long.is_some() || !beside.into_iter().any(is_named)
    });
    let faults: Vec<String> =
        outputs.map(ToString::to_string).filter(|output| !with_run.contains(output)).collect();
    assert!(faults.is_empty(), "give these a run in RUNS:\n{}", faults.join("\n"));
    for run in runs() {
        let option = run.option();
        assert!(option.is_changed_in_place() || option.kind == kind_of(run.form), "{option}");
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
            let link = format!("link-to-{}", input.replace('/', "-"));
            symlink(input, place.at(&link)).unwrap();
            run.is_refused(&place, &link, &link, &mut faults);
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
    for run in runs().filter(|run| run.form != Form::Text && run.option().is_output()) {
        let place = Place::new();
        run.is_refused(&place, "-", "standard output", &mut faults);
        if run.form == Form::File {
            // Some are refused for the ending already.
            run.is_refused(&place, "/dev/stdout", &run.option().name(), &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
