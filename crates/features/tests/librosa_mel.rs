//! librosa's mel spectrogram against librosa (`tests/peers/resemblyzer_encoder.py`), and features of a given number of frames.

use ffsvc_features::{FrontEnd, FrontEndConfig, MelBanks};

mod goldens;
use goldens::Golden;

fn front_end(text: &str) -> FrontEnd {
    let config: FrontEndConfig = toml::from_str(text).unwrap();
    FrontEnd::new(&config).unwrap()
}

#[test]
fn bands_are_librosas() {
    let golden = Golden::committed("features/librosa_mel");
    let samples = golden.f32("input");
    let text = "waveform_norm = 'none'\nkind = { type = 'librosa-mel' }\ncmn = { type = 'none' }";
    let ours = front_end(text).compute(&samples).unwrap();
    assert_eq!((ours.num_mels, ours.num_frames), (40, samples.len() / 160 + 1));
    let theirs = golden.f32("bands");
    assert_eq!(ours.data.len(), theirs.len());
    let peak = theirs.iter().copied().fold(0.0, f32::max);
    for (place, (a, b)) in ours.data.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() < 1e-6 * peak, "{place}: {a} and {b} where the peak is {peak}");
    }
    // Quiet bands too.
    let (a, b) = (&ours.data[39 * 26..], &theirs[39 * 26..]);
    assert!(b.iter().all(|&b| b < 1e-2 * peak));
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-3 * b.max(1e-7 * peak)));
}

/// Slaney's triangles have an area of 1: a spectrum that is 1 everywhere gives the number of bins in a hertz.
#[test]
fn triangles_have_one_area() {
    let banks = MelBanks::slaney(20, 8192, 16000).unwrap();
    for band in 0..banks.num_mels() {
        let area = banks.band(band).1.iter().sum::<f32>() * 16000.0 / 8192.0;
        assert!((area - 1.0).abs() < 0.01, "band {band}: {area}");
    }
    assert!(MelBanks::slaney(20, 401, 16000).is_err());
}

#[test]
fn silence_follows_after_the_normalisation_of_the_signal() {
    let text =
        "waveform_norm = { raise-to-dbfs = -30.0 }\nkind = { type = 'librosa-mel' }\ncmn = { type = 'none' }";
    let front_end = front_end(text);
    let samples: Vec<f32> = (0..5000).map(|n| 0.001 * (n as f32 * 0.2).sin()).collect();
    let own = front_end.compute(&samples).unwrap();
    assert_eq!(own.num_frames, 32);
    // Frames that end before the signal does are the same.
    let longer = front_end.compute_frames(&samples, 50).unwrap();
    assert_eq!((longer.num_mels, longer.num_frames), (40, 50));
    for band in 0..40 {
        assert_eq!(longer.band(band)[..32], own.band(band)[..32]);
        assert!(longer.band(band)[34..].iter().all(|&x| x == 0.0));
    }
    // The first frame that the signal alone does not have still sees its end.
    assert!(longer.band(3)[32] > 0.0);
    let shorter = front_end.compute_frames(&samples, 7).unwrap();
    assert_eq!(shorter.num_frames, 7);
    assert!((0..40).all(|band| shorter.band(band) == &own.band(band)[..7]));
    assert!(front_end.compute_frames(&[], 7).is_err());
    assert!(front_end.compute_frames(&[f32::NAN], 7).is_err());
}

/// The mean is that of the frames that are kept.
#[test]
fn the_mean_is_of_the_frames_that_are_given() {
    let front_end = front_end("kind = { type = 'log-mel' }");
    let samples: Vec<f32> = (0..8000).map(|n| (n as f32 * 0.2).sin()).collect();
    for frames in [20, 51, 80] {
        let features = front_end.compute_frames(&samples, frames).unwrap();
        assert_eq!(features.num_frames, frames);
        let mean = features.band(10).iter().sum::<f32>() / frames as f32;
        assert!(mean.abs() < 1e-4, "{frames}: {mean}");
    }
    assert_eq!(front_end.compute_frames(&samples, 51).unwrap(), front_end.compute(&samples).unwrap());
}
