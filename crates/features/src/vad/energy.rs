//! Kaldi's rule on the energy of frames.

use serde::{Deserialize, Serialize};

use crate::reduction::sum_by;
use crate::{Error, Result};

/// Kaldi's `compute-vad` (`ComputeVadEnergy` in `ivector/voice-activity-detection.cc`), with its names and defaults.
///
/// A frame is loud when its log energy is above `energy_threshold + energy_mean_scale * mean`, with the mean over the
/// recording. It is speech when the share of loud frames in its context is at least `proportion_threshold`. Levels are
/// those of 16-bit samples.
///
/// The rule suits clean recordings. Steady noise of any level counts as speech as soon as its log energy is above
/// `energy_threshold / (1 - energy_mean_scale)`. With the defaults that is an RMS of 7 (of 32768).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnergyVad {
    /// Constant term of the threshold. Default 5; Kaldi's recipes for speakers set 5.5.
    pub energy_threshold: f32,
    /// Factor of the recording's mean log energy in the threshold, at least 0. Default 0.5.
    pub energy_mean_scale: f32,
    /// Frames on each side of a frame that belong to its context. Default 0; recipes also set 2.
    pub frames_context: usize,
    /// Least share of loud frames in the context, between 0 and 1. Default 0.6; recipes also set 0.12.
    pub proportion_threshold: f32,
}

impl Default for EnergyVad {
    fn default() -> Self {
        Self { energy_threshold: 5.0, energy_mean_scale: 0.5, frames_context: 0, proportion_threshold: 0.6 }
    }
}

impl EnergyVad {
    /// Says whether the options can be used.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn check(&self) -> Result<()> {
        if !self.energy_threshold.is_finite() {
            return Err(Error::option("energy_threshold", self.energy_threshold, "a number"));
        }
        if !(self.energy_mean_scale >= 0.0 && self.energy_mean_scale.is_finite()) {
            return Err(Error::option("energy_mean_scale", self.energy_mean_scale, "at least 0"));
        }
        if !(self.proportion_threshold > 0.0 && self.proportion_threshold < 1.0) {
            let expected = "between 0 and 1, exclusive";
            return Err(Error::option("proportion_threshold", self.proportion_threshold, expected));
        }
        Ok(())
    }

    /// Decides on each frame from the natural logarithms of the frames' energies, at the scale of 16-bit samples. Kaldi
    /// has them as column 0 of MFCC with `use_energy`, [`Fbank`](crate::Fbank) as row 0.
    pub fn decide(&self, log_energies: &[f32]) -> Vec<bool> {
        let mean = sum_by(log_energies, f64::from) / log_energies.len().max(1) as f64;
        let threshold = (f64::from(self.energy_threshold) + f64::from(self.energy_mean_scale) * mean) as f32;
        let is_loud = |&energy: &f32| energy > threshold;
        (0..log_energies.len())
            .map(|t| {
                let end = t.saturating_add(self.frames_context).saturating_add(1).min(log_energies.len());
                let context = &log_energies[t.saturating_sub(self.frames_context)..end];
                let loud = context.iter().filter(|energy| is_loud(energy)).count();
                loud as f32 >= context.len() as f32 * self.proportion_threshold
            })
            .collect()
    }
}
