//! Levels of a recording as it was stored: peak, RMS, constant offset, clipping.

use serde::{Deserialize, Serialize};

use crate::reduction::{mean, squared_deviations};
use crate::wide_vectors::{self, Kernel};

/// Levels of a signal at full scale 1.0, as it was recorded: before any change of its rate or level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Mean of the samples.
    pub dc_offset: f64,
    /// Largest distance of a sample from the mean.
    pub peak: f64,
    /// Root of the mean squared distance from the mean.
    pub rms: f64,
    /// Share of samples in clipped runs, 0 to 1.
    pub clipped_share: f64,
    /// Number of clipped runs: at least three consecutive samples at the recording's highest value, or at its lowest,
    /// where that is beyond half of full scale.
    ///
    /// Full scale itself is not asked for: it is 0.98 in µ-law telephony, and less where a recording was made quieter
    /// after it was clipped. A recording that only touches full scale with single peaks is not clipped.
    pub clipped_runs: usize,
}

/// Shortest run of equal extreme samples that is clipping: an unclipped wave turns within fewer.
const CLIPPED_RUN: usize = 3;
/// Least magnitude of clipped samples; in quieter recordings equal neighbours at the extremes are quantisation.
const CLIPPED_LEVEL: f32 = 0.5;
/// Values from here on are one: lossy decoders overshoot what was clipped, and integers end at different values.
const FULL_SCALE: f32 = 1.0 - 1.0 / 32_768.0;

impl Levels {
    /// Measures a signal. Every number is 0 for no samples.
    pub fn measure(samples: &[f32]) -> Self {
        let Moments { dc_offset, squares, low, high } = wide_vectors::run(Measure { samples });
        let (clipped_samples, clipped_runs) = clipped(samples, low, high);
        let count = samples.len().max(1) as f64;
        Self {
            dc_offset,
            peak: if samples.is_empty() {
                0.0
            } else {
                (f64::from(high) - dc_offset).max(dc_offset - f64::from(low))
            },
            rms: (squares / count).sqrt(),
            clipped_share: clipped_samples as f64 / count,
            clipped_runs,
        }
    }

    /// The peak in dB below full scale; negative infinity for a constant signal.
    pub fn peak_dbfs(&self) -> f64 {
        20.0 * self.peak.log10()
    }

    /// The RMS in dB below full scale (a square wave at full scale has 0 dB); negative infinity for a constant signal.
    pub fn rms_dbfs(&self) -> f64 {
        20.0 * self.rms.log10()
    }
}

struct Measure<'a> {
    samples: &'a [f32],
}

struct Moments {
    dc_offset: f64,
    /// Sum of the squared distances from it.
    squares: f64,
    /// 0 for no samples.
    low: f32,
    high: f32,
}

impl Kernel for Measure<'_> {
    type Output = Moments;

    #[inline(always)]
    fn run(self) -> Moments {
        const LANES: usize = 16;
        let dc_offset = mean(self.samples);
        let squares = squared_deviations(self.samples, dc_offset);
        let first = self.samples.first().copied().unwrap_or(0.0);
        let (mut lows, mut highs) = ([first; LANES], [first; LANES]);
        let (chunks, rest) = self.samples.as_chunks::<LANES>();
        for chunk in chunks.iter().map(|chunk| &chunk[..]).chain([rest]) {
            for ((low, high), &x) in lows.iter_mut().zip(&mut highs).zip(chunk) {
                *low = if x < *low { x } else { *low };
                *high = if x > *high { x } else { *high };
            }
        }
        Moments {
            dc_offset,
            squares,
            low: lows.into_iter().fold(first, f32::min),
            high: highs.into_iter().fold(first, f32::max),
        }
    }
}

/// Samples and number of the clipped runs, of a signal from `low` to `high`.
fn clipped(samples: &[f32], low: f32, high: f32) -> (usize, usize) {
    if high < CLIPPED_LEVEL && low > -CLIPPED_LEVEL {
        return (0, 0);
    }
    let (low, high) = (low.max(-FULL_SCALE), high.min(FULL_SCALE));
    // Which rail a sample is at: runs end where it changes.
    let rail = |x: f32| {
        if high >= CLIPPED_LEVEL && x >= high {
            1
        } else if low <= -CLIPPED_LEVEL && x <= low {
            -1
        } else {
            0
        }
    };
    samples
        .chunk_by(|&a, &b| rail(a) == rail(b))
        .filter(|run| rail(run[0]) != 0 && run.len() >= CLIPPED_RUN)
        .fold((0, 0), |(samples, runs), run| (samples + run.len(), runs + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(amplitude: f64, hz: f64, rate: f64) -> impl Fn(usize) -> f64 {
        move |n| amplitude * (std::f64::consts::TAU * hz * n as f64 / rate + 0.3).sin()
    }

    /// As a 16-bit recorder would store it.
    fn record(wave: impl Fn(usize) -> f64, num_samples: usize) -> Vec<f32> {
        let store = |x: f64| ((x * 32_768.0).round().clamp(-32_768.0, 32_767.0) / 32_768.0) as f32;
        (0..num_samples).map(|n| store(wave(n))).collect()
    }

    #[test]
    fn a_clipped_sine_has_the_share_of_its_closed_form() {
        // |A sin| >= 1 for a share of 1 - 2/pi asin(1/A) of the time.
        for amplitude in [1.1f64, 1.5, 2.0, 10.0] {
            let levels = Levels::measure(&record(sine(amplitude, 101.0, 16_000.0), 160_000));
            let expected = 1.0 - 2.0 / std::f64::consts::PI * (1.0 / amplitude).asin();
            assert!((levels.clipped_share - expected).abs() < 0.01, "{amplitude}: {levels:?}, {expected}");
            assert!(levels.clipped_runs.abs_diff(2 * 1010) <= 1, "{amplitude}: {levels:?}");
        }
    }

    #[test]
    fn clipping_is_found_after_the_level_was_changed_and_in_telephony() {
        for gain in [0.98, 0.7, 0.51] {
            let quieter: Vec<f32> =
                record(sine(1.5, 101.0, 16_000.0), 16_000).iter().map(|x| x * gain).collect();
            assert!(Levels::measure(&quieter).clipped_share > 0.4);
        }
        // A lossy decoder's ripple beyond full scale.
        let ripple = |n: usize| sine(1.5, 101.0, 16_000.0)(n).clamp(-1.0, 1.0) * 1.01;
        let decoded: Vec<f32> = (0..16_000).map(|n| (ripple(n) + 0.005 * (n as f64).sin()) as f32).collect();
        assert!(Levels::measure(&decoded).clipped_share > 0.4);
    }

    #[test]
    fn loud_and_quiet_waves_are_not_clipped() {
        for (amplitude, hz, rate) in
            [(0.999, 101.0, 16_000.0), (0.99, 60.0, 48_000.0), (0.6, 50.0, 44_100.0), (1e-4, 101.0, 8_000.0)]
        {
            let levels = Levels::measure(&record(sine(amplitude, hz, rate), 160_000));
            assert!(levels.clipped_share < 1e-3, "{amplitude} at {hz} Hz: {levels:?}");
        }
        // Single samples at full scale, as after a normalisation of the peak.
        let mut touching = record(sine(0.5, 333.0, 16_000.0), 16_000);
        touching.iter_mut().step_by(100).for_each(|x| *x = 1.0);
        assert_eq!(Levels::measure(&touching).clipped_runs, 0);
    }

    #[test]
    fn offset_peak_and_rms_are_those_of_the_closed_form() {
        let wave = sine(0.25, 100.0, 16_000.0);
        let levels = Levels::measure(&record(|n| 0.1 + wave(n), 16_000));
        assert!((levels.dc_offset - 0.1).abs() < 1e-5, "{levels:?}");
        assert!((levels.peak - 0.25).abs() < 1e-4, "{levels:?}");
        assert!((levels.rms_dbfs() - 20.0 * (0.25 / 2f64.sqrt()).log10()).abs() < 1e-3, "{levels:?}");
        let nothing = Levels::measure(&[]);
        assert_eq!(
            (nothing.peak, nothing.rms, nothing.clipped_share, nothing.dc_offset),
            (0.0, 0.0, 0.0, 0.0)
        );
        assert_eq!(Levels::measure(&[0.0; 100]).peak_dbfs(), f64::NEG_INFINITY);
    }
}
