//! Random streams that depend on what they are for, never on the order of work.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What a stream is drawn for. The numbers are part of the corpus: changing one changes its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Speaker = 1,
    Speech = 2,
    Recording = 3,
    Trials = 4,
    Duration = 5,
}

/// The stream for a purpose, a speaker and an utterance. ChaCha makes the four numbers, taken as its key,
/// independent streams, so any thread may produce any utterance at any time.
pub(crate) fn stream(seed: u64, purpose: Purpose, speaker: u64, utterance: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    let words = [seed, purpose as u64, speaker, utterance];
    for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Uniform in `[low, high]`; `low` where the two are equal.
pub(crate) fn uniform(rng: &mut impl Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Uniform on a logarithmic scale; both ends above 0.
pub(crate) fn log_uniform(rng: &mut impl Rng, [low, high]: [f64; 2]) -> f64 {
    uniform(rng, [low.ln(), high.ln()]).exp()
}

pub(crate) fn gaussian(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Normal, but never further than 2.5 standard deviations away, so that no voice is a freak.
pub(crate) fn normal(rng: &mut impl Rng, mean: f64, deviation: f64) -> f64 {
    mean + deviation * gaussian(rng).clamp(-2.5, 2.5)
}

pub(crate) fn decibels(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coordinate_makes_another_stream() {
        let first = |s, p, a, b| stream(s, p, a, b).random::<u64>();
        let base = first(1, Purpose::Speech, 2, 3);
        assert_eq!(base, first(1, Purpose::Speech, 2, 3));
        for other in [
            first(2, Purpose::Speech, 2, 3),
            first(1, Purpose::Recording, 2, 3),
            first(1, Purpose::Speech, 3, 2),
            first(1, Purpose::Speech, 2, 4),
        ] {
            assert_ne!(base, other);
        }
    }
}
