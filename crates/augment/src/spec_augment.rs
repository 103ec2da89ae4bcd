//! SpecAugment (Park et al., 2019): bands of the training features are set to zero, their mean over time.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Section `[spec_augment]`. Absent: no masks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

impl SpecAugment {
    /// Masks `features` `[mels, frames]` in place.
    pub fn apply(&self, features: &mut [f32], num_frames: usize, random: &mut impl Rng) {
        if num_frames == 0 || random.random::<f64>() >= self.probability {
            return;
        }
        let num_mels = features.len() / num_frames;
        for _ in 0..self.time_masks {
            let (start, end) = band(self.time_width, num_frames, random);
            for row in features.chunks_exact_mut(num_frames) {
                row[start..end].fill(0.0);
            }
        }
        for _ in 0..self.frequency_masks {
            let (start, end) = band(self.frequency_width, num_mels, random);
            features[start * num_frames..end * num_frames].fill(0.0);
        }
    }
}

/// A random band of at most `width` inside `size`.
fn band(width: usize, size: usize, random: &mut impl Rng) -> (usize, usize) {
    let width = random.random_range(0..=width.min(size));
    let start = random.random_range(0..=size - width);
    (start, start + width)
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
    }
}
