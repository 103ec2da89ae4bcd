//! ROC points, EER, detection costs, miss rates and Cllr against scikit-learn (`tests/peers/sklearn_roc.py`).

use ffsvc_scoring::metrics::{DcfParameters, Definition, DetCurve, Measures, evaluate};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    target: Vec<f64>,
    nontarget: Vec<f64>,
    thresholds: Vec<serde_json::Value>,
    fpr: Vec<f64>,
    tpr: Vec<f64>,
    eer: f64,
    min_dcf: Vec<Cost>,
    miss_at_fa: Vec<Miss>,
    cllr: f64,
    min_cllr: f64,
}

#[derive(Deserialize)]
struct Miss {
    p_fa: f64,
    p_miss: f64,
}

#[derive(Deserialize)]
struct Cost {
    p_target: f64,
    c_miss: f64,
    c_fa: f64,
    min: f64,
    actual: f64,
}

#[test]
fn every_measure_agrees_with_scikit_learn_and_numpy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/scoring/sklearn.json");
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(fixture.cases.len(), 7);
    for case in &fixture.cases {
        let curve = DetCurve::new(&case.target, &case.nontarget).unwrap();
        let points: Vec<_> = curve.points().collect();
        assert_eq!(points.len(), case.fpr.len(), "{}", case.name);
        // scikit-learn lists the points by falling threshold.
        for (point, i) in points.iter().rev().zip(0..) {
            let threshold = case.thresholds[i].as_f64().unwrap_or(f64::INFINITY);
            assert_eq!(point.threshold, threshold, "{} point {i}", case.name);
            assert!((point.p_fa - case.fpr[i]).abs() < 1e-12, "{} point {i}", case.name);
            assert!((1.0 - point.p_miss - case.tpr[i]).abs() < 1e-12, "{} point {i}", case.name);
        }
        let eer = curve.eer().rate;
        assert!((eer - case.eer).abs() < 1e-9, "{}: {eer} {}", case.name, case.eer);
        for cost in &case.min_dcf {
            let parameters = DcfParameters::new(cost.p_target, cost.c_miss, cost.c_fa).unwrap();
            let found = curve.min_dcf(&parameters).cost;
            assert!((found - cost.min).abs() < 1e-12, "{}: {found} {}", case.name, cost.min);
            let metrics =
                evaluate(&case.target, &case.nontarget, Definition::Tied, &Measures::new(&[parameters]));
            let found = metrics.unwrap().act_dcf[0].cost;
            assert!((found - cost.actual).abs() < 1e-12, "{}: {found} {}", case.name, cost.actual);
        }
        for miss in &case.miss_at_fa {
            let measures = Measures::new(&[]).with_miss_at_fa(&[miss.p_fa]).unwrap();
            let metrics = evaluate(&case.target, &case.nontarget, Definition::Tied, &measures).unwrap();
            let found = metrics.miss_at_fa[0].p_miss;
            assert!((found - miss.p_miss).abs() < 1e-12, "{} at {}: {found}", case.name, miss.p_fa);
        }
        let metrics = evaluate(&case.target, &case.nontarget, Definition::Tied, &Measures::default());
        let cllr = metrics.unwrap().cllr.unwrap();
        assert!((cllr.actual - case.cllr).abs() < 1e-12, "{}: {cllr:?} {}", case.name, case.cllr);
        assert!((cllr.minimum - case.min_cllr).abs() < 1e-12, "{}: {cllr:?} {}", case.name, case.min_cllr);
    }
}
