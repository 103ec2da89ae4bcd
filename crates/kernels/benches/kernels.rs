//! The convolutions of ResNet34-C32 (80 bands, 2 s) and of the speechocean762 recipe's C8 network (40 bands, 1.5 s), and
//! batch normalisation beside them. Throughput is in multiply-adds, or floats for normalisation.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_kernels::{BatchNorm, Conv2d, Epilogue, Int8Weights};

fn conv(batch: usize, channels: [usize; 2], size: [usize; 2], stride: usize) -> Conv2d {
    Conv2d {
        batch,
        channels_in: channels[0],
        channels_out: channels[1],
        size,
        kernel: [3, 3],
        stride: [stride; 2],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
    }
}

fn convolutions(criterion: &mut Criterion) {
    let shapes = [
        ("c8-layer1", conv(16, [8, 8], [40, 150], 1)),
        ("c8-layer2-stride2", conv(16, [8, 16], [40, 150], 2)),
        ("c8-layer4", conv(16, [64, 64], [5, 19], 1)),
        ("c32-layer1", conv(4, [32, 32], [80, 200], 1)),
        ("c32-layer4", conv(4, [256, 256], [10, 25], 1)),
        ("c32-layer2-stride2", conv(4, [32, 64], [80, 200], 2)),
        ("cam++-linear1", Conv2d { kernel: [1, 1], padding: [0, 0], ..conv(4, [640, 128], [1, 100], 1) }),
        ("gemini-stage1", Conv2d { groups: 128, ..conv(4, [128, 128], [40, 200], 1) }),
        ("redimnet-stage1", Conv2d { groups: 8, ..conv(4, [32, 32], [36, 200], 1) }),
    ];
    for (name, conv) in shapes {
        let mut group = criterion.benchmark_group(name);
        let [height, width] = conv.output_size();
        let products = conv.batch * conv.channels_in / conv.groups * conv.channels_out;
        let products = products * conv.kernel[0] * conv.kernel[1] * height * width;
        group.throughput(Throughput::Elements(products as u64));
        let (input, weights) = (vec![0.5; conv.input_len()], vec![0.5; conv.weight_len()]);
        let gradient = vec![0.5; conv.output_len()];
        let (mut output, mut of_input) = (gradient.clone(), input.clone());
        let mut of_weights = weights.clone();
        group.bench_function(BenchmarkId::from_parameter("forward"), |bencher| {
            bencher.iter(|| conv.forward(&input, &weights, &mut output));
        });
        if conv.suits_int8() {
            let weights = Int8Weights::new(&conv, &weights);
            group.bench_function(BenchmarkId::from_parameter("forward-int8"), |bencher| {
                bencher.iter(|| conv.forward_int8(&input, &weights, &Epilogue::default(), &mut output));
            });
        }
        group.bench_function(BenchmarkId::from_parameter("input-gradient"), |bencher| {
            bencher.iter(|| conv.input_gradient(&gradient, &weights, &mut of_input));
        });
        group.bench_function(BenchmarkId::from_parameter("weight-gradient"), |bencher| {
            bencher.iter(|| conv.weight_gradient(&input, &gradient, &mut of_weights));
        });
    }
}

fn normalisation(criterion: &mut Criterion) {
    let norm = BatchNorm {
        channels: 8,
        positions: 6000,
        epsilon: 1e-5,
        relu_first: false,
        relu: true,
        fixed: false,
    };
    let input: Vec<f32> = (0..16 * 8 * 6000).map(|i| (i % 17) as f32).collect();
    let (scale, offset) = (vec![1.0; 8], vec![0.0; 8]);
    let (mut output, mut of_input) = (input.clone(), input.clone());
    let mut group = criterion.benchmark_group("batch-norm-c8-layer1");
    group.throughput(Throughput::Elements(input.len() as u64));
    group.bench_function("forward", |bencher| {
        bencher.iter(|| {
            let statistics = norm.statistics(&input);
            norm.forward(&input, None, &statistics, &scale, &offset, &mut output);
        });
    });
    let statistics = norm.statistics(&input);
    group.bench_function("backward", |bencher| {
        bencher.iter(|| norm.backward(&input, &output, &input, &statistics, &scale, &mut of_input, None));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = convolutions, normalisation
}
criterion_main!(benches);
