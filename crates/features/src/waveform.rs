//! Normalisation of a waveform before its features.

use serde::{Deserialize, Serialize};

use crate::reduction::{mean, squared_deviations};
use crate::wide_vectors::{self, Kernel};
use crate::{Error, Result};

/// What is done to the samples first.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WaveformNorm {
    /// `(x - mean) / max(std, 1e-6)` with the unbiased standard deviation over the signal given (a crop in
    /// training, the whole file in a test): the baseline's `mean_std_norm_1d`. The level of a recording no longer matters.
    #[default]
    MeanStd,
    /// The samples are taken as they are.
    None,
    /// `{ raise-to-dbfs = -30.0 }`: a quieter signal is raised to this RMS level, in decibels of the full scale of 1.0, -200 to 0.
    /// A louder signal, and one of zeros, stays as it is. Resemblyzer's `normalize_volume` with `increase_only`.
    RaiseToDbfs(f64),
}

/// Least standard deviation that [`WaveformNorm::MeanStd`] divides by (baseline).
const STD_FLOOR: f64 = 1e-6;

/// Largest magnitude of a sample: its power, summed over any window and mel band and at int16 scale, fits into 32 bits.
const SAMPLE_LIMIT: f32 = 1e9;

impl WaveformNorm {
    /// Writes the normalised `samples` to `out`, which is given their length.
    pub fn apply_into(self, samples: &[f32], out: &mut Vec<f32>) {
        match self {
            Self::None => {
                out.clear();
                out.extend_from_slice(samples);
            }
            Self::MeanStd => {
                wide_vectors::run(MeanStd { samples, out });
            }
            Self::RaiseToDbfs(level) => {
                let power = squared_deviations(samples, 0.0) / samples.len().max(1) as f64;
                let gain = 10f64.powf(level / 20.0) / power.sqrt();
                let gain = if power > 0.0 && gain > 1.0 { gain } else { 1.0 };
                out.clear();
                out.extend(samples.iter().map(|&x| (f64::from(x) * gain) as f32));
            }
        }
    }

    /// Checks the option.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::RaiseToDbfs(level) if !(-200.0..=0.0).contains(&level) => {
                Err(Error::option("waveform_norm.raise-to-dbfs", level, "-200 to 0 decibels"))
            }
            _ => Ok(()),
        }
    }
}

struct MeanStd<'a> {
    samples: &'a [f32],
    out: &'a mut Vec<f32>,
}

impl Kernel for MeanStd<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mean = mean(self.samples);
        let degrees_of_freedom = self.samples.len().saturating_sub(1).max(1) as f64;
        let std = (squared_deviations(self.samples, mean) / degrees_of_freedom).sqrt();
        let scale = 1.0 / std.max(STD_FLOOR);
        self.out.resize(self.samples.len(), 0.0);
        for (out, &x) in self.out.iter_mut().zip(self.samples) {
            *out = ((f64::from(x) - mean) * scale) as f32;
        }
    }
}

/// Refuses samples that no feature can be computed from.
pub(crate) fn check_samples(samples: &[f32]) -> Result<()> {
    // Without an early exit, so that it runs at the speed of memory; NaN fails every comparison.
    let good = |x: &f32| x.abs() <= SAMPLE_LIMIT;
    if samples.iter().fold(true, |all, x| all & good(x)) {
        return Ok(());
    }
    let index = samples.iter().position(|x| !good(x)).unwrap_or(0);
    Err(Error::Sample { index, value: samples[index], limit: SAMPLE_LIMIT })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goldens::Golden;

    #[test]
    fn is_the_baselines() {
        for golden in Golden::all("features").iter().filter(|g| g.has("norm")) {
            let mut ours = Vec::new();
            WaveformNorm::MeanStd.apply_into(&golden.f32("input"), &mut ours);
            for (i, (a, b)) in ours.iter().zip(golden.f32("norm")).enumerate() {
                let tolerance = 2e-6 * b.abs().max(1.0);
                assert!((a - b).abs() <= tolerance, "{} [{i}]: {a} and {b}", golden.name);
            }
        }
    }

    #[test]
    fn mean_is_zero_and_variance_one() {
        let samples: Vec<f32> = (0..10_000).map(|i| 3.0 + (i as f32 * 0.1).sin() * 0.01).collect();
        let mut out = Vec::new();
        WaveformNorm::MeanStd.apply_into(&samples, &mut out);
        let m = mean(&out);
        assert!(m.abs() < 1e-6, "{m}");
        assert!((squared_deviations(&out, m) / 9_999.0 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_quiet_signal_is_raised_and_a_loud_one_stays() {
        let level =
            |samples: &[f32]| 10.0 * (squared_deviations(samples, 0.0) / samples.len() as f64).log10();
        let raise = |amplitude: f32| {
            let samples: Vec<f32> = (0..4000).map(|i| amplitude * (i as f32 * 0.1).sin()).collect();
            let mut out = Vec::new();
            WaveformNorm::RaiseToDbfs(-30.0).apply_into(&samples, &mut out);
            (samples, out)
        };
        for amplitude in [1e-30, 0.001, 0.04] {
            let (_, out) = raise(amplitude);
            assert!((level(&out) + 30.0).abs() < 1e-4, "{amplitude}: {}", level(&out));
        }
        for amplitude in [0.0, 0.05, 1.0] {
            let (samples, out) = raise(amplitude);
            assert_eq!(out, samples);
        }
        for level in [1.0, -201.0, f64::NAN] {
            assert!(WaveformNorm::RaiseToDbfs(level).check().is_err());
        }
    }

    #[test]
    fn constant_and_single_samples_stay_finite() {
        let mut out = Vec::new();
        for samples in [&[0.5f32; 300][..], &[0.25], &[]] {
            WaveformNorm::MeanStd.apply_into(samples, &mut out);
            assert!(out.len() == samples.len() && out.iter().all(|&x| x == 0.0));
        }
    }

    #[test]
    fn the_first_bad_sample_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e9] {
            let mut samples = vec![0.1; 1000];
            samples[700] = bad;
            samples[900] = bad;
            let error = check_samples(&samples).unwrap_err();
            assert!(matches!(error, Error::Sample { index: 700, .. }), "{error}");
        }
        assert!(check_samples(&[SAMPLE_LIMIT, -SAMPLE_LIMIT]).is_ok());
    }
}
