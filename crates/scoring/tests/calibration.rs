//! Calibration and fusion: against scipy, closed forms, and on speakers that were held out.

use ffsvc_embeddings::{Embeddings, Provenance};
use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::calibration::{
    Calibration, CalibrationFile, Folds, Inputs, LogisticFit, LogisticOptions, Method, QualityMeasure,
    System, TrainedOn, cohort_means, cross_validate, embedding_lengths, fit_logistic, train,
};
use ffsvc_scoring::metrics::{DcfParameters, Definition, Measures, Metrics, evaluate};
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::{Cohort, Error, Pav, ScoreNorm, Side, TrialScores};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

/// Committed by `tests/peers/numpy_backends.py`.
fn peer() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/scoring/calibration.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn logistic_regression_is_scipys() {
    let peer = peer();
    let labels: Vec<bool> = serde_json::from_value(peer["labels"].clone()).unwrap();
    for case in peer["cases"].as_array().unwrap() {
        let inputs: Vec<Vec<f64>> = serde_json::from_value(case["inputs"].clone()).unwrap();
        let options = LogisticOptions {
            prior: case["prior"].as_f64().unwrap(),
            ridge: case["ridge"].as_f64().unwrap(),
        };
        let fit = fit_logistic(&inputs, &labels, options).unwrap();
        let expected = numbers(&case["weights"]).into_iter().chain([case["offset"].as_f64().unwrap()]);
        for (found, expected) in fit.weights.iter().chain([&fit.offset]).zip(expected) {
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{case}: {fit:?}");
        }
        assert!((fit.cost - case["cost"].as_f64().unwrap()).abs() < 1e-10, "{fit:?}");
    }
}

/// The derivatives of the cost by each weight and the offset, straight from its definition.
fn gradient(inputs: &[Vec<f64>], labels: &[bool], prior: f64, fit: &LogisticFit) -> Vec<f64> {
    let logit = (prior / (1.0 - prior)).ln();
    let count = |class| labels.iter().filter(|&&label| label == class).count() as f64;
    let mut gradient = vec![0.0; inputs.len() + 1];
    for (trial, &label) in labels.iter().enumerate() {
        let weighted: f64 =
            inputs.iter().zip(&fit.weights).map(|(input, weight)| weight * input[trial]).sum();
        let posterior = 1.0 / (1.0 + (-(weighted + fit.offset + logit)).exp());
        let slope = if label {
            prior / count(true) * (posterior - 1.0)
        } else {
            (1.0 - prior) / count(false) * posterior
        };
        for (input, sum) in inputs.iter().zip(gradient.iter_mut()) {
            *sum += slope * input[trial];
        }
        gradient[inputs.len()] += slope;
    }
    gradient
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_gradient_vanishes_at_the_optimum(
        trials in prop::collection::vec((-3.0..3.0_f64, -1.0..1.0_f64, any::<bool>()), 30..200),
        prior in 0.01..0.99_f64,
        unit in prop::sample::select(vec![1e-3, 1.0, 1e3]),
    ) {
        let inputs = vec![
            trials.iter().map(|trial| unit * trial.0).collect::<Vec<_>>(),
            trials.iter().map(|trial| trial.1 + 5.0).collect(),
        ];
        let labels: Vec<bool> = trials.iter().map(|trial| trial.2).collect();
        // So few trials may be separable, which is an error.
        let fitted = fit_logistic(&inputs, &labels, LogisticOptions { prior, ridge: 0.0 });
        if let Err(error) = &fitted {
            prop_assert!(error.to_string().contains("separate") || labels.iter().all(|&l| l == labels[0]), "{error}");
        }
        if let Ok(fit) = fitted {
            let gradient = gradient(&inputs, &labels, prior, &fit);
            prop_assert!(gradient[0].abs() < 1e-7 * unit && gradient[1].abs() < 1e-6 && gradient[2].abs() < 1e-7, "{gradient:?}");
        }
    }

    #[test]
    fn splits_share_no_speaker_and_hold_every_trial_out_once(
        owners in prop::collection::vec(0..12_u8, 8..40),
        folds in 3..5_u32,
        seed in any::<u64>(),
    ) {
        let table: String = owners.iter().enumerate().map(|(at, owner)| format!("u{at} s{owner}\n")).collect();
        let table = Table::parse("utt2spk", table.into_bytes()).unwrap();
        let list: String = (1..owners.len()).map(|at| format!("u{} u{at}\n", at * 7 % owners.len())).collect();
        let trials = Trials::parse("trials", list.into_bytes(), TrialColumns::NoLabel).unwrap();
        let Ok(folds) = Folds::by_speaker(&trials, &table, folds, seed) else { return Ok(()) };
        let speaker = |id: u32| table.get(&trials.names[id as usize]).unwrap();
        let mut held_out = Vec::new();
        for split in folds.splits() {
            let of = |place: usize| { let (a, b) = trials.pairs[place]; [speaker(a), speaker(b)] };
            let trained: std::collections::HashSet<_> = split.train.iter().flat_map(|&place| of(place)).collect();
            prop_assert!(split.held_out.iter().all(|&place| of(place).iter().all(|s| !trained.contains(s))));
            held_out.extend(split.held_out);
        }
        held_out.sort_unstable();
        prop_assert_eq!(held_out, (0..trials.pairs.len()).collect::<Vec<_>>());
    }
}

/// Scores `N(1, 0.4^2)` of targets and `N(0, 0.4^2)` of non-targets, one target in ten.
fn gaussian_scores(seed: u64, count: usize) -> (Vec<f64>, Vec<bool>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<bool> = (0..count).map(|at| at % 10 == 0).collect();
    let noise = |random: &mut ChaCha8Rng| 0.4 * Distribution::<f64>::sample(&StandardNormal, random);
    (labels.iter().map(|&label| f64::from(u8::from(label)) + noise(&mut random)).collect(), labels)
}

#[test]
fn gaussian_scores_get_the_closed_forms_slope_and_offset() {
    let (scores, labels) = gaussian_scores(1, 60_000);
    // ln N(s; 1, v) - ln N(s; 0, v) = s / v - 1 / (2 v).
    let variance = 0.16;
    for prior in [0.1, 0.5] {
        let fit = fit_logistic(std::slice::from_ref(&scores), &labels, LogisticOptions { prior, ridge: 0.0 })
            .unwrap();
        assert!((fit.weights[0] * variance - 1.0).abs() < 0.04, "{fit:?}");
        assert!((fit.offset * 2.0 * variance + 1.0).abs() < 0.06, "{fit:?}");
    }
}

fn unnamed(labels: &[bool]) -> Trials {
    let list: String =
        labels.iter().enumerate().map(|(at, &l)| format!("{} e{at} t{at}\n", u8::from(l))).collect();
    Trials::parse("trials", list.into_bytes(), TrialColumns::LabelFirst).unwrap()
}

fn one_system(trials: &Trials, scores: &[f64]) -> Inputs {
    Inputs {
        systems: vec![TrialScores::new(trials, scores.to_vec(), Vec::new()).unwrap()],
        quality: Vec::new(),
    }
}

fn measured(trials: &Trials, scores: &TrialScores) -> Metrics {
    let (target, nontarget) = scores.split(trials.labels.as_deref().unwrap()).unwrap();
    let costs = [DcfParameters::new(0.05, 1.0, 1.0).unwrap()];
    evaluate(&target, &nontarget, Definition::Tied, &Measures::new(&costs)).unwrap()
}

#[test]
fn calibrated_scores_decide_at_the_bayes_threshold_on_other_trials() {
    let (scores, labels) = gaussian_scores(2, 20_000);
    let trials = unnamed(&labels);
    let train_inputs = one_system(&trials, &scores);
    let (scores, other_labels) = gaussian_scores(3, 20_000);
    let other = unnamed(&other_labels);
    let other_inputs = one_system(&other, &scores);
    let before = measured(&other, &other_inputs.systems[0]);
    for method in [Method::Logistic(LogisticOptions { prior: 0.05, ridge: 0.0 }), Method::Pav] {
        let calibration = train(&trials, &train_inputs, method).unwrap();
        let after = measured(&other, &calibration.apply(&other, &other_inputs).unwrap());
        let (cllr_before, cllr) = (before.cllr.unwrap(), after.cllr.unwrap());
        assert!(cllr.actual < cllr_before.actual && cllr.actual < 1.03 * cllr_before.minimum, "{after:?}");
        assert!(after.act_dcf[0].cost < 1.05 * before.min_dcf[0].cost, "{after:?}");
        assert!(before.act_dcf[0].cost > 1.2 * before.min_dcf[0].cost, "{before:?}");
    }
}

#[test]
fn an_infinite_score_is_named_and_trains_nothing() {
    let (mut scores, labels) = gaussian_scores(2, 50);
    scores[7] = f64::INFINITY;
    let trials = unnamed(&labels);
    let inputs = one_system(&trials, &scores);
    for method in [Method::Logistic(LogisticOptions { prior: 0.05, ridge: 0.0 }), Method::Pav] {
        let message = train(&trials, &inputs, method).unwrap_err().to_string();
        assert!(message.contains("trial 8 is inf"), "{message}");
    }
}

#[test]
fn pav_reaches_the_minimal_cllr_on_its_own_trials() {
    let (scores, labels) = gaussian_scores(4, 5_000);
    let trials = unnamed(&labels);
    let inputs = one_system(&trials, &scores);
    let calibration = train(&trials, &inputs, Method::Pav).unwrap();
    let llrs = calibration.apply(&trials, &inputs).unwrap();
    let cllr = measured(&trials, &llrs).cllr.unwrap();
    // Half a trial in the pools of one class costs a little.
    assert!(cllr.actual >= cllr.minimum && cllr.actual < cllr.minimum + 2e-3, "{cllr:?}");
    let (target, nontarget) = inputs.systems[0].split(&labels).unwrap();
    let pav = Pav::fit(&target, &nontarget).unwrap();
    let mixed = pav.pools().iter().find(|pool| pool.target > 5 && pool.nontarget > 5).unwrap();
    let place = scores.iter().position(|&score| score == mixed.high).unwrap();
    assert!((llrs.get(place).unwrap() - pav.log_likelihood_ratio(mixed)).abs() < 1e-12);
}

/// Trials between the utterances of 30 speakers, three each, and their table of speakers.
fn speakers() -> (Trials, Table) {
    let (mut list, mut table) = (String::new(), String::new());
    for a in 0..90 {
        table += &format!("u{a} s{}\n", a / 3);
        for b in 0..a {
            list += &format!("{} u{a} u{b}\n", u8::from(a / 3 == b / 3));
        }
    }
    let trials = Trials::parse("trials", list.into_bytes(), TrialColumns::LabelFirst).unwrap();
    (trials, Table::parse("utt2spk", table.into_bytes()).unwrap())
}

#[test]
fn fusion_beats_each_system_on_held_out_speakers() {
    let (trials, table) = speakers();
    let labels = trials.labels.clone().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut system = |shift: f64, unit: f64| -> Vec<f64> {
        let noise = |random: &mut ChaCha8Rng| Distribution::<f64>::sample(&StandardNormal, random);
        labels.iter().map(|&label| unit * (if label { shift } else { 0.0 } + noise(&mut random))).collect()
    };
    let systems = [system(2.0, 0.1), system(1.6, 20.0)];
    let kept = |scores: &Vec<f64>| TrialScores::new(&trials, scores.clone(), vec![7]).unwrap();
    let inputs = Inputs { systems: systems.iter().map(kept).collect(), quality: Vec::new() };
    let folds = Folds::by_speaker(&trials, &table, 5, 0).unwrap();
    let method = Method::Logistic(LogisticOptions { prior: 0.05, ridge: 0.0 });
    let fused = cross_validate(&trials, &inputs, method, &folds).unwrap();
    assert_eq!(fused.skipped(), [7]);
    let of_fusion = measured(&trials, &fused);
    for system in &inputs.systems {
        let alone = measured(&trials, system);
        assert!(of_fusion.eer < 0.8 * alone.eer && of_fusion.min_dcf[0].cost < alone.min_dcf[0].cost);
    }
    let again = cross_validate(&trials, &inputs, method, &folds).unwrap();
    assert!(fused.iter().eq(again.iter()), "the same folds, the same scores");
    let few = Folds::by_speaker(&trials, &table, 2, 0).unwrap_err().to_string();
    assert!(few.contains("at least 3"), "{few}");
    let partial = Table::parse("utt2spk", b"u0 s0\n".to_vec()).unwrap();
    let missing = Folds::by_speaker(&trials, &partial, 3, 0).unwrap_err().to_string();
    assert!(missing.contains("89 names") && missing.contains("and 79 more"), "{missing}");
}

#[test]
fn a_quality_measure_takes_out_what_it_explains() {
    // Scores of short utterances are higher by as much as the classes differ.
    let (scores, labels) = gaussian_scores(6, 5_000);
    let trials = unnamed(&labels);
    let durations: Vec<f64> = (0..labels.len()).map(|at| if at % 3 == 0 { 1.0 } else { 8.0 }).collect();
    let table: String =
        durations.iter().enumerate().map(|(at, d)| format!("t{at}.wav {d}\ne{at} 20\n")).collect();
    let table = Table::parse("utt2dur", table.into_bytes()).unwrap();
    let shifted: Vec<f64> = scores.iter().zip(&durations).map(|(s, d)| s - 0.5 * d.ln()).collect();
    let mut inputs = one_system(&trials, &shifted);
    let method = Method::Logistic(LogisticOptions { prior: 0.5, ridge: 0.0 });
    let without = train(&trials, &inputs, method).unwrap().apply(&trials, &inputs).unwrap();
    let measure: QualityMeasure = "log-min".parse().unwrap();
    inputs.quality.push(measure.of_trials(&trials, &table).unwrap());
    let calibration = train(&trials, &inputs, method).unwrap();
    let Calibration::Linear { weights, quality_weights, .. } = &calibration else {
        panic!("{calibration:?}")
    };
    assert!((quality_weights[0] / weights[0] - 0.5).abs() < 0.02, "{calibration:?}");
    let with = calibration.apply(&trials, &inputs).unwrap();
    assert!(measured(&trials, &with).eer < measured(&trials, &without).eer - 0.03);

    inputs.quality.clear();
    let error = calibration.apply(&trials, &inputs).unwrap_err().to_string();
    assert!(error.contains("found 0 quality measures, expected 1"), "{error}");
}

#[test]
fn quality_measures_are_of_the_sides_that_they_name() {
    let trials = Trials::parse("t", b"a b\nb a\n".to_vec(), TrialColumns::NoLabel).unwrap();
    let table = Table::parse("q", b"a 2\nb 8\n".to_vec()).unwrap();
    let of = |name: &str| name.parse::<QualityMeasure>().unwrap().of_trials(&trials, &table);
    for (name, expected) in [
        ("enrol", [2.0, 8.0]),
        ("test", [8.0, 2.0]),
        ("min", [2.0, 2.0]),
        ("max", [8.0, 8.0]),
        ("mean", [5.0, 5.0]),
        ("difference", [6.0, 6.0]),
        ("log-test", [8.0_f64.ln(), 2.0_f64.ln()]),
    ] {
        assert_eq!(of(name).unwrap(), expected, "{name}");
        assert_eq!(name.parse::<QualityMeasure>().unwrap().to_string(), name);
    }
    assert!("median".parse::<QualityMeasure>().is_err());
    let faulty = |text: &str, name: &str| {
        let table = Table::parse("q", text.as_bytes().to_vec()).unwrap();
        name.parse::<QualityMeasure>().unwrap().of_trials(&trials, &table).unwrap_err().to_string()
    };
    assert!(faulty("a 2\nb x\n", "min").contains("q:2"), "line");
    assert!(faulty("a 0\nb 1\n", "log-min").contains("positive"));
    assert!(faulty("a 2\n", "min").contains("no value in q: b"));
}

#[test]
fn what_cannot_be_calibrated_is_refused_and_a_ridge_helps() {
    let labels = [true, true, false, false, false];
    let separable = vec![0.9, 0.8, 0.1, 0.2, 0.3];
    let fit =
        |inputs: &[Vec<f64>], ridge| fit_logistic(inputs, &labels, LogisticOptions { prior: 0.1, ridge });
    let error = fit(std::slice::from_ref(&separable), 0.0).unwrap_err().to_string();
    assert!(error.contains("separate") && error.contains("--ridge"), "{error}");
    assert!(fit(std::slice::from_ref(&separable), 1e-6).unwrap().weights[0] > 0.0);
    let mixed = vec![0.9, 0.2, 0.5, 0.1, 0.3];
    let twice = [mixed.clone(), mixed.iter().map(|x| 3.0 * x + 1.0).collect()];
    assert!(fit(&twice, 0.0).unwrap_err().to_string().contains("weighted sum"));
    assert!(fit(&twice, 1e-6).is_ok());
    assert!(fit(&[vec![2.0; 5]], 0.0).unwrap_err().to_string().contains("for all trials"));
    assert!(fit(&[vec![0.9, f64::INFINITY, 0.5, 0.1, 0.3]], 0.0).unwrap_err().to_string().contains("inf"));
    let one_class = fit_logistic(&[vec![1.0, 2.0]], &[true, true], LogisticOptions::default());
    assert!(one_class.unwrap_err().to_string().contains("2 target and 0 non-target"));
    for prior in [0.0, 1.0, f64::NAN] {
        assert!(
            fit_logistic(std::slice::from_ref(&mixed), &labels, LogisticOptions { prior, ridge: 0.0 })
                .is_err()
        );
    }
}

#[test]
fn files_bring_the_same_calibration_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calibration.json");
    let source = |name: &str| SourceFile { path: name.to_owned(), sha256: "00".repeat(32) };
    let calibration = Calibration::Pav { scores: vec![-0.1, 0.3], llrs: vec![-2.0, 2.0] };
    let mut file = CalibrationFile {
        program: "test".to_owned(),
        method: Method::Pav,
        calibration,
        systems: vec![System { scores: source("s"), model: Some(Provenance::new("m", "11")) }],
        quality: Vec::new(),
        trained_on: TrainedOn { trials: source("t"), target: 2, nontarget: 3, skipped: 0 },
    };
    file.write(&path).unwrap();
    assert_eq!(CalibrationFile::read(&path).unwrap(), file);
    file.calibration =
        Calibration::Linear { weights: vec![1.0, 2.0], quality_weights: Vec::new(), offset: 0.0 };
    file.write(&path).unwrap();
    assert!(CalibrationFile::read(&path).unwrap_err().to_string().contains("do not belong together"));
    std::fs::write(&path, "{}").unwrap();
    assert!(CalibrationFile::read(&path).unwrap_err().to_string().contains("is not a calibration"));
}

#[test]
fn embeddings_have_lengths_and_cohort_means() {
    let store = |rows: &[(&str, [f32; 2])]| {
        let mut store = Embeddings::new(2);
        rows.iter().for_each(|(name, row)| store.push(*name, row).unwrap());
        store
    };
    let embeddings = store(&[("a", [4.0, 5.0]), ("b", [1.0, 3.0])]);
    assert_eq!(embedding_lengths(&embeddings, Some(&[1.0, 1.0])).unwrap(), [5.0, 2.0]);
    assert_eq!(embedding_lengths(&embeddings, None).unwrap()[1], 10.0_f64.sqrt());
    let members = store(&[("x", [2.0, 1.0]), ("y", [1.0, 7.0]), ("z", [0.0, 1.0])]);
    let mean: &[f64] = &[1.0, 1.0];
    let side = Side { embeddings: &members, mean: Some(mean) };
    let cohort = Cohort::new(ScoreNorm::AsNorm, side, None, Some(2)).unwrap();
    // Directions (0.6, 0.8) and (0, 1) against (1, 0), (0, 1) and (-1, 0): the two highest cosines.
    let means = cohort_means(&embeddings, Some(mean), &cohort).unwrap();
    assert!((means[0] - 0.7).abs() < 1e-6 && (means[1] - 0.5).abs() < 1e-6, "{means:?}");
    let wrong = embedding_lengths(&embeddings, Some(&[1.0]));
    assert!(matches!(wrong, Err(Error::Dimension { found: 1, expected: 2, .. })));
}
