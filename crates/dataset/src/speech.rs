//! Which parts of a recording are speech.

use ffsvc_audio::{AudioFile, Channel, Limits, ReadOptions};
use ffsvc_features::{Scratch, SpeechDetector, Vad};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::recording::{Recording, open_audio};

/// The frames of a recording that are speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// Length of the recording, s.
    pub duration_s: f64,
    /// As [`SpeechDetector::detect`] gives them: one for each frame of 25 ms, every 10 ms.
    pub decisions: Vec<bool>,
}

/// Finds the speech of an open file, at the rate of the detector or else at the file's own.
///
/// # Errors
/// The recording cannot be read, an option of `vad` is out of range, or its model cannot be read.
pub fn file_speech(file: &mut AudioFile, utterance: &str, channel: Channel, vad: &Vad) -> Result<Speech> {
    let options = vad.sample_rate().map_or_else(ReadOptions::default, ReadOptions::at_rate);
    let audio = file
        .read(&options.with_channel(channel))
        .map_err(|error| Error::Audio { utterance: utterance.to_owned(), source: error.into() })?;
    let decisions = SpeechDetector::new(audio.sample_rate, vad)
        .and_then(|detector| detector.detect(&mut Scratch::new(), &audio.samples))
        .map_err(|source| Error::Features { utterance: utterance.to_owned(), source })?;
    Ok(Speech { duration_s: audio.samples.len() as f64 / f64::from(audio.sample_rate), decisions })
}

/// [`file_speech`] of a block of recordings, on all threads; the results are in the order of the recordings.
pub fn block_speech(recordings: &[Recording], channel: Channel, vad: &Vad) -> Vec<Result<Speech>> {
    let of_recording = |recording: &Recording| {
        let of_this = |source| Error::Audio { utterance: recording.id.clone(), source };
        let mut file = open_audio(&recording.source, Limits::default()).map_err(of_this)?;
        file_speech(&mut file, &recording.id, channel, vad)
    };
    recordings.par_iter().map(of_recording).collect()
}
