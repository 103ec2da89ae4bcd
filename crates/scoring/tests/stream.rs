//! Trials as a stream: the scores of the list in memory, in memory that does not grow with the list.

#[path = "../../kaldi-io/tests/memory/mod.rs"]
mod memory;

use std::io::Read;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{TrialColumns, TrialReader, Trials};
use ffsvc_scoring::report::Counts;
use ffsvc_scoring::score_file::{self, ScoreWriter};
use ffsvc_scoring::{Cohort, Error, RemarkKind, ScoreNorm, Scorer, Side, StreamOptions, StreamedScores};

fn random(prefix: &str, suffix: &str, count: usize, dim: usize) -> Embeddings {
    let mut store = Embeddings::new(dim);
    for n in 0..count {
        let row: Vec<f32> = (0..dim).map(|i| ((n * dim + i) as f32 * 12.9898 + dim as f32).sin()).collect();
        store.push(format!("{prefix}{n}{suffix}"), &row).unwrap();
    }
    store
}

/// Trials among utterances `u0` to `u(utterances - 1)`.
fn line(n: usize, utterances: usize) -> String {
    let (a, b) = (n * 7 % utterances, (n * 13 + n / utterances) % utterances);
    format!("{} u{a} u{b}\n", usize::from((a + b).is_multiple_of(5)))
}

fn stream(
    scorer: &mut Scorer<'_>,
    list: impl Read + Send,
    skip_missing: bool,
    outputs: &mut [ScoreWriter],
) -> ffsvc_scoring::Result<StreamedScores> {
    let options = StreamOptions::new().skipping_missing(skip_missing);
    scorer.score_stream(TrialReader::new("trials", list, TrialColumns::Auto)?, options, outputs)
}

fn with_threads<T: Send>(threads: usize, call: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(call)
}

#[test]
fn as_the_list_in_memory() {
    // Some 2.4 megabytes: three blocks, of more lines than a batch of trials.
    let list: String = (0..200_000).map(|n| line(n, 400)).collect();
    let trials = Trials::parse("trials", list.clone().into_bytes(), TrialColumns::Auto).unwrap();
    // Of 400 utterances 380 have an embedding, under names with a suffix that the list does not have.
    let (test, enrolment) = (random("u", ".wav", 380, 19), random("u", "", 400, 19));
    let (test, enrolment) = (Side::new(&test), Side::new(&enrolment));
    let members = random("c", "", 1100, 19);
    let cohort = Cohort::new(ScoreNorm::AsNorm, Side::new(&members), None, Some(40)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (enrolment, cohort) in [(test, None), (enrolment, Some(&cohort))] {
        let scorer = || Scorer::new(enrolment, test, cohort).unwrap();
        let expected = scorer().score_trials(&trials, true).unwrap();
        assert!(expected.scores.skipped().len() > 9_000);
        score_file::write(path("expected"), &trials, &expected.scores).unwrap();
        let (target, nontarget) = expected.scores.split(trials.labels.as_deref().unwrap()).unwrap();
        for threads in [1, 3] {
            let mut outputs = [ScoreWriter::create(path("found")).unwrap()];
            let found =
                with_threads(threads, || stream(&mut scorer(), list.as_bytes(), true, &mut outputs)).unwrap();
            assert!(!path("found").exists(), "the file appears when it is complete");
            outputs.into_iter().for_each(|output| output.commit().unwrap());
            assert!(found.target.iter().map(|&score| f64::from(score)).eq(target.iter().copied()));
            assert!(found.nontarget.iter().map(|&score| f64::from(score)).eq(nontarget.iter().copied()));
            let counts = Counts {
                matched_by_suffix: expected.matched_by_suffix,
                ..Counts::of(&expected.scores, trials.labels.as_deref())
            };
            assert_eq!(found.counts, counts);
            assert_eq!(found.counts.matched_by_suffix, 380);
            assert!(std::fs::read(path("found")).unwrap() == std::fs::read(path("expected")).unwrap());
            std::fs::remove_file(path("found")).unwrap();
        }
        let refused = |streamed: bool| {
            let error = match streamed {
                true => stream(&mut scorer(), list.as_bytes(), false, &mut []).unwrap_err(),
                false => scorer().score_trials(&trials, false).unwrap_err(),
            };
            error.to_string()
        };
        assert_eq!(refused(true), refused(false));
        assert!(refused(true).contains("and 10 more"), "{}", refused(true));
    }
}

#[test]
fn a_list_is_identified_and_submissions_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.txt");
    let store = random("u", "", 3, 4);
    let side = Side::new(&store);
    let mut scorer = Scorer::new(side, side, None).unwrap();
    // A byte order mark and CR LF count for the hash and for nothing else; `printf ... | sha256sum`.
    let list = "\u{feff}u0 u1.wav\r\nu1 u1\r\n";
    let mut outputs = [ScoreWriter::create_ffsvc(&path).unwrap()];
    let found = stream(&mut scorer, list.as_bytes(), false, &mut outputs).unwrap();
    assert_eq!(found.trials.sha256, "6a4219152f4f9ad0bb4d4240e1ca83d650e17f61ab707d985131207638f40f82");
    assert_eq!((found.counts.trials, found.counts.target, found.counts.matched_by_suffix), (2, None, 1));
    assert!(found.target.is_empty() && found.nontarget.is_empty());
    outputs.into_iter().for_each(|output| output.commit().unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    let scores: Vec<f32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(scores.len() == 2 && (scores[1] - 1.0).abs() < 1e-6, "{text}");

    let mut outputs = [ScoreWriter::create_ffsvc(&path).unwrap()];
    let error = stream(&mut scorer, &b"u0 u1\nu0 x\n"[..], true, &mut outputs).unwrap_err();
    assert!(matches!(error, Error::SkippedTrials { skipped: 1, of: 2 }), "{error}");
    let error = stream(&mut scorer, &b"u0 u1\nu0\n"[..], true, &mut []).unwrap_err();
    assert!(error.to_string().contains("trials:2"), "{error}");
}

#[test]
fn contradictions_are_errors_and_repetitions_are_counted() {
    let store = random("u", "", 40, 4);
    let side = Side::new(&store);
    let other = random("u", "", 40, 4);
    let score = |two_stores: bool, list: &str| {
        let enrolment = if two_stores { Side::new(&other) } else { side };
        stream(&mut Scorer::new(enrolment, side, None).unwrap(), list.as_bytes(), false, &mut [])
    };
    let list = "1 u1 u2\n0 u3 u4\n1 u1.wav u2\n1 u2 u1\n0 u3 u4\n1 u5 u5\n";
    let found = score(false, list).unwrap();
    let of = |kind: RemarkKind| found.remarks.iter().find(|remark| remark.kind == kind).unwrap();
    assert_eq!(of(RemarkKind::RepeatedPairs).count, 2);
    assert_eq!(of(RemarkKind::SelfTrials).first, ["u5"]);
    assert!(of(RemarkKind::SelfTrials).to_string().starts_with("trials: 1 trials compare"), "{found:?}");

    for contradiction in ["1 u1 u2\n0 u1 u2\n", "1 u1 u2\n0 u2 u1\n", "1 u1 u2\n0 u3 u4\n0 u1 u2.wav\n"] {
        let error = score(false, contradiction).unwrap_err();
        assert!(matches!(&error, Error::ContradictoryLabels { pairs, .. } if pairs.total() == 1), "{error}");
        assert!(error.to_string().contains("u1 u2"), "{error}");
    }
    // Utterances of two stores have nothing to do with each other, unless the names say so.
    assert!(score(true, "1 u1 u2\n0 u2 u1\n").is_ok());
    assert!(score(true, "1 u1 u2\n0 u1 u2\n").is_err());
    let error = stream(&mut Scorer::new(side, side, None).unwrap(), &b"1 x y\n0 u1 z\n"[..], true, &mut []);
    assert!(matches!(error, Err(Error::NothingScored { trials: 2, .. })));
}

/// A list that is made while it is read.
struct Made {
    next: usize,
    end: usize,
    rest: Vec<u8>,
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.len() < buffer.len() && self.next < self.end {
            // No labels: no score is kept. Long lines, as real ones are.
            self.rest.extend([b' '; 60]);
            self.rest.extend(&line(self.next, 100).as_bytes()[2..]);
            self.next += 1;
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

#[test]
fn memory_does_not_grow_with_the_list() {
    let store = random("u", "", 100, 8);
    let side = Side::new(&store);
    let peak = |trials: usize| {
        let list = Made { next: 0, end: trials, rest: Vec::new() };
        // On the thread that is measured.
        with_threads(1, || {
            let mut scorer = Scorer::new(side, side, None).unwrap();
            let (found, peak) = memory::peak(|| stream(&mut scorer, list, false, &mut []).unwrap());
            assert_eq!(found.counts.trials, trials);
            peak
        })
    };
    // The first list has twice as many blocks as are held at a time.
    let (short, long) = (peak(120_000), peak(500_000));
    assert!(short < 40 << 20, "{short}");
    assert!(long < short + (1 << 16), "{short} and {long} bytes");
}
