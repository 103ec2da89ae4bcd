//! Random streams that depend on what they are for, never on who draws from them.
//!
//! Every random decision of a run comes from a ChaCha stream keyed by (seed, purpose, epoch, name). A batch
//! is therefore the same whatever the number of workers, and a resumed run draws what an uninterrupted
//! one would have drawn without any generator state being saved.

use ffsvc_hashing::{Fnv1a, mix64};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for. Two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Initialisation,
    /// The order of utterances in an epoch.
    Shuffle,
    /// The place of a crop in its recording.
    Crop,
    /// Dropout masks of one step.
    Dropout,
    /// Masks on a training crop's features.
    SpecAugment,
    /// What else is done to a training crop.
    Augment,
    /// The simulated rooms of a run.
    Rooms,
    /// The utterances that take the place of one that cannot be read.
    Substitute,
}

/// The seed of a stream, from everything that identifies it (FNV-1a over its fields, finished by SplitMix64).
pub fn stream_seed(seed: u64, purpose: Purpose, epoch: usize, name: &str) -> u64 {
    let mut hash = Fnv1a::new();
    hash.update(&seed.to_le_bytes());
    hash.update(&[purpose as u8]);
    hash.update(&(epoch as u64).to_le_bytes());
    hash.update(name.as_bytes());
    mix64(hash.value())
}

/// The stream itself.
pub fn stream(seed: u64, purpose: Purpose, epoch: usize, name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(stream_seed(seed, purpose, epoch, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn streams_differ_in_every_field() {
        let mut seen = HashSet::new();
        for seed in 0..3 {
            for purpose in [Purpose::Initialisation, Purpose::Shuffle, Purpose::Crop, Purpose::Dropout] {
                for epoch in 0..3 {
                    for name in ["", "a", "b", "ab"] {
                        assert!(seen.insert(stream_seed(seed, purpose, epoch, name)));
                    }
                }
            }
        }
    }
}
