//! Opening and validating data directories.

use std::path::Path;

use ffsvc_kaldi_io::{DataDir, OpenOptions, ProblemKind, ValidateOptions, WavSource};
use tempfile::TempDir;

/// A folder with these tables.
fn folder(tables: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in tables {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

const WAV: &str = "a1 x y/1.wav\na2 2.wav\nb1 3.wav\n";
const UTT2SPK: &str = "a1 a\na2 a\nb1 b\n";

fn refusal(tables: &[(&str, &str)]) -> String {
    let folder = folder(tables);
    let error = DataDir::open(folder.path()).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

/// Problems as `table:line kind`, audio not looked for.
fn problems(path: &Path) -> Vec<String> {
    let options = ValidateOptions { check_audio: false, ..ValidateOptions::default() };
    let report = DataDir::validate(path, options).unwrap();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    report
        .problems
        .iter()
        .map(|problem| match problem.line {
            Some(line) => format!("{}:{line} {:?}", name(&problem.file), problem.kind),
            None => format!("{} {:?}", name(&problem.file), problem.kind),
        })
        .collect()
}

#[test]
fn all_tables_together() {
    let folder = folder(&[
        ("wav.scp", WAV),
        ("utt2spk", UTT2SPK),
        ("spk2utt", "b b1\na a1 a2\n"),
        ("utt2dur", "b1 2.5\na1 1\n"),
        ("spk2gender", "a f\nb m\n"),
    ]);
    let dir = DataDir::open(folder.path()).unwrap();
    assert_eq!((dir.len(), dir.path()), (3, folder.path()));
    assert_eq!(dir.speakers(), ["b", "a"], "the order of spk2utt");
    let index: Vec<_> = ["a1", "a2", "b1", "c1"].iter().map(|utt| dir.speaker_index(utt)).collect();
    assert_eq!(index, [Some(1), Some(1), Some(0), None]);
    let utterances: Vec<_> = dir.utterances().collect();
    assert_eq!(WavSource::parse(utterances[0].wav), WavSource::File("x y/1.wav".into()));
    let durations: Vec<_> = utterances.iter().map(|utterance| utterance.duration_s).collect();
    assert_eq!(durations, [Some(1.0), None, Some(2.5)]);
    assert_eq!((dir.utterance(2), dir.utterance(3)), (Some(utterances[2]), None));
    assert_eq!((dir.gender("a"), dir.gender("c")), (Some("f"), None));
}

#[test]
fn either_speaker_table_will_do_and_none_too() {
    let open = |tables: &[(&str, &str)]| DataDir::open(folder(tables).path()).unwrap();
    let derived = open(&[("wav.scp", "1 w\n2 w\n3 w\n"), ("utt2spk", "1 b\n2 a\n3 b\n")]);
    assert_eq!(derived.speakers(), ["a", "b"]);
    let inverse = open(&[("wav.scp", "1 w\n2 w\n3 w\n"), ("spk2utt", "b 3 1\na 2\n")]);
    assert_eq!(inverse.speakers(), ["b", "a"]);
    assert_eq!(
        (0..3).map(|utt| inverse.speaker_index_at(utt)).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(0)]
    );
    let none = open(&[("wav.scp", WAV)]);
    assert_eq!((none.has_speakers(), none.speaker_index("a1")), (false, None));
    assert_eq!(none.utterances().next().unwrap().speaker, None);
}

#[test]
fn wrong_labels_are_refused() {
    let with = |utt2spk, spk2utt| refusal(&[("wav.scp", WAV), ("utt2spk", utt2spk), ("spk2utt", spk2utt)]);
    for (message, start) in [
        (
            refusal(&[("wav.scp", WAV), ("utt2spk", "a1 a\nb1 b\n")]),
            "wav.scp:2: the utterance a2 has no speaker",
        ),
        (
            refusal(&[("wav.scp", WAV), ("spk2utt", "a a1\nb b1\n")]),
            "wav.scp:2: the utterance a2 has no speaker",
        ),
        (
            refusal(&[("wav.scp", WAV), ("spk2utt", "a a1 a2\nb b1 a1\n")]),
            "spk2utt:2: the utterance a1 is listed for",
        ),
        (refusal(&[("wav.scp", WAV), ("utt2spk", "a1 a\na2 a x\n")]), "utt2spk:2: found \"a x\" for a2"),
        (with(UTT2SPK, "a a1\nb a2 b1\n"), "spk2utt:2: a2 is listed for b, utt2spk says a;"),
        (with(UTT2SPK, "a a1 a2 a2\nb b1\n"), "spk2utt:1: a2 is listed a second time"),
        (with(UTT2SPK, "a a1\nb b1\n"), "utt2spk:2: spk2utt does not list a2;"),
        (with(UTT2SPK, "a a1 a2\nb b1 b2\n"), "spk2utt:2: b2 is listed for b, utt2spk lacks it;"),
        (refusal(&[("wav.scp", WAV), ("utt2dur", "a1 1\na2 -1\n")]), "utt2dur:2: found \"-1\" for a2"),
        (refusal(&[("wav.scp", WAV), ("utt2dur", "a1 inf\n")]), "utt2dur:1: "),
        (refusal(&[("wav.scp", "")]), "wav.scp: found no utterance"),
        (refusal(&[]), "wav.scp: cannot open"),
    ] {
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn commands_need_leave() {
    let tables = [("wav.scp", "a1 1.wav\na2 sph2pipe 2.sph |\n")];
    let message = refusal(&tables);
    assert!(message.starts_with("wav.scp:2: ") && message.contains("not allowed (allow_pipes)"), "{message}");
    let folder = folder(&tables);
    let dir = DataDir::open_with(folder.path(), OpenOptions { allow_pipes: true }).unwrap();
    assert_eq!(dir.utterance(1).unwrap().wav, "sph2pipe 2.sph |");
    assert_eq!(problems(folder.path()), ["wav.scp:2 Pipe"]);
}

#[test]
fn validation_lists_everything() {
    let folder = folder(&[
        ("wav.scp", "\u{feff}a1 1.wav\r\n\nb1 3.wav\na2 2.wav\na2 other.wav\nc1\n"),
        ("utt2spk", "a1 a\nb1 b b\nd1 d\n"),
        ("spk2utt", "b b1\na a1\ne e1\n"),
        ("utt2dur", "a1 one\nz1 1.0\n"),
        ("spk2gender", "a f\na f\nz m\n"),
    ]);
    std::fs::write(folder.path().join("text"), b"a1 \xff\n").unwrap();
    assert_eq!(
        problems(folder.path()),
        [
            "wav.scp:1 ByteOrderMark",
            "wav.scp:1 CarriageReturn",
            "wav.scp:2 EmptyLine",
            "wav.scp:4 Unsorted",
            "wav.scp:4 NoSpeaker",
            "wav.scp:5 ConflictingKey",
            "wav.scp:6 NoValue",
            "utt2spk:2 BadValue",
            "utt2spk:3 NoAudio",
            "utt2spk:3 SpeakerMismatch",
            "spk2utt:1 NoUtterances",
            "spk2utt:1 SpeakerMismatch",
            "spk2utt:2 Unsorted",
            "spk2utt:3 NoUtterances",
            "spk2utt:3 SpeakerMismatch",
            "spk2gender:2 DuplicateKey",
            "spk2gender:3 NoUtterances",
            "text:1 NotUtf8",
            "utt2dur:1 BadValue",
            "utt2dur:2 NoAudio",
        ]
    );
}

#[test]
fn validation_looks_for_audio_and_for_missing_tables() {
    let folder = folder(&[("1 1.wav", "RIFF")]);
    let wav = format!("a1 {0}/1 1.wav\na2 {0}/2.wav\na3 {0}\n", folder.path().display());
    std::fs::write(folder.path().join("wav.scp"), wav).unwrap();
    let report = DataDir::validate(folder.path(), ValidateOptions::default()).unwrap();
    let lines: Vec<_> = report.problems.iter().map(|problem| (problem.kind, problem.line)).collect();
    assert_eq!(lines, [(ProblemKind::MissingAudio, Some(2)), (ProblemKind::MissingAudio, Some(3))]);
    assert_eq!((report.utterances, report.is_ok()), (3, false));
    let shown = report.display(1).to_string();
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.ends_with("2 x audio file missing (1 not shown)\n"), "{shown}");

    let empty = tempfile::tempdir().unwrap();
    assert_eq!(problems(empty.path()), ["wav.scp MissingTable"]);
    std::fs::write(empty.path().join("wav.scp"), "\n").unwrap();
    assert_eq!(problems(empty.path()), ["wav.scp EmptyTable", "wav.scp:1 EmptyLine"]);
    assert!(DataDir::validate(empty.path().join("nowhere"), ValidateOptions::default()).is_err());
}

#[test]
fn spk2utt_alone_is_validated_too() {
    let folder = folder(&[("wav.scp", WAV), ("spk2utt", "a a1 a1\nb b1 b2\n")]);
    assert_eq!(
        problems(folder.path()),
        ["wav.scp:2 NoSpeaker", "spk2utt:1 SpeakerMismatch", "spk2utt:2 NoAudio"]
    );
}

#[test]
fn a_directory_in_order_has_no_problem() {
    let folder = folder(&[
        ("wav.scp", WAV),
        ("utt2spk", UTT2SPK),
        ("spk2utt", "a a1 a2\nb b1\n"),
        ("utt2dur", "a1 1\n"),
    ]);
    assert!(problems(folder.path()).is_empty());
}

#[test]
fn reports_serialise_with_file_line_and_kind() {
    let folder = folder(&[("wav.scp", "a 1.wav\na 1.wav\n")]);
    let report =
        DataDir::validate(folder.path(), ValidateOptions { check_audio: false, ..Default::default() })
            .unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let problem = &json["problems"][0];
    assert_eq!((&problem["kind"], &problem["line"]), (&"duplicate-key".into(), &2.into()));
    assert_eq!(problem["file"], folder.path().join("wav.scp").to_str().unwrap());
}
