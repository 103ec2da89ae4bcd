//! Data directories whose utterances are parts of recordings.

use std::fs;
use std::path::Path;

use ffsvc_kaldi_io::{
    CombineOptions, DataDir, FixOptions, OpenOptions, Output, ProblemKind, Segment, Selection, Source,
    SplitBy, Table, ValidateOptions, WavSource,
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

const WAV: (&str, &str) = ("wav.scp", "call1 far field/1.wav\ncall2 2.ark:17\n");
const SEGMENTS: (&str, &str) = ("segments", "a1 call1 0 1.5\na2 call2 2.25 -1\nb1 call1 1.5 3\n");
const UTT2SPK: (&str, &str) = ("utt2spk", "a1 a\na2 a\nb1 b\n");

/// Two speakers in two calls, with every kind of companion table.
fn calls() -> TempDir {
    folder(&[
        WAV,
        SEGMENTS,
        UTT2SPK,
        ("utt2device", "a1 x\na2 y\nb1 x\n"),
        ("spk2gender", "a f\nb m\n"),
        ("reco2dur", "call1 3.0\ncall2 9\n"),
    ])
}

fn read(path: &Path, name: &str) -> String {
    fs::read_to_string(path.join(name)).unwrap()
}

fn kinds(path: &Path) -> Vec<String> {
    let options = ValidateOptions { check_audio: false, ..ValidateOptions::default() };
    let report = DataDir::validate(path, options).unwrap();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    report
        .problems
        .iter()
        .map(|problem| format!("{}:{} {:?}", name(&problem.file), problem.line.unwrap_or(0), problem.kind))
        .collect()
}

fn refusal(segments: &str) -> String {
    let folder = folder(&[WAV, ("segments", segments)]);
    let error = DataDir::open(folder.path()).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn utterances_are_parts_of_recordings() {
    let folder = calls();
    assert!(kinds(folder.path()).is_empty());
    let dir = DataDir::open(folder.path()).unwrap();
    assert!(dir.has_segments());
    let utterances: Vec<_> = dir.utterances().collect();
    let names: Vec<_> = utterances.iter().map(|u| (u.id, u.recording, u.wav, u.speaker.unwrap())).collect();
    assert_eq!(
        names,
        [
            ("a1", "call1", "far field/1.wav", "a"),
            ("a2", "call2", "2.ark:17", "a"),
            ("b1", "call1", "far field/1.wav", "b")
        ]
    );
    assert_eq!(utterances[1].segment, Some(Segment { start_s: 2.25, end_s: None }));
    let durations: Vec<_> = utterances.iter().map(|u| u.duration_s).collect();
    assert_eq!(durations, [Some(1.5), None, Some(1.5)]);
    assert_eq!(utterances[2].audio().wav, WavSource::File("far field/1.wav".into()));
    assert_eq!(utterances[2].audio().segment, Some(Segment { start_s: 1.5, end_s: Some(3.0) }));
    assert_eq!((dir.position("b1"), dir.position("call1"), dir.utterance(3)), (Some(2), None, None));
    assert_eq!((dir.len(), dir.speaker_index("b1")), (3, Some(1)));
}

#[test]
fn lines_that_name_no_part_of_a_recording_are_refused() {
    for (segments, start) in [
        (
            "a1 call1 0 1\na2 call9 0 1\n",
            "segments:2: segment of a recording that wav.scp lacks: call9 of a2",
        ),
        (
            "a1 call1 0 1\na2 call1 1 1\n",
            "segments:2: found \"call1 1 1\" for a2, expected `RECORDING START END`",
        ),
        ("a1 call1 2 1\n", "segments:1: found \"call1 2 1\" for a1"),
        ("a1 call1 -1 1\n", "segments:1: found \"call1 -1 1\""),
        ("a1 call1 0 -2\n", "segments:1: found \"call1 0 -2\""),
        ("a1 call1 0 inf\n", "segments:1: found"),
        ("a1 call1 0\n", "segments:1: found"),
        ("a1 call1 0 1 1\n", "segments:1: found"),
        ("a1 call1 0 1\na1 call1 1 2\n", "segments:2: duplicate key with another value: a1"),
        ("\n", "segments: found no utterance"),
    ] {
        let message = refusal(segments);
        assert!(message.starts_with(start), "{message}");
    }
    let missing = folder(&[WAV, SEGMENTS, ("utt2spk", "a1 a\nb1 b\n")]);
    let message = DataDir::open(missing.path()).unwrap_err().to_string();
    assert!(message.contains("segments:2: the utterance a2 has no speaker in utt2spk"), "{message}");
    let piped = folder(&[("wav.scp", "call1 cat 1.wav |\n"), ("segments", "a1 call1 0 1\n")]);
    assert!(DataDir::open(piped.path()).is_err());
    let dir = DataDir::open_with(piped.path(), OpenOptions { allow_pipes: true }).unwrap();
    assert_eq!(dir.utterance(0).unwrap().audio().wav, WavSource::Pipe("cat 1.wav".into()));
}

#[test]
fn validation_lists_everything() {
    let folder = folder(&[
        ("wav.scp", "call1 1.wav\ncall2 2.wav\n"),
        ("segments", "a1 call1 0 1\na2 call9 0 1\nb1 call1 3 2\na0 call1 0 1\na1 call1 0 2\n"),
        ("utt2spk", "a1 a\na2 a\nb1 b\ncall1 c\n"),
        ("utt2device", "a1 x\ncall1 x\n"),
        ("reco2dur", "a1 1\ncall1 1\n"),
    ]);
    assert_eq!(
        kinds(folder.path()),
        [
            "segments:2 NoRecording",
            "segments:3 BadValue",
            "segments:4 Unsorted",
            "segments:4 NoSpeaker",
            "segments:5 ConflictingKey",
            "wav.scp:2 UnusedRecording",
            "utt2spk:4 NoAudio",
            "reco2dur:1 NoAudio",
            "utt2device:2 NoAudio",
        ]
    );
    fs::write(folder.path().join("segments"), "\n").unwrap();
    assert!(kinds(folder.path()).contains(&"segments:0 EmptyTable".to_owned()));
}

#[test]
fn archives_must_be_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a.ark"), "").unwrap();
    fs::write(at("wav.scp"), format!("a {}:12\nb {}:12\n", at("a.ark"), at("b.ark"))).unwrap();
    let report = DataDir::validate(folder.path(), ValidateOptions::default()).unwrap();
    let found: Vec<_> = report.problems.iter().map(|problem| (problem.kind, problem.line)).collect();
    assert_eq!(found, [(ProblemKind::MissingAudio, Some(2))]);
    let fixed = DataDir::fix(folder.path(), FixOptions { drop_missing_audio: true }).unwrap();
    assert_eq!((fixed.utterances, fixed.dropped[0].utterance.as_str()), (1, "b"));
}

#[test]
fn fix_drops_segments_of_nothing_and_recordings_without_segments() {
    let folder = folder(&[
        ("wav.scp", "call2 2.wav\ncall1 1.wav\ncall3 3.wav\ncall4 4.wav\ncall4 5.wav\n"),
        ("segments", "b1 call1 2 3\na1 call1 0 1\na2 call9 0 1\na3 call2 3 2\na4 call4 0 1\na5 call2 0 1\n"),
        ("utt2spk", "a1 a\na2 a\na3 a\na4 a\nb1 b\n"),
        ("reco2dur", "call1 5\ncall2 5\n"),
        ("utt2device", "a1 x\na2 x\n"),
    ]);
    let path = folder.path();
    let report = DataDir::fix(path, FixOptions::default()).unwrap();
    assert_eq!(read(path, "segments"), "a1 call1 0 1\nb1 call1 2 3\n");
    assert_eq!(read(path, "wav.scp"), "call1 1.wav\n");
    assert_eq!(read(path, "utt2spk"), "a1 a\nb1 b\n");
    assert_eq!((read(path, "reco2dur"), read(path, "utt2device")), ("call1 5\n".into(), "a1 x\n".into()));
    let dropped: Vec<_> = report.dropped.iter().map(|drop| (drop.utterance.as_str(), drop.reason)).collect();
    assert_eq!(
        dropped,
        [
            ("a2", ProblemKind::NoRecording),
            ("a3", ProblemKind::BadValue),
            ("a4", ProblemKind::ConflictingKey),
            ("a5", ProblemKind::NoSpeaker)
        ]
    );
    assert!(kinds(path).is_empty());
    assert!(DataDir::fix(path, FixOptions::default()).unwrap().written.is_empty());
}

#[test]
fn recordings_follow_their_utterances() {
    let folder = calls();
    let dir = DataDir::open(folder.path()).unwrap();
    let out = folder.path().join("subset");
    let selection = Selection::Utterances(vec!["a1".into(), "b1".into()]);
    assert_eq!(dir.subset(&selection, &Output::new(&out)).unwrap(), 2);
    assert_eq!(read(&out, "segments"), "a1 call1 0 1.5\nb1 call1 1.5 3\n");
    assert_eq!(read(&out, "wav.scp"), "call1 far field/1.wav\n");
    assert_eq!(
        (read(&out, "reco2dur"), read(&out, "utt2device")),
        ("call1 3.0\n".into(), "a1 x\nb1 x\n".into())
    );
    assert!(kinds(&out).is_empty());

    let parts = dir.split(2, SplitBy::Speakers, &Output::new(folder.path().join("split"))).unwrap();
    assert_eq!(read(&parts[0].path, "wav.scp"), "call1 far field/1.wav\ncall2 2.ark:17\n");
    assert_eq!(read(&parts[1].path, "segments"), "b1 call1 1.5 3\n");

    let relabelled = folder.path().join("relabelled");
    let label = |utterance: &str| (utterance != "a2").then(|| "new".to_owned());
    assert_eq!(dir.relabel(label, &Output::new(&relabelled)).unwrap(), 2);
    assert_eq!(read(&relabelled, "segments"), "a1 call1 0 1.5\nb1 call1 1.5 3\n");
    assert_eq!(read(&relabelled, "wav.scp"), "call1 far field/1.wav\n");

    // A directory of whole recordings again, over one with segments.
    let cut = folder.path().join("split/1");
    let recording = |utterance: &str| Some(format!("cut/{utterance}.wav"));
    assert_eq!(dir.with_recordings(recording, &Output::new(&cut).overwrite(true)).unwrap(), 3);
    assert_eq!(read(&cut, "wav.scp"), "a1 cut/a1.wav\na2 cut/a2.wav\nb1 cut/b1.wav\n");
    assert!(!cut.join("segments").exists() && !cut.join("reco2dur").exists());
    assert!(kinds(&cut).is_empty());
}

#[test]
fn directories_with_and_without_segments_are_combined() {
    let folder = calls();
    let dir = DataDir::open(folder.path()).unwrap();
    let whole = self::folder(&[("wav.scp", "c1 c.wav\n"), ("utt2spk", "c1 c\n")]);
    let whole = DataDir::open(whole.path()).unwrap();
    let out = folder.path().join("all");
    let sources = [Source { dir: &dir, prefix: "x-" }, Source { dir: &whole, prefix: "" }];
    let combined = DataDir::combine(&sources, CombineOptions::default(), &Output::new(&out)).unwrap();
    assert_eq!((combined.utterances, combined.speakers), (4, 3));
    assert_eq!(
        read(&out, "segments"),
        "c1 c1 0 -1\nx-a1 x-call1 0 1.5\nx-a2 x-call2 2.25 -1\nx-b1 x-call1 1.5 3\n"
    );
    assert_eq!(read(&out, "wav.scp"), "c1 c.wav\nx-call1 far field/1.wav\nx-call2 2.ark:17\n");
    assert!(kinds(&out).is_empty());

    // The parts of a split share recordings.
    let parts = dir.split(3, SplitBy::Utterances, &Output::new(folder.path().join("split"))).unwrap();
    let parts: Vec<DataDir> = parts.iter().map(|part| DataDir::open(&part.path).unwrap()).collect();
    let sources: Vec<Source<'_>> = parts.iter().map(|dir| Source { dir, prefix: "" }).collect();
    let again = folder.path().join("again");
    let shared = CombineOptions { shared_speakers: true };
    DataDir::combine(&sources, shared, &Output::new(&again)).unwrap();
    for table in ["segments", "wav.scp", "utt2spk", "utt2device", "reco2dur"] {
        assert_eq!(read(&again, table), read(folder.path(), table), "{table}");
    }
    let other = self::folder(&[
        ("wav.scp", "call1 other.wav\n"),
        ("segments", "d1 call1 0 1\n"),
        ("utt2spk", "d1 d\n"),
    ]);
    let other = DataDir::open(other.path()).unwrap();
    let clash = [Source { dir: &dir, prefix: "" }, Source { dir: &other, prefix: "" }];
    let error = DataDir::combine(&clash, shared, &Output::new(folder.path().join("no"))).unwrap_err();
    assert!(
        error.to_string().contains("the recording call1 is other.wav here and far field/1.wav in"),
        "{error}"
    );
    assert!(!folder.path().join("no").exists());
}

#[test]
fn utterances_are_cut_into_parts() {
    let folder = calls();
    let dir = DataDir::open(folder.path()).unwrap();
    let out = folder.path().join("cut");
    let parts = |utterance: &str| match utterance {
        "a1" => vec![(0.25, 0.5), (0.75, 1.0)],
        "a2" => vec![(0.0, 0.123_456)],
        _ => Vec::new(),
    };
    assert_eq!(dir.cut(parts, &Output::new(&out)).unwrap(), 3);
    // Times of parts count from the start of the utterance, those of segments from the start of the recording.
    assert_eq!(
        read(&out, "segments"),
        "a1-0000025-0000050 call1 0.25 0.5\na1-0000075-0000100 call1 0.75 1\na2-0000000-0000012 call2 2.25 2.3735\n"
    );
    assert_eq!(read(&out, "spk2utt"), "a a1-0000025-0000050 a1-0000075-0000100 a2-0000000-0000012\n");
    assert_eq!(read(&out, "wav.scp"), "call1 far field/1.wav\ncall2 2.ark:17\n");
    assert_eq!(
        (read(&out, "spk2gender"), read(&out, "reco2dur")),
        ("a f\n".into(), "call1 3.0\ncall2 9\n".into())
    );
    assert!(!out.join("utt2device").exists());
    assert!(kinds(&out).is_empty());

    let refused = |parts: Vec<(f64, f64)>| {
        let output = Output::new(folder.path().join("no"));
        dir.cut(|_| parts.clone(), &output).unwrap_err().to_string()
    };
    assert!(refused(vec![]).contains("no utterance has a part"));
    assert!(refused(vec![(1.0, 1.0)]).contains("the part from 1 s to 1 s of a1 is none"));
    assert!(refused(vec![(-1.0, 1.0)]).contains("from -1 s"));
    assert!(refused(vec![(0.0, f64::NAN)]).contains("is none"));
    assert!(refused(vec![(0.0, 1.0), (0.001, 1.001)]).contains("two parts have the name a1-0000000-0000100"));
    assert!(!folder.path().join("no").exists());
}

proptest! {
    #[test]
    fn any_text_is_a_segment_or_none(text in ".*") {
        if let Some((recording, segment)) = Segment::parse(&text) {
            prop_assert!(segment.start_s >= 0.0 && segment.end_s.is_none_or(|end| end > segment.start_s));
            let line = segment.line_of(recording);
            prop_assert_eq!(Segment::parse(&line), Some((recording, segment)));
        }
    }

    #[test]
    fn segments_are_read_as_they_were_written(start_s in 0.0..1e7_f64, length in prop::option::of(1e-3..1e5_f64)) {
        let segment = Segment { start_s, end_s: length.map(|length| start_s + length) };
        let line = segment.line_of("r");
        prop_assert_eq!(Segment::parse(&line), Some(("r", segment)));
    }

    #[test]
    fn any_bytes_are_a_directory_or_an_error(
        segments in prop::collection::vec(
            prop_oneof![Just("a1"), Just("call1"), Just("0"), Just("1"), Just("-1"), Just(" "), Just("\n"), Just("\u{fe}")],
            0..40,
        ),
    ) {
        let folder = folder(&[("wav.scp", "call1 1.wav\n"), ("segments", &segments.concat())]);
        let report = DataDir::validate(folder.path(), ValidateOptions { check_audio: false, ..Default::default() });
        let is_clean = report.unwrap().is_ok();
        match DataDir::open(folder.path()) {
            Ok(dir) => prop_assert!(dir.utterances().all(|utterance| utterance.recording == "call1")),
            Err(_) => prop_assert!(!is_clean),
        }
        if let Ok(fixed) = DataDir::fix(folder.path(), FixOptions::default()) {
            let dir = DataDir::open(folder.path()).unwrap();
            prop_assert_eq!(dir.len(), fixed.utterances);
            prop_assert_eq!(Table::read(folder.path().join("segments")).unwrap().len(), fixed.utterances);
        }
    }
}
