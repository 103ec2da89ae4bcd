//! Quality of recordings: how much speech, clipping and level.

use ffsvc_audio::{AudioFile, Channel, Limits, ReadOptions};
use ffsvc_features::{Quality, Vad};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::recording::{Recording, open_audio};
use crate::speech::file_speech;

/// Measures a recording at its own sample rate, before anything that embeddings are extracted from is done to it.
///
/// # Errors
/// The recording cannot be read, or an option of `vad` is out of range.
pub fn recording_quality(recording: &Recording, channel: Channel, vad: &Vad) -> Result<Quality> {
    let of_this = |source| Error::Audio { utterance: recording.id.clone(), source };
    let mut file = open_audio(&recording.source, Limits::default()).map_err(of_this)?;
    file_quality(&mut file, &recording.id, channel, vad)
}

/// As [`recording_quality`], of an open file: of a pipe, which can be read only once, there is then still the audio.
///
/// # Errors
/// As [`recording_quality`].
pub fn file_quality(file: &mut AudioFile, utterance: &str, channel: Channel, vad: &Vad) -> Result<Quality> {
    let audio = file
        .read(&ReadOptions::default().with_channel(channel))
        .map_err(|error| Error::Audio { utterance: utterance.to_owned(), source: error.into() })?;
    let of_this = |source| Error::Features { utterance: utterance.to_owned(), source };
    match vad.sample_rate().filter(|&rate| rate != audio.sample_rate) {
        None => Quality::measure(audio.sample_rate, &audio.samples, vad).map_err(of_this),
        // Levels and clipping are those of the recording as it is.
        Some(_) => {
            let speech = file_speech(file, utterance, channel, vad)?;
            Quality::with_decisions(audio.sample_rate, &audio.samples, &speech.decisions).map_err(of_this)
        }
    }
}

/// [`recording_quality`] of a block of recordings, on all threads; the results are in the order of the recordings.
pub fn block_quality(recordings: &[Recording], channel: Channel, vad: &Vad) -> Vec<Result<Quality>> {
    recordings.par_iter().map(|recording| recording_quality(recording, channel, vad)).collect()
}
