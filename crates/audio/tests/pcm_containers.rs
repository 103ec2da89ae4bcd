//! AU, Wave64 and SPHERE files that libsndfile wrote (tests/peers/libsndfile_pcm.py), and damaged ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ffsvc_audio::{AudioFile, Cause, Channel, Format, ReadOptions};
use proptest::prelude::*;

fn at(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/audio/libsndfile").join(name)
}

/// Both channels of each file, as libsndfile reads them.
fn expected() -> BTreeMap<String, [Vec<f64>; 2]> {
    serde_json::from_str(&std::fs::read_to_string(at("expected.json")).unwrap()).unwrap()
}

#[test]
fn every_file_is_read_as_libsndfile_reads_it() {
    let expected = expected();
    assert_eq!(expected.len(), 33);
    for (name, channels) in &expected {
        let mut file = AudioFile::open(at(name)).unwrap();
        let format = match name.rsplit_once('.').unwrap().1 {
            "au" => Format::Au,
            "w64" => Format::W64,
            _ => Format::Sphere,
        };
        let info = *file.info();
        assert_eq!((info.format, info.sample_rate, info.channels), (format, 8000, 2), "{name}");
        assert_eq!(info.num_samples, Some(60), "{name}");
        for (index, expected) in channels.iter().enumerate() {
            let options = ReadOptions::default().with_channel(Channel::Index(index));
            let samples = file.read(&options).unwrap().samples;
            let expected: Vec<f32> = expected.iter().map(|&sample| sample as f32).collect();
            assert_eq!(samples, expected, "{name}, channel {index}");
            assert_eq!(file.crop(17, 20, &options).unwrap().samples, expected[17..37], "{name}");
        }
    }
}

#[test]
fn a_file_that_is_cut_off_is_an_error() {
    for name in expected().keys() {
        let bytes = std::fs::read(at(name)).unwrap();
        for len in [bytes.len() - 1, bytes.len() - 100, 30, 17] {
            let error = AudioFile::from_bytes(name, bytes[..len].to_vec()).unwrap_err();
            let is_named = matches!(error.cause, Cause::Truncated { .. } | Cause::Malformed { .. });
            assert!(is_named || matches!(error.cause, Cause::NotAudio { .. }) && len == 17, "{error}");
        }
    }
}

#[test]
fn what_is_not_read_is_said() {
    let sphere = |lines: &str| {
        let header = format!("NIST_1A\n   1024\n{lines}end_head\n");
        let bytes = [header.as_bytes(), &vec![0; 1024 - header.len()], &[1; 64]].concat();
        AudioFile::from_bytes("a.sph", bytes)
    };
    let plain = "sample_rate -i 8000\nsample_n_bytes -i 2\nsample_byte_format -s2 01\n";
    let file = sphere(plain).unwrap();
    assert_eq!((file.channels(), file.frames()), (1, Some(32)), "without a count: to the end");
    let unended = format!("NIST_1A\n   1024\n{plain}end_head");
    let bytes = [unended.as_bytes(), &vec![0; 1024 - unended.len()], &[1; 64]].concat();
    assert_eq!(
        AudioFile::from_bytes("a.sph", bytes).unwrap().frames(),
        Some(32),
        "zeros behind the last line"
    );
    for (lines, words) in [
        (&*format!("{plain}sample_coding -s26 pcm,embedded-shorten-v2.00\n"), "sph2pipe expands them"),
        (&format!("{plain}sample_count -i 40\n"), "truncated: 32 samples found, 40 expected"),
        (&format!("{plain}sample_count -i many\n"), "sample_count is \"many\""),
        (&format!("{plain}channel_count -i 0\n"), "0 channels"),
        (&format!("{plain}sample_coding -s4 celp\n"), "coded as \"celp\""),
        ("sample_n_bytes -i 2\n", "no sample_rate"),
        ("sample_rate -i 8000\n", "no sample_n_bytes"),
        ("sample_rate -i 9999999\nsample_n_bytes -i 2\n", "sample rate 9999999"),
        ("sample_rate -i 8000\nsample_n_bytes -i 2\nsample_byte_format -s2 11\n", "the byte format \"11\""),
    ] {
        let message = sphere(lines).unwrap_err().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
    let no_end = [b"NIST_1A\n   1024\nsample_rate -i 8000\n".as_slice(), &[0; 2000]].concat();
    let message = AudioFile::from_bytes("a.sph", no_end).unwrap_err().to_string();
    assert!(message.contains("no header of text"), "{message}");

    let au = |place: usize, number: u32| {
        let mut bytes = std::fs::read(at("pcm_16_big.au")).unwrap();
        bytes[4 * place..4 * place + 4].copy_from_slice(&number.to_be_bytes());
        AudioFile::from_bytes("a.au", bytes)
    };
    assert_eq!(au(2, u32::MAX).unwrap().frames(), Some(60), "an unknown size: to the end");
    for (place, number, words) in [
        (1, 8, "samples that begin inside the header"),
        (2, 239, "239 bytes of samples, expected a multiple of 4"),
        (2, 0, "the file holds no samples"),
        (3, 23, "unsupported AU file: the encoding 23"),
        (4, 0, "sample rate 0"),
        (5, 0, "0 channels"),
        (5, 70_000, "more than 65535 channels"),
    ] {
        let message = au(place, number).unwrap_err().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
}

proptest! {
    #[test]
    fn any_change_of_a_header_is_a_file_or_an_error(
        file in 0..33_usize,
        changes in prop::collection::vec((0..140_usize, any::<u8>()), 1..6),
    ) {
        let name = expected().into_keys().nth(file).unwrap();
        let mut bytes = std::fs::read(at(&name)).unwrap();
        changes.iter().for_each(|&(place, byte)| bytes[place] = byte);
        let len = bytes.len() as u64;
        if let Ok(mut file) = AudioFile::from_bytes(&name, bytes)
            && let Ok(audio) = file.read(&ReadOptions::default())
        {
            prop_assert!(!audio.samples.is_empty() && audio.samples.len() as u64 <= len);
        }
    }
}
