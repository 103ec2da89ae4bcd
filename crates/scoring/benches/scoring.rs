//! Trials scored as a stream, scores sorted and measured, and cohort statistics, on all threads of rayon's pool
//! (`RAYON_NUM_THREADS=1` for one).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{TrialColumns, TrialReader};
use ffsvc_scoring::metrics::{DcfParameters, Definition, Measures, evaluate};
use ffsvc_scoring::{Cohort, ScoreNorm, Scorer, Side, StreamOptions};

const DIM: usize = 256;
const TRIALS: usize = 1_000_000;

/// Numbers as good as random, 0 to 1.
fn uniform(n: usize) -> f32 {
    let mixed = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1 << 24) as f32
}

fn store(count: usize, first: usize) -> Embeddings {
    let keys = (0..count).map(|n| format!("id{:05}-some-recording-{n:05}", n % 1251)).collect();
    let data = (0..count * DIM).map(|n| uniform(first + n) - 0.5).collect();
    Embeddings::from_parts(keys, DIM, data).expect("random embeddings")
}

fn trials(criterion: &mut Criterion) {
    let embeddings = store(5_000, 0);
    let place = |n: usize| (uniform(n) * 5_000.0) as usize;
    let line = |(a, b): (usize, usize)| {
        format!("{} {} {}\n", (a + b) % 2, embeddings.keys()[a], embeddings.keys()[b])
    };
    let list: String = (0..TRIALS).map(|n| line((place(2 * n), place(2 * n + 1)))).collect();
    let side = Side::new(&embeddings);
    let mut group = criterion.benchmark_group("trials");
    group.throughput(Throughput::Elements(TRIALS as u64)).sample_size(10);
    group.bench_function("read and score, 256 dimensions", |b| {
        b.iter(|| {
            let reader = TrialReader::new("trials", list.as_bytes(), TrialColumns::Auto).expect("a list");
            Scorer::new(side, side, None)
                .and_then(|mut scorer| scorer.score_stream(reader, StreamOptions::new(), &mut []))
                .expect("scores")
        });
    });
    group.finish();
}

fn metrics(criterion: &mut Criterion) {
    let score = |n: usize| (0..4).map(|part| uniform(4 * n + part)).sum::<f32>();
    let target: Vec<f32> = (0..TRIALS / 10).map(|n| score(n) + 1.0).collect();
    let nontarget: Vec<f32> = (TRIALS / 10..TRIALS).map(score).collect();
    let mut group = criterion.benchmark_group("metrics");
    group.throughput(Throughput::Elements(TRIALS as u64)).sample_size(10);
    group.bench_function("sort and measure", |b| {
        b.iter(|| {
            evaluate(&target, &nontarget, Definition::Tied, &Measures::new(&[DcfParameters::default()]))
        });
    });
    group.finish();
}

fn norm(criterion: &mut Criterion) {
    let (rows, members) = (store(1_200, 1), store(5_994, 1 << 30));
    let cohort = Cohort::new(ScoreNorm::AsNorm, Side::new(&members), None, None).expect("a cohort");
    let mut group = criterion.benchmark_group("as-norm");
    group.throughput(Throughput::Elements(rows.len() as u64)).sample_size(10);
    group.bench_function("statistics, top 300 of 5994, 256 dimensions", |b| {
        b.iter(|| cohort.statistics(rows.data()));
    });
    group.finish();
}

criterion_group!(benches, trials, metrics, norm);
criterion_main!(benches);
