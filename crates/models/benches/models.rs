//! Networks on the CPU backend: one utterance of 4 s, 16 of 2 s, and a training step of 16 x 2 s with an AAM head of 1,000
//! speakers. `RAYON_NUM_THREADS=1` for one thread; `cargo bench -p ffsvc-models -- resnet34` for one network.
#![recursion_limit = "256"]

mod networks;

use burn::tensor::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use networks::{Training, evaluated, features, networks, speakers};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Frames of two seconds.
const TWO_SECONDS: usize = 200;
const BATCH: usize = 16;

fn models(criterion: &mut Criterion) {
    ffsvc_cli::keep_freed_memory();
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    for (name, config) in networks() {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        let network = evaluated(&config, &device).expect("a network");
        for (what, batch, frames) in [("1 x 4 s", 1, 2 * TWO_SECONDS), ("16 x 2 s", BATCH, TWO_SECONDS)] {
            let features = features(&config, batch, frames, &plain);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(what, |b| {
                b.iter(|| network.forward(features.clone()).sum().into_scalar::<f32>());
            });
        }
        let (features, speakers) = (features(&config, BATCH, TWO_SECONDS, &device), speakers(BATCH, &device));
        let mut training = Some(Training::new(&config, &device).expect("a network"));
        group.bench_function("training step, 16 x 2 s", |b| {
            b.iter(|| {
                let Some(before) = training.take() else { return 0.0 };
                let (after, loss) = before.step(features.clone(), speakers.clone());
                training = Some(after);
                loss.into_scalar()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
