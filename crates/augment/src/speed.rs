//! Speed: the recording played faster or slower, so that pitch and formants move too and it sounds like another speaker.
//!
//! This is SoX `speed`: a change of sample rate that is then ignored. SoX `tempo`, which keeps the pitch, is left out
//! because it does not change the voice. (The baseline defines both and calls neither.)

use std::collections::HashMap;

use ffsvc_audio::Resampler;
use ffsvc_ranges::Range;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The slowest and the fastest factor.
pub const FACTORS: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// Section `[augment.speed]`: SoX `speed`, which changes the pitch too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpeedConfig {
    /// Share of the crops whose speed is changed. Default 0; 2/3 makes the original and two factors equally frequent.
    pub probability: f64,
    /// The factors, each as likely as the others. Default 0.9 and 1.1.
    pub factors: Vec<f64>,
    /// A speaker at another speed counts as another speaker: the head has `1 + factors` classes for each. Default true.
    pub new_speakers: bool,
}

impl Default for SpeedConfig {
    fn default() -> Self {
        Self { probability: 0.0, factors: vec![0.9, 1.1], new_speakers: true }
    }
}

impl SpeedConfig {
    /// Range of each of [`factors`](Self::factors).
    pub const FACTORS: Range<f64> = Range::of(*FACTORS.start(), *FACTORS.end());

    /// How many classes each speaker has: 1 unless speeds are speakers of their own.
    pub fn variants(&self) -> usize {
        if self.new_speakers && self.probability > 0.0 { 1 + self.factors.len() } else { 1 }
    }

    /// The class of `speaker`, of `num_speakers`, at the speed of a plan. Speakers at their own speed keep their index, so
    /// the first `num_speakers` rows of the head are theirs.
    pub fn class(&self, speaker: u32, factor: f64, num_speakers: usize) -> usize {
        let variant = match self.factors.iter().position(|known| *known == factor) {
            Some(index) if self.variants() > 1 => index + 1,
            _ => 0,
        };
        variant * num_speakers + speaker as usize
    }
}

/// The factor in thousandths: what a rate conversion from `factor * rate` to `rate` is made of.
fn thousandths(factor: f64) -> u32 {
    (factor.clamp(*FACTORS.start(), *FACTORS.end()) * 1000.0).round() as u32
}

/// Samples that `len` samples become: `len / factor`, rounded to nearest, a half up, as SoX does.
pub fn output_len(factor: f64, len: usize) -> usize {
    let from = u128::from(thousandths(factor));
    ((2000 * len as u128 + from) / (2 * from)) as usize
}

/// The fewest samples that become at least `len`: what to read for a crop of `len` samples. What [`Augmenter::apply`] makes
/// of them can be one sample longer than `len`, because not every length can be met.
///
/// [`Augmenter::apply`]: crate::Augmenter::apply
pub fn source_len(factor: f64, len: usize) -> usize {
    let from = u128::from(thousandths(factor));
    // The smallest n with (2000 n + from) / (2 from) >= len, in whole numbers.
    let n = (from * (2 * len as u128).saturating_sub(1)).div_ceil(2000);
    n as usize
}

/// Changes of speed, one rate converter for each factor. One for each thread.
#[derive(Debug, Default)]
pub struct SpeedChanger {
    converters: HashMap<u32, Resampler>,
}

impl SpeedChanger {
    /// Replaces `samples` by the same recording at `factor` times the speed.
    ///
    /// # Errors
    /// The result would be longer than the audio crate allows.
    pub fn apply(&mut self, factor: f64, samples: &mut Vec<f32>) -> Result<()> {
        let failed = |cause: ffsvc_audio::Cause| Error::Speed { factor, what: cause.to_string() };
        let from = thousandths(factor);
        if from == 1000 {
            return Ok(());
        }
        let converter = match self.converters.entry(from) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Resampler::new(from, 1000).map_err(failed)?)
            }
        };
        *samples = converter.process(samples).map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_len_is_the_least_that_suffices() {
        for factor in [0.5, 0.9, 0.95, 1.0, 1.05, 1.1, 1.333, 2.0] {
            for len in (1..400).chain([31_840, 32_000]) {
                let source = source_len(factor, len);
                assert!(output_len(factor, source) >= len, "{factor} {len}");
                assert!(output_len(factor, source) <= len + 1, "{factor} {len}");
                assert!(source == 0 || output_len(factor, source - 1) < len, "{factor} {len}");
            }
        }
    }

    #[test]
    fn lengths_are_those_of_the_converter() {
        let mut changer = SpeedChanger::default();
        for factor in [0.9, 1.0, 1.1] {
            for len in [100, 101, 999, 31_840] {
                let mut samples = vec![0.25; len];
                changer.apply(factor, &mut samples).unwrap();
                assert_eq!(samples.len(), output_len(factor, len), "{factor} {len}");
            }
        }
    }
}
