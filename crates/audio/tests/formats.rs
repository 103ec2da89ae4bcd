//! Every format that a decoder reads, from tones of 0.3 s at half scale (440 Hz; 1000 Hz in a second channel) that ffmpeg
//! encoded (`tests/data/audio/tone_*`).

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use ffsvc_audio::{Audio, AudioFile, AudioInfo, Channel, Format, ReadOptions, Result};

fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Audio> {
    AudioFile::open(path)?.read(options)
}

fn crop(path: impl AsRef<Path>, start: u64, len: usize, options: &ReadOptions) -> Result<Audio> {
    AudioFile::open(path)?.crop(start, len, options)
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/audio")).join(name)
}

/// The amplitude of the best sine of `hz` in the middle of the signal, and the rest beside it in dB.
fn fit_sine(samples: &[f32], rate: u32, hz: f64) -> (f64, f64) {
    let margin = samples.len() / 5;
    let middle: Vec<f64> = samples[margin..samples.len() - margin].iter().map(|v| f64::from(*v)).collect();
    let (mut cc, mut ss, mut cs, mut cx, mut sx) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let basis = |n: usize| (TAU * hz * n as f64 / f64::from(rate)).sin_cos();
    for (n, x) in middle.iter().enumerate() {
        let (s, c) = basis(n);
        (cc, ss, cs, cx, sx) = (cc + c * c, ss + s * s, cs + c * s, cx + c * x, sx + s * x);
    }
    let det = cc * ss - cs * cs;
    let (a, b) = ((cx * ss - sx * cs) / det, (sx * cc - cx * cs) / det);
    let rest = |(n, x): (usize, &f64)| {
        let (s, c) = basis(n);
        (x - a * c - b * s).powi(2)
    };
    let noise: f64 = middle.iter().enumerate().map(rest).sum();
    let signal: f64 = middle.iter().map(|x| x * x).sum();
    (a.hypot(b), 10.0 * (noise / signal).log10())
}

fn check(
    name: &str,
    format: Format,
    rate: u32,
    channels: usize,
    header_len: Option<u64>,
    len: u64,
    residual_db: f64,
) -> AudioInfo {
    let path = fixture(name);
    let info = *AudioFile::open(&path).unwrap().info();
    assert_eq!((info.format, info.sample_rate, info.channels), (format, rate, channels), "{name}");
    assert_eq!(info.num_samples, header_len, "{name}");
    assert_eq!(AudioFile::open(&path).unwrap().count_frames().unwrap(), len, "{name}");
    for (channel, hz) in [440.0, 1000.0].into_iter().enumerate().take(channels) {
        let audio = read(&path, &ReadOptions::default().with_channel(Channel::Index(channel))).unwrap();
        assert_eq!((audio.samples.len() as u64, audio.sample_rate), (len, rate), "{name}");
        let (amplitude, residual) = fit_sine(&audio.samples, rate, hz);
        println!("{name}: amplitude {amplitude:.4}, residual {residual:.1} dB");
        assert!(
            (amplitude - 0.5).abs() < 0.03 && residual < residual_db,
            "{name}: {amplitude}, {residual} dB"
        );
    }
    let whole = read(&path, &ReadOptions::default()).unwrap().samples;
    let part = crop(&path, 1500, 2000, &ReadOptions::default()).unwrap().samples;
    assert_eq!(part, whole[1500..3500], "{name}");
    let options = ReadOptions::at_rate(12_000);
    let whole = read(&path, &options).unwrap().samples;
    let mut part = vec![0.0; 1000];
    assert_eq!(AudioFile::open(&path).unwrap().crop_into(700, &mut part, &options).unwrap(), 12_000);
    let worst = part.iter().zip(&whole[700..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-6, "{name}: {worst}");
    let error = crop(&path, len - 10, 11, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains(name) && error.contains(&format!("the file has {len} ")), "{error}");
    let error = read(&path, &ReadOptions::default().with_channel(Channel::Index(2))).unwrap_err().to_string();
    assert!(error.contains(&format!("the file has {channels}")), "{error}");
    info
}

#[test]
fn flac() {
    check("tone_16k_stereo.flac", Format::Flac, 16_000, 2, Some(4800), 4800, -85.0);
}

#[test]
fn flac_is_exact() {
    let samples = read(fixture("tone_16k_stereo.flac"), &ReadOptions::default()).unwrap().samples;
    for (n, sample) in samples.iter().enumerate() {
        let value = (16_384.0 * (TAU * 440.0 * n as f64 / 16_000.0).sin()).round() / 32_768.0;
        assert_eq!(f64::from(*sample), value, "sample {n}");
    }
}

#[test]
fn ogg_vorbis() {
    check("tone_16k_mono.ogg", Format::Ogg, 16_000, 1, Some(4800), 4800, -25.0);
}

#[test]
fn mp3_with_the_encoders_tag_has_the_length_of_its_source() {
    check("tone_44k_stereo.mp3", Format::Mp3, 44_100, 2, Some(13_230), 13_230, -25.0);
}

#[test]
fn mp3_without_a_tag_is_counted() {
    check("tone_16k_mono_untagged.mp3", Format::Mp3, 16_000, 1, None, 6336, -15.0);
}

#[test]
fn m4a() {
    // The edit list leaves the encoder's 1024 samples of priming out.
    check("tone_16k_mono.m4a", Format::Mp4, 16_000, 1, Some(4800), 4800, -35.0);
    // It begins with the tone: sine and cosine of the first samples, against those of the tone.
    let samples = read(fixture("tone_16k_mono.m4a"), &ReadOptions::default()).unwrap().samples;
    let phase = |samples: &[f32]| {
        let sums = samples.iter().enumerate().map(|(n, &x)| {
            let (sin, cos) = (TAU * 440.0 * n as f64 / 16_000.0).sin_cos();
            (f64::from(x) * sin, f64::from(x) * cos)
        });
        let (sin, cos) = sums.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1));
        f64::atan2(cos, sin)
    };
    assert!(phase(&samples[..4000]).abs() < 0.02, "{}", phase(&samples[..4000]));
}

#[test]
fn adts() {
    check("tone_16k_mono.aac", Format::Adts, 16_000, 1, None, 6144, -15.0);
}

#[test]
fn a_law_wav() {
    check("tone_16k_mono_alaw.wav", Format::Wav, 16_000, 1, Some(4800), 4800, -35.0);
}

#[test]
fn one_open_file_gives_the_same_samples_again_and_again() {
    for name in [
        "tone_16k_stereo.flac",
        "tone_16k_mono.ogg",
        "tone_16k_mono.opus",
        "tone_44k_stereo.mp3",
        "tone_16k_mono_untagged.mp3",
        "tone_16k_mono.m4a",
        "tone_16k_mono.aac",
        "tone_16k_mono_alaw.wav",
    ] {
        let options = ReadOptions::default();
        let whole = read(fixture(name), &options).unwrap().samples;
        let mut file = AudioFile::open(fixture(name)).unwrap();
        assert_eq!(file.crop(100, 300, &options).unwrap().samples, whole[100..400], "{name}");
        assert_eq!(file.read(&options).unwrap().samples, whole, "{name}");
        assert!(file.crop(whole.len() as u64, 1, &options).is_err(), "{name}");
        assert_eq!(file.count_frames().unwrap(), whole.len() as u64, "{name}");
        assert_eq!(file.crop(0, whole.len(), &options).unwrap().samples, whole, "{name}");
    }
}

#[test]
fn mixing_is_the_mean() {
    let path = fixture("tone_16k_stereo.flac");
    let of = |channel| read(&path, &ReadOptions::default().with_channel(channel)).unwrap().samples;
    let (left, right, mix) = (of(Channel::First), of(Channel::Index(1)), of(Channel::Mix));
    assert!(mix.iter().zip(left.iter().zip(&right)).all(|(m, (l, r))| *m == (l + r) / 2.0));
}

#[test]
fn opus() {
    check("tone_16k_mono.opus", Format::Ogg, 48_000, 1, Some(14_400), 14_400, -20.0);
}

#[test]
fn the_name_plays_no_part() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("really_flac.wav");
    std::fs::copy(fixture("tone_16k_stereo.flac"), &path).unwrap();
    assert_eq!(AudioFile::open(&path).unwrap().info().format, Format::Flac);
    assert_eq!(read(&path, &ReadOptions::default()).unwrap().samples.len(), 4800);
}

#[test]
fn truncated_files_are_errors() {
    for name in ["tone_16k_stereo.flac", "tone_16k_mono.ogg", "tone_44k_stereo.mp3", "tone_16k_mono.m4a"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for keep in [bytes.len() / 3, bytes.len() / 2, bytes.len() * 9 / 10, bytes.len() - 1] {
            let result = AudioFile::from_bytes(name, bytes[..keep].to_vec())
                .and_then(|mut file| file.read(&ReadOptions::default()));
            let error =
                result.err().unwrap_or_else(|| panic!("{name} cut to {keep} of {}", bytes.len())).to_string();
            println!("{keep} of {}: {error}", bytes.len());
            assert!(error.starts_with(name), "{error}");
        }
    }
}

#[test]
fn flac_without_a_length_in_its_header() {
    let mut bytes = std::fs::read(fixture("tone_16k_stereo.flac")).unwrap();
    // The 36 bits of the number of samples in the stream info block.
    bytes[21] &= 0xf0;
    bytes[22..26].fill(0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stream.flac");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(AudioFile::open(&path).unwrap().frames(), None);
    assert_eq!(AudioFile::open(&path).unwrap().count_frames().unwrap(), 4800);
    let options = ReadOptions::default();
    let whole = read(&path, &options).unwrap().samples;
    assert_eq!(crop(&path, 4000, 800, &options).unwrap().samples, whole[4000..]);
    for start in [4001, 4800, 1_000_000] {
        let error = crop(&path, start, 800, &options).unwrap_err().to_string();
        assert!(error.contains("the file has 4800 at 16000 Hz"), "{error}");
    }
}
