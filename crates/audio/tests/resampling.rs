//! The rate converter against SoX 14.4.2 (`tests/data/audio/sox_resample.safetensors`: `in_FS` at 16 bits; `rate_FS` is SoX
//! `rate 16000`, `baseline_FS` is `remix 1, lowpass 8000, rate 16000` through torchaudio) and against sines.

use std::f64::consts::TAU;
use std::path::Path;

use ffsvc_audio::{Audio, AudioFile, ReadOptions, Resampler, Result, SampleFormat, write_wav};
use safetensors::{Dtype, SafeTensors};

fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Audio> {
    AudioFile::open(path)?.read(options)
}

fn crop(path: impl AsRef<Path>, start: u64, len: usize, options: &ReadOptions) -> Result<Audio> {
    AudioFile::open(path)?.crop(start, len, options)
}

fn tensor(golden: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = golden.tensor(name).unwrap();
    match view.dtype() {
        Dtype::I16 => {
            view.data().as_chunks().0.iter().map(|b| f32::from(i16::from_le_bytes(*b)) / 32768.0).collect()
        }
        Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        other => panic!("{other:?}"),
    }
}

/// Convolution with a linear-phase low-pass (401 taps, Blackman) for 16 kHz signals, centred.
fn lowpass(signal: &[f64], cutoff_hz: f64) -> Vec<f64> {
    const HALF: isize = 200;
    let taps: Vec<f64> = (-HALF..=HALF)
        .map(|n| {
            let phase = TAU * (n + HALF) as f64 / (2 * HALF) as f64;
            let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
            let x = TAU * cutoff_hz / 16_000.0;
            window * if n == 0 { x } else { (x * n as f64).sin() / n as f64 } / (TAU / 2.0)
        })
        .collect();
    (0..signal.len() as isize)
        .map(|at| {
            let source =
                |n: isize| usize::try_from(at - n).ok().and_then(|i| signal.get(i)).copied().unwrap_or(0.0);
            (-HALF..=HALF).zip(&taps).map(|(n, tap)| tap * source(n)).sum()
        })
        .collect()
}

fn power(signal: &[f64]) -> f64 {
    signal.iter().map(|v| v * v).sum()
}

/// Error over signal in dB: below `cutoff_hz`, and of the whole band.
fn error_db(ours: &[f32], reference: &[f32], cutoff_hz: f64) -> (f64, f64) {
    assert_eq!(ours.len(), reference.len());
    let error: Vec<f64> = ours.iter().zip(reference).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
    let reference: Vec<f64> = reference.iter().map(|v| f64::from(*v)).collect();
    let db = |error: &[f64], signal: &[f64]| 10.0 * (power(error) / power(signal)).log10();
    (db(&lowpass(&error, cutoff_hz), &lowpass(&reference, cutoff_hz)), db(&error, &reference))
}

#[test]
fn as_sox_does() {
    let bytes = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/audio/sox_resample.safetensors"
    ))
    .unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for rate in [48_000u32, 44_100, 22_050, 8000] {
        let input = tensor(&golden, &format!("in_{rate}"));
        let path = dir.path().join(format!("{rate}.wav"));
        write_wav(&path, &input, rate, SampleFormat::Pcm16).unwrap();
        assert_eq!(read(&path, &ReadOptions::default()).unwrap().samples, input);

        let plain = ReadOptions::at_rate(16_000);
        let ours = read(&path, &plain).unwrap().samples;
        // What is above 8 kHz is folded back to below it, so 7 kHz is inside of everyone's pass band.
        let pass_band = if rate == 8000 { 3400.0 } else { 7000.0 };
        let (in_band, whole) = error_db(&ours, &tensor(&golden, &format!("rate_{rate}")), pass_band);
        println!("{rate}: rate {in_band:.1} dB below {pass_band} Hz, {whole:.1} dB whole band");
        assert!(in_band < -75.0, "{rate}: {in_band} dB");
        assert!(whole < -60.0, "{rate}: {whole} dB");

        let compat = plain.with_compat_lowpass(true);
        let filtered = read(&path, &compat).unwrap().samples;
        if rate == 8000 {
            assert_eq!(filtered, ours, "8 kHz is at or above the Nyquist frequency");
        } else {
            let (in_band, whole) =
                error_db(&filtered, &tensor(&golden, &format!("baseline_{rate}")), pass_band);
            println!("{rate}: baseline {in_band:.1} dB below {pass_band} Hz, {whole:.1} dB whole band");
            assert!(in_band < -75.0, "{rate}: {in_band} dB");
            assert!(whole < -60.0, "{rate}: {whole} dB");
        }
    }
}

#[test]
fn sixteen_khz_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let input: Vec<f32> = (0..1000i16).map(|n| f32::from(n.wrapping_mul(7919)) / 32768.0).collect();
    write_wav(&path, &input, 16_000, SampleFormat::Pcm16).unwrap();
    let options = ReadOptions::at_rate(16_000).with_compat_lowpass(true);
    assert_eq!(read(&path, &options).unwrap().samples, input);
}

#[test]
fn sines_keep_their_place_and_level() {
    let rates = [
        (48_000, 16_000),
        (44_100, 16_000),
        (16_000, 48_000),
        (8000, 16_000),
        (11_025, 16_000),
        (44_100, 48_000),
        (96_000, 44_100),
        (16_000, 8000),
        (44_101, 16_000),
        (15_999, 16_000),
        (16_000, 44_103),
        // Speeds 0.9 and 1.1.
        (9000, 10_000),
        (11_000, 10_000),
    ];
    for (from, to) in rates {
        let hz = 0.41 * f64::from(from.min(to)) + 1.7;
        let sine = |rate: u32, n: usize| 0.5 * (TAU * hz * n as f64 / f64::from(rate) + 0.3).sin();
        let input: Vec<f32> = (0..from as usize / 2).map(|n| sine(from, n) as f32).collect();
        let output = Resampler::new(from, to).unwrap().process(&input).unwrap();
        let exact = input.len() as f64 * f64::from(to) / f64::from(from);
        assert_eq!(output.len(), (exact + 0.5).floor() as usize, "{from} to {to}");
        let margin = output.len() / 10;
        let worst = (margin..output.len() - margin)
            .map(|n| (f64::from(output[n]) - sine(to, n)).abs())
            .fold(0.0, f64::max);
        println!("{from} to {to}: {:.1} dB", 20.0 * (worst / 0.5).log10());
        assert!(worst < 0.5 * 10f64.powf(-100.0 / 20.0), "{from} to {to}: {worst}");
    }
}

#[test]
fn what_is_above_the_new_nyquist_frequency_vanishes() {
    for hz in [8100.0, 9000.0, 15_000.0, 23_000.0] {
        let input: Vec<f32> =
            (0..24_000).map(|n| (TAU * hz * f64::from(n) / 48_000.0).sin() as f32).collect();
        let output = Resampler::new(48_000, 16_000).unwrap().process(&input).unwrap();
        let worst = output[1000..7000].iter().fold(0.0f32, |max, v| max.max(v.abs()));
        assert!(worst < 1e-4, "{hz} Hz: {worst}");
    }
}

#[test]
fn crops_are_pieces_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to, compat_lowpass) in [
        (48_000u32, 16_000, false),
        (48_000, 16_000, true),
        (44_100, 16_000, true),
        (16_500, 16_000, true),
        (22_050, 16_000, false),
        (8000, 16_000, true),
        (44_101, 16_000, false),
        (16_000, 44_100, false),
        (48_000, 48_000, true),
    ] {
        let path = dir.path().join("a.wav");
        let input: Vec<f32> = (0..from as usize)
            .map(|n| ((n * n) as f32 * 1e-4).sin() * 0.4 + (n as f32 * 0.9).sin() * 0.3)
            .collect();
        write_wav(&path, &input, from, SampleFormat::Float32).unwrap();
        let options = ReadOptions::at_rate(to).with_compat_lowpass(compat_lowpass);
        let whole = read(&path, &options).unwrap().samples;
        for (start, len) in
            [(0, 100), (1, 1), (777, 2000), (whole.len() / 2, 3001), (whole.len() - 50, 50), (0, whole.len())]
        {
            let part = crop(&path, start as u64, len, &options).unwrap();
            assert_eq!((part.samples.len(), part.sample_rate), (len, to));
            let worst =
                part.samples.iter().zip(&whole[start..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{from} to {to}, {start}+{len}: {worst}");
        }
        let error = crop(&path, whole.len() as u64 - 50, 51, &options).unwrap_err();
        assert!(error.to_string().contains(&format!("the file has {} at {to} Hz", whole.len())), "{error}");
    }
}

#[test]
fn a_used_converter_gives_the_same_samples() {
    let input: Vec<f32> = (0..5000).map(|n| (n as f32 * 0.1).sin()).collect();
    let mut converter = Resampler::new(44_100, 16_000).unwrap();
    let first = converter.process(&input).unwrap();
    converter.process(&input[100..333]).unwrap();
    assert_eq!(converter.process(&input).unwrap(), first);
}

#[test]
fn impossible_rates_are_refused() {
    assert!(Resampler::new(0, 16_000).unwrap_err().to_string().contains("sample rate 0 Hz"));
    assert!(Resampler::new(16_000, 4_000_000_000).is_err());
    assert!(Resampler::new(1, 16_000).unwrap_err().to_string().contains("ratio"));
}
