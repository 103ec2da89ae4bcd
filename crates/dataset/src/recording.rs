//! The audio of a `wav.scp` entry: a whole recording, or a training crop.

use std::process::{Command, Stdio};

use ffsvc_audio::{Audio, ReadOptions, Stage, Watch};
use ffsvc_kaldi_io::WavSource;

use crate::error::ReadError;

type Result<T> = std::result::Result<T, ReadError>;

/// A recording under its utterance's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Utterance id.
    pub id: String,
    /// Where its audio is.
    pub source: WavSource,
}

/// The whole recording behind `source`.
///
/// # Errors
/// The file cannot be decoded, or the command fails.
pub fn read_audio(source: &WavSource, options: &ReadOptions) -> Result<Audio> {
    match source {
        WavSource::File(path) => Ok(ffsvc_audio::read(path, options)?),
        WavSource::Pipe(command) => Ok(ffsvc_audio::read_bytes(command, run(command)?, options)?),
    }
}

/// `num_samples` samples of the recording behind `source`, the baseline's way (dataset.py `_get_sample`).
///
/// In a longer recording of `n` samples the crop starts at `floor(place * (n - num_samples))`, with `place` in
/// `[0, 1)`; a shorter one is repeated from its start. Only the crop is read from a file that allows it.
///
/// # Errors
/// As [`read_audio`].
pub fn read_audio_crop(
    source: &WavSource,
    place: f64,
    num_samples: usize,
    options: &ReadOptions,
) -> Result<Vec<f32>> {
    read_audio_crop_watched(source, place, num_samples, options, &mut ())
}

/// As [`read_audio_crop`]; `watch` is told what it is doing. A command counts as reading, its output's decoding included.
///
/// # Errors
/// As [`read_audio`].
pub(crate) fn read_audio_crop_watched(
    source: &WavSource,
    place: f64,
    num_samples: usize,
    options: &ReadOptions,
    watch: &mut dyn Watch,
) -> Result<Vec<f32>> {
    watch.enter(Stage::Read);
    let path = match source {
        WavSource::File(path) => path,
        WavSource::Pipe(_) => {
            let samples = read_audio(source, options)?.samples;
            return Ok(cut_or_repeat(&samples, place, num_samples));
        }
    };
    match ffsvc_audio::probe(path)?.num_samples_at(options.sample_rate) {
        Some(total) if total > num_samples as u64 => {
            let start = crop_start(total, place, num_samples);
            Ok(ffsvc_audio::read_crop_watched(path, start, num_samples, options, watch)?.samples)
        }
        _ => {
            let samples = ffsvc_audio::read_watched(path, options, watch)?.samples;
            Ok(cut_or_repeat(&samples, place, num_samples))
        }
    }
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

fn run(command: &str) -> Result<Vec<u8>> {
    let fail = |reason: String| ReadError::Pipe { command: command.to_string(), reason };
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| fail(format!("cannot start a shell: {error}")))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let last_line = complaint.lines().last().unwrap_or("").trim();
        return Err(fail(format!("{}; it said: {last_line}", output.status)));
    }
    if output.stdout.is_empty() {
        return Err(fail("wrote no audio to its standard output".into()));
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_recordings_are_repeated_and_long_ones_cut() {
        let samples: Vec<f32> = (0..5).map(|x| x as f32).collect();
        assert_eq!(cut_or_repeat(&samples, 0.9, 12), [0., 1., 2., 3., 4., 0., 1., 2., 3., 4., 0., 1.]);
        assert_eq!(cut_or_repeat(&samples, 0.0, 2), [0., 1.]);
        assert_eq!(cut_or_repeat(&samples, 0.999, 2), [2., 3.]);
    }

    #[test]
    fn a_failing_command_is_reported_with_its_words() {
        let error = run("echo no such tape >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("no such tape") && error.contains('3'), "{error}");
        assert!(run("true").unwrap_err().to_string().contains("no audio"));
    }
}
