//! Mel bands of centred frames, with zeros at both ends of the signal: what librosa and SpeechBrain have in common.

use crate::mel_spectrogram::{Frames, MelSpectrogram};
use crate::waveform::check_samples;
use crate::window::{Symmetry, WindowType};
use crate::{Features, MelBanks, Result, Scratch};

/// A frame of the window's length around each multiple of the shift.
#[derive(Debug, Clone)]
pub(crate) struct CentredMel {
    window: Vec<f32>,
    hop_length: usize,
    mel: MelSpectrogram<f32>,
}

impl CentredMel {
    /// With a periodic window of `n_fft` samples.
    pub(crate) fn new(window: WindowType, n_fft: usize, hop_length: usize, banks: MelBanks) -> Self {
        let window = window.values(n_fft, Symmetry::Periodic).into_iter().map(|w| w as f32).collect();
        Self { window, hop_length, mel: MelSpectrogram::new(n_fft, banks, false) }
    }

    pub(crate) fn num_mels(&self) -> usize {
        self.mel.banks().num_mels()
    }

    /// 0 for no samples.
    pub(crate) fn num_frames(&self, num_samples: usize) -> usize {
        if num_samples == 0 { 0 } else { num_samples / self.hop_length + 1 }
    }

    /// Shortest signal with a frame: one sample.
    pub(crate) fn min_samples(&self) -> usize {
        1
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
        let num_frames = self.num_frames(samples.len());
        Features::check_shape(samples.len(), self.min_samples(), self.num_mels(), num_frames, out)?;
        let frames = CentredFrames { of: self, samples, finish };
        self.mel.compute(&mut scratch.single, &mut scratch.block, num_frames, out, frames);
        Ok(())
    }
}

struct CentredFrames<'a, F> {
    of: &'a CentredMel,
    samples: &'a [f32],
    finish: F,
}

impl<F: Fn(f32) -> f32> Frames<f32> for CentredFrames<'_, F> {
    #[inline(always)]
    fn load(&mut self, frame: usize, values: &mut [f32]) {
        let window = &self.of.window;
        let start = (frame * self.of.hop_length) as isize - (window.len() / 2) as isize;
        for ((value, &window), at) in values.iter_mut().zip(window).zip(start..) {
            let sample = usize::try_from(at).ok().and_then(|at| self.samples.get(at));
            *value = window * sample.copied().unwrap_or(0.0);
        }
    }

    #[inline(always)]
    fn finish(&self, energy: f32) -> f32 {
        (self.finish)(energy)
    }
}
