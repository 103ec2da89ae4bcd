//! WAV headers and samples, written byte by byte here or by hound.

use std::path::Path;

use ffsvc_audio::{Audio, AudioFile, Cause, Channel, ReadOptions, Result, SampleFormat, write_wav};

fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Audio> {
    AudioFile::open(path)?.read(options)
}

fn crop(path: impl AsRef<Path>, start: u64, len: usize, options: &ReadOptions) -> Result<Audio> {
    AudioFile::open(path)?.crop(start, len, options)
}

fn read_bytes(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<Audio> {
    AudioFile::from_bytes(name, bytes)?.read(options)
}

/// A fmt chunk's content for `bits` of `tag`, at 16 kHz.
fn fmt(tag: u16, channels: u16, bits: u16) -> Vec<u8> {
    let block = channels * bits.div_ceil(8);
    let mut bytes = Vec::new();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend((16_000 * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes
}

fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
    bytes.extend(vec![0; content.len() % 2]);
    bytes
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    [b"RIFF", &(body.len() as u32 + 4).to_le_bytes()[..], b"WAVE", &body].concat()
}

/// A mono 16-bit file whose data chunk claims `size` bytes.
fn claiming(size: u32, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut bytes = riff(&[chunk(b"fmt ", &fmt(1, 1, 16)), chunk(b"data", &data)]);
    bytes[40..44].copy_from_slice(&size.to_le_bytes());
    bytes
}

fn samples(bytes: Vec<u8>) -> Result<Vec<f32>> {
    read_bytes("a.wav", bytes, &ReadOptions::default()).map(|audio| audio.samples)
}

fn message(bytes: Vec<u8>) -> String {
    let message = samples(bytes).unwrap_err().to_string();
    assert!(message.starts_with("a.wav: "), "{message}");
    message
}

#[test]
fn every_integer_width_and_float() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    // hound writes WAVE_FORMAT_EXTENSIBLE for 24 and 32 bits.
    for bits in [8u16, 16, 24, 32] {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        let full = 1i64 << (bits - 1);
        let values = [0, 1, -1, full / 2, -full / 3, full - 1, -full];
        for value in values {
            writer.write_sample(value as i32).unwrap();
            writer.write_sample((-(value + 1)) as i32).unwrap();
        }
        writer.finalize().unwrap();
        let of = |channel| read(&path, &ReadOptions::default().with_channel(channel)).unwrap().samples;
        let scaled = |value: i64| (value as f64 / full as f64) as f32;
        assert_eq!(of(Channel::First), values.map(scaled), "{bits} bits");
        assert_eq!(of(Channel::Index(1)), values.map(|v| scaled(-(v + 1))), "{bits} bits");
        let mean: Vec<f32> = values.iter().map(|v| (scaled(*v) + scaled(-(v + 1))) / 2.0).collect();
        assert_eq!(of(Channel::Mix), mean, "{bits} bits");
    }
    let values = [0.0f64, 0.1, -1.0, 1.75, 1e-30];
    let narrow: Vec<u8> = values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
    let wide: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    for (bits, data) in [(32, narrow), (64, wide)] {
        let bytes = riff(&[chunk(b"fmt ", &fmt(3, 1, bits)), chunk(b"data", &data)]);
        assert_eq!(samples(bytes).unwrap(), values.map(|v| v as f32), "{bits} bits");
    }
}

#[test]
fn chunks_around_the_samples_are_skipped() {
    let data: Vec<u8> = [1i16, -2, 3].iter().flat_map(|v| v.to_le_bytes()).collect();
    let large = vec![b'x'; 100_001];
    let bytes = riff(&[
        chunk(b"LIST", b"INFOodd"),
        chunk(b"fmt ", &fmt(1, 1, 16)),
        chunk(b"bext", &large),
        chunk(b"data", &data),
        chunk(b"LIST", b"more"),
    ]);
    assert_eq!(samples(bytes).unwrap(), [1.0, -2.0, 3.0].map(|v| v / 32_768.0));
}

/// WAVE_FORMAT_EXTENSIBLE around `tag`.
fn extensible(tag: u16, channels: u16, container_bits: u16, bits: u16) -> Vec<u8> {
    let mut extensible = fmt(0xfffe, channels, container_bits);
    extensible.extend(22u16.to_le_bytes());
    extensible.extend(bits.to_le_bytes());
    extensible.extend(4u32.to_le_bytes());
    extensible.extend(tag.to_le_bytes());
    extensible.extend(b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    extensible
}

#[test]
fn extensible_20_bits_in_24() {
    for container_bits in [20, 24] {
        let format = extensible(1, 1, container_bits, 20);
        let bytes = riff(&[chunk(b"fmt ", &format), chunk(b"data", &[0, 0, 0x40, 0, 0, 0xc0])]);
        assert_eq!(samples(bytes).unwrap(), [0.5, -0.5]);
    }
}

#[test]
fn g711_is_read_with_a_plain_and_an_extensible_header() {
    // The second channel of frames of two; the extremes and the steps around zero of the tables of ITU-T G.711.
    for (tag, codes, expected) in [
        (6u16, [0xaa, 0x2a, 0xd5, 0x55], [32_256.0, -32_256.0, 8.0, -8.0]),
        (7, [0x80, 0x00, 0xff, 0x7f], [32_124.0, -32_124.0, 0.0, 0.0]),
    ] {
        let frames: Vec<u8> = codes.into_iter().flat_map(|code: u8| [0x99, code]).collect();
        for format in [fmt(tag, 2, 8), extensible(tag, 2, 8, 8)] {
            let bytes = riff(&[chunk(b"fmt ", &format), chunk(b"data", &frames)]);
            let mut file = AudioFile::from_bytes("a.wav", bytes).unwrap();
            assert_eq!((file.frames(), file.channels()), (Some(4), 2));
            let samples = file.read(&ReadOptions::default().with_channel(Channel::Index(1))).unwrap().samples;
            assert_eq!(samples.iter().map(|v| v * 32_768.0).collect::<Vec<f32>>(), expected, "tag {tag}");
        }
    }
}

#[test]
fn sizes_of_streams_mean_to_the_end_of_the_file() {
    let values = [5i16, 6, 7, -8];
    let expected = values.map(|v| f32::from(v) / 32_768.0);
    for size in [0, u32::MAX, u32::MAX - 1, u32::MAX - 36, 0x7fff_f000, 0x7fff_ffff, 0x8000_0000] {
        assert_eq!(samples(claiming(size, &values)).unwrap(), expected, "{size:#x}");
    }
    let rf64 = |data_size: u64| {
        let mut ds64 = vec![0; 28];
        ds64[8..16].copy_from_slice(&data_size.to_le_bytes());
        let mut bytes = riff(&[chunk(b"ds64", &ds64), claiming(u32::MAX, &values)[12..].to_vec()]);
        bytes[..4].copy_from_slice(b"RF64");
        bytes
    };
    assert_eq!(samples(rf64(8)).unwrap(), expected);
    assert!(message(rf64(80)).contains("truncated: 4 samples found, 40 expected"));
}

#[test]
fn a_short_data_chunk_is_an_error_that_counts() {
    let bytes = claiming(200, &[1; 40]);
    assert!(message(bytes.clone()).contains("truncated: 40 samples found, 100 expected"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("short.wav");
    std::fs::write(&path, bytes).unwrap();
    // Also where the crop itself is there, and without reading samples at all.
    for error in
        [crop(&path, 0, 10, &ReadOptions::default()).unwrap_err(), AudioFile::open(&path).unwrap_err()]
    {
        assert!(matches!(error.cause, Cause::Truncated { found: 40, expected: Some(100) }), "{error}");
        assert!(error.to_string().contains("short.wav"));
    }
}

#[test]
fn damaged_headers_are_errors() {
    let data = chunk(b"data", &[0; 4]);
    let with = |format: Vec<u8>| riff(&[chunk(b"fmt ", &format), data.clone()]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "empty (0 bytes)"),
        (b"RIFF".to_vec(), "not audio"),
        (b"utt1 spk1\nutt2 spk1\n".to_vec(), "text that begins with \"utt1 spk1\""),
        (riff(&[]), "no fmt chunk"),
        (riff(&[chunk(b"fmt ", &fmt(1, 1, 16))]), "no data chunk"),
        (riff(&[data.clone(), chunk(b"fmt ", &fmt(1, 1, 16))]), "the data chunk comes before the fmt chunk"),
        (riff(&[chunk(b"fmt ", &[1, 0]), data.clone()]), "a fmt chunk of 2 bytes"),
        (with(fmt(1, 0, 16)), "0 channels"),
        (with([&fmt(1, 1, 16)[..4], &[0; 4], &fmt(1, 1, 16)[8..]].concat()), "sample rate 0 Hz"),
        (with([&fmt(1, 1, 16)[..4], &[0xff; 4], &fmt(1, 1, 16)[8..]].concat()), "sample rate 4294967295 Hz"),
        (
            with([&fmt(1, 1, 16)[..12], &[7, 0, 16, 0]].concat()),
            "a frame of 7 bytes, expected 2 (1 channels of 16-bit PCM)",
        ),
        // A sample of 16 bits in 4 bytes, two channels in the bytes of three, and A-law in 16 bits.
        (with([&fmt(1, 1, 16)[..12], &[4, 0, 16, 0]].concat()), "a frame of 4 bytes, expected 2"),
        (with([&fmt(1, 2, 16)[..12], &[6, 0, 16, 0]].concat()), "a frame of 6 bytes, expected 4"),
        (with([&fmt(3, 1, 32)[..12], &[8, 0, 32, 0]].concat()), "a frame of 8 bytes, expected 4"),
        (
            with([&fmt(6, 1, 8)[..12], &[2, 0, 8, 0]].concat()),
            "a frame of 2 bytes, expected 1 (1 channels of A-law)",
        ),
        (with(fmt(7, 1, 16)), "mu-law samples of 16 bits"),
        (with(fmt(3, 1, 16)), "float samples of 16 bits"),
        (with(fmt(0xfffe, 1, 16)), "an extensible fmt chunk of 16 bytes"),
        (riff(&[chunk(b"fmt ", &fmt(1, 1, 16)), chunk(b"data", &[])]), "holds no samples"),
        (
            riff(&[chunk(b"fmt ", &fmt(1, 1, 16)), chunk(b"data", &[]), chunk(b"LIST", b"INFO")]),
            "holds no samples",
        ),
        (
            riff(&[chunk(b"fmt ", &fmt(1, 2, 16)), chunk(b"data", &[0; 6])]),
            "6 bytes of samples, expected a multiple of 4",
        ),
    ];
    for (bytes, expected) in cases {
        let message = message(bytes);
        assert!(message.contains(expected), "{message:?}, expected {expected:?}");
    }
}

#[test]
fn nan_and_infinity_are_errors_that_name_the_sample() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let data: Vec<u8> = [0.0, 0.5, bad, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = riff(&[chunk(b"fmt ", &fmt(3, 1, 32)), chunk(b"data", &data)]);
        assert!(message(bytes).contains("sample 2 is "), "{bad}");
    }
}

#[test]
fn crops_and_their_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let values: Vec<f32> = (0..1000i16).map(|n| f32::from(n * 31) / 32_768.0).collect();
    write_wav(&path, &values, 8000, SampleFormat::Pcm16).unwrap();
    assert_eq!(AudioFile::open(&path).unwrap().count_frames().unwrap(), 1000);
    assert_eq!(AudioFile::open(&path).unwrap().info().duration_s(), Some(0.125));
    let options = ReadOptions::default();
    for (start, len) in [(0, 1000), (999, 1), (250, 500), (1000, 0)] {
        assert_eq!(crop(&path, start as u64, len, &options).unwrap().samples, values[start..start + len]);
        let mut buffer = vec![9.0; len];
        assert_eq!(
            AudioFile::open(&path).unwrap().crop_into(start as u64, &mut buffer, &options).unwrap(),
            8000
        );
        assert_eq!(buffer, values[start..start + len]);
    }
    for (start, len) in [(0, 1001), (1000, 1), (u64::MAX, 2), (u64::MAX, usize::MAX), (0, usize::MAX)] {
        for sample_rate in [None, Some(16_000)] {
            let error = crop(&path, start, len, &sample_rate.map_or(options, ReadOptions::at_rate));
            let past = matches!(error, Err(ffsvc_audio::Error { cause: Cause::CropPastEnd { .. }, .. }));
            // At 16 kHz the file has twice the samples.
            assert!(past || (sample_rate.is_some() && start + len as u64 <= 2000), "{start} {len}");
        }
    }
    let error =
        crop(&path, 0, 10, &ReadOptions::default().with_channel(Channel::Index(1))).unwrap_err().to_string();
    assert!(error.contains("channel 1 was asked for (counted from 0), the file has 1"), "{error}");
}

#[test]
fn missing_files_and_folders_are_named() {
    let error = read(Path::new("/nonexistent/utt.wav"), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("/nonexistent/utt.wav: ") && matches!(error.cause, Cause::Io(_)));
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(read(dir.path(), &ReadOptions::default()).unwrap_err().cause, Cause::Folder));
}

#[test]
fn too_short_for_one_output_sample() {
    let options = ReadOptions::at_rate(16_000);
    let mut bytes = claiming(2, &[1]);
    bytes[24..28].copy_from_slice(&48_000u32.to_le_bytes());
    let error = read_bytes("a.wav", bytes, &options).unwrap_err().to_string();
    assert!(error.contains("1 samples at 48000 Hz are less than one sample at 16000 Hz"), "{error}");
}

#[test]
fn written_files_are_read_by_hound_and_rounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    let values = [0.0, 0.5 / 32_768.0, 0.49 / 32_768.0, -1.0, 1.0, 7.0, -7.0, 32_767.4 / 32_768.0];
    write_wav(&path, &values, 44_100, SampleFormat::Pcm16).unwrap();
    let mut reader = hound::WavReader::open(&path).unwrap();
    assert_eq!((reader.spec().sample_rate, reader.spec().channels), (44_100, 1));
    let written: Vec<i16> = reader.samples().map(|v| v.unwrap()).collect();
    assert_eq!(written, [0, 1, 0, -32_768, 32_767, 32_767, -32_768, 32_767]);
    write_wav(&path, &values, 44_100, SampleFormat::Float32).unwrap();
    let written: Vec<f32> = hound::WavReader::open(&path).unwrap().samples().map(|v| v.unwrap()).collect();
    assert_eq!(written, values);
    assert_eq!(read(&path, &ReadOptions::default()).unwrap().samples, values);
    let error = write_wav(&path, &[0.0, f32::NAN], 16_000, SampleFormat::Pcm16).unwrap_err().to_string();
    assert!(error.contains("sample 1 is NaN"), "{error}");
    assert_eq!(read(&path, &ReadOptions::default()).unwrap().samples, values, "the old file is still there");
}
