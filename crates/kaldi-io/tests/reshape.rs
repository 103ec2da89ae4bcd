//! Repairing, combining, subsetting and splitting data directories.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ffsvc_kaldi_io::{
    CombineOptions, DataDir, FixOptions, OpenOptions, Output, Pick, ProblemKind, Selection, Source, SplitBy,
    ValidateOptions,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn folder(tables: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in tables {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// Three utterances of `a`, two of `b`, one of `c`, with every kind of companion table.
fn corpus() -> TempDir {
    folder(&[
        ("wav.scp", "a1 1.wav\na2 far field/2.wav\na3 3.wav\nb1 4.wav\nb2 5.wav\nc1 6.wav\n"),
        ("utt2spk", "a1 a\na2 a\na3 a\nb1 b\nb2 b\nc1 c\n"),
        ("spk2utt", "a a1 a2 a3\nb b1 b2\nc c1\n"),
        ("utt2dur", "a1 1\na2 2\na3 3\nb1 4\nb2 5\nc1 6\n"),
        ("utt2device", "a1 I1M\na2 L3M\nb1 I1M\n"),
        ("spk2gender", "a f\nb m\nc f\n"),
        ("notes.md", "not a table"),
    ])
}

fn read(path: &Path, name: &str) -> String {
    fs::read_to_string(path.join(name)).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn utterances(path: &Path) -> Vec<String> {
    DataDir::open(path).unwrap().utterances().map(|utterance| utterance.id.to_owned()).collect()
}

fn assert_valid(path: &Path) {
    let report =
        DataDir::validate(path, ValidateOptions { check_audio: false, ..Default::default() }).unwrap();
    assert!(report.is_ok(), "{}", report.display(9));
}

#[test]
fn fix_repairs_what_needs_no_decision() {
    let folder = folder(&[
        (
            "wav.scp",
            "\u{feff}b1 3.wav\r\n\na1 far field/1.wav\na1 far field/1.wav\na2 2.wav\nB1 4.wav\nc1 5.wav\nc1 6.wav\nd1\n",
        ),
        ("utt2spk", "b1 b\na1 a\nB1 B\nc1 c\nz1 z\ne1 e e\n"),
        ("spk2utt", "z z1\n"),
        ("utt2dur", "b1 1.5\na1 none\nz1 1\nB1 2\nB1 3\n"),
        ("spk2gender", "b m\na f\nz m\nB f\n"),
    ]);
    let path = folder.path();
    let before = read(path, "wav.scp");
    let report = DataDir::fix(path, FixOptions::default()).unwrap();
    assert_eq!(read(path, "wav.scp"), "B1 4.wav\na1 far field/1.wav\nb1 3.wav\n");
    assert_eq!(read(path, "utt2spk"), "B1 B\na1 a\nb1 b\n");
    assert_eq!(read(path, "spk2utt"), "B B1\na a1\nb b1\n");
    assert_eq!(read(path, "utt2dur"), "b1 1.5\n");
    assert_eq!(read(path, "spk2gender"), "B f\na f\nb m\n");
    assert_eq!(report.utterances, 3);
    let dropped: Vec<_> = report.dropped.iter().map(|drop| (drop.utterance.as_str(), drop.reason)).collect();
    assert_eq!(dropped, [("a2", ProblemKind::NoSpeaker), ("c1", ProblemKind::ConflictingKey)]);
    assert!(
        report.repaired.iter().any(|problem| problem.kind == ProblemKind::NoValue && problem.what == "d1")
    );
    assert_eq!(report.backup.as_deref(), Some(&*path.join(".backup")));
    assert_eq!(read(&path.join(".backup"), "wav.scp"), before);
    assert_valid(path);

    let again = DataDir::fix(path, FixOptions::default()).unwrap();
    assert_eq!((again.written, again.backup), (vec![], None), "a directory in order is not touched");
    assert_eq!(read(&path.join(".backup"), "wav.scp"), before, "nor is the backup");
}

#[test]
fn fix_makes_utt2spk_of_spk2utt() {
    let folder = folder(&[("wav.scp", "a1 1\nb1 2\nc1 3\n"), ("spk2utt", "b b1 c1\na a1\nc c1\n")]);
    let report = DataDir::fix(folder.path(), FixOptions::default()).unwrap();
    assert_eq!(read(folder.path(), "utt2spk"), "a1 a\nb1 b\n");
    assert_eq!(read(folder.path(), "spk2utt"), "a a1\nb b1\n");
    assert_eq!((report.dropped.len(), report.written.join(" ")), (1, "spk2utt utt2spk wav.scp".into()));
}

#[test]
fn fix_drops_missing_audio_only_when_told() {
    let folder = folder(&[("1.wav", "RIFF")]);
    let path = folder.path();
    let wav = format!("a1 {0}/1.wav\na2 {0}/2.wav\na3 cat 3.wav |\n", path.display());
    fs::write(path.join("wav.scp"), &wav).unwrap();
    assert_eq!(DataDir::fix(path, FixOptions::default()).unwrap().utterances, 3);
    let report = DataDir::fix(path, FixOptions { drop_missing_audio: true }).unwrap();
    assert_eq!((report.utterances, report.dropped[0].reason), (2, ProblemKind::MissingAudio));
    fs::write(path.join("wav.scp"), "a2 nowhere/2.wav\n").unwrap();
    let error = DataDir::fix(path, FixOptions { drop_missing_audio: true }).unwrap_err().to_string();
    assert!(error.contains("no utterance would be left"), "{error}");
    assert_eq!(read(path, "wav.scp"), "a2 nowhere/2.wav\n");
}

#[test]
fn subsets_take_their_tables_along() {
    let corpus = corpus();
    let dir = DataDir::open(corpus.path()).unwrap();
    let out = corpus.path().join("sub");
    let count = dir.subset(&Selection::Speakers(vec!["c".into(), "a".into()]), &Output::new(&out)).unwrap();
    assert_eq!(count, 4);
    assert_eq!(names(&out), ["spk2gender", "spk2utt", "utt2device", "utt2dur", "utt2spk", "wav.scp"]);
    assert_eq!(read(&out, "wav.scp"), "a1 1.wav\na2 far field/2.wav\na3 3.wav\nc1 6.wav\n");
    assert_eq!(read(&out, "spk2utt"), "a a1 a2 a3\nc c1\n");
    assert_eq!(read(&out, "utt2device"), "a1 I1M\na2 L3M\n");
    assert_eq!(read(&out, "spk2gender"), "a f\nc f\n");
    assert_valid(&out);

    let taken = dir.subset(&Selection::Count(1, Pick::First), &Output::new(&out)).unwrap_err().to_string();
    assert!(taken.contains("overwritten"), "{taken}");
    fs::write(out.join("utt2old"), "a1 x\n").unwrap();
    fs::write(out.join("README"), "mine").unwrap();
    let replace = Output::new(&out).overwrite(true);
    assert_eq!(dir.subset(&Selection::Utterances(vec!["b2".into()]), &replace).unwrap(), 1);
    assert_eq!(utterances(&out), ["b2"]);
    assert!(!out.join("utt2old").exists() && out.join("README").exists());
}

#[test]
fn numbers_of_utterances() {
    let corpus = corpus();
    let dir = DataDir::open(corpus.path()).unwrap();
    let out = corpus.path().join("sub");
    let take =
        |selection| dir.subset(&selection, &Output::new(&out).overwrite(true)).map(|_| utterances(&out));
    assert_eq!(take(Selection::Count(2, Pick::First)).unwrap(), ["a1", "a2"]);
    assert_eq!(take(Selection::PerSpeaker(2, Pick::First)).unwrap(), ["a1", "a2", "b1", "b2", "c1"]);
    let random = |seed| take(Selection::Count(5, Pick::Random { seed })).unwrap();
    assert_eq!(random(1), random(1));
    let seen: BTreeSet<_> = (0..30).map(random).collect();
    assert_eq!(seen.len(), 6, "each of the 6 over 5 subsets turns up");
    let one_each: BTreeSet<_> =
        (0..30).map(|seed| take(Selection::PerSpeaker(1, Pick::Random { seed })).unwrap()).collect();
    assert_eq!(one_each.len(), 6, "3 x 2 x 1 ways");
    for bad in [
        Selection::Count(7, Pick::First),
        Selection::Count(0, Pick::First),
        Selection::Speakers(vec!["a".into(), "d".into()]),
        Selection::Utterances(vec!["d1".into()]),
    ] {
        assert!(take(bad).is_err());
    }
    let unlabelled = folder(&[("wav.scp", "a1 1\n")]);
    let unlabelled = DataDir::open(unlabelled.path()).unwrap();
    assert!(unlabelled.subset(&Selection::PerSpeaker(1, Pick::First), &Output::new(&out)).is_err());
}

#[test]
fn combine_refuses_clashes_and_prefixes_resolve_them() {
    let (first, second) = (
        corpus(),
        folder(&[
            ("wav.scp", "a1 other.wav\nx1 x.wav\n"),
            ("utt2spk", "a1 a\nx1 x\n"),
            ("utt2dur", "a1 7\nx1 8\n"),
            ("spk2gender", "a m\nx f\n"),
        ]),
    );
    let dirs = [first.path(), second.path()].map(|path| DataDir::open(path).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("all");
    let combine = |prefixes: [&'static str; 2], shared_speakers| {
        let sources = [0, 1].map(|at| Source { dir: &dirs[at], prefix: prefixes[at] });
        DataDir::combine(&sources, CombineOptions { shared_speakers }, &Output::new(&out).overwrite(true))
    };
    let clash = combine(["", ""], true).unwrap_err().to_string();
    assert!(clash.contains("the utterance a1 is also in") && clash.contains("a prefix"), "{clash}");
    assert!(!out.exists(), "nothing is written");

    let combined = combine(["", "p-"], false).unwrap();
    assert_eq!((combined.utterances, combined.speakers), (8, 5));
    assert_eq!(combined.left_out, ["utt2device"]);
    assert_eq!(read(&out, "spk2utt"), "a a1 a2 a3\nb b1 b2\nc c1\np-a p-a1\np-x p-x1\n");
    assert_eq!(read(&out, "spk2gender"), "a f\nb m\nc f\np-a m\np-x f\n");
    assert_valid(&out);

    let gender = combine(["", "p-"], true).unwrap_err().to_string();
    assert!(gender.contains("a has the value m here and f in another"), "{gender}");
    fs::write(second.path().join("spk2gender"), "a f\nx f\n").unwrap();
    assert_eq!(combine(["", "p-"], true).unwrap().speakers, 4);
    assert_eq!(read(&out, "spk2utt"), "a a1 a2 a3 p-a1\nb b1 b2\nc c1\nx p-x1\n");
    assert!(combine(["", "p "], false).is_err());
}

#[test]
fn combine_refuses_speakers_of_two_directories_and_mixed_labelling() {
    let (first, second) = (
        folder(&[("wav.scp", "a1 1\n"), ("utt2spk", "a1 0\n")]),
        folder(&[("wav.scp", "b1 1\n"), ("utt2spk", "b1 0\n")]),
    );
    let unlabelled = folder(&[("wav.scp", "c1 1\n")]);
    let dirs = [&first, &second, &unlabelled].map(|folder| DataDir::open(folder.path()).unwrap());
    let combine = |chosen: &[usize]| {
        let sources: Vec<_> = chosen.iter().map(|&at| Source { dir: &dirs[at], prefix: "" }).collect();
        let output = Output::new(first.path().join("out"));
        DataDir::combine(&sources, CombineOptions::default(), &output).unwrap_err().to_string()
    };
    assert!(combine(&[0, 1]).contains("let speakers be shared"));
    assert!(combine(&[0, 2]).contains("has no utt2spk"));
    assert!(combine(&[]).contains("no directory"));
    assert!(combine(&[0, 0]).contains("also in"), "a directory with itself");
}

#[test]
fn splits_keep_speakers_together_or_are_even() {
    let corpus = corpus();
    let dir = DataDir::open(corpus.path()).unwrap();
    let output = Output::new(corpus.path().join("split"));
    let parts = dir.split(2, SplitBy::Speakers, &output).unwrap();
    assert_eq!(parts.iter().map(|part| part.utterances).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(utterances(&parts[0].path), ["a1", "a2", "a3"]);
    assert_eq!(utterances(&parts[1].path), ["b1", "b2", "c1"]);
    parts.iter().for_each(|part| assert_valid(&part.path));
    assert!(dir.split(2, SplitBy::Utterances, &output).is_err(), "there already");

    let output = output.overwrite(true);
    let parts = dir.split(4, SplitBy::Utterances, &output).unwrap();
    assert_eq!(parts.iter().map(|part| part.utterances).collect::<Vec<_>>(), [2, 1, 2, 1]);
    assert_eq!(
        parts.iter().flat_map(|part| utterances(&part.path)).collect::<Vec<_>>(),
        utterances(corpus.path())
    );
    for (parts, by) in [(0, SplitBy::Utterances), (7, SplitBy::Utterances), (4, SplitBy::Speakers)] {
        assert!(dir.split(parts, by, &output).is_err());
    }
}

#[test]
fn commands_survive() {
    let folder = folder(&[("wav.scp", "a1 cat 1.wav |\nb1 2.wav\n")]);
    let dir = DataDir::open_with(folder.path(), OpenOptions { allow_pipes: true }).unwrap();
    let out = folder.path().join("sub");
    dir.subset(&Selection::Count(1, Pick::First), &Output::new(&out)).unwrap();
    assert_eq!(read(&out, "wav.scp"), "a1 cat 1.wav |\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the tables hold, nothing panics, and what `fix` writes is in order.
    #[test]
    fn fix_ends_in_a_valid_directory(
        wav in "([ab\u{e9}]{1,2}[ \r]{0,2}[xy \t]{0,3}\r?\n){0,8}",
        utt2spk in proptest::option::of("([ab\u{e9}]{1,2} [xy ]{0,3}\n?){0,8}"),
        spk2utt in proptest::option::of("([xy]{1,2} [ab\u{e9} ]{0,6}\n){0,4}"),
        utt2dur in proptest::option::of("([ab]{1,2} [0-9.e-]{0,3}\n){0,4}"),
        spk2gender in proptest::option::of("([xy]{1,2} [mf]{0,2}\n){0,4}"),
    ) {
        let folder = folder(&[("wav.scp", &wav)]);
        let path = folder.path();
        let tables = [("utt2spk", utt2spk), ("spk2utt", spk2utt), ("utt2dur", utt2dur), ("spk2gender", spk2gender)];
        for (name, content) in tables {
            if let Some(content) = content {
                fs::write(path.join(name), content).unwrap();
            }
        }
        let options = ValidateOptions { check_audio: false, ..Default::default() };
        let was_ok = DataDir::validate(path, options).unwrap().is_ok();
        let opened = DataDir::open(path).map(|dir| dir.len()).ok();
        prop_assert!(!was_ok || opened.is_some(), "what is valid opens");
        if let Ok(report) = DataDir::fix(path, FixOptions::default()) {
            assert_valid(path);
            prop_assert_eq!(DataDir::open(path).unwrap().len(), report.utterances);
            prop_assert!(!was_ok || report.dropped.is_empty());
            prop_assert_eq!(DataDir::fix(path, FixOptions::default()).unwrap().written, Vec::<String>::new());
        } else {
            prop_assert!(!was_ok);
        }
    }

    #[test]
    fn hostile_tables_never_panic(name in 0_usize..5, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = corpus();
        let name = ["wav.scp", "utt2spk", "spk2utt", "utt2dur", "spk2gender"][name];
        fs::write(folder.path().join(name), bytes).unwrap();
        let _ = DataDir::open(folder.path());
        let _ = DataDir::validate(folder.path(), ValidateOptions::default());
        let _ = DataDir::fix(folder.path(), FixOptions::default());
    }

    #[test]
    fn splits_by_speaker_partition_the_speakers(sizes in proptest::collection::vec(1_usize..6, 1..12), parts in 1_usize..5) {
        let mut tables = (String::new(), String::new());
        for (speaker, &size) in sizes.iter().enumerate() {
            for utterance in 0..size {
                let id = format!("s{speaker:02}-{utterance}");
                tables.0 += &format!("{id} {id}.wav\n");
                tables.1 += &format!("{id} s{speaker:02}\n");
            }
        }
        let folder = folder(&[("wav.scp", &tables.0), ("utt2spk", &tables.1)]);
        let dir = DataDir::open(folder.path()).unwrap();
        let split = dir.split(parts, SplitBy::Speakers, &Output::new(folder.path().join("s")));
        prop_assert_eq!(split.is_ok(), parts <= sizes.len());
        let Ok(split) = split else { return Ok(()) };
        let mut speakers: Vec<String> =
            split.iter().flat_map(|part| DataDir::open(&part.path).unwrap().speakers().to_vec()).collect();
        speakers.sort();
        prop_assert_eq!(speakers, dir.speakers().to_vec());
        // Greedy assignment of the largest first: at most one largest speaker between two parts.
        let counts: Vec<_> = split.iter().map(|part| part.utterances).collect();
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        prop_assert!(most - least <= *sizes.iter().max().unwrap(), "{:?}", counts);
    }
}

#[test]
fn labels_take_the_place_of_speakers_and_of_what_is_known_about_them() {
    let corpus = corpus();
    let dir = DataDir::open(corpus.path()).unwrap();
    let out = corpus.path().join("new");
    let label = |utterance: &str| (utterance != "a2" && utterance != "c1").then(|| "p-7".to_owned());
    assert_eq!(dir.relabel(label, &Output::new(&out)).unwrap(), 4);
    assert_eq!(names(&out), ["spk2utt", "utt2device", "utt2dur", "utt2spk", "wav.scp"]);
    assert_eq!(read(&out, "spk2utt"), "p-7 a1 a3 b1 b2\n");
    assert_eq!(read(&out, "utt2device"), "a1 I1M\nb1 I1M\n");
    assert_eq!(DataDir::open(&out).unwrap().speakers(), ["p-7"]);

    assert!(dir.relabel(label, &Output::new(&out)).is_err());
    let other = Output::new(corpus.path().join("other"));
    assert!(dir.relabel(|_| None, &other).unwrap_err().to_string().contains("no utterance has a label"));
    let blank = dir.relabel(|_| Some("a b".to_owned()), &other).unwrap_err().to_string();
    assert!(blank.contains("the label \"a b\" of a1"), "{blank}");
    assert!(!other.path().exists());
}
