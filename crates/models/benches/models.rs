//! Networks on the CPU backend: one utterance of 4 s, 16 of 2 s, and a training step of 16 x 2 s with an AAM head of 1,000
//! speakers. `RAYON_NUM_THREADS=1` for one thread; `cargo bench -p ffsvc-models -- resnet34` for one network.
#![recursion_limit = "256"]

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_models::{CamPlusPlusConfig, EcapaTdnnConfig, HeadConfig, ModelConfig, ResNetConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MELS: usize = 80;
const SPEAKERS: usize = 1000;
/// Frames of two seconds.
const TWO_SECONDS: usize = 200;
const BATCH: usize = 16;

fn networks() -> [(&'static str, ModelConfig); 4] {
    let ecapa = |hidden_dim| ModelConfig::EcapaTdnn(EcapaTdnnConfig { hidden_dim, ..Default::default() });
    [
        ("resnet34-c32", ModelConfig::Resnet(ResNetConfig::default())),
        ("ecapa-c512", ecapa(512)),
        ("ecapa-c1024", ecapa(1024)),
        ("cam++", ModelConfig::CamPlusPlus(CamPlusPlusConfig::default())),
    ]
}

fn features(batch: usize, frames: usize, device: &Device) -> Tensor<3> {
    Tensor::random([batch, MELS, frames], Distribution::Default, device)
}

fn models(criterion: &mut Criterion) {
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    for (name, config) in networks() {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        let trained = config.init(MELS, &device).expect("a network");
        let network = trained.clone().valid();
        for (what, batch, frames) in [("1 x 4 s", 1, 2 * TWO_SECONDS), ("16 x 2 s", BATCH, TWO_SECONDS)] {
            let features = features(batch, frames, &plain);
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(what, |b| {
                b.iter(|| network.forward(features.clone()).sum().into_scalar::<f32>());
            });
        }
        let features = features(BATCH, TWO_SECONDS, &device);
        let speakers: Vec<i32> = (0..BATCH).map(|n| (n * 7 % SPEAKERS) as i32).collect();
        let speakers = Tensor::<1, Int>::from_ints(speakers.as_slice(), &device);
        let (mut optimizer, mut of_head) = (SgdConfig::new().init(), SgdConfig::new().init());
        let head = HeadConfig::default().init(config.embedding_size(), SPEAKERS, &device);
        let mut state = Some((trained, head));
        group.bench_function("training step, 16 x 2 s", |b| {
            b.iter(|| {
                let Some((model, head)) = state.take() else { return };
                let loss = head.forward(model.forward(features.clone()), speakers.clone()).loss;
                let mut gradients = loss.backward();
                let model_gradients = GradientsParams::from_module(&mut gradients, &model);
                let head_gradients = GradientsParams::from_module(&mut gradients, &head);
                let model = optimizer.step(1e-3, model, model_gradients);
                state = Some((model, of_head.step(1e-3, head, head_gradients)));
            });
        });
        group.finish();
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
