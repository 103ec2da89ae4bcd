//! Kaldi filter-bank features against torchaudio's in double precision and kaldi-native-fbank's.

mod goldens;

use ffsvc_features::{Error, Fbank, FbankOptions, WindowType};
use goldens::Golden;

/// Kaldi's defaults on samples that are at 16-bit scale already.
fn options(window: WindowType) -> FbankOptions {
    FbankOptions { window, int16_scale: false, ..FbankOptions::default() }
}

/// `[mel, frames]` to the goldens' `[frames, mel]`.
fn transposed(data: &[f32], num_frames: usize) -> Vec<f32> {
    (0..num_frames).flat_map(|frame| data.iter().skip(frame).step_by(num_frames).copied()).collect()
}

/// Largest and mean absolute difference.
fn differences(a: &[f32], b: &[f32]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let differences = || a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
    (differences().fold(0.0, f64::max), differences().sum::<f64>() / a.len() as f64)
}

fn noise(len: usize) -> Vec<f32> {
    (0..len as u32).map(|i| ((i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5) * 2000.0).collect()
}

#[test]
fn closer_to_exact_than_kaldi_native_fbank() {
    for (window, name) in [(WindowType::Povey, "povey"), (WindowType::Hamming, "hamming")] {
        let fbank = Fbank::new(16000, &options(window)).unwrap();
        for golden in Golden::all("kaldi_fbank") {
            let ours = fbank.compute(&golden.f32("input_int16scale")).unwrap();
            let ours = transposed(&ours.data, ours.num_frames);
            let exact = golden.f32(&format!("ta_{name}_f64"));
            let (max, mean) = differences(&ours, &exact);
            let (peer_max, peer_mean) = differences(&golden.f32(&format!("knf_{name}")), &exact);
            println!(
                "{} {name}: ours {max:.2e} mean {mean:.2e}, kaldi-native-fbank {peer_max:.2e} mean {peer_mean:.2e}",
                golden.name
            );
            assert!(max <= 1e-3, "{} {name}: {max}", golden.name);
            assert!(max <= peer_max && mean <= peer_mean, "{} {name}: {max}, {mean}", golden.name);
            // What this implementation reaches: a last place or two of the 32-bit result.
            assert!(max <= 4e-6, "{} {name}: {max}", golden.name);
        }
    }
}

#[test]
fn without_snip_edges_it_is_kaldi_native_fbanks() {
    let fbank = Fbank::new(16000, &FbankOptions { snip_edges: false, ..options(WindowType::Povey) }).unwrap();
    for golden in Golden::all("kaldi_fbank").iter().filter(|g| g.has("knf_povey_nosnip")) {
        let ours = fbank.compute(&golden.f32("input_int16scale")).unwrap();
        assert_eq!(ours.num_frames, golden.rows("knf_povey_nosnip"), "{}", golden.name);
        let (max, mean) =
            differences(&transposed(&ours.data, ours.num_frames), &golden.f32("knf_povey_nosnip"));
        // kaldi-native-fbank's own error, as seen with snip_edges.
        assert!(max <= 3e-4 && mean <= 1e-5, "{}: {max}, {mean}", golden.name);
    }
}

/// Without snip_edges is with snip_edges on a signal whose ends are mirrored by hand.
#[test]
fn mirrored_edges_are_those_of_a_longer_signal() {
    let samples = noise(3210);
    let plain = Fbank::new(16000, &options(WindowType::Povey)).unwrap();
    let mirrored =
        Fbank::new(16000, &FbankOptions { snip_edges: false, ..options(WindowType::Povey) }).unwrap();
    let ours = mirrored.compute(&samples).unwrap();
    // Frame 0 is centred on sample 80 and starts at -120.
    let head = samples[..120].iter().rev();
    let tail = samples[3210 - 300..].iter().rev();
    let longer: Vec<f32> = head.chain(&samples).chain(tail).copied().collect();
    let theirs = plain.compute(&longer).unwrap();
    assert_eq!(ours.num_frames, 20);
    for band in 0..80 {
        assert_eq!(ours.band(band), &theirs.band(band)[..20]);
    }
}

#[test]
fn int16_scale_multiplies_by_32768() {
    let samples = noise(4000);
    let small: Vec<f32> = samples.iter().map(|x| x / 32768.0).collect();
    let scaled = Fbank::new(16000, &FbankOptions::default()).unwrap();
    let plain = Fbank::new(16000, &options(WindowType::Povey)).unwrap();
    assert_eq!(scaled.compute(&small).unwrap(), plain.compute(&samples).unwrap());
}

/// Energy by its definition, from the samples.
#[test]
fn energy_row_is_the_logarithm_of_the_frames_energy() {
    let samples = noise(2000);
    for raw_energy in [true, false] {
        let with = FbankOptions { use_energy: true, raw_energy, ..options(WindowType::Hamming) };
        let fbank = Fbank::new(16000, &with).unwrap();
        let features = fbank.compute(&samples).unwrap();
        assert_eq!((fbank.num_mels(), features.num_mels, features.num_frames), (81, 81, 11));
        for (frame, &log_energy) in features.band(0).iter().enumerate() {
            let frame: Vec<f64> = samples[frame * 160..][..400].iter().map(|&x| f64::from(x)).collect();
            let mean = frame.iter().sum::<f64>() / 400.0;
            let x: Vec<f64> = frame.iter().map(|x| x - mean).collect();
            let energy: f64 = if raw_energy {
                x.iter().map(|x| x * x).sum()
            } else {
                (0..400)
                    .map(|i| {
                        let window = 0.54 - 0.46 * (std::f64::consts::TAU * i as f64 / 399.0).cos();
                        ((x[i] - 0.97 * x[i.saturating_sub(1)]) * window).powi(2)
                    })
                    .sum()
            };
            assert!((f64::from(log_energy) - energy.ln()).abs() < 1e-5);
        }
        // The bands do not change.
        let without = Fbank::new(16000, &options(WindowType::Hamming)).unwrap().compute(&samples).unwrap();
        assert_eq!(&features.data[11..], &without.data[..]);
    }
}

#[test]
fn energy_floor_holds_in_silence() {
    let floored = FbankOptions { use_energy: true, energy_floor: 1.0, ..FbankOptions::default() };
    let features = Fbank::new(16000, &floored).unwrap().compute(&[0.0; 800]).unwrap();
    assert!(features.band(0).iter().all(|&x| x == 0.0));
    let free = FbankOptions { energy_floor: 0.0, ..floored };
    let features = Fbank::new(16000, &free).unwrap().compute(&[0.0; 800]).unwrap();
    assert!(features.data.iter().all(|&x| x == f32::EPSILON.ln()));
}

/// Without the logarithm, and by magnitude instead of power, for a single bin in a single band.
#[test]
fn use_log_and_use_power_mean_what_they_say() {
    let samples = noise(400);
    let value = |use_log, use_power| {
        let options = FbankOptions {
            use_log,
            use_power,
            num_mels: 1,
            // 1000 Hz is bin 32; its neighbours are 31.25 Hz away.
            low_frequency_hz: 980.0,
            high_frequency_hz: 1020.0,
            ..options(WindowType::Povey)
        };
        f64::from(Fbank::new(16000, &options).unwrap().compute(&samples).unwrap().data[0])
    };
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (low, high) = (mel(980.0), mel(1020.0));
    let centre = (low + high) / 2.0;
    let weight = ((mel(1000.0) - low) / (centre - low)).min((high - mel(1000.0)) / (high - centre));
    let (power, magnitude) = (value(false, true) / weight, value(false, false) / weight);
    assert!((magnitude.powi(2) / power - 1.0).abs() < 1e-4, "{power} {magnitude}");
    assert!((value(true, true) - value(false, true).ln()).abs() < 1e-5);
}

#[test]
fn dither_repeats_with_its_seed_and_has_its_strength() {
    let dithered = |seed| {
        let options = FbankOptions {
            dither: 2.0,
            dither_seed: seed,
            use_energy: true,
            remove_dc_offset: false,
            ..FbankOptions::default()
        };
        Fbank::new(16000, &options).unwrap().compute(&vec![0.0; 16000]).unwrap()
    };
    assert_eq!(dithered(7), dithered(7));
    assert_ne!(dithered(7), dithered(8));
    // 400 values of variance 4 a frame.
    let energies: Vec<f64> = dithered(7).band(0).iter().map(|&x| f64::from(x).exp()).collect();
    let mean = energies.iter().sum::<f64>() / energies.len() as f64;
    assert!((mean / 1600.0 - 1.0).abs() < 0.05, "{mean}");
}

#[test]
fn negative_high_frequency_counts_from_nyquist() {
    let samples = noise(1000);
    let compute = |high_frequency_hz| {
        Fbank::new(16000, &FbankOptions { high_frequency_hz, ..FbankOptions::default() })
            .unwrap()
            .compute(&samples)
            .unwrap()
    };
    assert_eq!(compute(-400.0), compute(7600.0));
    assert_eq!(compute(0.0), compute(8000.0));
    assert_ne!(compute(0.0), compute(7600.0));
}

#[test]
fn too_short_signals_are_errors() {
    let snip = Fbank::new(16000, &FbankOptions::default()).unwrap();
    assert_eq!(snip.compute(&[0.0; 399]).unwrap_err(), Error::TooShort { found: 399, minimum: 400 });
    assert_eq!(snip.compute(&[0.0; 400]).unwrap().num_frames, 1);
    let mirrored = Fbank::new(16000, &FbankOptions { snip_edges: false, ..FbankOptions::default() }).unwrap();
    assert_eq!(mirrored.compute(&[0.0; 79]).unwrap_err(), Error::TooShort { found: 79, minimum: 80 });
    assert_eq!(mirrored.compute(&[0.0; 80]).unwrap().num_frames, 1);
}

#[test]
fn bad_options_are_errors_that_name_them() {
    let default = FbankOptions::default;
    let bad = [
        ("num_mels", FbankOptions { num_mels: 300, ..default() }),
        ("frame_length_ms", FbankOptions { frame_length_ms: 0.0, ..default() }),
        ("frame_length_ms", FbankOptions { frame_length_ms: 1e9, ..default() }),
        ("frame_length_ms", FbankOptions { frame_length_ms: f64::NAN, ..default() }),
        ("frame_shift_ms", FbankOptions { frame_shift_ms: -10.0, ..default() }),
        ("preemphasis", FbankOptions { preemphasis: 1.5, ..default() }),
        ("dither", FbankOptions { dither: -1.0, ..default() }),
        ("dither", FbankOptions { dither: f64::INFINITY, ..default() }),
        ("energy_floor", FbankOptions { energy_floor: -1.0, ..default() }),
        ("low_frequency_hz", FbankOptions { low_frequency_hz: -1.0, ..default() }),
        ("high_frequency_hz", FbankOptions { high_frequency_hz: -8000.0, ..default() }),
    ];
    for (option, options) in bad {
        let error = Fbank::new(16000, &options).unwrap_err().to_string();
        assert!(error.starts_with(option), "{option}: {error}");
    }
}
