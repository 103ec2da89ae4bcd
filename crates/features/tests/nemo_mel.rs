//! NeMo's features against its own class (`tests/peers/nemo_mel.py`).

use ffsvc_features::{FrontEnd, FrontEndConfig};

mod goldens;
use goldens::Golden;

fn front_end(cmn: &str) -> FrontEnd {
    let text =
        format!("waveform_norm = 'none'\nkind = {{ type = 'nemo-mel' }}\ncmn = {{ type = '{cmn}' }}\n");
    let config: FrontEndConfig = toml::from_str(&text).unwrap();
    FrontEnd::new(&config).unwrap()
}

#[test]
fn bands_and_their_normalisation_are_nemos() {
    let golden = Golden::committed("nemo/mel");
    let samples = golden.f32("input");
    for (cmn, tensor) in [("none", "bands"), ("per-feature", "normalised")] {
        let ours = front_end(cmn).compute(&samples).unwrap();
        assert_eq!((ours.num_mels, ours.num_frames), (80, samples.len() / 160));
        let theirs = golden.f32(tensor);
        assert_eq!(ours.data.len(), theirs.len());
        let error = ours.data.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{tensor}: {error:e}");
        assert!(error < 1e-4, "{tensor}: {error:e}");
    }
    // In the silence only the number under the logarithm is left.
    let least = golden.f32("bands").into_iter().fold(f32::MAX, f32::min);
    assert!((least + 24.0 * std::f32::consts::LN_2).abs() < 1e-5, "{least}");
}

#[test]
fn a_shift_of_samples_has_a_frame_and_silence_is_finite() {
    let front_end = front_end("per-feature");
    for len in [160, 161, 319, 320, 321, 400] {
        let features = front_end.compute(&vec![0.0; len]).unwrap();
        assert_eq!(features.num_frames, len / 160);
        assert!(features.data.iter().all(|&x| x == 0.0));
    }
    assert!(front_end.compute(&[0.0; 159]).is_err());
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    for option in ["num_mels", "n_fft", "window_length", "hop_length"] {
        let text = format!("kind = {{ type = 'nemo-mel', {option} = 0 }}");
        let error = FrontEnd::new(&toml::from_str(&text).unwrap()).unwrap_err().to_string();
        assert!(error.contains(option), "{error}");
    }
}
