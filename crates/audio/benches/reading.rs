//! A training crop (2 s at 16 kHz) out of an 8 s file, and the rate change of FFSVC2020's 48 kHz recordings.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use ffsvc_audio::{AudioFile, ReadOptions, Resampler, SampleFormat, write_wav};

const CROP: usize = 32_000;

fn reading(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = ReadOptions::default();
    let mut crop = vec![0.0; CROP];
    let signal: Vec<f32> = (0..8 * 16_000).map(|n| (n as f32 * 0.05).sin() * 0.5).collect();

    let wav = dir.path().join("a.wav");
    write_wav(&wav, &signal, 16_000, SampleFormat::Pcm16).expect("a WAV file");
    criterion.bench_function("wav crop 2 s of 8 s", |b| {
        b.iter(|| AudioFile::open(&wav)?.crop_into(48_000, black_box(&mut crop), &options));
    });
    criterion.bench_function("wav whole 8 s", |b| b.iter(|| AudioFile::open(&wav)?.read(&options)));

    // There is no FLAC encoder here: the first long file of the shared corpora.
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora/music"));
    let flac = folder.join("loop_garzul.flac");
    match AudioFile::open(&flac) {
        Ok(file) => {
            let start = file.frames().unwrap_or(0) / 2;
            criterion.bench_function("flac crop 32,000 samples", |b| {
                b.iter(|| AudioFile::open(&flac)?.crop_into(start, black_box(&mut crop), &options));
            });
            criterion.bench_function("flac whole", |b| b.iter(|| AudioFile::open(&flac)?.read(&options)));
        }
        Err(error) => println!("skipped FLAC: {error}"),
    }

    let wide: Vec<f32> = (0..2 * 48_000).map(|n| (n as f32 * 0.05).sin() * 0.5).collect();
    let mut resampler = Resampler::new(48_000, 16_000).expect("a rate converter");
    criterion
        .bench_function("resample 2 s, 48 to 16 kHz", |b| b.iter(|| resampler.process(black_box(&wide))));
    criterion
        .bench_function("make a converter, 44.1 to 16 kHz", |b| b.iter(|| Resampler::new(44_100, 16_000)));
}

criterion_group!(benches, reading);
criterion_main!(benches);
