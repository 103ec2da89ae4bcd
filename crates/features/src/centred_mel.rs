//! Mel bands of centred frames, with zeros at both ends of the signal: what librosa, SpeechBrain and NeMo have in common.

use crate::mel_spectrogram::{Frames, MelSpectrogram};
use crate::waveform::check_samples;
use crate::{Features, MelBanks, Result, Scratch};

/// A frame around each multiple of the shift, with the window in its middle.
#[derive(Debug, Clone)]
pub(crate) struct CentredMel {
    window: Vec<f32>,
    n_fft: usize,
    hop_length: usize,
    /// Frames that are left out at the end.
    left_out: usize,
    mel: MelSpectrogram<f32>,
}

impl CentredMel {
    /// With a window of at most `n_fft` samples.
    pub(crate) fn new(window: Vec<f64>, n_fft: usize, hop_length: usize, banks: MelBanks) -> Self {
        let window = window.into_iter().map(|w| w as f32).collect();
        Self { window, n_fft, hop_length, left_out: 0, mel: MelSpectrogram::new(n_fft, banks, false) }
    }

    /// The same, which leaves the last frame out.
    pub(crate) fn without_last_frame(self) -> Self {
        Self { left_out: 1, ..self }
    }

    pub(crate) fn num_mels(&self) -> usize {
        self.mel.banks().num_mels()
    }

    /// 0 for no samples.
    pub(crate) fn num_frames(&self, num_samples: usize) -> usize {
        if num_samples == 0 { 0 } else { num_samples / self.hop_length + 1 - self.left_out }
    }

    /// Shortest signal with a frame: one sample, or a shift where the last frame is left out.
    pub(crate) fn min_samples(&self) -> usize {
        if self.left_out == 0 { 1 } else { self.hop_length }
    }

    pub(crate) fn hop_length(&self) -> usize {
        self.hop_length
    }

    /// `finish` of the energy of each band and frame into `out`, `[num_mels, num_frames]`.
    ///
    /// # Errors
    /// The signal is empty, or has a sample that is not finite or beyond all measure; `out` has another length.
    pub(crate) fn compute_into(
        &self,
        scratch: &mut Scratch,
        samples: &[f32],
        out: &mut [f32],
        finish: impl Fn(f32) -> f32,
    ) -> Result<()> {
        check_samples(samples)?;
        self.compute_checked(scratch, samples, out, finish)
    }

    /// As [`Self::compute_into`], of samples that were checked before they were changed.
    pub(crate) fn compute_checked(
        &self,
        scratch: &mut Scratch,
        samples: &[f32],
        out: &mut [f32],
        finish: impl Fn(f32) -> f32,
    ) -> Result<()> {
        let num_frames = self.num_frames(samples.len());
        Features::check_shape(samples.len(), self.min_samples(), self.num_mels(), num_frames, out)?;
        let frames = CentredFrames { of: self, samples, finish };
        self.mel.compute(&mut scratch.single, &mut scratch.block, num_frames, out, frames);
        Ok(())
    }
}

/// The public functions of a computation's shape, which those of its field `mel` answer.
macro_rules! with_shape_of_centred_mel {
    ($computation:ty) => {
        impl $computation {
            /// Rows of the output.
            pub fn num_mels(&self) -> usize {
                self.mel.num_mels()
            }

            /// Columns of the output; 0 for a signal that is shorter than [`Self::min_samples`].
            pub fn num_frames(&self, num_samples: usize) -> usize {
                self.mel.num_frames(num_samples)
            }

            /// Shortest signal with a frame, in samples.
            pub fn min_samples(&self) -> usize {
                self.mel.min_samples()
            }

            /// Samples from one frame to the next.
            pub fn frame_shift(&self) -> usize {
                self.mel.hop_length()
            }
        }
    };
}
pub(crate) use with_shape_of_centred_mel;

struct CentredFrames<'a, F> {
    of: &'a CentredMel,
    samples: &'a [f32],
    finish: F,
}

impl<F: Fn(f32) -> f32> Frames<f32> for CentredFrames<'_, F> {
    #[inline(always)]
    fn load(&mut self, frame: usize, values: &mut [f32]) {
        let CentredMel { window, n_fft, hop_length, .. } = self.of;
        // The place of the window in the transform changes the phase only: zeros stand behind it.
        let (windowed, padding) = values.split_at_mut(window.len());
        padding.fill(0.0);
        let before = n_fft / 2 - (n_fft - window.len()) / 2;
        let start = (frame * hop_length) as isize - before as isize;
        for ((value, &window), at) in windowed.iter_mut().zip(window).zip(start..) {
            let sample = usize::try_from(at).ok().and_then(|at| self.samples.get(at));
            *value = window * sample.copied().unwrap_or(0.0);
        }
    }

    #[inline(always)]
    fn finish(&self, energy: f32) -> f32 {
        (self.finish)(energy)
    }
}
