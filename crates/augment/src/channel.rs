//! What recording and transmission do: level, clipping, the telephone's band and its companding. Coding by Opus is in
//! `internet_call.rs`.

use ffsvc_ranges::Range;
use serde::{Deserialize, Serialize};

use crate::convolution::{Convolver, Filter};

/// The telephone's pass band in Hz (ITU-T G.712).
pub const TELEPHONE_HZ: (f64, f64) = (300.0, 3400.0);

/// Section `[augment.gain]`. A front end that normalises the waveform takes it off again, except for what it does to
/// mu-law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GainConfig {
    /// Share of the crops. Default 0.
    pub probability: f64,
    /// Lowest and highest gain in dB. Default -20 and 0.
    pub gain_db: [f64; 2],
}

impl GainConfig {
    /// Range of [`gain_db`](Self::gain_db).
    pub const GAIN_DB: Range<f64> = Range::of(-100.0, 100.0);
}

impl Default for GainConfig {
    fn default() -> Self {
        Self { probability: 0.0, gain_db: [-20.0, 0.0] }
    }
}

/// Section `[augment.clipping]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClippingConfig {
    /// Share of the crops. Default 0.
    pub probability: f64,
    /// Lowest and highest level at which samples are cut off, as a share of the crop's peak. Default 0.2 and 0.8.
    pub level: [f64; 2],
}

impl ClippingConfig {
    /// Range of [`level`](Self::level).
    pub const LEVEL: Range<f64> = Range::of(0.001, 1.0);
}

impl Default for ClippingConfig {
    fn default() -> Self {
        Self { probability: 0.0, level: [0.2, 0.8] }
    }
}

/// Section `[augment.channel]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ChannelConfig {
    /// Share of the crops that are cut to the telephone's band, 300 to 3400 Hz. Default 0.
    pub telephone_band: f64,
    /// Share of *those* crops that are coded by mu-law as well. Default 0.
    pub mu_law: f64,
    /// Share of the other crops that go through a call over the internet: they are coded by Opus. Default 0.
    pub opus: f64,
    /// Least and most kbit/s of these. Default 8 and 24.
    pub opus_kbps: [f64; 2],
}

impl ChannelConfig {
    /// Range of [`opus_kbps`](Self::opus_kbps): what Opus has for one channel.
    pub const OPUS_KBPS: Range<f64> = Range::of(6.0, 256.0);
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self { telephone_band: 0.0, mu_law: 0.0, opus: 0.0, opus_kbps: [8.0, 24.0] }
    }
}

/// Multiplies by `10^(gain_db / 20)`.
pub fn gain(samples: &mut [f32], gain_db: f64) {
    let gain = 10f64.powf(gain_db / 20.0) as f32;
    samples.iter_mut().for_each(|sample| *sample *= gain);
}

/// Cuts the samples off at `level` times their largest magnitude. `level` 1 changes nothing.
pub fn clip(samples: &mut [f32], level: f64) {
    let peak = samples.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    let limit = (f64::from(peak) * level.clamp(0.0, 1.0)) as f32;
    samples.iter_mut().for_each(|sample| *sample = sample.clamp(-limit, limit));
}

/// The telephone's band as a linear-phase filter without delay, for signals of `len` samples: a windowed sinc (Hamming,
/// 32 ms) whose edges are 3.3 / 32 ms = 103 Hz wide. Above the Nyquist frequency there is nothing to cut.
pub fn telephone_band(sample_rate: u32, len: usize, convolver: &mut Convolver) -> Filter {
    use std::f64::consts::{PI, TAU};
    let rate = f64::from(sample_rate);
    let half = (rate * 0.016) as i64;
    let low_pass = |hz: f64, n: i64| {
        let cutoff = 2.0 * hz.min(rate / 2.0) / rate;
        if n == 0 { cutoff } else { (PI * cutoff * n as f64).sin() / (PI * n as f64) }
    };
    let taps: Vec<f32> = (-half..=half)
        .map(|n| {
            let window = 0.54 + 0.46 * (TAU * n as f64 / (2 * half + 1) as f64).cos();
            (window * (low_pass(TELEPHONE_HZ.1, n) - low_pass(TELEPHONE_HZ.0, n))) as f32
        })
        .collect();
    Filter::new(&taps, half as usize, len, convolver)
}

/// Codes and decodes every sample by the mu-law of ITU-T G.711, at 16-bit full scale. What is above full scale is cut.
pub fn mu_law(samples: &mut [f32]) {
    // A code keeps the four bits below the highest one of a magnitude, and decodes to the middle of what shares them. Those
    // are the upper bits of the mantissa, so the round trip is one mask: no branches, whole vectors.
    const KEPT: u32 = 0xfff8_0000;
    const MIDDLE: u32 = 0x0004_0000;
    const BELOW_HALF: f32 = 0.5f32.next_down();
    let (bias, limit) = (BIAS as f32, LIMIT as f32);
    for sample in samples {
        let scaled = *sample * 32_768.0;
        // To the nearest whole number, a half away from zero; `f32::round` is a call on processors without SSE 4.1.
        let magnitude = ((scaled.abs().min(limit) + BELOW_HALF) as i32 as f32).min(limit) + bias;
        let decoded = f32::from_bits(magnitude.to_bits() & KEPT | MIDDLE) - bias;
        *sample = decoded.copysign(scaled) / 32_768.0;
    }
}

/// Added before the logarithm, so that the segments join (in units of 16-bit samples).
const BIAS: i32 = 132;
/// The largest magnitude that has a code.
const LIMIT: i32 = 32_635;

/// The G.711 mu-law code of a 16-bit sample.
pub fn mu_law_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(LIMIT) + BIAS;
    // 132 <= magnitude < 32768: the segment is the place of its highest bit, above bit 7.
    let segment = (31 - magnitude.leading_zeros()).saturating_sub(7);
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment as u8) << 4 | step as u8)
}

/// The 16-bit sample of a G.711 mu-law code.
pub fn mu_law_decode(code: u8) -> i16 {
    let code = !code;
    let (segment, step) = (u32::from(code >> 4 & 7), i32::from(code & 0x0f));
    let magnitude = (((step << 3) + BIAS) << segment) - BIAS;
    (if code & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mu_law_code_survives() {
        for code in 0..=255u8 {
            let again = mu_law_encode(mu_law_decode(code));
            // The code of minus zero is that of zero.
            assert_eq!(again, if code == 0x7f { 0xff } else { code });
        }
    }

    #[test]
    fn mu_law_errs_by_half_a_step_at_most() {
        for value in -LIMIT..=LIMIT {
            let decoded = i32::from(mu_law_decode(mu_law_encode(value as i16)));
            let segment = (value.abs() + BIAS).ilog2() - 7;
            assert!((decoded - value).abs() <= 4 << segment, "{value}: {decoded}");
        }
    }

    #[test]
    fn signals_are_coded_sample_by_sample() {
        for value in i16::MIN..=i16::MAX {
            for fraction in [-0.5, -0.499, 0.0, 0.3, 0.5, 0.75] {
                let sample = (f32::from(value) + fraction) / 32_768.0;
                let nearest = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
                let mut coded = [sample];
                mu_law(&mut coded);
                assert_eq!(coded[0] * 32_768.0, f32::from(mu_law_decode(mu_law_encode(nearest))), "{sample}");
            }
        }
        let mut beyond = [1.5, -1e30, f32::MAX, 0.0];
        mu_law(&mut beyond);
        assert_eq!(beyond.map(|v| v * 32_768.0), [32_124.0, -32_124.0, 32_124.0, 0.0]);
    }

    #[test]
    fn the_telephone_passes_its_band_and_keeps_time() {
        let mut convolver = Convolver::default();
        let filter = telephone_band(16_000, 16_000, &mut convolver);
        for (hz, low, high) in [
            (100.0, 0.0, 0.003),
            (200.0, 0.0, 0.01),
            (400.0, 0.98, 1.02),
            (1000.0, 0.98, 1.02),
            (3300.0, 0.98, 1.02),
            (3550.0, 0.0, 0.01),
            (6000.0, 0.0, 0.003),
        ] {
            let tone: Vec<f32> = (0..16_000)
                .map(|n| (std::f64::consts::TAU * hz * f64::from(n) / 16_000.0).sin() as f32)
                .collect();
            let mut filtered = tone.clone();
            convolver.apply(&filter, &mut filtered);
            let middle = 4000..12_000;
            let product: f32 = tone[middle.clone()].iter().zip(&filtered[middle]).map(|(a, b)| a * b).sum();
            let gain = product / 4000.0;
            assert!(gain.abs() <= high && gain >= low - 0.003, "{hz} Hz: {gain}");
        }
    }

    #[test]
    fn clipping_is_relative_to_the_peak() {
        let mut samples = [0.1, -0.4, 0.2, 0.05];
        clip(&mut samples, 0.5);
        assert_eq!(samples, [0.1, -0.2, 0.2, 0.05]);
        clip(&mut [], 0.5);
        let mut silence = [0.0; 3];
        clip(&mut silence, 0.5);
        assert_eq!(silence, [0.0; 3]);
    }

    #[test]
    fn six_decibels_double() {
        let mut samples = [0.25];
        gain(&mut samples, 20.0 * 2f64.log10());
        assert!((samples[0] - 0.5).abs() < 1e-7);
    }
}
