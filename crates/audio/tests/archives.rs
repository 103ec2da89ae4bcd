//! Recordings in archives that kaldiio wrote (tests/peers/kaldiio_recordings.py), and segments as it cuts them.

use std::path::{Path, PathBuf};

use ffsvc_audio::{AudioFile, Cause, ReadOptions, SampleFormat, write_wav};

fn kaldiio(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/audio/kaldiio").join(name)
}

/// The samples of recording `k`, as the script makes them.
fn expected(k: usize) -> Vec<f32> {
    let len = [900, 1400, 1100][k];
    (0..len).map(|n| ((37 * (k + 3) * n) % 2001) as f32 - 1000.0).map(|value| value / 32_768.0).collect()
}

/// The recordings of a table, in its order.
fn recordings(table: &str) -> Vec<PathBuf> {
    let table = std::fs::read_to_string(kaldiio(table)).unwrap();
    table.lines().map(|line| kaldiio(line.split_once(' ').unwrap().1)).collect()
}

#[test]
fn every_recording_of_an_archive_is_read_whole_and_in_crops() {
    for table in ["wav.scp", "audio_wav.scp", "audio_flac.scp"] {
        let paths = recordings(table);
        assert_eq!(paths.len(), 3);
        for (k, path) in paths.iter().enumerate() {
            let expected = expected(k);
            let mut file = AudioFile::open(path).unwrap();
            assert_eq!((file.sample_rate(), file.frames()), (8000, Some(expected.len() as u64)), "{table}");
            let whole = file.read(&ReadOptions::default()).unwrap();
            assert_eq!(whole.samples, expected, "{}", path.display());
            for (start, len) in [(0, 1), (17, 400), (expected.len() - 1, 1), (3, expected.len() - 3)] {
                let crop = file.crop(start as u64, len, &ReadOptions::default()).unwrap();
                assert_eq!(crop.samples, expected[start..start + len], "{} {start}", path.display());
            }
            assert!(file.crop(expected.len() as u64, 1, &ReadOptions::default()).is_err());
        }
    }
}

/// Shards of WeSpeaker (tests/peers/wespeaker_shards.py), with the same samples.
#[test]
fn every_recording_of_a_tar_file_is_read_whole_and_in_crops() {
    // The headers before rec0 (WAV), rec1 (FLAC) and rec2 (WAV, behind a header for its long name).
    for (k, shard, offset) in [(0, 0, 1024), (1, 0, 4608), (2, 1, 3072)] {
        let path = format!("../../shards/shards_{shard:09}.tar:{offset}");
        let mut file = AudioFile::open(kaldiio(&path)).unwrap();
        let expected = expected(k);
        assert_eq!((file.sample_rate(), file.frames()), (8000, Some(expected.len() as u64)), "{path}");
        assert_eq!(file.read(&ReadOptions::default()).unwrap().samples, expected, "{path}");
        let crop = file.crop(17, 400, &ReadOptions::default()).unwrap();
        assert_eq!(crop.samples, expected[17..417], "{path}");
    }
    let error = AudioFile::open(kaldiio("../../shards/shards_000000000.tar:0")).unwrap_err().to_string();
    assert!(error.contains("not audio"), "the speaker's name is no recording: {error}");
    let error = AudioFile::open(kaldiio("../../shards/shards_000000000.tar:512")).unwrap_err().to_string();
    assert!(error.contains("no recording at byte 512"), "{error}");
}

#[test]
fn a_place_without_a_recording_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("a.ark");
    let wav = std::fs::read(kaldiio("wav.ark")).unwrap();
    let refused = |content: &[u8], place: &str| {
        std::fs::write(&archive, content).unwrap();
        AudioFile::open(dir.path().join(place)).unwrap_err().to_string()
    };
    let length_unknown = [b"a RIFF\xff\xff\xff\xff", &wav[13..]].concat();
    for (content, place, words) in [
        (&wav[..], "a.ark:99999", "no recording at byte 99999 of the archive"),
        (&wav, "a.ark:3", "it is data that begin with 30 20 52 49"),
        (b"a \0BFM \x04", "a.ark:2", "a matrix or a vector"),
        (b"a NPY\x01\x02xx", "a.ark:2", "a NumPy array"),
        (b"a fLaC\0\0\0\x22", "a.ark:2", "the token AUDIO"),
        (&wav[..100], "a.ark:5", "truncated: 95 of its 1844 bytes"),
        (b"a AUDIO\x01\x09RIFF", "a.ark:2", "truncated: 4 of its 9 bytes"),
        (b"a AUDIO\x01\x04what", "a.ark:2", "not audio"),
        (&length_unknown, "a.ark:2", "its end is unknown"),
        (&wav, "b.ark:2", "No such file"),
        (&wav, "a.ark:2[0:99]", "ranges of a recording, as in `[0:99]`"),
    ] {
        let message = refused(content, place);
        assert!(message.contains(words) && message.contains(place), "{words}: {message}");
    }
}

#[test]
fn a_file_of_that_name_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(kaldiio("wav.ark"), dir.path().join("take")).unwrap();
    let path = dir.path().join("take:5");
    write_wav(&path, &[0.5; 10], 16_000, SampleFormat::Pcm16).unwrap();
    assert_eq!(AudioFile::open(&path).unwrap().frames(), Some(10));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(AudioFile::open(&path).unwrap().frames(), Some(900));
}

/// A recording whose sample n is n, in a format.
fn ramp(dir: &Path) -> PathBuf {
    let path = dir.join("ramp.wav");
    let samples: Vec<f32> = (0..8000).map(|n| n as f32 / 32_768.0).collect();
    write_wav(&path, &samples, 8000, SampleFormat::Pcm16).unwrap();
    path
}

#[test]
fn segments_are_cut_where_kaldiio_cuts_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = ramp(dir.path());
    let cuts = std::fs::read_to_string(kaldiio("cuts.txt")).unwrap();
    assert_eq!(cuts.lines().count(), 9);
    for line in cuts.lines() {
        let numbers: Vec<f64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let [start, end, first, count] = numbers[..] else { panic!("{line}") };
        let end = (end != -1.0).then_some(end);
        let mut part = AudioFile::open(&path).unwrap().with_segment(start, end).unwrap();
        let samples = part.read(&ReadOptions::default()).unwrap().samples;
        assert_eq!((samples[0] * 32_768.0, samples.len() as f64), (first as f32, count), "{line}");
        assert_eq!(part.frames(), Some(count as u64), "{line}");
        let last = part.crop(count as u64 - 1, 1, &ReadOptions::default()).unwrap().samples;
        assert_eq!(last, samples[samples.len() - 1..], "{line}");
    }
}

#[test]
fn a_segment_that_reaches_too_far_is_refused_with_the_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let path = ramp(dir.path());
    let cut = |start, end| AudioFile::open(&path).unwrap().with_segment(start, end);
    for (start, end, words) in [
        (0.5, Some(1.5), "past the end of the recording, at 1 s, by 0.5 s"),
        (0.25, Some(3.0), "the segment from 0.25 s to 3 s is past the end of the recording, at 1 s, by 2 s"),
        (1.0, None, "the segment from 1 s to the end is past the end"),
        (2.0, Some(3.0), "by 2 s"),
        (0.5, Some(0.50001), "has no sample at 8000 Hz"),
        (0.5, Some(0.25), "has no sample"),
        (-0.5, Some(0.25), "has no sample"),
        (f64::NAN, Some(0.25), "has no sample"),
    ] {
        let message = cut(start, end).unwrap_err().to_string();
        assert!(message.contains(words) && message.contains("ramp.wav"), "{words}: {message}");
    }
    // A segment of a segment counts from its start.
    let mut inner = cut(0.25, Some(0.75)).unwrap().with_segment(0.125, None).unwrap();
    assert_eq!(inner.frames(), Some(3000));
    assert_eq!(inner.read(&ReadOptions::default()).unwrap().samples[0], 3000.0 / 32_768.0);
    assert!(matches!(
        cut(0.25, Some(0.75)).unwrap().with_segment(0.6, None).unwrap_err().cause,
        Cause::SegmentPastEnd { duration_s: 0.5, .. }
    ));
}

#[test]
fn a_segment_at_another_rate_is_that_of_the_file_that_extract_segments_would_write() {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<f32> = (0..16_000).map(|n| (n as f32 * 0.05).sin() * 0.4).collect();
    let [whole, alone] = ["whole.wav", "alone.wav"].map(|name| dir.path().join(name));
    write_wav(&whole, &samples, 16_000, SampleFormat::Float32).unwrap();
    write_wav(&alone, &samples[4000..12_000], 16_000, SampleFormat::Float32).unwrap();
    let options = ReadOptions::at_rate(8000);
    let mut part = AudioFile::open(&whole).unwrap().with_segment(0.25, Some(0.75)).unwrap();
    let mut alone = AudioFile::open(&alone).unwrap();
    assert_eq!(part.read(&options).unwrap(), alone.read(&options).unwrap());
    for (start, len) in [(0, 100), (3900, 100), (1234, 1000)] {
        assert_eq!(part.crop(start, len, &options).unwrap(), alone.crop(start, len, &options).unwrap());
    }
}

#[test]
fn segments_of_coded_files_are_parts_of_the_whole() {
    let at = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/audio").join(name);
    // A seekable one, one that is decoded from its start, and one whose header does not tell its length.
    for name in ["tone_16k_stereo.flac", "tone_16k_mono.ogg", "tone_16k_mono_untagged.mp3"] {
        let whole = AudioFile::open(at(name)).unwrap().read(&ReadOptions::default()).unwrap();
        let rate = f64::from(whole.sample_rate);
        let (first, end) = (whole.samples.len() / 3, whole.samples.len() / 2);
        let (start_s, end_s) = ((first as f64 + 0.5) / rate, (end as f64 + 0.5) / rate);
        let mut part = AudioFile::open(at(name)).unwrap().with_segment(start_s, Some(end_s)).unwrap();
        let samples = part.read(&ReadOptions::default()).unwrap().samples;
        assert_eq!(samples, whole.samples[first..end], "{name}");
        let crop = part.crop(10, 50, &ReadOptions::default()).unwrap().samples;
        assert_eq!(crop, samples[10..60], "{name}");
        let mut rest = AudioFile::open(at(name)).unwrap().with_segment(start_s, None).unwrap();
        assert_eq!(rest.read(&ReadOptions::default()).unwrap().samples, whole.samples[first..], "{name}");
    }
}
