//! What has no length is read once and up to a limit; a whole recording may not be longer than a limit.

use std::io::{self, Read};
use std::time::Duration;

use ffsvc_audio::{AudioFile, Cause, Limits, ReadOptions, SampleFormat, write_wav};

/// A WAV header of open length and samples without end, counted.
struct Endless {
    header: Vec<u8>,
    given: u64,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = if self.header.is_empty() { out.len() } else { self.header.len().min(out.len()) };
        out[..count].fill(1);
        let header: Vec<u8> = self.header.drain(..count.min(self.header.len())).collect();
        out[..header.len()].copy_from_slice(&header);
        self.given += count as u64;
        Ok(count)
    }
}

fn wav(seconds: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wav");
    write_wav(&path, &vec![0.25; 16_000 * seconds], 16_000, SampleFormat::Pcm16).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn what_never_ends_is_stopped_at_the_limit_by_name() {
    let mut header = wav(1)[..44].to_vec();
    header[40..44].fill(0xff);
    let mut endless = Endless { header, given: 0 };
    let limits = Limits::default().with_max_bytes(1 << 20);
    let error = AudioFile::from_reader("sox -n -r 16k |", &mut endless, limits).unwrap_err();
    assert!(matches!(error.cause, Cause::TooManyBytes { limit: 0x10_0000 }), "{error}");
    assert!(error.to_string().starts_with("sox -n -r 16k |: "), "{error}");
    assert!(endless.given <= (1 << 20) + 1, "{} bytes were read", endless.given);
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_once_and_asked_many_times() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let bytes = wav(1);
    let (to, given) = (fifo.clone(), bytes.clone());
    let writer = std::thread::spawn(move || std::fs::write(to, given));
    let mut file = AudioFile::open(&fifo).unwrap();
    writer.join().unwrap().unwrap();
    let options = ReadOptions::default();
    assert_eq!(file.frames(), Some(16_000));
    assert_eq!(file.crop(5, 10, &options).unwrap().samples, [0.25; 10]);
    assert_eq!(
        file.read(&options).unwrap(),
        AudioFile::from_bytes("a", bytes).unwrap().read(&options).unwrap()
    );
}

#[test]
fn a_recording_above_the_limit_is_not_read_whole_and_its_crops_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.wav");
    std::fs::write(&path, wav(3)).unwrap();
    let opened = |seconds: f64| {
        AudioFile::open_with(&path, Limits::default().with_max_duration(Duration::from_secs_f64(seconds)))
    };
    for options in [ReadOptions::default(), ReadOptions::at_rate(8000)] {
        let error = opened(2.5).unwrap().read(&options).unwrap_err().to_string();
        assert!(
            error.contains("long.wav") && error.contains("longer than the limit of 2.5 s: 3.0 s"),
            "{error}"
        );
        assert!(opened(3.0).unwrap().read(&options).is_ok());
        assert_eq!(opened(2.5).unwrap().crop(1000, 100, &options).unwrap().samples.len(), 100);
    }
    // A file that does not tell its length.
    let untagged = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/audio/tone_16k_mono_untagged.mp3");
    let limits = Limits::default().with_max_duration(Duration::from_millis(200));
    let error = AudioFile::open_with(untagged, limits).unwrap().read(&ReadOptions::default()).unwrap_err();
    assert!(matches!(error.cause, Cause::LongerThanLimit { found_s: None, .. }), "{error}");
}
