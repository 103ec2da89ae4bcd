//! Against values made by the baseline's own functions (`tests/data/augment`; the larger ones in `../shared/golden`), SoX
//! and another mu-law decoder.

use std::path::Path;

use ffsvc_augment::channel::mu_law_decode;
use ffsvc_augment::speed::{SpeedChanger, output_len};
use ffsvc_augment::{Axis, Convolver, Mask, apply_masks, compat};
use safetensors::{Dtype, SafeTensors};

fn data(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/augment"));
    std::fs::read(folder.join(name)).unwrap()
}

fn shared(name: &str) -> Vec<u8> {
    std::fs::read(ffsvc_test_data::shared("golden/augment").join(name)).unwrap()
}

fn tensor(bytes: &[u8], name: &str) -> Vec<f64> {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    match view.dtype() {
        Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        other => panic!("{name} is {other:?}"),
    }
}

fn samples(bytes: &[u8], name: &str) -> Vec<f32> {
    tensor(bytes, name).iter().map(|v| *v as f32).collect()
}

fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

/// The baseline's own rounding (its f32 beside the same in f64) grows from 8e-8 to 6e-7 over the six cases.
fn check_noise(bytes: &[u8], case: &str, snr_db: f64) {
    let mut noisy = samples(bytes, "speech");
    compat::add_noise(&mut noisy, &samples(bytes, "noise"), snr_db);
    let worst = worst(&noisy, &tensor(bytes, case));
    println!("{case}: {worst:.1e}");
    assert!(worst < 1e-6, "{case}: {worst}");
}

#[test]
fn noise_of_the_baseline() {
    check_noise(&data("baseline.safetensors"), "noisy_3", 10.0);
}

fn noise_of_the_baseline_at_six_levels() {
    let bytes = shared("noise.safetensors");
    let cases = [0.0, 2.469_135_78, 5.0, 10.0, 15.0, 19.98];
    for (index, snr_db) in cases.into_iter().enumerate() {
        check_noise(&bytes, &format!("noisy_{index}"), snr_db);
    }
}

#[test]
fn noise_of_the_baseline_leaves_silence() {
    let mut silence = vec![0.0; 10];
    compat::add_noise(&mut silence, &[0.5; 10], 10.0);
    assert_eq!(silence, [0.0; 10]);
}

/// scipy's own f32 convolution is up to 9e-7 off f64, at peaks of 2 to 4.
fn check_reverberation(bytes: &[u8], taps: usize, wet: &str) {
    let mut convolver = Convolver::default();
    let mut speech = samples(bytes, "speech");
    let response = samples(bytes, &format!("rir_{taps}"));
    let filter = compat::room_filter(&response, speech.len(), &mut convolver);
    convolver.apply(&filter, &mut speech);
    let worst = worst(&speech, &tensor(bytes, wet));
    println!("{taps} taps: {worst:.1e}");
    assert!(worst < 3e-6, "{taps} taps: {worst}");
}

#[test]
fn reverberation_of_the_baseline() {
    check_reverberation(&data("baseline.safetensors"), 800, "wet_800");
}

fn reverberation_of_the_baseline_by_six_rooms() {
    let bytes = shared("reverb.safetensors");
    for taps in [1, 37, 800, 4000, 16_000, 48_000] {
        check_reverberation(&bytes, taps, &format!("wet_{taps}_f64"));
    }
}

#[test]
fn masks_of_the_baseline() {
    let cases: serde_json::Value = serde_json::from_slice(&data("specaug_cases.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 300);
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap();
        let (axis, size) = match case["kind"].as_str().unwrap() {
            "time" => (Axis::Time, number("frames") as usize),
            _ => (Axis::Frequency, 80),
        };
        let (width, place) = (number("u1") as f32, number("u2") as f32);
        let mask = compat::mask(axis, number("param") as usize, size, width, place);
        let clipped = |key: &str| (number(key).max(0.0) as usize).min(size);
        assert_eq!((mask.start, mask.end), (clipped("start"), clipped("end")), "{case}");
    }
}

fn masked_features_of_the_baseline() {
    let bytes = shared("specaug.safetensors");
    for (name, mask) in [
        ("time_masked_p15", Mask { axis: Axis::Time, start: 23, end: 35 }),
        ("freq_masked_p4", Mask { axis: Axis::Frequency, start: 43, end: 45 }),
    ] {
        let mut features = samples(&bytes, "feat");
        apply_masks(&mut features, 200, &[mask]);
        assert_eq!(features, samples(&bytes, name), "{name}");
    }
}

/// SoX `speed` by the rate converter, which is fitted to SoX's at the rates of speech corpora.
fn speed_of_sox() {
    let bytes = shared("sox_effects.safetensors");
    let mut changer = SpeedChanger::default();
    for factor in [0.9, 1.0, 1.1] {
        let mut found = samples(&bytes, "input");
        assert_eq!(output_len(factor, found.len()), tensor(&bytes, &format!("speed_{factor:.1}")).len());
        changer.apply(factor, &mut found).unwrap();
        let expected = tensor(&bytes, &format!("speed_{factor:.1}"));
        let error: f64 = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        let energy: f64 = expected.iter().map(|b| b * b).sum();
        let decibels = 10.0 * (error / energy).log10();
        println!("speed {factor}: {decibels:.1} dB, at most {:.1e}", worst(&found, &expected));
        assert!(decibels < -60.0, "speed {factor}: {decibels} dB");
    }
}

/// Symphonia's decoder reads a WAV file of every code.
#[test]
fn mu_law_of_another_decoder() {
    let codes: Vec<u8> = (0..=255).collect();
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x12\0\0\0\x07\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0\0\0data\0\x01\0\0"
            .to_vec();
    wav.extend(&codes);
    let size = (wav.len() - 8) as u32;
    wav[4..8].copy_from_slice(&size.to_le_bytes());
    let decoded = ffsvc_audio::AudioFile::from_bytes("codes.wav", wav)
        .unwrap()
        .read(&Default::default())
        .unwrap()
        .samples;
    assert_eq!(decoded.len(), 256);
    for (code, sample) in codes.iter().zip(decoded) {
        assert_eq!(f32::from(mu_law_decode(*code)) / 32_768.0, sample, "code {code:#04x}");
    }
}

ffsvc_test_data::shared_tests!(
    noise_of_the_baseline_at_six_levels,
    reverberation_of_the_baseline_by_six_rooms,
    masked_features_of_the_baseline,
    speed_of_sox
);
