//! NeMo's log-mel features (`AudioToMelSpectrogramPreprocessor`), without the normalisation over time, which is
//! [`Cmn::PerFeature`](crate::Cmn::PerFeature).

use serde::{Deserialize, Serialize};

use crate::centred_mel::{CentredMel, with_shape_of_centred_mel};
use crate::natural_log::ln;
use crate::waveform::check_samples;
use crate::window::{Symmetry, WindowType};
use crate::{Error, MelBanks, Result, Scratch};

/// Options of [`NemoMel`]; the default is that of the speaker models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NemoMelOptions {
    /// Number of mel bands, the rows of the output. Default 80.
    pub num_mels: usize,
    /// Length of the Fourier transform in samples, even. Default 512.
    pub n_fft: usize,
    /// Length of the window in samples, centred in `n_fft`. Default 400 (25 ms at 16 kHz).
    pub window_length: usize,
    /// Samples from one frame to the next. Default 160 (10 ms at 16 kHz).
    pub hop_length: usize,
}

impl Default for NemoMelOptions {
    fn default() -> Self {
        Self { num_mels: 80, n_fft: 512, window_length: 400, hop_length: 160 }
    }
}

/// Logarithms of mel bands of the power spectrum: pre-emphasis, symmetric Hann window, centred frames with zeros at both ends,
/// librosa's bands ([`MelBanks::slaney`]). Of the frames around the multiples of the shift the last one is left out.
#[derive(Debug, Clone)]
pub struct NemoMel {
    mel: CentredMel,
}

with_shape_of_centred_mel!(NemoMel);

impl NemoMel {
    /// Share of the sample before that each sample loses (NeMo's `preemph`). The first sample stays as it is.
    pub const PREEMPHASIS: f32 = 0.97;
    /// Added to the energy of a band before the logarithm, 2^-24 (NeMo's `log_zero_guard_value`).
    pub const LOG_OFFSET: f32 = 1.0 / (1u32 << 24) as f32;

    /// Plans the computation for signals of `sample_rate` hertz.
    ///
    /// # Errors
    /// An option is out of range; the error names it and says what it may be.
    pub fn new(sample_rate: u32, options: &NemoMelOptions) -> Result<Self> {
        let NemoMelOptions { num_mels, n_fft, window_length, hop_length } = *options;
        let banks = MelBanks::slaney(num_mels, n_fft, sample_rate)?;
        if !(1..=n_fft).contains(&window_length) {
            return Err(Error::option("window_length", window_length, format!("1 to n_fft ({n_fft})")));
        }
        if !(1..=65_536).contains(&hop_length) {
            return Err(Error::option("hop_length", hop_length, "1 to 65536 samples"));
        }
        let window = WindowType::Hann.values(window_length, Symmetry::Symmetric);
        Ok(Self { mel: CentredMel::new(window, n_fft, hop_length, banks).without_last_frame() })
    }

    /// Features of one signal into `out`, `[num_mels, num_frames]`, without any allocation once `scratch` has grown.
    ///
    /// # Errors
    /// The signal is too short, or has a sample that is not finite or beyond all measure; `out` has another length.
    pub fn compute_into(&self, scratch: &mut Scratch, samples: &[f32], out: &mut [f32]) -> Result<()> {
        check_samples(samples)?;
        let mut emphasised = std::mem::take(&mut scratch.emphasised);
        emphasised.clear();
        let before = std::iter::once(0.0).chain(samples.iter().copied());
        emphasised
            .extend(samples.iter().zip(before).map(|(&sample, before)| sample - Self::PREEMPHASIS * before));
        let result =
            self.mel.compute_checked(scratch, &emphasised, out, |energy| ln(energy + Self::LOG_OFFSET));
        scratch.emphasised = emphasised;
        result
    }
}
