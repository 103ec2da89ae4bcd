//! The baseline's EER, minDCF and DET points, to its own numbers.

use std::path::PathBuf;

use ffsvc_scoring::Error;
use ffsvc_scoring::metrics::{CompatCurve, DcfParameters, Definition, Measures, evaluate};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

const CASES: [&str; 13] = [
    "normal",
    "ties2",
    "ties1",
    "separable",
    "inverted",
    "identical",
    "all_target",
    "all_nontarget",
    "one_each",
    "one_each_equal",
    "one_each_bad",
    "small",
    "negzero",
];

fn data(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/scoring")).join(name)
}

/// A tensor as f64, and whether it was stored as f32.
fn tensor(file: &SafeTensors<'_>, name: &str) -> (Vec<f64>, bool) {
    let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    match view.dtype() {
        Dtype::F64 => {
            (view.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(), false)
        }
        Dtype::F32 => {
            (view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(), true)
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::String(s) => s.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

fn assert_same(found: f64, expected: f64, tolerance: f64, what: &str) {
    let same = (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= tolerance;
    assert!(same, "{what}: found {found}, expected {expected}");
}

#[test]
fn eer_and_min_dcf_are_the_baselines() {
    let bytes = std::fs::read(data("compat.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let info: Value = serde_json::from_slice(&std::fs::read(data("compat.json")).unwrap()).unwrap();
    for case in CASES {
        let (target, is_f32) = tensor(&file, &format!("{case}.target"));
        let (nontarget, _) = tensor(&file, &format!("{case}.nontarget"));
        for (key, p_target) in [("p0.01", 0.01), ("p0.05", 0.05), ("p0.001", 0.001), ("p0.5", 0.5)] {
            let expected = &info[case][key];
            let cost = DcfParameters::new(p_target, 1.0, 1.0).unwrap();
            let curve = CompatCurve::new(&target, &nontarget).unwrap();
            let (eer, min_dcf) = (curve.eer(), curve.min_dcf(&cost));
            let what = |name: &str| format!("{case} {key} {name}");
            assert_same(eer.rate, number(&expected["eer"]), 1e-12, &what("eer"));
            assert_same(eer.threshold, number(&expected["thr"]), 1e-12, &what("thr"));
            assert_same(min_dcf.cost, number(&expected["mindcf"]), 1e-12, &what("mindcf"));
            // The baseline's first threshold (lowest score - 0.001) is in the scores' own precision.
            let tolerance = if is_f32 { 1e-7 } else { 1e-12 };
            let threshold = number(&expected["thr_dcf"]);
            assert_same(min_dcf.threshold, threshold, tolerance, &what("thr_dcf"));
            // The curve has the baseline's odd cases. A result without trials of a class is none.
            match evaluate(&target, &nontarget, Definition::Compat, &Measures::new(&[cost])) {
                Ok(metrics) => {
                    assert_eq!((metrics.eer, metrics.min_dcf[0].cost), (eer.rate, min_dcf.cost));
                    assert!(!target.is_empty() && !nontarget.is_empty(), "{case}");
                }
                Err(error) => assert!(matches!(error, Error::MissingClass { .. }), "{case}: {error}"),
            }
        }
    }
}

fn check_det_points(file: &SafeTensors<'_>, case: &str) {
    let [(target, is_f32), (nontarget, _), (frr, _), (far, _), (thr, _)] =
        ["target", "nontarget", "frr", "far", "thr"].map(|part| tensor(file, &format!("{case}.{part}")));
    let points: Vec<_> = CompatCurve::new(&target, &nontarget).unwrap().points().collect();
    assert_eq!(points.len(), frr.len(), "{case}");
    for (i, point) in points.iter().enumerate() {
        assert_same(point.p_miss, frr[i], 1e-12, &format!("{case} frr[{i}]"));
        assert_same(point.p_fa, far[i], 1e-12, &format!("{case} far[{i}]"));
        let tolerance = if is_f32 && i == 0 { 1e-7 } else { 1e-12 };
        assert_same(point.threshold, thr[i], tolerance, &format!("{case} thr[{i}]"));
    }
}

#[test]
fn det_points_are_the_baselines() {
    let bytes = std::fs::read(data("compat.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let with_points = CASES.iter().filter(|case| file.tensor(&format!("{case}.frr")).is_ok());
    let mut checked = 0;
    for case in with_points {
        check_det_points(&file, case);
        checked += 1;
    }
    assert_eq!(checked, 10);
}

fn det_points_of_twenty_thousand_trials_are_the_baselines() {
    let bytes = std::fs::read(ffsvc_test_data::shared("golden/scoring/scores.safetensors")).unwrap();
    check_det_points(&SafeTensors::deserialize(&bytes).unwrap(), "normal");
}

#[test]
fn no_trial_is_an_error() {
    assert!(CompatCurve::new::<f64>(&[], &[]).is_err());
}

ffsvc_test_data::shared_tests!(det_points_of_twenty_thousand_trials_are_the_baselines);
