//! K-means against the baseline's notebook: codes, centres, iteration counts and its curve, from its own start rows.

use std::path::{Path, PathBuf};

use ffsvc_clustering::{Centres, KMeans, KMeansOptions, Points, Start, cosines};
use safetensors::SafeTensors;
use serde_json::Value;

/// The notebook's values.
fn golden() -> (Vec<u8>, Value) {
    read(&ffsvc_test_data::shared("golden/cluster"), "cluster.safetensors", "info.json")
}

/// The committed selection: duplicates and single points.
fn committed() -> (Vec<u8>, Value) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/clustering");
    read(&folder, "notebook.safetensors", "notebook.json")
}

fn read(folder: &Path, tensors: &str, info: &str) -> (Vec<u8>, Value) {
    let tensors = std::fs::read(folder.join(tensors)).unwrap();
    (tensors, serde_json::from_slice(&std::fs::read(folder.join(info)).unwrap()).unwrap())
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> (Vec<f32>, usize) {
    let view = tensors.tensor(name).unwrap();
    let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    (values, view.shape()[1])
}

fn codes(tensors: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let view = tensors.tensor(name).unwrap();
    view.data().as_chunks::<8>().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as u32).collect()
}

fn rows(info: &Value) -> Vec<u32> {
    info["init_indices"].as_array().unwrap().iter().map(|row| row.as_u64().unwrap() as u32).collect()
}

/// The notebook's curve: the mean over the clusters of the mean cosine with the centre.
fn curve(points: &Points, fit: &KMeans) -> f64 {
    let sizes = fit.sizes();
    let mut sums = vec![0.0f64; sizes.len()];
    for (cosine, &label) in cosines(points, &fit.centres, &fit.labels).into_iter().zip(&fit.labels) {
        sums[label as usize] += f64::from(cosine);
    }
    sums.iter().zip(&sizes).map(|(sum, &size)| sum / size as f64).sum::<f64>() / sizes.len() as f64
}

fn check(
    points: &Points,
    tensors: &SafeTensors<'_>,
    name: &str,
    info: &Value,
    start: Start,
    clusters: usize,
) {
    for bounds in [false, true] {
        let options = KMeansOptions { start: start.clone(), bounds, ..KMeansOptions::compat(clusters) };
        let fit = KMeans::fit(points, &options).unwrap();
        assert_eq!(fit.labels, codes(tensors, &format!("{name}.codes")), "{name}, bounds {bounds}");
        assert_eq!(fit.iterations as u64, info["iterations"].as_u64().unwrap(), "{name}");
        assert!(fit.converged);
        let (centres, _) = floats(tensors, &format!("{name}.centers"));
        let error = fit.centres.data().iter().zip(&centres).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // 32-bit sums of up to 1000 points there.
        assert!(error < 2e-6, "{name}: centres differ by {error}");
        let (ours, theirs) = (curve(points, &fit), info["intra_cos"].as_f64().or(info["curve"].as_f64()));
        match theirs {
            Some(theirs) => assert!((ours - theirs).abs() < 2e-6, "{name}: curve {ours}, expected {theirs}"),
            None => assert!(ours.is_nan(), "{name}: curve {ours}, expected nan"),
        }
        if let Some(inertia) = info["inertia"].as_f64() {
            assert!((fit.inertia / inertia - 1.0).abs() < 1e-6, "{name}: inertia {}", fit.inertia);
        }
    }
}

fn every_k_of_the_curve() {
    let (bytes, info) = golden();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (data, dim) = floats(&tensors, "data");
    let points = Points::new(data, dim).unwrap();
    check(&points, &tensors, "fixed40", &info["fixed40"], Start::Rows(rows(&info["fixed40"])), 40);
    for info in info["curve"].as_array().unwrap() {
        let clusters = info["k"].as_u64().unwrap() as usize;
        check(&points, &tensors, &format!("k{clusters}"), info, Start::Rows(rows(info)), clusters);
    }
}

#[test]
fn a_cluster_that_loses_its_points_has_a_centre_of_zero() {
    let (bytes, info) = committed();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (data, dim) = floats(&tensors, "dup.data");
    let start = Start::Centres(Centres::new(floats(&tensors, "dup.init").0, dim));
    check(&Points::new(data, dim).unwrap(), &tensors, "dup", &info["dup"], start, 7);
}

#[test]
fn clusters_of_single_points() {
    let (bytes, info) = committed();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (data, dim) = floats(&tensors, "single.data");
    // The notebook's own start is not recorded; from its centres one update finds nothing to change.
    let start = Start::Centres(Centres::new(floats(&tensors, "single.centers").0, dim));
    let info = serde_json::json!({ "iterations": 1, "curve": info["single"]["curve"] });
    check(&Points::new(data, dim).unwrap(), &tensors, "single", &info, start, 12);
}

ffsvc_test_data::shared_tests!(every_k_of_the_curve);
