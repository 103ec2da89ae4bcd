//! Score files: what is written is read back, in any order, and damaged files are refused.

use std::path::Path;

use ffsvc_kaldi_io::{TrialColumns, Trials};
use ffsvc_scoring::{Error, TrialScores, score_file};
use proptest::prelude::*;

fn trials(text: &str) -> Trials {
    Trials::parse("trials", text.as_bytes().to_vec(), TrialColumns::Auto).unwrap()
}

fn read(text: impl AsRef<[u8]>, trials: &Trials, skip: bool) -> Result<score_file::FileScores, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores");
    std::fs::write(&path, text).unwrap();
    score_file::read(&path, trials, skip)
}

fn values(scores: &TrialScores) -> Vec<Option<f64>> {
    (0..scores.len()).map(|place| scores.get(place)).collect()
}

const LIST: &str = "1 a b\n0 a c\n0 b c\n";

#[test]
fn lines_match_by_names_in_any_order() {
    let trials = trials(LIST);
    let found = read("b c 0.5\na b -1e-3\na c 7\n", &trials, false).unwrap();
    assert_eq!(values(&found.scores), [Some(-1e-3), Some(7.0), Some(0.5)]);
    assert_eq!((found.surplus, found.matched_by_suffix), (0, 0));
    // A label after the score, CR LF, a byte order mark, empty lines and tabs.
    let found =
        read("\u{feff}a\tb\t1\ttarget\r\n\r\nb c 3 nontarget\r\na c 2 nontarget", &trials, false).unwrap();
    assert_eq!(values(&found.scores), [Some(1.0), Some(2.0), Some(3.0)]);
    // Infinite scores are scores.
    let found = read("a b inf\na c -inf\nb c 0\n", &trials, false).unwrap();
    assert_eq!(found.scores.get(0), Some(f64::INFINITY));
}

#[test]
fn scores_alone_are_in_the_order_of_the_trials() {
    let trials = trials(LIST);
    let found = read("0.5\n0.25\n-3\n", &trials, false).unwrap();
    assert_eq!(values(&found.scores), [Some(0.5), Some(0.25), Some(-3.0)]);
    let message = read("0.5\n0.25\n", &trials, true).unwrap_err().to_string();
    assert!(message.contains("2 scores without names") && message.contains("3 trials"), "{message}");
}

#[test]
fn missing_and_surplus_lines_are_counted() {
    let trials = trials(LIST);
    let text = "a b 1\nc a 2\nz a 3\nb c 4\n";
    let error = read(text, &trials, false).unwrap_err();
    let Error::MissingScores { of: 3, trials: missing, .. } = &error else { panic!("{error}") };
    assert_eq!(missing.first(), ["a c"]);
    let found = read(text, &trials, true).unwrap();
    assert_eq!(found.surplus, 2);
    assert_eq!(found.scores.skipped(), [1]);
    assert_eq!(values(&found.scores), [Some(1.0), None, Some(4.0)]);
}

#[test]
fn a_wav_suffix_on_one_side_matches() {
    let with = trials("1 a.wav b.wav\n0 a.wav c.wav\n");
    let found = read("a b 1\na c 2\n", &with, false).unwrap();
    assert_eq!((values(&found.scores), found.matched_by_suffix), (vec![Some(1.0), Some(2.0)], 3));
    let without = trials("1 a b\n0 a c\n");
    let found = read("a.wav b.wav 1\na c.wav 2\n", &without, false).unwrap();
    assert_eq!((values(&found.scores), found.matched_by_suffix), (vec![Some(1.0), Some(2.0)], 3));
    // Names that exist as they are come first.
    let both = trials("1 a b\n0 a.wav b\n");
    let found = read("a.wav b 2\na b 1\n", &both, false).unwrap();
    assert_eq!((values(&found.scores), found.matched_by_suffix), (vec![Some(1.0), Some(2.0)], 0));
}

#[test]
fn pairs_that_stand_in_a_list_twice() {
    let twice = trials("1 a b\n0 a c\n1 a b\n");
    for text in ["a c 2\na b 1\n", "a b 1\na c 2\n", "a b 1\na c 2\na b 1\n"] {
        let found = read(text, &twice, false).unwrap();
        assert_eq!(values(&found.scores), [Some(1.0), Some(2.0), Some(1.0)], "{text}");
    }
    let message = read("b c 1\na b 1\na c 2\nb c 3\n", &trials(LIST), false).unwrap_err().to_string();
    assert!(message.contains(":4:") && message.contains('1') && message.contains('3'), "{message}");
}

#[test]
fn damaged_files_are_refused_by_line() {
    let trials = trials(LIST);
    let cases: [(&[u8], &str); 9] = [
        (b"", "no score"),
        (b"\n\n", "no score"),
        (b"a b 1\na c\n", ":2:"),
        (b"a b 1\n0.3\n", "as many columns"),
        (b"a b one\n", "\"one\""),
        (b"a b NaN\n", "\"NaN\""),
        (b"a b 1\na c 0.5 target extra\n", ":2:"),
        (b"a b 1\n\xff\xfe 3\n", "not UTF-8"),
        (&[b'x'; 100_000], "65536 bytes"),
    ];
    for (text, expected) in cases {
        let message = read(text, &trials, true).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let error = score_file::read(Path::new("no/such/file"), &trials, true).unwrap_err();
    assert!(error.to_string().contains("no/such/file"), "{error}");
}

#[test]
fn a_submission_needs_every_score() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.txt");
    let trials = trials(LIST);
    let scores = TrialScores::new(&trials, vec![0.25, f64::NAN, -1.0], vec![1]).unwrap();
    assert!(matches!(
        score_file::write_ffsvc(&path, &trials, &scores),
        Err(Error::SkippedTrials { skipped: 1, of: 3 })
    ));
    assert!(!path.exists());
    let scores = TrialScores::new(&trials, vec![0.25, 0.1_f32.into(), -1.0], vec![]).unwrap();
    score_file::write_ffsvc(&path, &trials, &scores).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0.25\n0.1\n-1\n");
}

#[test]
fn a_nan_score_names_its_trial() {
    let error = TrialScores::new(&trials(LIST), vec![0.0, f64::NAN, 0.0], vec![]).unwrap_err();
    assert!(error.to_string().contains("trial 2 (a c)"), "{error}");
    assert!(TrialScores::new(&trials(LIST), vec![0.0], vec![]).is_err());
}

proptest! {
    #[test]
    fn written_scores_are_read_back_exactly(
        scores in prop::collection::vec(any::<f32>().prop_filter("NaN", |s| !s.is_nan()), 1..60),
        skip_every in 2_usize..9,
        by_names in any::<bool>(),
    ) {
        let list: String = (0..scores.len()).map(|i| format!("e{} t{i}\n", i % 7)).collect();
        let trials = trials(&list);
        let skipped: Vec<usize> =
            if by_names { (0..scores.len()).step_by(skip_every).skip(1).collect() } else { vec![] };
        let written = TrialScores::new(&trials, scores.iter().map(|&s| s.into()).collect(), skipped).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores");
        if by_names {
            score_file::write(&path, &trials, &written).unwrap();
        } else {
            score_file::write_ffsvc(&path, &trials, &written).unwrap();
        }
        let read = score_file::read(&path, &trials, true).unwrap().scores;
        prop_assert_eq!(read.skipped(), written.skipped());
        for (place, score) in written.iter() {
            prop_assert_eq!(read.get(place).map(|s| s as f32), Some(score as f32));
        }
    }

    #[test]
    fn any_bytes_are_scores_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let trials = trials(LIST);
        if let Ok(found) = read(&bytes, &trials, true) {
            prop_assert_eq!(found.scores.len(), 3);
        }
    }
}
