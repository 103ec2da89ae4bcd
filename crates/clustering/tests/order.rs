//! The order of the points changes nothing: neither the partition, nor the numbers of the clusters, nor a bit of what is
//! measured.

use ffsvc_clustering::ahc::{Cut, Linkage, Tree, two_stages};
use ffsvc_clustering::validity::intra_cosine;
use ffsvc_clustering::{
    Assignments, Centres, Groups, KMeans, KMeansOptions, Metric, NamedPoints, Points, Start, SweepOptions,
    cosines, sweep,
};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows around some directions; with `ties`, of few different whole numbers, so that many are equal or equally far.
fn rows(n: usize, dim: usize, ties: bool, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut value = |scale: f32| (rng.random::<f32>() - 0.5) * scale;
    let mut rows: Vec<Vec<f32>> = Vec::with_capacity(n);
    let means: Vec<Vec<f32>> = (0..7).map(|_| (0..dim).map(|_| value(2.0)).collect()).collect();
    for row in 0..n {
        let noisy: Vec<f32> = means[row % 7].iter().map(|mean| mean + value(1.0)).collect();
        rows.push(if ties {
            noisy.iter().map(|value| (value * 2.0).round() + 0.25).collect()
        } else {
            noisy
        });
    }
    rows
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

fn points(rows: &[Vec<f32>], order: &[usize]) -> Points {
    let data = order.iter().flat_map(|&row| rows[row].clone()).collect();
    Points::length_normalised(data, rows[0].len()).unwrap()
}

/// Labels of points in another order, in the order of the rows.
fn of_rows(labels: &[u32], order: &[usize]) -> Vec<u32> {
    let mut sorted = vec![0; labels.len()];
    order.iter().zip(labels).for_each(|(&row, &label)| sorted[row] = label);
    sorted
}

/// Every way to run K-means.
fn modes(clusters: usize, seed: u64) -> Vec<KMeansOptions> {
    let options = KMeansOptions { seed, ..KMeansOptions::new(clusters) };
    let start = |start| KMeansOptions { start, ..options.clone() };
    vec![
        options.clone(),
        start(Start::Random),
        start(Start::PlusPlus),
        start(Start::Parallel),
        KMeansOptions { seed, ..KMeansOptions::compat(clusters) },
        KMeansOptions { metric: Metric::Spherical, restarts: 2, ..options.clone() },
        KMeansOptions { bounds: false, refinements: 0, tolerance: 0.0, ..options.clone() },
        KMeansOptions { max_iterations: 2, ..options.clone() },
        KMeansOptions { subsample: Some(3 * clusters), ..options.clone() },
        KMeansOptions { mini_batch: Some(2 * clusters), ..options.clone() },
        KMeansOptions { mini_batch: Some(clusters), subsample: Some(4 * clusters), ..options.clone() },
    ]
}

#[test]
fn k_means_gives_the_same_bits_in_every_mode() {
    for (ties, n, dim) in [(false, 300, 9), (true, 300, 3), (false, 2500, 4)] {
        let rows = rows(n, dim, ties, 3);
        let sorted: Vec<usize> = (0..n).collect();
        for options in modes(24, 5) {
            let expected = KMeans::fit(&points(&rows, &sorted), &options).unwrap();
            for seed in 0..3 {
                let order = shuffled(n, seed);
                let fit = KMeans::fit(&points(&rows, &order), &options).unwrap();
                let fit = KMeans { labels: of_rows(&fit.labels, &order), ..fit };
                assert!(fit == expected, "{n} x {dim}, ties {ties}, order {seed}, {options:?}");
            }
        }
    }
}

#[test]
fn given_starts_mean_the_same_points_in_any_order() {
    let rows = rows(200, 6, false, 8);
    let (sorted, order) = (shuffled(200, 0), shuffled(200, 1));
    let place = |row: usize| order.iter().position(|&other| other == row).unwrap() as u32;
    let chosen: Vec<u32> = (0..10).map(|number| number * 17).collect();
    let moved: Vec<u32> = chosen.iter().map(|&at| place(sorted[at as usize])).collect();
    for (subsample, mini_batch) in [(None, None), (Some(60), None), (None, Some(30))] {
        let options = KMeansOptions { subsample, mini_batch, ..KMeansOptions::new(10) };
        let fit = |order: &[usize], rows_of: &[u32]| {
            let start = Start::Rows(rows_of.to_vec());
            let fit =
                KMeans::fit(&points(&rows, order), &KMeansOptions { start, ..options.clone() }).unwrap();
            KMeans { labels: of_rows(&fit.labels, order), ..fit }
        };
        assert_eq!(fit(&sorted, &chosen), fit(&order, &moved));
    }
}

#[test]
fn a_sweep_measures_the_same_bits() {
    for ties in [false, true] {
        let rows = rows(240, 5, ties, 2);
        let sorted: Vec<usize> = (0..240).collect();
        for (warm, subsample, mini_batch) in
            [(true, None, None), (false, None, None), (true, Some(100), None), (true, None, Some(40))]
        {
            let kmeans = KMeansOptions { subsample, mini_batch, ..KMeansOptions::new(2) };
            let options = SweepOptions { warm, silhouette_sample: 90, kmeans, ..SweepOptions::new(2, 38, 9) };
            let expected = sweep(&points(&rows, &sorted), &options, || ()).unwrap();
            for seed in 0..3 {
                let measured = sweep(&points(&rows, &shuffled(240, seed)), &options, || ()).unwrap();
                assert_eq!(measured, expected, "ties {ties}, {options:?}");
            }
        }
    }
}

const LINKAGES: [Linkage; 5] =
    [Linkage::Average, Linkage::Complete, Linkage::Single, Linkage::Ward, Linkage::Weighted];

#[test]
fn hierarchical_clusters_are_the_same_ties_included() {
    for ties in [false, true] {
        let mut rows = rows(150, 3, ties, 4);
        // Identical points are told apart by nothing but their order.
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows.dedup();
        let sorted: Vec<usize> = (0..rows.len()).collect();
        let (first, last) = (KMeansOptions::new(20), points(&rows, &sorted));
        for linkage in LINKAGES {
            let expected = Tree::build(&last, linkage).unwrap();
            let staged = two_stages(&last, &first, linkage, Cut::Clusters(6)).unwrap();
            for seed in 0..3 {
                let order = shuffled(rows.len(), seed);
                let moved = points(&rows, &order);
                let tree = Tree::build(&moved, linkage).unwrap();
                for (found, expected) in tree.merges().iter().zip(expected.merges()) {
                    assert_eq!(found.2.to_bits(), expected.2.to_bits());
                }
                for cut in [Cut::Clusters(1), Cut::Clusters(5), Cut::Clusters(17), Cut::Distance(0.3)] {
                    let (labels, clusters) = tree.cut(cut).unwrap();
                    let found = (of_rows(&labels, &order), clusters);
                    assert_eq!(found, expected.cut(cut).unwrap(), "{linkage:?}, {cut:?}");
                }
                let (labels, clusters) = two_stages(&moved, &first, linkage, Cut::Clusters(6)).unwrap();
                assert_eq!((of_rows(&labels, &order), clusters), staged);
            }
        }
    }
}

/// A store's embeddings in some order.
fn store(rows: &[Vec<f32>], order: &[usize]) -> Embeddings {
    let mut store = Embeddings::new(rows[0].len());
    order.iter().for_each(|&row| store.push(format!("utt{row:03}"), &rows[row]).unwrap());
    store
}

#[test]
fn a_store_in_another_order_is_the_same_input() {
    // Duplicates and zeros among them: identical embeddings are ordered by name.
    let mut rows = rows(120, 3, true, 6);
    (0..120).step_by(11).for_each(|row| rows[row] = vec![0.0, -0.0, 0.0]);
    let groups: String = (0..120).map(|row| format!("utt{row:03} group{}\n", row / 4)).collect();
    let table = Table::parse("utt2group", groups.into_bytes()).unwrap();
    let sorted: Vec<usize> = (0..120).collect();
    let expected = NamedPoints::from_embeddings(store(&rows, &sorted)).unwrap();
    assert_eq!((expected.zero.len(), expected.zero[1].as_str(), expected.points.len()), (11, "utt011", 109));
    let tree = Tree::build(&expected.points, Linkage::Average).unwrap();
    let means = |named: &NamedPoints| Groups::new(&named.utterances, &table).means(&named.points).unwrap();
    for seed in 0..4 {
        let named = NamedPoints::from_embeddings(store(&rows, &shuffled(120, seed))).unwrap();
        assert_eq!(named, expected);
        assert_eq!(Tree::build(&named.points, Linkage::Average).unwrap(), tree);
        assert_eq!(means(&named), means(&expected));
    }
}

#[test]
fn the_mean_of_a_group_does_not_depend_on_the_order_of_its_recordings() {
    let rows = rows(60, 8, false, 1);
    let table: String = (0..60).map(|row| format!("utt{row} group{}\n", row % 5)).collect();
    let table = Table::parse("utt2group", table.into_bytes()).unwrap();
    let mut found = Vec::new();
    for seed in 0..5 {
        let order = shuffled(60, seed);
        let names: Vec<String> = order.iter().map(|row| format!("utt{row}")).collect();
        let means = Groups::new(&names, &table).means(&points(&rows, &order)).unwrap();
        found.push(means.in_content_order().0);
    }
    assert!(found.iter().all(|means| *means == found[0]));
}

#[test]
fn opposite_vectors_have_a_cluster_without_a_nan() {
    let points = Points::length_normalised(vec![3.0, 4.0, -3.0, -4.0], 2).unwrap();
    for metric in [Metric::Euclidean, Metric::Spherical] {
        let fit = KMeans::fit(&points, &KMeansOptions { metric, ..KMeansOptions::new(1) }).unwrap();
        let intra = intra_cosine(&points, &fit.centres, &fit.labels);
        assert!(intra.per_cluster.is_finite() && intra.per_utterance.is_finite(), "{metric:?}: {intra:?}");
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let assignments = Assignments::new(names, &points, &fit.centres, &fit.labels, 4).unwrap();
        assert!(assignments.near.iter().flatten().all(|near| near.cosine.is_finite()));
    }
    assert_eq!(cosines(&points, &Centres::new(vec![0.0; 2], 2), &[0, 0]), [0.0, 0.0]);
    let measured = sweep(&points, &SweepOptions::new(1, 2, 1), || ()).unwrap();
    assert!(measured.iter().all(|point| point.intra_cosine.per_cluster.is_finite()));
}

proptest! {
    /// Small whole numbers: duplicates, ties and empty clusters.
    #[test]
    fn any_points_in_any_order(
        rows in prop::collection::vec(prop::array::uniform2(-2i8..3), 2..40),
        clusters in 1usize..9,
        seed in 0u64..100,
        mode in 0usize..11,
    ) {
        let rows: Vec<Vec<f32>> =
            rows.iter().map(|row| row.iter().map(|&value| f32::from(value) + 0.5).collect()).collect();
        let clusters = clusters.min(rows.len());
        let options = modes(clusters, seed).swap_remove(mode);
        let (sorted, order): (Vec<usize>, _) = ((0..rows.len()).collect(), shuffled(rows.len(), seed));
        let expected = KMeans::fit(&points(&rows, &sorted), &options).unwrap();
        let fit = KMeans::fit(&points(&rows, &order), &options).unwrap();
        prop_assert_eq!(KMeans { labels: of_rows(&fit.labels, &order), ..fit }, expected);
    }
}
