//! SpeechBrain's features against its own modules (`tests/peers/speechbrain_fbank.py`).

use ffsvc_features::{FrontEnd, FrontEndConfig};

mod goldens;
use goldens::Golden;

fn front_end(cmn: &str) -> FrontEnd {
    let text = format!(
        "waveform_norm = 'none'\nkind = {{ type = 'speechbrain-fbank' }}\ncmn = {{ type = '{cmn}' }}\n"
    );
    let config: FrontEndConfig = toml::from_str(&text).unwrap();
    FrontEnd::new(&config).unwrap()
}

#[test]
fn bands_and_their_floor_are_speechbrains() {
    let golden = Golden::committed("speechbrain/fbank");
    let samples = golden.f32("input");
    for (cmn, tensor) in [("none", "bands"), ("utterance", "mean_removed")] {
        let ours = front_end(cmn).compute(&samples).unwrap();
        assert_eq!((ours.num_mels, ours.num_frames), (80, samples.len() / 160 + 1));
        let theirs = golden.f32(tensor);
        // Decibels: a thousandth of one is far below what a network tells apart.
        let error = ours.data.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 2e-3, "{tensor}: {error:e}");
        assert_eq!(ours.data.len(), theirs.len());
    }
    let bands = golden.f32("bands");
    let (least, most) = bands.iter().fold((f32::MAX, f32::MIN), |(a, b), &x| (a.min(x), b.max(x)));
    assert!((most - least - 80.0).abs() < 1e-4, "the floor is not seen: {least} to {most}");
}

#[test]
fn any_length_has_frames_and_silence_is_finite() {
    let front_end = front_end("utterance");
    for len in [1, 2, 159, 160, 161, 399, 400, 401] {
        let features = front_end.compute(&vec![0.0; len]).unwrap();
        assert_eq!(features.num_frames, len / 160 + 1);
        assert!(features.data.iter().all(|x| x.is_finite()));
    }
    assert!(front_end.compute(&[]).is_err());
}
