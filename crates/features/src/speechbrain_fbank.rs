//! SpeechBrain's filter-bank features (`speechbrain.lobes.features.Fbank`), which its speaker models are trained on.

use serde::{Deserialize, Serialize};

use crate::centred_mel::{CentredMel, with_shape_of_centred_mel};
use crate::natural_log::ln;
use crate::window::{Symmetry, WindowType};
use crate::{Error, MelBanks, Result, Scratch};

/// Window in milliseconds; the transform has its length.
const WINDOW_MS: f64 = 25.0;
/// Frame shift in milliseconds.
const SHIFT_MS: f64 = 10.0;
/// Least energy of a band before the logarithm.
const LEAST_ENERGY: f32 = 1e-10;
/// Decibels per neper of power.
const DB: f32 = 10.0 / std::f32::consts::LN_10;

/// Options of [`SpeechBrainFbank`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SpeechBrainFbankOptions {
    /// Number of mel bands, the rows of the output. Default 80.
    pub num_mels: usize,
    /// Bands are floored at so many decibels below the loudest one of the signal. Default 80.
    pub top_db: f32,
}

impl Default for SpeechBrainFbankOptions {
    fn default() -> Self {
        Self { num_mels: 80, top_db: 80.0 }
    }
}

/// Mel bands of the power spectrum in decibels: periodic Hamming window of 25 ms every 10 ms, centred frames with zeros at
/// both ends, symmetric triangles ([`MelBanks::speechbrain`]).
#[derive(Debug, Clone)]
pub struct SpeechBrainFbank {
    top_db: f32,
    mel: CentredMel,
}

with_shape_of_centred_mel!(SpeechBrainFbank);

impl SpeechBrainFbank {
    /// Plans the computation for signals of `sample_rate` hertz.
    ///
    /// # Errors
    /// An option is out of range; the error names it and says what it may be.
    pub fn new(sample_rate: u32, options: &SpeechBrainFbankOptions) -> Result<Self> {
        let in_samples = |ms: f64| (f64::from(sample_rate) / 1000.0 * ms).round() as usize;
        let (n_fft, hop_length) = (in_samples(WINDOW_MS), in_samples(SHIFT_MS));
        if !(options.top_db > 0.0 && options.top_db <= 1e6) {
            return Err(Error::option("top_db", options.top_db, "above 0 and up to 1e6"));
        }
        let banks = MelBanks::speechbrain(options.num_mels, n_fft, sample_rate)?;
        let window = WindowType::Hamming.values(n_fft, Symmetry::Periodic);
        Ok(Self { top_db: options.top_db, mel: CentredMel::new(window, n_fft, hop_length, banks) })
    }

    /// Features of one signal into `out`, `[num_mels, num_frames]`, without any allocation once `scratch` has grown.
    ///
    /// # Errors
    /// The signal is empty, or has a sample that is not finite or beyond all measure; `out` has another length.
    pub fn compute_into(&self, scratch: &mut Scratch, samples: &[f32], out: &mut [f32]) -> Result<()> {
        self.mel.compute_into(scratch, samples, out, |energy| DB * ln(energy.max(LEAST_ENERGY)))?;
        let loudest = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        out.iter_mut().for_each(|band| *band = band.max(loudest - self.top_db));
        Ok(())
    }
}
