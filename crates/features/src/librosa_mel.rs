//! librosa's mel spectrogram (`librosa.feature.melspectrogram`), without a logarithm, which Resemblyzer's network is trained on.

use serde::{Deserialize, Serialize};

use crate::centred_mel::{CentredMel, with_shape_of_centred_mel};
use crate::window::{Symmetry, WindowType};
use crate::{Error, MelBanks, Result, Scratch};

/// Options of [`LibrosaMel`]; the default is Resemblyzer's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LibrosaMelOptions {
    /// Number of mel bands, the rows of the output. Default 40.
    pub num_mels: usize,
    /// Length of the window and of the Fourier transform in samples, even. Default 400 (25 ms at 16 kHz).
    pub n_fft: usize,
    /// Samples from one frame to the next. Default 160 (10 ms at 16 kHz).
    pub hop_length: usize,
}

impl Default for LibrosaMelOptions {
    fn default() -> Self {
        Self { num_mels: 40, n_fft: 400, hop_length: 160 }
    }
}

/// Mel bands of the power spectrum: periodic Hann window, centred frames with zeros at both ends, Slaney's mel scale, triangles
/// of equal area ([`MelBanks::slaney`]).
#[derive(Debug, Clone)]
pub struct LibrosaMel {
    mel: CentredMel,
}

with_shape_of_centred_mel!(LibrosaMel);

impl LibrosaMel {
    /// Plans the computation for signals of `sample_rate` hertz.
    ///
    /// # Errors
    /// An option is out of range; the error names it and says what it may be.
    pub fn new(sample_rate: u32, options: &LibrosaMelOptions) -> Result<Self> {
        let LibrosaMelOptions { num_mels, n_fft, hop_length } = *options;
        let banks = MelBanks::slaney(num_mels, n_fft, sample_rate)?;
        if !(1..=65_536).contains(&hop_length) {
            return Err(Error::option("hop_length", hop_length, "1 to 65536 samples"));
        }
        let window = WindowType::Hann.values(n_fft, Symmetry::Periodic);
        Ok(Self { mel: CentredMel::new(window, n_fft, hop_length, banks) })
    }

    /// Features of one signal into `out`, `[num_mels, num_frames]`, without any allocation once `scratch` has grown.
    ///
    /// # Errors
    /// The signal is empty, or has a sample that is not finite or beyond all measure; `out` has another length.
    pub fn compute_into(&self, scratch: &mut Scratch, samples: &[f32], out: &mut [f32]) -> Result<()> {
        self.mel.compute_into(scratch, samples, out, |energy| energy)
    }
}
