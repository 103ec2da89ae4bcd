//! Frames to mel bands, the part that both conventions share.
//!
//! Sixteen frames are taken at a time. Their power spectra are kept side by side, `[bin, LANES]`. The filter bank and
//! the logarithm then work on sixteen neighbouring values of one row of the output. These are whole vectors without a
//! shuffle, and the output is written in its final layout.

use crate::MelBanks;
use crate::power_spectrum::{FftScratch, PowerSpectrum, Real};
use crate::wide_vectors::{self, Kernel};

/// Frames in a block.
const LANES: usize = 16;

/// Where frames come from and what becomes of their bands. All methods are `#[inline(always)]`.
pub(crate) trait Frames<T> {
    /// Writes the windowed frame and its zero padding; called in order of frames. All of `values` has to be written.
    fn load(&mut self, frame: usize, values: &mut [T]);

    /// The value to store for a band's energy.
    fn finish(&self, energy: f32) -> f32;
}

/// Planned transform, in precision `T`, and filter bank.
#[derive(Debug, Clone)]
pub(crate) struct MelSpectrogram<T: Real> {
    spectrum: PowerSpectrum<T>,
    banks: MelBanks,
    magnitude: bool,
}

impl<T: Real> MelSpectrogram<T> {
    /// Plans for frames of `n_fft` values; the bands are sums of power, or of `|X|` where `magnitude` is set.
    pub(crate) fn new(n_fft: usize, banks: MelBanks, magnitude: bool) -> Self {
        debug_assert!(n_fft.is_multiple_of(2) && banks.num_bins() <= n_fft / 2 + 1);
        Self { spectrum: PowerSpectrum::new(n_fft), banks, magnitude }
    }

    pub(crate) fn banks(&self) -> &MelBanks {
        &self.banks
    }

    /// Writes `[num_mels, num_frames]` to `out`. `block` is working memory.
    pub(crate) fn compute(
        &self,
        scratch: &mut FftScratch<T>,
        block: &mut Vec<f32>,
        num_frames: usize,
        out: &mut [f32],
        frames: impl Frames<T>,
    ) {
        debug_assert_eq!(out.len(), self.banks.num_mels() * num_frames);
        self.spectrum.prepare(scratch);
        block.resize(self.banks.num_bins() * LANES, 0.0);
        // Lanes beyond the last frame are computed and dropped: zero keeps them finite.
        block.fill(0.0);
        let (block, _) = block.as_chunks_mut();
        wide_vectors::run(Computation { mel: self, scratch, block, num_frames, out, frames });
    }
}

struct Computation<'a, T: Real, F> {
    mel: &'a MelSpectrogram<T>,
    scratch: &'a mut FftScratch<T>,
    block: &'a mut [[f32; LANES]],
    num_frames: usize,
    out: &'a mut [f32],
    frames: F,
}

impl<T: Real, F: Frames<T>> Kernel for Computation<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for first in (0..self.num_frames).step_by(LANES) {
            let lanes = LANES.min(self.num_frames - first);
            for lane in 0..lanes {
                self.frames.load(first + lane, &mut self.scratch.frame);
                self.mel.spectrum.compute(self.scratch);
                if self.mel.magnitude {
                    self.scratch.power.iter_mut().for_each(|power| *power = power.sqrt());
                }
                for (column, &power) in self.block.iter_mut().zip(&self.scratch.power) {
                    column[lane] = power;
                }
            }
            self.write_bands(first, lanes);
        }
    }
}

impl<T: Real, F: Frames<T>> Computation<'_, T, F> {
    /// Bands of the frames in the block, which are those from `first` on.
    #[inline(always)]
    fn write_bands(&mut self, first: usize, lanes: usize) {
        for (row, band) in self.out.chunks_exact_mut(self.num_frames).zip(0..) {
            let (first_bin, weights) = self.mel.banks.band(band);
            let mut energies = [0f32; LANES];
            for (&weight, column) in weights.iter().zip(&self.block[first_bin..]) {
                for (energy, power) in energies.iter_mut().zip(column) {
                    *energy += weight * power;
                }
            }
            for energy in &mut energies {
                *energy = self.frames.finish(*energy);
            }
            row[first..first + lanes].copy_from_slice(&energies[..lanes]);
        }
    }
}
