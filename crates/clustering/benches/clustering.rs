//! K-means (one exact iteration, a whole fit, a step of a sweep), linfa's K-means on the same points, and hierarchical
//! clustering, on all threads of rayon's pool (`RAYON_NUM_THREADS=1` for one; linfa takes one).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_clustering::ahc::{Linkage, Tree};
use ffsvc_clustering::{KMeans, KMeansOptions, Points, Start, SweepOptions, sweep};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::{KMeans as LinfaKMeans, KMeansInit};
use ndarray::Array2;

const DIM: usize = 256;
const COUNT: usize = 10_000;
const CLUSTERS: usize = 100;

/// Numbers as good as random, -0.5 to 0.5.
fn uniform(n: usize) -> f32 {
    let mixed = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1 << 24) as f32 - 0.5
}

/// Recordings of 200 speakers, of unit length.
fn points(count: usize) -> Points {
    let value = |n: usize| uniform(n) + uniform((1 << 40) + n / DIM % 200 * DIM + n % DIM);
    Points::length_normalised((0..count * DIM).map(value).collect(), DIM).expect("random points")
}

fn kmeans(criterion: &mut Criterion) {
    let points = points(COUNT);
    let rows: Vec<u32> = (0..CLUSTERS as u32).map(|cluster| cluster * 97).collect();
    let start = Start::Rows(rows.clone());
    let mut group = criterion.benchmark_group("k-means, 10,000 x 256, K = 100");
    group.throughput(Throughput::Elements(COUNT as u64)).sample_size(10);
    let whole = KMeansOptions { start, ..KMeansOptions::compat(CLUSTERS) };
    // One update of the centres has two assignments of all points around it.
    let once = KMeansOptions { max_iterations: 1, bounds: false, ..whole.clone() };
    group.bench_function("one iteration, two assignments", |b| {
        b.iter(|| KMeans::fit(&points, &once).expect("a fit"));
    });
    group.bench_function("whole fit", |b| b.iter(|| KMeans::fit(&points, &whole).expect("a fit")));

    let records = Array2::from_shape_vec((COUNT, DIM), points.data().to_vec()).expect("a matrix");
    let start = points.select(&rows);
    let start = Array2::from_shape_vec((CLUSTERS, DIM), start.data().to_vec()).expect("a matrix");
    let dataset = DatasetBase::from(records);
    let linfa = LinfaKMeans::params(CLUSTERS)
        .init_method(KMeansInit::Precomputed(start))
        .n_runs(1)
        .max_n_iterations(1000)
        .tolerance(1e-6);
    group.bench_function("whole fit, linfa", |b| b.iter(|| linfa.fit(&dataset).expect("a fit")));

    let range = SweepOptions { silhouette_sample: 0, ..SweepOptions::new(100, 110, 10) };
    group.bench_function("sweep from 100 to 110", |b| {
        b.iter(|| sweep(&points, &range, || ()).expect("a sweep"));
    });
    group.finish();
}

fn ahc(criterion: &mut Criterion) {
    let points = points(3_000);
    let mut group = criterion.benchmark_group("ahc");
    group.sample_size(10);
    group.bench_function("average linkage, 3,000 x 256", |b| {
        b.iter(|| Tree::build(&points, Linkage::Average).expect("a tree"));
    });
    group.finish();
}

criterion_group!(benches, kmeans, ahc);
criterion_main!(benches);
