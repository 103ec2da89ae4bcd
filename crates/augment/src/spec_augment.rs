//! SpecAugment (Park et al., 2019): bands of the training features are set to zero, their mean over time.

use ffsvc_ranges::{Range, Section};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Range of every probability and share.
pub(crate) const SHARE: Range<f64> = Range::of(0.0, 1.0);

/// Section `[spec_augment]`. Absent: no masks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpecAugment {
    /// Share of the crops that get masks, 0 to 1. Default 0.6.
    pub probability: f64,
    /// Number of masks along time. Default 1.
    pub time_masks: usize,
    /// Widest time mask, in frames; a width is drawn uniformly from 0 to this. Default 20.
    pub time_width: usize,
    /// Number of masks along frequency. Default 1.
    pub frequency_masks: usize,
    /// Widest frequency mask, in mel bands. Default 10.
    pub frequency_width: usize,
}

impl Default for SpecAugment {
    fn default() -> Self {
        Self { probability: 0.6, time_masks: 1, time_width: 20, frequency_masks: 1, frequency_width: 10 }
    }
}

/// The direction in which a mask has its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Frames `start..end` of every mel band.
    Time,
    /// Mel bands `start..end` in every frame.
    Frequency,
}

/// One band of features that is set to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Where the band lies.
    pub axis: Axis,
    /// The first frame or mel band.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl SpecAugment {
    /// Range of [`time_masks`](Self::time_masks) and [`frequency_masks`](Self::frequency_masks).
    pub const MASKS: Range<usize> = Range::of(0, 1000);
    /// Range of [`time_width`](Self::time_width) and [`frequency_width`](Self::frequency_width).
    pub const WIDTH: Range<usize> = Range::of(0, 1_000_000);

    /// Adds every number with its range.
    pub(crate) fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("probability", self.probability, SHARE);
        section.number("time_masks", self.time_masks, Self::MASKS);
        section.number("time_width", self.time_width, Self::WIDTH);
        section.number("frequency_masks", self.frequency_masks, Self::MASKS);
        section.number("frequency_width", self.frequency_width, Self::WIDTH);
    }

    /// Masks `features` `[mels, frames]` in place: [`draw`](Self::draw) and [`apply_masks`] in one.
    pub fn apply(&self, features: &mut [f32], num_frames: usize, random: &mut impl Rng) {
        if let Some(num_mels) = features.len().checked_div(num_frames) {
            let masks = self.draw(num_mels, num_frames, random);
            apply_masks(features, num_frames, &masks);
        }
    }

    /// Masks for features `[num_mels, num_frames]`; none for the share of crops that stays whole.
    pub fn draw(&self, num_mels: usize, num_frames: usize, random: &mut impl Rng) -> Vec<Mask> {
        if random.random::<f64>() >= self.probability {
            return Vec::new();
        }
        let time = std::iter::repeat_n((Axis::Time, self.time_width, num_frames), self.time_masks);
        let frequency =
            std::iter::repeat_n((Axis::Frequency, self.frequency_width, num_mels), self.frequency_masks);
        time.chain(frequency).map(|(axis, width, size)| band(axis, width, size, random)).collect()
    }
}

/// Sets the cells of `masks` in `features` `[mels, frames]` to zero. What lies outside of the features is ignored.
pub fn apply_masks(features: &mut [f32], num_frames: usize, masks: &[Mask]) {
    let Some(num_mels) = features.len().checked_div(num_frames) else { return };
    for mask in masks {
        match mask.axis {
            Axis::Time => {
                let end = mask.end.min(num_frames);
                let start = mask.start.min(end);
                for row in features.chunks_exact_mut(num_frames) {
                    row[start..end].fill(0.0);
                }
            }
            Axis::Frequency => {
                let end = mask.end.min(num_mels);
                let start = mask.start.min(end);
                features[start * num_frames..end * num_frames].fill(0.0);
            }
        }
    }
}

/// A random band of at most `width` inside `size`.
fn band(axis: Axis, width: usize, size: usize, random: &mut impl Rng) -> Mask {
    let width = random.random_range(0..=width.min(size));
    let start = random.random_range(0..=size - width);
    Mask { axis, start, end: start + width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn masks_are_bands_within_their_widths() {
        let config = SpecAugment { probability: 1.0, ..Default::default() };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut masked_frames = 0;
        for _ in 0..500 {
            let mut features = vec![1.0; 80 * 200];
            config.apply(&mut features, 200, &mut random);
            let bands = (0..80).filter(|&m| features[m * 200..][..200].iter().all(|&x| x == 0.0)).count();
            let frames = (0..200).filter(|&t| (0..80).all(|m| features[m * 200 + t] == 0.0)).count();
            assert!(bands <= 10 && frames <= 20, "{bands} bands, {frames} frames");
            masked_frames += frames;
        }
        // The width is uniform on 0..=20, so its mean is 10.
        let mean = masked_frames as f64 / 500.0;
        assert!((mean - 10.0).abs() < 1.0, "mean width {mean}");
    }

    #[test]
    fn masks_wider_than_the_features_are_cut() {
        let config =
            SpecAugment { probability: 1.0, time_width: 99, frequency_width: 99, ..Default::default() };
        let mut features = vec![1.0; 4 * 5];
        for seed in 0..20 {
            config.apply(&mut features, 5, &mut ChaCha8Rng::seed_from_u64(seed));
        }
        let outside = Mask { axis: Axis::Time, start: 7, end: 99 };
        let mut features = vec![1.0; 4 * 5];
        apply_masks(&mut features, 5, &[outside, Mask { axis: Axis::Frequency, ..outside }]);
        assert_eq!(features, [1.0; 20]);
    }

    /// Every place of a mask is equally likely, so the middle of the axis is covered by `width / (size - width + 1)` on
    /// average over the widths; masks are drawn for the configured share of the crops.
    #[test]
    fn coverage_and_share_are_those_of_the_configuration() {
        let config = SpecAugment { probability: 0.3, time_masks: 2, ..Default::default() };
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (mut masked, mut covered, rounds) = (0usize, 0usize, 40_000);
        for _ in 0..rounds {
            let masks = config.draw(80, 200, &mut random);
            masked += usize::from(!masks.is_empty());
            assert!(masks.is_empty() || masks.len() == 3);
            covered +=
                masks.iter().filter(|m| m.axis == Axis::Time && (m.start..m.end).contains(&100)).count();
        }
        let share = masked as f64 / f64::from(rounds);
        // Four standard deviations of a share: sqrt(0.3 * 0.7 / 40000) = 0.0023.
        assert!((share - 0.3).abs() < 0.0092, "{share}");
        let expected: f64 = (0..=20).map(|w| f64::from(w) / f64::from(200 - w + 1)).sum::<f64>() / 21.0;
        let found = covered as f64 / masked as f64 / 2.0;
        assert!((found - expected).abs() < 0.006, "{found} {expected}");
    }
}
