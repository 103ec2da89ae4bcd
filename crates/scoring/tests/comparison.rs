//! Paired comparison of systems, and the list of errors.

use std::io::Write;

use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::error_analysis::{ErrorAnalysis, ErrorAnalysisOptions};
use ffsvc_scoring::metrics::{BootstrapOptions, DcfParameters, Measures};
use ffsvc_scoring::{Comparison, TrialScores, compare_systems};

const SPEAKERS: usize = 12;
const OF_SPEAKER: usize = 3;

struct Corpus {
    folder: tempfile::TempDir,
    trials: Trials,
    utt2spk: Table,
}

/// All pairs of the utterances of some speakers.
fn corpus() -> Corpus {
    let folder = tempfile::tempdir().unwrap();
    let utterances: Vec<(usize, String)> = (0..SPEAKERS)
        .flat_map(|speaker| (0..OF_SPEAKER).map(move |n| (speaker, format!("s{speaker:02}-{n}"))))
        .collect();
    let file = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
    let (mut list, mut table) = (file("trials"), file("utt2spk"));
    for (at, (speaker, utterance)) in utterances.iter().enumerate() {
        writeln!(table, "{utterance} s{speaker:02}").unwrap();
        for (other, test) in &utterances[at + 1..] {
            writeln!(list, "{} {utterance} {test}", usize::from(speaker == other)).unwrap();
        }
    }
    let trials = Trials::read(folder.path().join("trials"), TrialColumns::Auto).unwrap();
    let utt2spk = Table::read(folder.path().join("utt2spk")).unwrap();
    Corpus { folder, trials, utt2spk }
}

/// Numbers from 0 to 1 without a pattern.
fn noise(at: usize, seed: u64) -> f64 {
    let mut x =
        (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Scores that are `gap` higher for target trials, with noise of 0 to 1.
fn scores(trials: &Trials, gap: f64, seed: u64) -> TrialScores {
    let labels = trials.labels.as_ref().unwrap();
    let values = labels.iter().enumerate().map(|(at, &is_target)| {
        let target = if is_target { gap } else { 0.0 };
        target + noise(at, seed)
    });
    TrialScores::new(trials, values.collect(), Vec::new()).unwrap()
}

fn compare(corpus: &Corpus, first: &TrialScores, second: &TrialScores) -> Comparison {
    compare_all(corpus, &[first, second]).remove(0)
}

fn compare_all(corpus: &Corpus, systems: &[&TrialScores]) -> Vec<Comparison> {
    let measures = Measures::new(&[DcfParameters::new(0.1, 1.0, 1.0).unwrap()]);
    let options = BootstrapOptions { replicates: 400, seed: 3, level: 0.9 };
    compare_systems(&corpus.trials, systems, &corpus.utt2spk, &measures, options).unwrap()
}

#[test]
fn the_same_ranking_differs_by_nothing() {
    let corpus = corpus();
    let first = scores(&corpus.trials, 0.4, 1);
    let values = first.iter().map(|(_, score)| 3.0 * score - 7.0).collect();
    let second = TrialScores::new(&corpus.trials, values, Vec::new()).unwrap();
    let found = compare(&corpus, &first, &second);
    assert_eq!(found.measures.iter().map(|m| m.measure.as_str()).collect::<Vec<_>>(), ["EER", "minDCF(0.1)"]);
    for measure in &found.measures {
        let interval = measure.interval.unwrap();
        assert_eq!((measure.difference, interval.low, interval.high), (0.0, 0.0, 0.0));
        assert_eq!(measure.p_value, Some(1.0));
        assert!(!measure.is_more_than_chance(0.95));
    }
}

#[test]
fn a_far_better_system_is_better_by_more_than_chance() {
    let corpus = corpus();
    let (worse, better) = (scores(&corpus.trials, 0.1, 1), scores(&corpus.trials, 0.9, 2));
    let found = compare(&corpus, &worse, &better);
    let back = compare(&corpus, &better, &worse);
    for (there, back) in found.measures.iter().zip(&back.measures) {
        assert!(there.difference < 0.0 && there.is_more_than_chance(0.95), "{there:?}");
        assert_eq!(there.p_value, Some(2.0 / 401.0));
        assert_eq!(there.difference, -back.difference);
        let (a, b) = (there.interval.unwrap(), back.interval.unwrap());
        assert!((a.low + b.high).abs() < 1e-12 && (a.high + b.low).abs() < 1e-12, "{a:?} {b:?}");
        assert_eq!(there.p_value, back.p_value);
    }
    let text = found.to_string();
    assert!(text.contains("EER: the second is better by more than chance"), "{text}");
}

/// Two systems with the same errors in all but a little: the interval of the difference is far narrower than the interval of
/// either, because each replicate has the same speakers.
#[test]
fn pairs_cancel_what_speakers_do_to_both() {
    let corpus = corpus();
    let first = scores(&corpus.trials, 0.3, 5);
    let values = first.iter().map(|(at, score)| score + 0.02 * noise(at, 9)).collect();
    let second = TrialScores::new(&corpus.trials, values, Vec::new()).unwrap();
    let width = |comparison: &Comparison| {
        let interval = comparison.measures[0].interval.unwrap();
        interval.high - interval.low
    };
    let paired = width(&compare(&corpus, &first, &second));
    let unrelated = width(&compare(&corpus, &first, &scores(&corpus.trials, 0.3, 6)));
    assert!(paired < 0.5 * unrelated, "{paired} {unrelated}");
}

#[test]
fn trials_that_one_of_them_lacks_do_not_count() {
    let corpus = corpus();
    let first = scores(&corpus.trials, 0.4, 1);
    let mut values: Vec<f64> = first.iter().map(|(_, score)| score).collect();
    values[0] = f64::NAN;
    let second = TrialScores::new(&corpus.trials, values, vec![0]).unwrap();
    let found = compare(&corpus, &first, &second);
    assert_eq!(found.trials, corpus.trials.len() - 1);
    assert_eq!(found.measures[0].difference, 0.0);

    // Of three systems, what one lacks counts for none.
    let third = scores(&corpus.trials, 0.3, 2);
    let found = compare_all(&corpus, &[&first, &third, &second]);
    assert_eq!([found[0].trials, found[1].trials], [corpus.trials.len() - 1; 2]);
}

/// The first system is measured once, which changes nothing.
#[test]
fn several_systems_are_each_compared_with_the_first() {
    let corpus = corpus();
    let [first, second, third] = [1, 2, 3].map(|seed| scores(&corpus.trials, 0.2 * seed as f64, seed));
    let found = compare_all(&corpus, &[&first, &second, &third]);
    assert_eq!(found, [compare(&corpus, &first, &second), compare(&corpus, &first, &third)]);
    assert!(compare_all(&corpus, &[&first]).is_empty());
}

#[test]
fn errors_are_listed_with_the_worst_first() {
    let Corpus { folder, .. } = corpus();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("t"), "1 a1 a2\n1 a1 a3\n1 b1 b2\n0 a1 b1\n0 a2 b2\n0 b1 c1\n").unwrap();
    std::fs::write(path("u"), "a1 a\na2 a\na3 a\nb1 b\nb2 b\nc1 c\n").unwrap();
    std::fs::write(path("d"), "a1 near\na2 far\nb1 near\nb2 far\n").unwrap();
    let trials = Trials::read(path("t"), TrialColumns::Auto).unwrap();
    // At 0.5: a1-a2 and b1-b2 are missed, a1-b1 and b1-c1 accepted; a score at the threshold is accepted.
    let scores = TrialScores::new(&trials, vec![0.4, 0.5, 0.1, 0.5, 0.2, 0.9], Vec::new()).unwrap();
    let mut options = ErrorAnalysisOptions::new(0.5);
    options.utt2spk = Some(Table::read(path("u")).unwrap());
    options.tables = vec![("distance".into(), Table::read(path("d")).unwrap())];
    let found = ErrorAnalysis::new(&trials, &scores, &options).unwrap();
    let worst = |errors: &ffsvc_scoring::error_analysis::Errors| -> Vec<String> {
        let names = errors.worst.iter().map(|trial| format!("{}-{}", trial.enrolment, trial.test));
        names.collect()
    };
    assert_eq!((found.misses.errors, found.misses.trials), (2, 3));
    assert_eq!(worst(&found.misses), ["b1-b2", "a1-a2"]);
    assert_eq!((found.false_alarms.errors, found.false_alarms.trials), (2, 3));
    assert_eq!(worst(&found.false_alarms), ["b1-c1", "a1-b1"]);
    assert_eq!(found.false_alarms.worst[0].described[0].test, "-");
    assert_eq!(found.misses.worst[1].described[0].enrolment, "near");
    // b1: one of one target trial missed, two of two non-target trials accepted.
    let first = &found.utterances[0];
    assert_eq!((first.name.as_str(), first.misses, first.target), ("b1", 1, 1));
    assert_eq!((first.false_alarms, first.nontarget), (2, 2));
    // Speaker b: 1 of 1 and 2 of 3; c: 1 of 1 non-target; a: 1 of 2 and 1 of 2.
    let speakers: Vec<&str> = found.speakers.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(speakers, ["b", "a", "c"]);
    assert_eq!((found.speakers[1].misses, found.speakers[1].target), (1, 2));

    options.top = 1;
    let found = ErrorAnalysis::new(&trials, &scores, &options).unwrap();
    assert_eq!((found.misses.errors, found.misses.worst.len(), found.utterances.len()), (2, 1, 1));
}
