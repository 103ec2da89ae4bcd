//! Quality of the recordings behind entries of `wav.scp`.

use ffsvc_audio::{Channel, ReadOptions};
use ffsvc_features::{Quality, Vad};
use ffsvc_kaldi_io::WavSource;
use rayon::prelude::*;

use crate::error::Result;
use crate::extractor::Recording;
use crate::recording::read_audio;

/// Measures a recording at its own sample rate, before anything that embeddings are extracted from is done to it.
///
/// # Errors
/// The recording cannot be read, or an option of `vad` is out of range.
pub fn recording_quality(source: &WavSource, channel: Channel, vad: &Vad) -> Result<Quality> {
    let audio = read_audio(source, &ReadOptions { channel, ..ReadOptions::default() })?;
    Ok(Quality::measure(audio.sample_rate, &audio.samples, vad)?)
}

/// [`recording_quality`] of a block of recordings, on all threads; the results are in the order of the recordings.
pub fn block_quality(recordings: &[Recording], channel: Channel, vad: &Vad) -> Vec<Result<Quality>> {
    recordings.par_iter().map(|recording| recording_quality(&recording.source, channel, vad)).collect()
}
