//! Log-mel features against the baseline's, and against closed forms.

mod goldens;

use ffsvc_features::{Error, FrontEnd, FrontEndConfig, LogMel, LogMelOptions};
use goldens::Golden;

fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The whole default front end: waveform normalisation, log-mel, CMN.
#[test]
fn default_front_end_is_the_baselines() {
    let front_end = FrontEnd::new(&FrontEndConfig::default()).unwrap();
    for golden in Golden::all("features") {
        let ours = front_end.compute(&golden.f32("input")).unwrap();
        let exact = golden.f32("feat_f64");
        let torch_error = max_difference(&golden.f32("feat"), &exact);
        let our_error = max_difference(&ours.data, &exact);
        println!("{}: ours {our_error:.2e}, torch's float32 {torch_error:.2e}", golden.name);
        assert!(our_error <= (2.0 * torch_error).max(3e-4), "{}: {our_error}", golden.name);
        // What this implementation reaches, with room for other processors' transforms.
        assert!(our_error <= 1.5e-4, "{}: {our_error}", golden.name);
    }
}

#[test]
fn log_mel_before_cmn_is_the_baselines() {
    let log_mel = LogMel::new(16000, &LogMelOptions::default()).unwrap();
    for golden in Golden::all("features").iter().filter(|g| g.has("logmel")) {
        let ours = log_mel.compute(&golden.f32("norm")).unwrap();
        let difference = max_difference(&ours.data, &golden.f32("logmel"));
        assert!(difference <= 3e-4, "{}: {difference}", golden.name);
    }
}

/// With pre-emphasis and a Hamming window, against ReDimNet's own module (`tests/peers/redimnet_fbank.py`).
#[test]
fn pre_emphasis_is_redimnets() {
    let golden = Golden::committed("redimnet/log_mel");
    let samples = golden.f32("input");
    for (cmn, tensor) in [("none", "bands"), ("utterance", "mean_removed")] {
        let text = format!(
            "waveform_norm = 'none'
             cmn = {{ type = '{cmn}' }}
             [kind]
             type = 'log-mel'
             num_mels = 72
             window = 'hamming'
             low_frequency_hz = 20.0
             high_frequency_hz = 7600.0
             preemphasis = 0.97"
        );
        let config: FrontEndConfig = toml::from_str(&text).unwrap();
        let ours = FrontEnd::new(&config).unwrap().compute(&samples).unwrap();
        let error = max_difference(&ours.data, &golden.f32(tensor));
        println!("{tensor}: {error:e}");
        assert!(error < 1e-4, "{tensor}: {error:e}");
    }
}

#[test]
fn pre_emphasis_has_a_range_and_is_left_out_of_descriptions_without_it() {
    let options = LogMelOptions { preemphasis: 1.5, ..LogMelOptions::default() };
    let error = LogMel::new(16000, &options).unwrap_err().to_string();
    assert!(error.contains("preemphasis") && error.contains("0 to 1"), "{error}");
    // The files of the models that there were before it keep their bytes.
    assert!(!toml::to_string(&LogMelOptions::default()).unwrap().contains("preemphasis"));
    let options = LogMelOptions { preemphasis: 0.97, ..LogMelOptions::default() };
    assert_eq!(toml::from_str::<LogMelOptions>(&toml::to_string(&options).unwrap()).unwrap(), options);
}

/// `short_lengths.json` of the goldens: torch accepts 257 samples and gives these numbers of frames.
#[test]
fn shortest_signals_are_the_baselines() {
    let log_mel = LogMel::new(16000, &LogMelOptions::default()).unwrap();
    for (samples, frames) in [(257, 2), (300, 2), (400, 3), (512, 4), (800, 6)] {
        let features = log_mel.compute(&vec![0.1; samples]).unwrap();
        assert_eq!(features.num_frames, frames);
        assert!(features.data.iter().all(|x| x.is_finite()));
    }
    for samples in [0, 1, 2, 100, 256] {
        let error = log_mel.compute(&vec![0.1; samples]).unwrap_err();
        assert_eq!(error, Error::TooShort { found: samples, minimum: 257 });
        assert!(error.to_string().contains("257"), "{error}");
    }
}

/// A sine in the middle of a band has its peak there.
#[test]
fn a_sine_peaks_in_its_band() {
    let log_mel = LogMel::new(16000, &LogMelOptions::default()).unwrap();
    let top = 2595.0 * (1.0 + 8000.0f64 / 700.0).log10();
    // Below band 20 the bands are narrower than the window's main lobe.
    for band in 20..80 {
        let mel = top * (band + 1) as f64 / 81.0;
        let hz = 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
        let step = std::f64::consts::TAU * hz / 16000.0;
        let sine: Vec<f32> = (0..16000).map(|i| (step * i as f64).sin() as f32).collect();
        let features = log_mel.compute(&sine).unwrap();
        for frame in 2..features.num_frames - 2 {
            let loudest =
                (0..80).max_by(|&a, &b| features.band(a)[frame].total_cmp(&features.band(b)[frame]));
            assert_eq!(loudest, Some(band), "{hz} Hz, frame {frame}");
        }
    }
}

/// Ten times the amplitude is a hundred times the power, `ln(100)` in every band that is above the offset.
#[test]
fn gain_is_a_constant_in_the_logarithm() {
    let log_mel = LogMel::new(16000, &LogMelOptions { log_offset: 1e-20, ..Default::default() }).unwrap();
    let noise: Vec<f32> =
        (0..8000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5).collect();
    let louder: Vec<f32> = noise.iter().map(|x| x * 10.0).collect();
    let (quiet, loud) = (log_mel.compute(&noise).unwrap(), log_mel.compute(&louder).unwrap());
    for band in 0..80 {
        for (a, b) in quiet.band(band).iter().zip(loud.band(band)) {
            assert!((b - a - 100f32.ln()).abs() < 1e-4, "band {band}: {a} and {b}");
        }
    }
}

#[test]
fn bad_options_are_errors_that_name_them() {
    let default = LogMelOptions::default;
    let bad = [
        ("num_mels", LogMelOptions { num_mels: 0, ..default() }),
        ("num_mels", LogMelOptions { num_mels: usize::MAX, ..default() }),
        ("n_fft", LogMelOptions { n_fft: 1, ..default() }),
        ("n_fft", LogMelOptions { n_fft: usize::MAX, ..default() }),
        ("window_length", LogMelOptions { window_length: 513, ..default() }),
        ("window_length", LogMelOptions { window_length: 0, ..default() }),
        ("hop_length", LogMelOptions { hop_length: 0, ..default() }),
        ("low_frequency_hz", LogMelOptions { low_frequency_hz: 9000.0, ..default() }),
        ("high_frequency_hz", LogMelOptions { high_frequency_hz: 9000.0, ..default() }),
        ("high_frequency_hz", LogMelOptions { high_frequency_hz: f64::NAN, ..default() }),
        ("log_offset", LogMelOptions { log_offset: 0.0, ..default() }),
        ("log_offset", LogMelOptions { log_offset: f32::NAN, ..default() }),
    ];
    for (option, options) in bad {
        let error = LogMel::new(16000, &options).unwrap_err().to_string();
        assert!(error.starts_with(option), "{option}: {error}");
    }
}
