//! Random streams that depend on what they are for, never on who draws from them.
//!
//! Every random decision of a run comes from a ChaCha8 stream keyed by (seed, purpose, epoch, repetition, name). A batch
//! is therefore the same whatever the number of workers, and a resumed run draws what an uninterrupted
//! one would have drawn without any generator state being saved.

use ffsvc_hashing::{Fnv1a, mix64};
use rand::{Rng, SeedableRng};
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
    /// Whether an augmented view of a crop stays as recorded.
    CleanView,
}

/// One drawing of an utterance: the epoch, and how often the utterance was drawn before in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Occurrence {
    /// Epoch, from 0. For [`Purpose::Dropout`] the number of the batch.
    pub epoch: u32,
    /// How often the same utterance was drawn before in this epoch.
    pub repetition: u32,
}

impl From<u32> for Occurrence {
    /// The first time in `epoch`.
    fn from(epoch: u32) -> Self {
        Self { epoch, repetition: 0 }
    }
}

/// The seed of a stream, from everything that identifies it (FNV-1a over its fields, finished by SplitMix64).
pub fn stream_seed(seed: u64, purpose: Purpose, at: impl Into<Occurrence>, name: &str) -> u64 {
    let Occurrence { epoch, repetition } = at.into();
    let mut hash = Fnv1a::new();
    hash.update(&seed.to_le_bytes());
    hash.update(&[purpose as u8]);
    hash.update(&epoch.to_le_bytes());
    hash.update(&repetition.to_le_bytes());
    hash.update(name.as_bytes());
    mix64(hash.value())
}

/// The stream itself.
pub fn stream<O: Into<Occurrence>>(seed: u64, purpose: Purpose, at: O, name: &str) -> impl Rng + use<O> {
    ChaCha8Rng::seed_from_u64(stream_seed(seed, purpose, at, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Seeds of runs that exist: they must not change.
    #[test]
    fn seeds_stay() {
        let at = Occurrence { epoch: 2, repetition: 3 };
        let seeds = [
            stream_seed(0, Purpose::Shuffle, 0, ""),
            stream_seed(7, Purpose::Crop, 2, "id00012-0001"),
            stream_seed(7, Purpose::Crop, at, "id00012-0001"),
        ];
        assert_eq!(seeds, [0x6476_ea1e_7133_ab3f, 0x3b1d_07e5_6b55_3b70, 0x983e_a243_181e_0a84]);
    }

    #[test]
    fn streams_differ_in_every_field() {
        let mut seen = HashSet::new();
        for seed in 0..3 {
            for purpose in [Purpose::Initialisation, Purpose::Shuffle, Purpose::Crop, Purpose::Dropout] {
                for (epoch, repetition) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)] {
                    for name in ["", "a", "b", "ab"] {
                        let at = Occurrence { epoch, repetition };
                        assert!(seen.insert(stream_seed(seed, purpose, at, name)));
                    }
                }
            }
        }
    }
}
