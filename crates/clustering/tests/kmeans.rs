//! Promises of K-means: bounds and threads change nothing, empty clusters come back, refinement helps.

use ffsvc_clustering::{Centres, Error, KMeans, KMeansOptions, Metric, Points, Start, SweepOptions, sweep};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Points around `groups` directions, in turns.
fn points(n: usize, dim: usize, groups: usize, spread: f32, seed: u64) -> Points {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut noise = |scale: f32| -> Vec<f32> {
        (0..dim).map(|_| scale * (0..4).map(|_| rng.random::<f32>() - 0.5).sum::<f32>()).collect()
    };
    let means: Vec<Vec<f32>> = (0..groups).map(|_| noise(1.0)).collect();
    let rows = (0..n).flat_map(|row| {
        let noise = noise(spread);
        means[row % groups].iter().zip(noise).map(|(mean, noise)| mean + noise).collect::<Vec<_>>()
    });
    Points::length_normalised(rows.collect(), dim).unwrap()
}

fn on_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn bounds_give_the_plain_algorithms_result_to_the_bit() {
    // Dimensions beyond the depth of one product, numbers of clusters beside multiples of a vector, wide groups.
    for (n, dim, clusters, metric) in [
        (5000, 24, 40, Metric::Euclidean),
        (3000, 70, 17, Metric::Spherical),
        (1500, 600, 48, Metric::Euclidean),
        (2600, 8, 520, Metric::Euclidean),
        (400, 3, 2, Metric::Euclidean),
    ] {
        let points = points(n, dim, 30.min(n / 2), 1.0, 5);
        let mut most = 0;
        for seed in 3..6 {
            let options = KMeansOptions {
                metric,
                start: Start::Random,
                tolerance: 0.0,
                refinements: 0,
                seed,
                ..KMeansOptions::new(clusters)
            };
            let fast = KMeans::fit(&points, &options).unwrap();
            let plain = KMeans::fit(&points, &KMeansOptions { bounds: false, ..options }).unwrap();
            most = most.max(fast.iterations);
            assert_eq!(fast, plain, "{n} x {dim}, {clusters} clusters, seed {seed}");
        }
        assert!(most > 2, "{n} x {dim}: {most} iterations are too easy");
    }
}

#[test]
fn threads_change_nothing() {
    let points = points(9000, 20, 25, 1.0, 9);
    for start in [Start::Random, Start::PlusPlus, Start::Parallel] {
        let options = KMeansOptions { start, restarts: 2, ..KMeansOptions::new(25) };
        let one = on_threads(1, || KMeans::fit(&points, &options).unwrap());
        let three = on_threads(3, || KMeans::fit(&points, &options).unwrap());
        assert_eq!(one, three);
    }
    let options = SweepOptions { silhouette_sample: 500, ..SweepOptions::new(10, 30, 10) };
    let run = || sweep(&points, &options, || ()).unwrap();
    assert_eq!(on_threads(1, run), on_threads(3, run));
}

#[test]
fn every_start_finds_well_separated_groups() {
    let points = points(2000, 16, 20, 0.15, 2);
    for start in [Start::Random, Start::PlusPlus, Start::Parallel] {
        let fit = KMeans::fit(&points, &KMeansOptions { start, ..KMeansOptions::new(20) }).unwrap();
        for (row, &label) in fit.labels.iter().enumerate() {
            assert_eq!(label, fit.labels[row % 20], "row {row}");
        }
        assert_eq!(fit.sizes(), [100; 20]);
        assert!(fit.converged);
    }
}

#[test]
fn refinement_lowers_the_inertia_of_a_bad_start() {
    let points = points(2000, 16, 20, 0.15, 2);
    // All centres in one group: the plain iterations stay in a local optimum.
    let start = Start::Rows((0..20).map(|row| row * 20).collect());
    let options = KMeansOptions { start, ..KMeansOptions::new(20) };
    let refined = KMeans::fit(&points, &options).unwrap();
    let plain = KMeans::fit(&points, &KMeansOptions { refinements: 0, ..options }).unwrap();
    assert!(plain.sizes() != [100; 20]);
    assert_eq!(refined.sizes(), [100; 20]);
    assert!(refined.inertia < plain.inertia);
}

#[test]
fn an_empty_cluster_begins_anew_at_the_farthest_point() {
    let rows = vec![0.0, 0.1, 0.2, 5.0, 5.1, 9.0];
    let points = Points::new(rows, 1).unwrap();
    let start = Start::Centres(Centres::new(vec![0.0, 5.0, 100.0], 1));
    let options = KMeansOptions { start, tolerance: 0.0, refinements: 0, ..KMeansOptions::new(3) };
    let fit = KMeans::fit(&points, &options).unwrap();
    assert_eq!(fit.labels, [0, 0, 0, 1, 1, 2]);
}

#[test]
fn fewer_different_points_than_clusters_leave_clusters_empty() {
    let points = Points::new([1.0, 0.0, 0.0, 1.0].repeat(5), 2).unwrap();
    for start in [Start::Random, Start::PlusPlus, Start::Parallel] {
        let fit = KMeans::fit(&points, &KMeansOptions { start, ..KMeansOptions::new(4) }).unwrap();
        assert_eq!(fit.inertia, 0.0);
        assert_eq!(fit.sizes().iter().sum::<usize>(), 10);
    }
}

#[test]
fn a_subsample_of_all_points_is_all_points() {
    let points = points(600, 12, 10, 1.0, 4);
    let exact = KMeans::fit(&points, &KMeansOptions::new(10)).unwrap();
    for subsample in [Some(600), Some(1000)] {
        assert_eq!(
            KMeans::fit(&points, &KMeansOptions { subsample, ..KMeansOptions::new(10) }).unwrap(),
            exact
        );
    }
    let options = SweepOptions { silhouette_sample: 0, ..SweepOptions::new(5, 15, 5) };
    let kmeans = KMeansOptions { subsample: Some(600), ..KMeansOptions::new(5) };
    let all = sweep(&points, &SweepOptions { kmeans, ..options.clone() }, || ()).unwrap();
    assert_eq!(all, sweep(&points, &options, || ()).unwrap());
}

#[test]
fn the_order_of_the_points_does_not_change_a_subsample() {
    let points = points(500, 5, 10, 1.0, 4);
    let backwards: Vec<u32> = (0..500).rev().collect();
    assert_eq!(points.select(&backwards).subsample(60, 7), points.subsample(60, 7));
    assert!(points.subsample(60, 8) != points.subsample(60, 7));
    let rows = |points: &Points| -> Vec<Vec<u32>> {
        (0..points.len()).map(|row| points.row(row).iter().map(|value| value.to_bits()).collect()).collect()
    };
    let (some, all) = (rows(&points.subsample(60, 7)), rows(&points));
    assert!(some.len() == 60 && some.iter().all(|row| all.contains(row)));
}

#[test]
fn parts_of_the_points_give_nearly_the_centres_of_all() {
    let points = points(12_000, 16, 20, 0.6, 2);
    let exact = KMeans::fit(&points, &KMeansOptions::new(20)).unwrap();
    let subsample = KMeansOptions { subsample: Some(2000), ..KMeansOptions::new(20) };
    let mini_batch = KMeansOptions { mini_batch: Some(500), seed: 3, ..KMeansOptions::new(20) };
    let both = KMeansOptions { subsample: Some(6000), ..mini_batch.clone() };
    let spherical = KMeansOptions { metric: Metric::Spherical, ..mini_batch.clone() };
    for (options, within) in [(subsample, 1.01), (mini_batch, 1.1), (both, 1.1), (spherical, 1.1)] {
        let one = on_threads(1, || KMeans::fit(&points, &options).unwrap());
        assert_eq!(one, on_threads(3, || KMeans::fit(&points, &options).unwrap()));
        let ratio = one.inertia / exact.inertia;
        assert!(ratio < within, "inertia {ratio} times the exact one with {options:?}");
        assert_eq!(one.labels.len(), 12_000);
    }
}

#[test]
fn a_sweep_on_a_subsample_measures_all_points() {
    let points = points(6000, 16, 20, 0.6, 2);
    let options = SweepOptions { silhouette_sample: 500, ..SweepOptions::new(10, 40, 10) };
    let exact = sweep(&points, &options, || ()).unwrap();
    let kmeans = KMeansOptions { subsample: Some(1500), ..KMeansOptions::new(10) };
    let options = SweepOptions { kmeans, ..options };
    let run = || sweep(&points, &options, || ()).unwrap();
    let some = on_threads(1, run);
    assert_eq!(some, on_threads(3, run));
    for (some, exact) in some.iter().zip(&exact) {
        let ratio = some.inertia / exact.inertia;
        assert!((0.99..1.05).contains(&ratio), "K = {}: inertia {ratio} times the exact one", some.clusters);
    }
}

#[test]
fn a_step_to_many_more_clusters_is_as_good_as_small_steps() {
    let points = points(6000, 16, 80, 0.5, 2);
    let kmeans = KMeansOptions { refinements: 0, ..KMeansOptions::new(3) };
    let options = SweepOptions { silhouette_sample: 0, kmeans, ..SweepOptions::new(3, 83, 80) };
    let large = sweep(&points, &options, || ()).unwrap();
    let small = sweep(&points, &SweepOptions { step: 4, ..options }, || ()).unwrap();
    let (large, small) = (large.last().unwrap(), small.last().unwrap());
    assert_eq!((large.clusters, small.clusters), (83, 83));
    let ratio = large.inertia / small.inertia;
    assert!(ratio < 1.05, "inertia {ratio} times that of small steps");
}

#[test]
fn wrong_requests_are_errors() {
    let points = Points::new(vec![1.0, 2.0, 3.0], 1).unwrap();
    let fit = |options: KMeansOptions| KMeans::fit(&points, &options).unwrap_err();
    for clusters in [0, 4] {
        assert!(matches!(fit(KMeansOptions::new(clusters)), Error::Clusters { points: 3, .. }));
    }
    let options = KMeansOptions::new(2);
    assert!(matches!(fit(KMeansOptions { restarts: 0, ..options.clone() }), Error::OutOfRange(_)));
    assert!(matches!(fit(KMeansOptions { tolerance: f64::NAN, ..options.clone() }), Error::OutOfRange(_)));
    assert!(matches!(fit(KMeansOptions { mini_batch: Some(0), ..options.clone() }), Error::OutOfRange(_)));
    assert!(matches!(fit(KMeansOptions { subsample: Some(1), ..options.clone() }), Error::Clusters { .. }));
    for start in
        [Start::Rows(vec![0]), Start::Rows(vec![0, 3]), Start::Centres(Centres::new(vec![1.0; 4], 2))]
    {
        assert!(matches!(fit(KMeansOptions { start, ..options.clone() }), Error::Mismatch { .. }));
    }
    assert!(matches!(Points::new(vec![1.0, f32::NAN], 1), Err(Error::NotFinite { row: 1 })));
    assert!(matches!(Points::length_normalised(vec![1.0, 0.0], 1), Err(Error::ZeroLength { row: 1 })));
    assert!(matches!(Points::new(vec![1.0; 3], 2), Err(Error::Shape { .. })));
}

proptest! {
    /// Duplicates and ties included: coordinates are small whole numbers.
    #[test]
    fn each_label_is_the_first_nearest_centre(
        rows in prop::collection::vec(prop::array::uniform3(-3i8..4), 1..60),
        clusters in 1usize..20,
        seed in 0u64..1000,
    ) {
        let clusters = clusters.min(rows.len());
        let data: Vec<f32> = rows.iter().flatten().map(|&value| f32::from(value)).collect();
        let points = Points::new(data, 3).unwrap();
        let options = KMeansOptions { tolerance: 0.0, seed, ..KMeansOptions::new(clusters) };
        let fit = KMeans::fit(&points, &options).unwrap();
        prop_assert!(fit.converged);
        for (point, &label) in fit.labels.iter().enumerate() {
            let square = |centre: usize| -> f64 {
                let pairs = points.row(point).iter().zip(fit.centres.row(centre));
                pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
            };
            let least = (0..clusters).map(square).fold(f64::INFINITY, f64::min);
            prop_assert!(square(label as usize) <= least + 1e-4);
        }
        let (means, counts) = ffsvc_clustering::validity::means(&points, &fit.labels, clusters).unwrap();
        for cluster in (0..clusters).filter(|&cluster| counts[cluster] > 0) {
            prop_assert_eq!(means.row(cluster), fit.centres.row(cluster));
        }
    }
}
