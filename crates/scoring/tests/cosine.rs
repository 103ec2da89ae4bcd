//! Cosines against the baseline's and against double precision, and what happens to utterances without embedding.

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{TrialColumns, TrialReader, Trials};
use ffsvc_scoring::metrics::{Definition, Measures, evaluate};
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::{Error, Scorer, Side, StreamOptions, cosine, mean_embedding, score_trials};
use proptest::prelude::*;
use safetensors::SafeTensors;

fn trials(text: &str) -> Trials {
    Trials::parse("trials", text.as_bytes().to_vec(), TrialColumns::Auto).unwrap()
}

fn store(rows: &[(&str, &[f32])]) -> Embeddings {
    let mut embeddings = Embeddings::new(0);
    for (utterance, row) in rows {
        embeddings.push(*utterance, row).unwrap();
    }
    embeddings
}

fn twenty_thousand_trials_score_as_the_baseline_scores_them() {
    let golden = ffsvc_test_data::shared("golden/scoring");
    let embeddings = Embeddings::read(golden.join("embd_dict.npy")).unwrap();
    let bytes = std::fs::read(golden.join("scores.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let exact = file.tensor("scores_f64").unwrap();
    let exact: Vec<f64> = exact.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    let baseline = file.tensor("scores").unwrap();
    let baseline: Vec<f32> =
        baseline.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();

    let mut of_both_lists = Vec::new();
    for list in ["trials_key_first", "trials_key_last"] {
        let trials = Trials::read(golden.join(list), TrialColumns::Auto).unwrap();
        let side = Side::new(&embeddings);
        let scores = score_trials(&trials, side, side, false).unwrap().scores;
        assert_eq!(scores.len(), 20_000);
        let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
        for (place, score) in scores.iter() {
            ours = ours.max((score - exact[place]).abs());
            theirs = theirs.max((f64::from(baseline[place]) - exact[place]).abs());
        }
        assert!(ours < 6e-8 && ours < theirs, "error {ours:e}, the baseline's {theirs:e}");

        let (target, nontarget) = scores.split(trials.labels.as_deref().unwrap()).unwrap();
        assert_eq!((target.len(), nontarget.len()), (5304, 14696));
        let metrics =
            evaluate(&target, &nontarget, Definition::Compat, &Measures::new(&[Default::default()])).unwrap();
        assert!((metrics.eer - 0.1372515663859447).abs() < 1e-12, "{}", metrics.eer);
        assert!((metrics.min_dcf[0].cost - 0.8116730340224528).abs() < 1e-12);
        assert!((metrics.eer_threshold - 0.16501498222351074).abs() < 2e-7);
        of_both_lists.push(scores);
    }
    assert_eq!(of_both_lists[0], of_both_lists[1]);
}

/// The lists that the field scores, with random embeddings: names, labels and counts come out right.
fn real_trial_lists() {
    let lists = ffsvc_test_data::shared("lists");
    // Counts by awk.
    for (list, counts, strip) in
        [("ffsvc2022/trials_dev_keys", (36_000, 36_000), true), ("vox1-o/trials", (18_802, 18_809), false)]
    {
        let trials = Trials::read(lists.join(list), TrialColumns::Auto).unwrap();
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut embeddings = Embeddings::new(16);
        for name in &trials.names {
            let row: Vec<f32> = (0..16).map(|_| random()).collect();
            embeddings.push(name.strip_suffix(".wav").unwrap_or(name), &row).unwrap();
        }
        let side = Side::new(&embeddings);
        let found = score_trials(&trials, side, side, false).unwrap();
        assert_eq!(found.matched_by_suffix, if strip { trials.names.len() } else { 0 });
        let (target, nontarget) = found.scores.split(trials.labels.as_deref().unwrap()).unwrap();
        assert_eq!((target.len(), nontarget.len()), counts);
        let reader = TrialReader::open(lists.join(list), TrialColumns::Auto).unwrap();
        let streamed = Scorer::new(side, side, None)
            .unwrap()
            .score_stream(reader, StreamOptions::new(), &mut [])
            .unwrap();
        assert!(streamed.target.iter().map(|&score| f64::from(score)).eq(target.iter().copied()));
        assert!(streamed.nontarget.iter().map(|&score| f64::from(score)).eq(nontarget.iter().copied()));
        assert_eq!(streamed.counts.matched_by_suffix, found.matched_by_suffix);
        assert_eq!(streamed.trials, SourceFile::identify(lists.join(list)).unwrap());
        let metrics =
            evaluate(&target, &nontarget, Definition::Tied, &Measures::new(&[Default::default()])).unwrap();
        // Random embeddings know nothing about speakers.
        assert!((metrics.eer - 0.5).abs() < 0.02, "{list}: {}", metrics.eer);
        assert!(metrics.min_dcf[0].cost > 0.98);
        // A pair's score is the two embeddings' cosine.
        let (a, b) = trials.pairs[100];
        let key = |id: u32| trials.names[id as usize].trim_end_matches(".wav");
        let pair = cosine(embeddings.get(key(a)).unwrap(), embeddings.get(key(b)).unwrap());
        assert!((found.scores.get(100).unwrap() - f64::from(pair)).abs() < 1e-7);
    }
}

#[test]
fn special_vectors() {
    assert_eq!(cosine(&[0.0, 0.0], &[1.0, 2.0]), 0.0);
    assert_eq!(cosine(&[0.0, 0.0], &[0.0, 0.0]), 0.0);
    assert_eq!(cosine(&[3e38, 3e38], &[3e38, 3e38]), 1.0);
    assert_eq!(cosine(&[1e-40, 0.0], &[1e-40, 0.0]), 1.0);
    assert_eq!(cosine(&[0.3, -0.1, 0.7], &[-0.3, 0.1, -0.7]), -1.0);
    assert!(cosine(&[f32::NAN, 1.0], &[1.0, 1.0]).is_nan());
    assert!(cosine(&[], &[]) == 0.0);
}

#[test]
fn missing_utterances_are_named_or_skipped() {
    let trials = trials("1 a b\n0 a x\n0 y b\n1 b a\n0 x y\n");
    let embeddings = store(&[("a", &[1.0, 0.0]), ("b", &[1.0, 1.0])]);
    let side = Side::new(&embeddings);
    let error = score_trials(&trials, side, side, false).unwrap_err();
    let Error::MissingEmbeddings { trials: 3, of: 5, utterances } = &error else { panic!("{error}") };
    assert_eq!(utterances.first(), ["x", "y"]);
    assert_eq!(utterances.total(), 2);

    let found = score_trials(&trials, side, side, true).unwrap().scores;
    assert_eq!(found.skipped(), [1, 2, 4]);
    assert_eq!(found.iter().map(|(place, _)| place).collect::<Vec<_>>(), [0, 3]);
    assert_eq!((found.get(0), found.get(1), found.get(9)), (found.get(3), None, None));
    let (target, nontarget) = found.split(trials.labels.as_deref().unwrap()).unwrap();
    assert_eq!((target.len(), nontarget.len()), (2, 0));

    let empty = Embeddings::new(2);
    let none = score_trials(&trials, Side::new(&empty), Side::new(&empty), true).unwrap();
    assert_eq!(none.scores.skipped().len(), 5);
}

#[test]
fn only_the_first_ten_of_many_missing_names_are_listed() {
    let list: String = (0..25).map(|i| format!("1 a m{i:02}\n")).collect();
    let embeddings = store(&[("a", &[1.0])]);
    let side = Side::new(&embeddings);
    let message = score_trials(&trials(&list), side, side, false).unwrap_err().to_string();
    assert!(message.starts_with("25 of 25 trials"), "{message}");
    assert!(message.contains("m00, ") && message.contains("m09 and 15 more"), "{message}");
    assert!(!message.contains("m10"), "{message}");
}

#[test]
fn enrolment_may_have_a_store_of_its_own() {
    // The name 'a' is in both stores, with different embeddings.
    let trials = trials("1 a b\n0 a a\n");
    let enrolment = store(&[("a", &[1.0, 0.0])]);
    let test = store(&[("b", &[1.0, 0.0]), ("a", &[0.0, 2.0])]);
    let found = score_trials(&trials, Side::new(&enrolment), Side::new(&test), false).unwrap().scores;
    assert_eq!((found.get(0), found.get(1)), (Some(1.0), Some(0.0)));
    // 'b' is not needed on the enrolment side, but it would be for a trial that enrols it.
    let swapped = self::trials("1 b a\n");
    let error = score_trials(&swapped, Side::new(&enrolment), Side::new(&test), false).unwrap_err();
    assert!(error.to_string().contains("no embedding for b"), "{error}");

    let wide = store(&[("a", &[1.0, 0.0, 0.0])]);
    let error = score_trials(&trials, Side::new(&wide), Side::new(&test), false).unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 3, expected: 2, .. }), "{error}");
}

#[test]
fn the_mean_is_subtracted_before_lengths_are_normalised() {
    let embeddings = store(&[("a", &[3.0, 1.0]), ("b", &[5.0, 1.0]), ("c", &[4.0, 4.0])]);
    let mean = mean_embedding(&embeddings).unwrap();
    assert_eq!(mean, [4.0, 2.0]);
    let side = Side { embeddings: &embeddings, mean: Some(&mean) };
    let found = score_trials(&trials("1 a b\n0 a c\n"), side, side, false).unwrap().scores;
    // (-1, -1) with (1, -1), and with (0, 2).
    assert!(found.get(0).unwrap().abs() < 1e-7);
    assert!((found.get(1).unwrap() + 0.5_f64.sqrt()).abs() < 1e-7);

    let short = [1.0];
    let wrong = Side { embeddings: &embeddings, mean: Some(&short) };
    assert!(matches!(score_trials(&trials("1 a b\n"), wrong, wrong, false), Err(Error::Dimension { .. })));
    assert!(matches!(mean_embedding(&Embeddings::new(3)), Err(Error::EmptyMean)));
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut embeddings = Embeddings::new(0);
    for i in 0..60_u32 {
        let row: Vec<f32> = (0..37_u32).map(|j| ((i * 37 + j) as f32 * 0.7).sin()).collect();
        embeddings.push(format!("u{i}"), &row).unwrap();
    }
    let line = |(a, b): (u32, u32)| format!("{} u{a} u{b}\n", (a + b) % 2);
    let list: String = (0..3000_u32).map(|i| line((i % 60, i * 7 % 59))).collect();
    let trials = trials(&list);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let side = Side::new(&embeddings);
        pool.install(|| score_trials(&trials, side, side, false).unwrap())
    };
    assert_eq!(with(1), with(5));
}

proptest! {
    #[test]
    fn cosine_is_symmetric_bounded_and_scale_free(
        pair in prop::collection::vec((-1e3_f32..1e3, -1e3_f32..1e3), 1..50),
        exponent in -20_i32..20,
    ) {
        let (a, b): (Vec<f32>, Vec<f32>) = pair.into_iter().unzip();
        let found = cosine(&a, &b);
        prop_assert!((-1.0..=1.0).contains(&found));
        prop_assert_eq!(found, cosine(&b, &a));
        // A power of two scales exactly.
        let scaled: Vec<f32> = a.iter().map(|x| x * 2_f32.powi(exponent)).collect();
        prop_assert!((cosine(&scaled, &b) - found).abs() <= 1e-6);
        let norm = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let exact = a.iter().zip(&b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>() / norm(&a) / norm(&b);
        prop_assert!(exact.is_nan() || (f64::from(found) - exact).abs() < 1e-7);
    }
}

ffsvc_test_data::shared_tests!(twenty_thousand_trials_score_as_the_baseline_scores_them, real_trial_lists);
