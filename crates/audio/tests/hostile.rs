//! Arbitrary bytes and damaged files: an error or samples, never a panic, never more memory than the input accounts for.

use ffsvc_audio::{AudioFile, Cause, ReadOptions};
use proptest::prelude::*;

const FIXTURES: [&str; 7] = [
    "tone_16k_stereo.flac",
    "tone_16k_mono.ogg",
    "tone_44k_stereo.mp3",
    "tone_16k_mono_untagged.mp3",
    "tone_16k_mono.m4a",
    "tone_16k_mono.aac",
    "tone_16k_mono_alaw.wav",
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/audio/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read_all_ways(bytes: &[u8]) {
    for sample_rate in [None, Some(16_000)] {
        let plain = sample_rate.map_or_else(ReadOptions::default, ReadOptions::at_rate);
        let options = plain.with_compat_lowpass(true);
        let opened = AudioFile::from_bytes("hostile", bytes.to_vec());
        match opened.and_then(|mut file| file.read(&options)) {
            Ok(audio) => {
                assert!(!audio.samples.is_empty() && audio.samples.iter().all(|v| v.is_finite()));
            }
            Err(error) => assert!(error.to_string().starts_with("hostile: "), "{error}"),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile");
    std::fs::write(&path, bytes).unwrap();
    let Ok(mut file) = AudioFile::open(&path) else { return };
    for start in [0, 1000, 1 << 40] {
        let mut crop = [0.0; 500];
        let _ = file.crop_into(start, &mut crop, &ReadOptions::default());
    }
    let _ = file.count_frames();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic in 0usize..8) {
        let magics: [&[u8]; 8] =
            [b"", b"fLaC", b"OggS\0\x02", b"ID3", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"\0\0\0\x20ftypM4A ", b"RIFF\xff\xff\xff\xffWAVE"];
        read_all_ways(&[magics[magic], &bytes].concat());
    }

    #[test]
    fn arbitrary_wav_headers(
        format in prop::collection::vec(any::<u8>(), 16..40), size in any::<u32>(), data in prop::collection::vec(any::<u8>(), 0..300),
        tag in prop::sample::select(vec![1u8, 3, 6, 7, 2, 17, 0xfe]), channels in 0u8..4, bits in prop::sample::select(vec![8u8, 16, 24, 32, 64]),
    ) {
        let mut format = format;
        format[..2].copy_from_slice(&[tag, if tag == 0xfe { 0xff } else { 0 }]);
        format[2..4].copy_from_slice(&[channels, 0]);
        format[12..16].copy_from_slice(&[channels.wrapping_mul(bits / 8), 0, bits, 0]);
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        bytes.extend((format.len() as u32).to_le_bytes());
        bytes.extend(&format);
        bytes.resize(bytes.len() + format.len() % 2, 0);
        bytes.extend(b"data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(&data);
        read_all_ways(&bytes);
    }

    #[test]
    fn flipped_and_cut_files(
        which in 0..FIXTURES.len(), flips in prop::collection::vec((0.0f64..1.0, 0u8..8), 1..6), head in any::<bool>(), keep in 0.3f64..1.7,
    ) {
        let mut bytes = fixture(FIXTURES[which]);
        for (place, bit) in flips {
            // Headers are where a flipped bit does most.
            let range = if head { bytes.len().min(300) } else { bytes.len() };
            let at = (place * range as f64) as usize;
            bytes[at] ^= 1 << bit;
        }
        bytes.truncate((keep * bytes.len() as f64) as usize);
        read_all_ways(&bytes);
    }
}

/// A seek table whose byte offsets run backwards makes the FLAC reader's binary search subtract below zero.
#[test]
fn flac_seek_table_that_runs_backwards() {
    let bytes = fixture("tone_16k_stereo.flac");
    let mut table = Vec::new();
    for (sample, offset) in [(0u64, 5000u64), (4000, 10), (4500, u64::MAX)] {
        table.extend(sample.to_be_bytes());
        table.extend(offset.to_be_bytes());
        table.extend(1024u16.to_be_bytes());
    }
    let block = [&[3, 0, 0, table.len() as u8][..], &table].concat();
    // After the marker and the stream info, which are 4 and 38 bytes long.
    read_all_ways(&[&bytes[..42], &block, &bytes[42..]].concat());
}

/// Nothing overflows at the far end of what a start can say. The files have no length in their headers and another rate; that of
/// the second begins behind the samples that its encoder put first.
#[test]
fn crops_from_beyond_any_file() {
    let mut mp4 = fixture("tone_16k_mono.m4a");
    let header = mp4.windows(4).position(|name| name == b"mdhd").unwrap();
    // Units of a second that are not samples.
    mp4[header + 16..header + 20].copy_from_slice(&8000_u32.to_be_bytes());
    for bytes in [fixture("tone_16k_mono.aac"), mp4] {
        let mut file = AudioFile::from_bytes("far", bytes).unwrap();
        assert_eq!(file.frames(), None);
        for start in [1 << 40, 1 << 62, u64::MAX - 100, u64::MAX] {
            for options in [ReadOptions::default(), ReadOptions::at_rate(48_000)] {
                let error = file.crop(start, 400, &options).unwrap_err();
                assert!(
                    matches!(error.cause, Cause::CropPastEnd { start: named, .. } if named == start),
                    "{error}"
                );
            }
        }
    }
}

/// A decoder makes its buffer for a whole packet of as many channels as the header says.
#[test]
fn no_memory_on_the_word_of_a_header() {
    let channels = 20_000_u16;
    // 16 kHz as an 80-bit number: 1.953125 times 2^13.
    let rate = [0x40, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0];
    let common =
        [&channels.to_be_bytes()[..], &1000_u32.to_be_bytes(), &16_u16.to_be_bytes(), &rate].concat();
    let sound = [0; 8 + 2000];
    let chunk = |name: &[u8], body: &[u8]| [name, &(body.len() as u32).to_be_bytes(), body].concat();
    let form = [b"AIFF".to_vec(), chunk(b"COMM", &common), chunk(b"SSND", &sound)].concat();
    let error = AudioFile::from_bytes("wide", chunk(b"FORM", &form)).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("20000 channels"), "{error}");
}
