//! Quality of recordings: how much speech, clipping and level.

use ffsvc_audio::{Channel, ReadOptions};
use ffsvc_features::{Quality, Vad};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::recording::{Recording, read_audio};

/// Measures a recording at its own sample rate, before anything that embeddings are extracted from is done to it.
///
/// # Errors
/// The recording cannot be read, or an option of `vad` is out of range.
pub fn recording_quality(recording: &Recording, channel: Channel, vad: &Vad) -> Result<Quality> {
    let name = || recording.id.clone();
    let audio = read_audio(&recording.source, &ReadOptions { channel, ..ReadOptions::default() })
        .map_err(|source| Error::Audio { utterance: name(), source })?;
    Quality::measure(audio.sample_rate, &audio.samples, vad)
        .map_err(|source| Error::Features { utterance: name(), source })
}

/// [`recording_quality`] of a block of recordings, on all threads; the results are in the order of the recordings.
pub fn block_quality(recordings: &[Recording], channel: Channel, vad: &Vad) -> Vec<Result<Quality>> {
    recordings.par_iter().map(|recording| recording_quality(recording, channel, vad)).collect()
}
