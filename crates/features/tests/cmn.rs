//! Mean normalisation against kaldi-native-fbank's goldens and a direct evaluation of its definition.

mod goldens;

use ffsvc_features::{
    Cmn, FbankOptions, FrontEnd, FrontEndConfig, Kind, SlidingCmn, UtteranceCmn, WaveformNorm, WindowType,
};
use goldens::Golden;
use proptest::prelude::*;

#[test]
fn utterance_mean_after_fbank_is_wespeakers_pipeline() {
    for (window, name) in [(WindowType::Povey, "knf_povey_cmn"), (WindowType::Hamming, "knf_hamming_cmn")] {
        let config = FrontEndConfig {
            waveform_norm: WaveformNorm::None,
            kind: Kind::Fbank(FbankOptions { window, int16_scale: false, ..FbankOptions::default() }),
            ..FrontEndConfig::default()
        };
        let front_end = FrontEnd::new(&config).unwrap();
        for golden in Golden::all("kaldi_fbank").iter().filter(|g| g.has(name)) {
            let ours = front_end.compute(&golden.f32("input_int16scale")).unwrap();
            let theirs = golden.f32(name); // [frames, mel]
            for (i, theirs) in theirs.iter().enumerate() {
                let ours = ours.band(i % 80)[i / 80];
                assert!((ours - theirs).abs() <= 4e-4, "{} [{i}]: {ours} and {theirs}", golden.name);
            }
        }
    }
}

/// Kaldi's `SlidingWindowCmnInternal`, written out for one value at a time.
fn sliding_by_definition(input: &[f32], t: usize, options: SlidingCmn) -> f64 {
    let (t, frames, width) = (t as i64, input.len() as i64, options.window_frames as i64);
    let (mut start, mut end) =
        if options.center { (t - width / 2, t - width / 2 + width) } else { (t - width, t + 1) };
    if start < 0 {
        end -= start;
        start = 0;
    }
    if !options.center && end > t {
        end = (t + 1).max(options.min_window_frames as i64);
    }
    if end > frames {
        start = (start - (end - frames)).max(0);
        end = frames;
    }
    let window: Vec<f64> = input[start as usize..end as usize].iter().map(|&x| f64::from(x)).collect();
    let n = window.len() as f64;
    let mean = window.iter().sum::<f64>() / n;
    let variance = window.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let centred = f64::from(input[t as usize]) - mean;
    match (options.normalize_variance, window.len()) {
        (false, _) => centred,
        (true, 1) => 0.0,
        (true, _) => centred / variance.max(1e-10).sqrt(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sliding_window_is_kaldis(
        input in prop::collection::vec(-20f32..20.0, 1..90),
        window_frames in 1usize..40,
        min_window_frames in 0usize..120,
        center: bool,
        normalize_variance: bool,
    ) {
        let options = SlidingCmn { window_frames, min_window_frames, center, normalize_variance };
        let mut both_rows: Vec<f32> = input.iter().chain(input.iter().rev()).copied().collect();
        Cmn::Sliding(options).apply(&mut both_rows, input.len(), &mut Vec::new());
        let reversed: Vec<f32> = input.iter().rev().copied().collect();
        let (first, second) = both_rows.split_at(input.len());
        for (ours, input) in [(first, &input), (second, &reversed)] {
            for (t, ours) in ours.iter().enumerate() {
                let exact = sliding_by_definition(input, t, options);
                prop_assert!((f64::from(*ours) - exact).abs() <= 1e-4 * exact.abs().max(1.0), "t {}: {} and {}", t, ours, exact);
            }
        }
    }

    #[test]
    fn utterance_mean_is_zero_and_variance_one(input in prop::collection::vec(-20f32..20.0, 2..300)) {
        for normalize_variance in [false, true] {
            let mut row = input.clone();
            Cmn::Utterance(UtteranceCmn { normalize_variance }).apply(&mut row, input.len(), &mut Vec::new());
            let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
            prop_assert!(mean.abs() < 1e-5, "{}", mean);
            let spread = input.iter().any(|&x| (x - input[0]).abs() > 1e-3);
            if normalize_variance && spread {
                let variance = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / row.len() as f64;
                prop_assert!((variance - 1.0).abs() < 1e-4, "{}", variance);
            }
        }
    }
}

#[test]
fn a_window_wider_than_the_signal_is_the_utterance() {
    let input: Vec<f32> = (0..50).map(|i| (i as f32).sin()).collect();
    let apply = |cmn: Cmn| {
        let mut row = input.clone();
        cmn.apply(&mut row, 50, &mut Vec::new());
        row
    };
    let utterance = apply(Cmn::default());
    let sliding =
        apply(Cmn::Sliding(SlidingCmn { center: true, window_frames: usize::MAX, ..SlidingCmn::default() }));
    for (a, b) in utterance.iter().zip(&sliding) {
        assert!((a - b).abs() < 1e-6);
    }
    assert_eq!(apply(Cmn::None {}), input);
}

/// A row of 1, 3 and 5 has the sample standard deviation 2.
#[test]
fn per_feature_divides_by_the_sample_deviation() {
    let mut rows = [1.0f32, 3.0, 5.0, 7.0, 7.0, 7.0];
    Cmn::PerFeature {}.apply(&mut rows, 3, &mut Vec::new());
    assert_eq!(rows[3..], [0.0; 3]);
    for (found, expected) in rows.iter().zip([-1.0, 0.0, 1.0]) {
        assert!((f64::from(*found) - expected * 2.0 / 2.00001).abs() < 1e-7, "{found}");
    }
    let mut one = [3.0f32];
    Cmn::PerFeature {}.apply(&mut one, 1, &mut Vec::new());
    assert_eq!(one, [0.0]);
}
