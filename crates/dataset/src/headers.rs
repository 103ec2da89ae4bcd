//! Headers of recordings, read before any work begins.

use ffsvc_audio::Limits;
use ffsvc_kaldi_io::WavSource;
use rayon::prelude::*;

use crate::error::ReadError;
use crate::recording::{Recording, open_audio};

/// Reads the header of every recording, on all threads. Gives the number of samples at `sample_rate` Hz where the header
/// says it. Commands in `wav.scp` are not run.
pub fn probe_recordings(
    recordings: &[Recording],
    sample_rate: u32,
) -> Vec<std::result::Result<Option<u64>, ReadError>> {
    let probed = recordings.par_iter().map(|recording| match &recording.source.wav {
        WavSource::File(_) => {
            let file = open_audio(&recording.source, Limits::default())?;
            Ok(file.info().num_samples_at(Some(sample_rate)))
        }
        WavSource::Pipe(_) => Ok(None),
    });
    probed.collect()
}
