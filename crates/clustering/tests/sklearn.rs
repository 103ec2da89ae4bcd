//! Measures and trees against scikit-learn and scipy (`tests/peers/sklearn_clusters.py`).

use ffsvc_clustering::Points;
use ffsvc_clustering::ahc::{Cut, Linkage, Tree};
use ffsvc_clustering::quality::Contingency;
use ffsvc_clustering::validity::{calinski_harabasz, davies_bouldin, silhouette};
use serde_json::Value;

fn values() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/clustering/sklearn.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn labels(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|label| label.as_u64().unwrap() as u32).collect()
}

/// Labels numbered in the order of their first points, as the script numbers scipy's.
fn by_appearance(labels: &[u32]) -> Vec<u32> {
    let mut seen = Vec::new();
    let number = |label: &u32| match seen.iter().position(|other| other == label) {
        Some(number) => number as u32,
        None => {
            seen.push(*label);
            seen.len() as u32 - 1
        }
    };
    labels.iter().map(number).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn points(values: &Value) -> Points {
    let data = numbers(&values["validity"]["points"]).into_iter().map(|value| value as f32).collect();
    Points::length_normalised(data, 8).unwrap()
}

#[test]
fn every_measure_of_agreement() {
    for case in values()["quality"].as_array().unwrap() {
        let counts = Contingency::new(&labels(&case["clusters"]), &labels(&case["classes"])).unwrap();
        let quality = serde_json::to_value(counts.quality()).unwrap();
        for measure in [
            "nmi",
            "ari",
            "homogeneity",
            "completeness",
            "v_measure",
            "purity",
            "inverse_purity",
            "pair_precision",
            "pair_recall",
            "pair_f",
            "matched_accuracy",
        ] {
            let (ours, theirs) = (quality[measure].as_f64().unwrap(), case[measure].as_f64().unwrap());
            assert!(
                (ours - theirs).abs() < 1e-12,
                "{}: {measure} is {ours}, expected {theirs}",
                case["name"]
            );
        }
    }
}

#[test]
fn every_measure_without_known_labels() {
    let values = values();
    let expected = |name: &str| values["validity"][name].as_f64().unwrap();
    let (points, labels) = (points(&values), labels(&values["validity"]["labels"]));
    let close = |ours: Option<f64>, name: &str| {
        let ours = ours.unwrap();
        assert!((ours / expected(name) - 1.0).abs() < 1e-5, "{name} is {ours}, expected {}", expected(name));
    };
    close(silhouette(&points, &labels, usize::MAX, 0).unwrap(), "silhouette");
    close(calinski_harabasz(&points, &labels).unwrap(), "calinski_harabasz");
    close(davies_bouldin(&points, &labels).unwrap(), "davies_bouldin");
}

#[test]
fn trees_and_their_cuts() {
    let values = values();
    let points = points(&values);
    for (linkage, name) in [
        (Linkage::Average, "average"),
        (Linkage::Complete, "complete"),
        (Linkage::Single, "single"),
        (Linkage::Ward, "ward"),
        (Linkage::Weighted, "weighted"),
    ] {
        let expected = &values["ahc"][name];
        let tree = Tree::build(&points, linkage).unwrap();
        for (merge, height) in tree.merges().iter().zip(numbers(&expected["heights"])) {
            assert!((merge.2 - height).abs() < 1e-5, "{name}: height {}, expected {height}", merge.2);
        }
        let (found, clusters) = tree.cut(Cut::Clusters(8)).unwrap();
        assert_eq!((by_appearance(&found), clusters), (labels(&expected["k8"]), 8), "{name}");
        let limit = expected["limit"].as_f64().unwrap();
        let (found, _) = tree.cut(Cut::Distance(limit)).unwrap();
        assert_eq!(by_appearance(&found), labels(&expected["cut"]), "{name}");
    }
}
