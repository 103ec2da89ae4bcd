//! K-means in the place of linfa's own, on linfa's data sets.

use ffsvc_clustering::quality::Contingency;
use ffsvc_clustering::{Error, KMeansOptions, Metric, Points, Start};
use linfa::DatasetBase;
use linfa::traits::{Fit, Predict, Transformer};
use ndarray::{Array1, Array2, array};

/// 300 rows around five centres, the same each time.
fn records() -> Array2<f64> {
    Array2::from_shape_fn((300, 4), |(row, column)| {
        let noise = ((row * 4 + column) as u32).wrapping_mul(2_654_435_761) >> 12;
        let at = if column == row % 5 { 5.0 } else { 0.0 };
        at + f64::from(noise % 1000) / 1000.0 - if row % 5 == 4 { 3.0 } else { 0.0 }
    })
}

#[test]
fn a_data_set_is_clustered_as_linfa_clusters_it() {
    let dataset = DatasetBase::from(records());
    let ours = KMeansOptions::new(5).fit(&dataset).unwrap();
    let labels: Array1<usize> = ours.predict(&dataset);
    assert_eq!(labels.iter().map(|&label| label as u32).collect::<Vec<_>>(), ours.labels);

    let theirs = linfa_clustering::KMeans::params(5).n_runs(10).tolerance(1e-6).fit(&dataset).unwrap();
    let of_linfa: Vec<u32> = theirs.predict(&dataset).iter().map(|&label| label as u32).collect();
    let quality = Contingency::new(&ours.labels, &of_linfa).unwrap().quality();
    assert_eq!(quality.ari, 1.0);
    // Linfa's inertia is the mean square distance of a row.
    let mean = ours.inertia / 300.0;
    assert!((mean - theirs.inertia()).abs() < 1e-4 * mean, "{mean}, linfa {}", theirs.inertia());
    let distances: Array1<f64> = theirs.transform(dataset.records());
    assert!((distances.sum() - ours.inertia).abs() < 1e-4 * ours.inertia);
}

#[test]
fn new_rows_get_the_nearest_centre_and_spherical_ones_whatever_their_length() {
    let dataset = DatasetBase::from(array![[2.0f32, 0.0], [1.0, 0.1], [0.0, 9.0], [0.1, 1.0]]);
    let start = Start::Rows(vec![0, 2]);
    let options = KMeansOptions { metric: Metric::Spherical, start, ..KMeansOptions::new(2) };
    let fit = options.fit(&dataset).unwrap();
    assert_eq!(fit.labels, [0, 0, 1, 1]);
    let new = array![[100.0f64, 90.0], [0.3, 0.2], [-1.0, 7.0]];
    assert_eq!(fit.predict(&new), array![0, 0, 1]);
    let points = Points::new(vec![0.0; 3], 3).unwrap();
    assert!(matches!(fit.nearest(&points), Err(Error::Mismatch { found: 3, expected: 2, .. })));
    assert!(fit.predict(&Array2::<f32>::zeros((0, 2))).is_empty());
}

#[test]
fn what_cannot_be_clustered_is_an_error() {
    let few = DatasetBase::from(array![[1.0f64, 2.0]]);
    assert!(matches!(KMeansOptions::new(2).fit(&few), Err(Error::Clusters { .. })));
    let large = DatasetBase::from(array![[1e300f64, 2.0], [0.0, 1.0]]);
    assert!(matches!(KMeansOptions::new(2).fit(&large), Err(Error::NotFinite { row: 0 })));
}
