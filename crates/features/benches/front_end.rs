//! Time of one front end on one thread: a training crop (200 frames) and a whole utterance of 8 s.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ffsvc_features::{FbankOptions, FrontEnd, FrontEndConfig, Kind, Scratch, WaveformNorm};
use rustfft::num_complex::Complex;
use rustfft::{FftNum, FftPlanner};

fn front_ends(criterion: &mut Criterion) {
    let fbank = FrontEndConfig {
        waveform_norm: WaveformNorm::None,
        kind: Kind::Fbank(FbankOptions::default()),
        ..FrontEndConfig::default()
    };
    for (name, config) in [("log_mel", FrontEndConfig::default()), ("fbank", fbank)] {
        let front_end = FrontEnd::new(&config).expect("default options");
        let mut group = criterion.benchmark_group(name);
        for (length, num_samples) in [("crop_2s", 31_840), ("utterance_8s", 128_000)] {
            // A sum of partials with some noise: neither silent nor trivially periodic.
            let samples: Vec<f32> = (0..num_samples as u32)
                .map(|i| {
                    let noise = (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5;
                    (1..8).map(|k| (i as f32 * 0.043 * k as f32).sin() / k as f32).sum::<f32>() * 0.1
                        + noise * 0.01
                })
                .collect();
            let mut scratch = Scratch::new();
            let mut out = vec![0.0; front_end.num_mels() * front_end.num_frames(samples.len())];
            group.throughput(Throughput::Elements(front_end.num_frames(samples.len()) as u64));
            group.bench_function(BenchmarkId::from_parameter(length), |bencher| {
                bencher.iter(|| {
                    front_end
                        .compute_into(&mut scratch, black_box(&samples), &mut out)
                        .expect("a long enough signal");
                    black_box(&out);
                });
            });
        }
        group.finish();
    }
}

/// The bound: the transforms of a crop's frames and nothing else, as complex ones of half the length.
fn transforms_alone<T: FftNum>(criterion: &mut Criterion, name: &str, frames: usize) {
    let fft = FftPlanner::<T>::new().plan_fft_forward(256);
    let mut frame: Vec<_> = (0..256).map(|i| Complex::new(one_over(i), T::zero())).collect();
    let mut spectrum = vec![Complex::new(T::zero(), T::zero()); 256];
    let mut scratch = vec![Complex::new(T::zero(), T::zero()); fft.get_outofplace_scratch_len()];
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            for _ in 0..frames {
                fft.process_outofplace_with_scratch(black_box(&mut frame), &mut spectrum, &mut scratch);
                black_box(&spectrum);
            }
        });
    });
}

fn one_over<T: FftNum>(i: u32) -> T {
    T::from_f64(1.0 / f64::from(i + 1)).unwrap_or_else(T::zero)
}

fn bounds(criterion: &mut Criterion) {
    transforms_alone::<f32>(criterion, "transforms alone, log_mel crop_2s", 200);
    transforms_alone::<f64>(criterion, "transforms alone, fbank crop_2s", 198);
}

criterion_group!(benches, front_ends, bounds);
criterion_main!(benches);
