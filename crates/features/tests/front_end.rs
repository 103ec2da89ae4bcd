//! Promises of the whole front end: shapes, repeatability, configs, bad input.

use std::sync::LazyLock;

use ffsvc_features::{
    Cmn, Error, FbankOptions, FrontEnd, FrontEndConfig, Kind, LogMelOptions, NemoMelOptions, Scratch,
    SlidingCmn, UtteranceCmn, WaveformNorm,
};
use proptest::prelude::*;

fn noise(len: usize, seed: u32) -> Vec<f32> {
    (0..len as u32)
        .map(|i| {
            ((i ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5
        })
        .collect()
}

/// One of each kind, with different sizes of transform and output.
fn configs() -> Vec<FrontEndConfig> {
    let fbank = |options| FrontEndConfig {
        waveform_norm: WaveformNorm::None,
        kind: Kind::Fbank(options),
        ..FrontEndConfig::default()
    };
    vec![
        FrontEndConfig::default(),
        fbank(FbankOptions::default()),
        FrontEndConfig {
            kind: Kind::LogMel(LogMelOptions {
                num_mels: 40,
                n_fft: 402,
                window_length: 399,
                hop_length: 101,
                ..Default::default()
            }),
            cmn: Cmn::Sliding(SlidingCmn { window_frames: 30, center: true, ..SlidingCmn::default() }),
            ..FrontEndConfig::default()
        },
        FrontEndConfig {
            sample_rate: 8000,
            cmn: Cmn::Utterance(UtteranceCmn { normalize_variance: true }),
            ..fbank(FbankOptions {
                num_mels: 23,
                use_energy: true,
                snip_edges: false,
                dither: 1.0,
                ..FbankOptions::default()
            })
        },
        FrontEndConfig {
            waveform_norm: WaveformNorm::None,
            kind: Kind::NemoMel(NemoMelOptions {
                num_mels: 30,
                n_fft: 510,
                window_length: 399,
                hop_length: 157,
            }),
            cmn: Cmn::PerFeature {},
            ..FrontEndConfig::default()
        },
    ]
}

#[test]
fn reused_scratch_gives_the_same_bits() {
    let front_ends: Vec<FrontEnd> = configs().iter().map(|c| FrontEnd::new(c).unwrap()).collect();
    let mut scratch = Scratch::new();
    for round in 0..3 {
        for front_end in &front_ends {
            let samples = noise(3000 + 777 * round, round as u32);
            let fresh = front_end.compute(&samples).unwrap();
            let mut out = vec![f32::NAN; fresh.data.len()];
            front_end.compute_into(&mut scratch, &samples, &mut out).unwrap();
            assert_eq!(fresh.data, out);
            assert_eq!(fresh.num_mels, front_end.num_mels());
            assert_eq!(fresh.num_frames, front_end.num_frames(samples.len()));
        }
    }
}

#[test]
fn threads_share_a_front_end() {
    let front_end = FrontEnd::new(&FrontEndConfig::default()).unwrap();
    let alone: Vec<_> = (0..4).map(|i| front_end.compute(&noise(5000, i)).unwrap()).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let front_end = &front_end;
        let threads: Vec<_> =
            (0..4).map(|i| scope.spawn(move || front_end.compute(&noise(5000, i)).unwrap())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
}

/// The level and offset of a recording do not matter after waveform normalisation; powers of two do not even round.
#[test]
fn waveform_normalisation_takes_the_gain_away() {
    let front_end = FrontEnd::new(&FrontEndConfig::default()).unwrap();
    let samples = noise(8000, 3);
    let reference = front_end.compute(&samples).unwrap();
    let quieter: Vec<f32> = samples.iter().map(|x| x / 1024.0).collect();
    assert_eq!(front_end.compute(&quieter).unwrap(), reference);
    let shifted: Vec<f32> = samples.iter().map(|x| x * 3.0 + 0.25).collect();
    for (a, b) in front_end.compute(&shifted).unwrap().data.iter().zip(&reference.data) {
        assert!((a - b).abs() < 2e-3, "{a} and {b}");
    }
}

#[test]
fn utterance_cmn_leaves_no_mean() {
    for config in configs().iter().filter(|c| matches!(c.cmn, Cmn::Utterance(_))) {
        let features = FrontEnd::new(config).unwrap().compute(&noise(9000, 1)).unwrap();
        for band in 0..features.num_mels {
            let mean =
                features.band(band).iter().map(|&x| f64::from(x)).sum::<f64>() / features.num_frames as f64;
            assert!(mean.abs() < 1e-5, "band {band}: {mean}");
        }
    }
}

#[test]
fn bad_samples_and_lengths_are_errors() {
    for config in configs() {
        let front_end = FrontEnd::new(&config).unwrap();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let mut samples = noise(2000, 0);
            samples[1234] = bad;
            let error = front_end.compute(&samples).unwrap_err();
            assert!(matches!(error, Error::Sample { index: 1234, .. }), "{error}");
            assert!(error.to_string().contains("sample 1234"), "{error}");
        }
        let minimum = front_end.min_samples();
        assert_eq!(front_end.num_frames(minimum - 1), 0);
        let error = front_end.compute(&noise(minimum - 1, 0)).unwrap_err();
        assert_eq!(error, Error::TooShort { found: minimum - 1, minimum });
        let error = front_end.compute_into(&mut Scratch::new(), &noise(2000, 0), &mut [0.0; 7]).unwrap_err();
        assert!(matches!(error, Error::OutputLength { found: 7, .. }), "{error}");
    }
}

/// The largest samples accepted stay finite, and so does silence.
#[test]
fn extremes_stay_finite() {
    for mut config in configs() {
        config.waveform_norm = WaveformNorm::None;
        let front_end = FrontEnd::new(&config).unwrap();
        let loud: Vec<f32> = noise(3000, 5).iter().map(|x| x.signum() * 1e9).collect();
        for samples in [loud, vec![1e9; 3000], vec![0.0; 3000], vec![f32::MIN_POSITIVE / 8.0; 3000]] {
            assert!(front_end.compute(&samples).unwrap().data.iter().all(|x| x.is_finite()));
        }
    }
}

static FRONT_ENDS: LazyLock<Vec<FrontEnd>> =
    LazyLock::new(|| configs().iter().map(|c| FrontEnd::new(c).unwrap()).collect());

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Frame counts by the formulas of torchaudio and Kaldi, and outputs of that shape, at any length.
    #[test]
    fn frame_counts_hold_at_every_length(len in 0usize..5000) {
        let samples = noise(len, 9);
        for front_end in FRONT_ENDS.iter() {
            let expected = match &front_end.config().kind {
                Kind::LogMel(o) if len > o.n_fft / 2 => len / o.hop_length + 1,
                Kind::Fbank(o) if o.snip_edges && len >= 400 => (len - 400) / 160 + 1,
                Kind::Fbank(o) if !o.snip_edges => (len + 40) / 80,
                Kind::NemoMel(o) => len / o.hop_length,
                _ => 0,
            };
            prop_assert_eq!(front_end.num_frames(len), expected);
            match front_end.compute(&samples) {
                Ok(features) => {
                    prop_assert_eq!(features.num_frames, expected);
                    prop_assert_eq!(features.data.len(), expected * front_end.num_mels());
                    prop_assert!(features.data.iter().all(|x| x.is_finite()));
                }
                Err(error) => {
                    prop_assert_eq!(expected, 0);
                    let too_short = matches!(error, Error::TooShort { .. });
                    prop_assert!(too_short, "{}", error);
                }
            }
        }
    }
}

#[test]
fn configs_survive_toml() {
    for config in configs() {
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<FrontEndConfig>(&text).unwrap(), config, "{text}");
    }
    assert_eq!(toml::from_str::<FrontEndConfig>("").unwrap(), FrontEndConfig::default());
    let none: FrontEndConfig = toml::from_str("cmn = { type = \"none\" }").unwrap();
    assert_eq!(none.cmn, Cmn::None {});
}

#[test]
fn unknown_fields_and_impossible_values_are_refused() {
    for (text, name) in [
        ("sample_rat = 16000", "sample_rat"),
        ("kind = { type = \"log-mel\", num_mel = 80 }", "num_mel"),
        ("kind = { type = \"fbank\", n_fft = 512 }", "n_fft"),
        ("kind = { type = \"mfcc\" }", "mfcc"),
        ("cmn = { type = \"none\", window_frames = 3 }", "window_frames"),
        ("cmn = { type = \"utterance\", center = true }", "center"),
        ("cmn = { type = \"sliding\", width = 3 }", "width"),
        ("cmn = { type = \"per-feature\", center = true }", "center"),
        ("kind = { type = \"nemo-mel\", window = \"hann\" }", "window"),
    ] {
        let error = toml::from_str::<FrontEndConfig>(text).unwrap_err().to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
    for (text, name) in [
        ("sample_rate = 0", "sample_rate"),
        ("cmn = { type = \"sliding\", window_frames = 0 }", "window_frames"),
    ] {
        let config: FrontEndConfig = toml::from_str(text).unwrap();
        let error = FrontEnd::new(&config).unwrap_err().to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
}
