//! The audio of an utterance: all of it, or a training crop.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ffsvc_audio::{Audio, AudioFile, AudioInfo, Limits, ReadOptions};
use ffsvc_kaldi_io::{AudioSource, DataDir, Utterance, WavSource};

use crate::error::ReadError;

type Result<T> = std::result::Result<T, ReadError>;

/// The most that is kept of what a failing command says.
const MAX_COMPLAINT: u64 = 1 << 16;

/// The audio of an utterance, under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Utterance id.
    pub id: String,
    /// Where its audio is.
    pub source: AudioSource,
}

impl Recording {
    /// The utterances of a data directory, in its order.
    pub fn all_of(dir: &DataDir) -> Vec<Self> {
        let recording =
            |utterance: Utterance<'_>| Self { id: utterance.id.into(), source: utterance.audio() };
        dir.utterances().map(recording).collect()
    }
}

/// The WAV file of an utterance in a folder. An utterance id may hold a slash; a file name may not.
pub(crate) fn wav_path(folder: &Path, utterance: &str) -> PathBuf {
    folder.join(format!("{}.wav", utterance.replace(['/', '\\'], "_")))
}

/// A training crop.
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    /// The samples.
    pub samples: Vec<f32>,
    /// What the recording is.
    pub info: AudioInfo,
    /// Whether the recording is shorter than the crop and was repeated.
    pub repeated: bool,
}

/// Opens the audio behind `source`. The output of a command is read into memory, up to `limits`.
///
/// # Errors
/// The file is missing or no audio, or the command fails; a segment reaches past the end of its recording.
pub fn open_audio(source: &AudioSource, limits: Limits) -> Result<AudioFile> {
    let file = match &source.wav {
        WavSource::File(path) => AudioFile::open_with(path, limits)?,
        WavSource::Pipe(command) => run(command, limits)?,
    };
    segment_of(file, source)
}

/// As [`open_audio`] for a recording whose bytes are in memory.
fn open_held(source: &AudioSource, bytes: Arc<[u8]>) -> Result<AudioFile> {
    let name: &Path = match &source.wav {
        WavSource::File(path) => path,
        WavSource::Pipe(command) => command.as_ref(),
    };
    segment_of(AudioFile::from_bytes(name, bytes)?, source)
}

fn segment_of(file: AudioFile, source: &AudioSource) -> Result<AudioFile> {
    Ok(match source.segment {
        Some(segment) => file.with_segment(segment.start_s, segment.end_s)?,
        None => file,
    })
}

/// All of the audio behind `source`.
///
/// # Errors
/// As [`open_audio`]; the audio cannot be decoded.
pub fn read_audio(source: &AudioSource, options: &ReadOptions) -> Result<Audio> {
    Ok(open_audio(source, Limits::default())?.read(options)?)
}

/// `num_samples` samples of the audio behind `source`, the baseline's way (dataset.py `_get_sample`).
///
/// In a longer recording of `n` samples the crop starts at `floor(place * (n - num_samples))`, with `place` in
/// `[0, 1)`; a shorter one is repeated from its start. The file is opened once, and only the crop is read where the format
/// allows it.
///
/// # Errors
/// As [`read_audio`].
pub fn read_audio_crop(
    source: &AudioSource,
    place: f64,
    num_samples: usize,
    options: &ReadOptions,
) -> Result<Crop> {
    crop(open_audio(source, Limits::default())?, place, num_samples, options)
}

/// As [`read_audio_crop`] for a recording whose bytes are in memory.
pub(crate) fn read_held_crop(
    source: &AudioSource,
    bytes: Arc<[u8]>,
    place: f64,
    num_samples: usize,
    options: &ReadOptions,
) -> Result<Crop> {
    crop(open_held(source, bytes)?, place, num_samples, options)
}

fn crop(mut file: AudioFile, place: f64, num_samples: usize, options: &ReadOptions) -> Result<Crop> {
    let info = *file.info();
    let (samples, repeated) = match info.num_samples_at(options.sample_rate) {
        Some(total) if total > num_samples as u64 => {
            let start = crop_start(total, place, num_samples);
            (file.crop(start, num_samples, options)?.samples, false)
        }
        _ => {
            let whole = file.read(options)?.samples;
            (cut_or_repeat(&whole, place, num_samples), whole.len() < num_samples)
        }
    };
    Ok(Crop { samples, info, repeated })
}

fn crop_start(total: u64, place: f64, num_samples: usize) -> u64 {
    (place * (total - num_samples as u64) as f64) as u64
}

fn cut_or_repeat(samples: &[f32], place: f64, num_samples: usize) -> Vec<f32> {
    if samples.len() > num_samples {
        let start = crop_start(samples.len() as u64, place, num_samples) as usize;
        samples[start..start + num_samples].to_vec()
    } else {
        samples.iter().copied().cycle().take(num_samples).collect()
    }
}

/// The audio that a shell command writes. A command that gives more than the limit is stopped.
fn run(command: &str, limits: Limits) -> Result<AudioFile> {
    let fail = |reason: String| ReadError::Pipe { command: command.to_string(), reason };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("cannot start a shell: {error}")))?;
    // Both outputs are read at the same time, so that the command never waits for the other one to be read.
    let stderr = child.stderr.take();
    let complaint = std::thread::spawn(move || stderr.map_or_else(Vec::new, beginning));
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(limits.max_bytes.saturating_add(1))
            .read_to_end(&mut output)
            .map_err(|error| fail(format!("its output cannot be read: {error}")))?;
    }
    if output.len() as u64 > limits.max_bytes {
        // Its output is closed by now, which ends what the shell has started; this ends the shell itself.
        let _ = child.kill();
        let _ = child.wait();
        return Err(ReadError::TooManyBytes { command: command.to_owned(), limit: limits.max_bytes });
    }
    let status = child.wait().map_err(|error| fail(format!("cannot wait for it: {error}")))?;
    if !status.success() {
        let complaint = complaint.join().unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        let last_line = complaint.lines().last().unwrap_or("").trim();
        return Err(fail(format!("{status}; it said: {last_line}")));
    }
    if output.is_empty() {
        return Err(fail("wrote no audio to its standard output".into()));
    }
    Ok(AudioFile::from_bytes(command, output)?)
}

/// The beginning of what a command says; the rest is read and dropped.
fn beginning(mut stderr: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stderr.by_ref().take(MAX_COMPLAINT).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    bytes
}

#[cfg(test)]
mod tests {
    use ffsvc_kaldi_io::Segment;

    use super::*;

    #[test]
    fn short_recordings_are_repeated_and_long_ones_cut() {
        let samples: Vec<f32> = (0..5).map(|x| x as f32).collect();
        assert_eq!(cut_or_repeat(&samples, 0.9, 12), [0., 1., 2., 3., 4., 0., 1., 2., 3., 4., 0., 1.]);
        assert_eq!(cut_or_repeat(&samples, 0.0, 2), [0., 1.]);
        assert_eq!(cut_or_repeat(&samples, 0.999, 2), [2., 3.]);
    }

    #[test]
    fn a_crop_says_whether_the_recording_was_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        ffsvc_audio::write_wav(&path, &[0.1; 100], 16_000, Default::default()).unwrap();
        for (len, repeated) in [(101, true), (100, false), (99, false)] {
            let crop =
                read_audio_crop(&WavSource::File(path.clone()).into(), 0.5, len, &ReadOptions::default())
                    .unwrap();
            assert_eq!((crop.samples.len(), crop.repeated, crop.info.sample_rate), (len, repeated, 16_000));
        }
    }

    #[test]
    fn a_failing_command_is_reported_with_its_words() {
        let run = |command| run(command, Limits::default()).unwrap_err().to_string();
        let error = run("echo no such tape >&2; exit 3");
        assert!(error.contains("no such tape") && error.contains('3'), "{error}");
        assert!(run("true").contains("no audio"));
        // More words than a pipe holds, before and after the audio.
        let error = run("head -c 300000 /dev/zero >&2; echo RIFF; head -c 300000 /dev/zero >&2; exit 4");
        assert!(error.contains('4'), "{error}");
    }

    #[test]
    fn a_command_without_end_is_stopped_at_the_limit() {
        let limits = Limits::default().with_max_bytes(100_000);
        for command in ["cat /dev/zero", "yes & wait", "sleep 60 & cat /dev/zero; sleep 60"] {
            let error = run(command, limits).unwrap_err().to_string();
            assert!(error.contains(command) && error.contains("100000 bytes"), "{error}");
        }
    }

    #[test]
    fn crops_of_a_segment_are_inside_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let ramp: Vec<f32> = (0..16_000).map(|n| n as f32 / 32_768.0).collect();
        ffsvc_audio::write_wav(&path, &ramp, 16_000, Default::default()).unwrap();
        let segment = Segment { start_s: 0.25, end_s: Some(0.5) };
        for wav in [WavSource::File(path.clone()), WavSource::Pipe(format!("cat {}", path.display()))] {
            let source = AudioSource { wav, segment: Some(segment) };
            let crop =
                |place, len| read_audio_crop(&source, place, len, &ReadOptions::default()).unwrap().samples;
            assert_eq!(crop(0.0, 3), ramp[4000..4003]);
            assert_eq!(crop(0.999_999, 1000), ramp[6999..7999]);
            assert_eq!(crop(0.7, 5000), [&ramp[4000..8000], &ramp[4000..5000]].concat());
        }
    }
}
