//! Opus beside libopus (tests/peers/libopus_recordings.py), in its three modes and in each container.

use std::path::{Path, PathBuf};

use ffsvc_audio::{AudioFile, Channel, Format, ReadOptions};
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/audio/libopus")
}

fn read(name: &str, channel: usize) -> Vec<f32> {
    let mut file = AudioFile::open(folder().join(name)).unwrap();
    let info = *file.info();
    assert_eq!((info.sample_rate, info.encoding), (48_000, "opus"), "{name}");
    let samples = file.read(&ReadOptions::default().with_channel(Channel::Index(channel))).unwrap().samples;
    assert_eq!(file.count_frames().unwrap(), samples.len() as u64, "{name}");
    // A crop decodes from the beginning, and gives the same.
    let crop = file.crop(5000, 3000, &ReadOptions::default().with_channel(Channel::Index(channel))).unwrap();
    assert_eq!(crop.samples, samples[5000..8000], "{name}");
    samples
}

#[test]
fn samples_are_those_of_libopus() {
    let bytes = std::fs::read(folder().join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(expected.len(), 5);
    for (name, tensor) in expected.tensors() {
        let channels = tensor.shape()[1];
        let values: Vec<i16> =
            tensor.data().chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect();
        for channel in 0..channels {
            let found = read(&name, channel);
            let expected: Vec<i16> = values.iter().skip(channel).step_by(channels).copied().collect();
            if name.ends_with(".opus") {
                assert_eq!(found.len(), expected.len(), "{name}");
            }
            // Matroska's last packet is filled up with silence, which Symphonia does not cut off.
            assert!((expected.len()..expected.len() + 960).contains(&found.len()), "{name}: {}", found.len());
            let errors = found.iter().zip(&expected).map(|(a, &b)| (a * 32_768.0 - f32::from(b)).abs());
            let worst = errors.fold(0f32, f32::max);
            println!("{name}, channel {channel}: {worst} of a 16-bit step");
            // The expected ones are rounded.
            assert!(worst < 0.51, "{name}, channel {channel}: {worst}");
        }
    }
}

/// The edit list says where a recording begins, in the header's own rate.
#[test]
fn containers_hold_the_same_recording() {
    let (webm, mp4) = (read("voip.webm", 0), read("voip.mp4", 0));
    assert_eq!(AudioFile::open(folder().join("voip.mp4")).unwrap().info().format, Format::Mp4);
    let shared = webm.len().min(mp4.len());
    assert!(shared >= 19_200 && webm[..shared] == mp4[..shared], "{} and {}", webm.len(), mp4.len());
}

/// A file that was cut still gives an error and not a shorter recording; damage is an error or other samples.
#[test]
fn damaged_files_are_errors_or_finite() {
    let whole = std::fs::read(folder().join("hybrid.opus")).unwrap();
    let file = tempfile::NamedTempFile::with_suffix(".opus").unwrap();
    std::fs::write(&file, &whole[..whole.len() - 200]).unwrap();
    let read = || AudioFile::open(&file).and_then(|mut audio| audio.read(&ReadOptions::default()));
    assert!(read().is_err());
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&file, &damaged).unwrap();
        if let Ok(audio) = read() {
            assert!(audio.samples.iter().all(|sample| sample.is_finite()), "byte {at}");
        }
    }
}
