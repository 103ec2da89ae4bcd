//! Random streams that depend on what they are for, never on who draws from them.
//!
//! Every random decision of a run comes from a ChaCha stream keyed by (seed, purpose, epoch, name). A batch
//! is therefore the same whatever the number of workers, and a resumed run draws what an uninterrupted
//! one would have drawn without any generator state being saved.

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

/// The hash FNV-1a, 64 bits: the same on every machine and in every version of this program.
#[derive(Debug)]
pub(crate) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn value(&self) -> u64 {
        self.0
    }
}

/// The seed of a stream, from everything that identifies it (FNV-1a over its fields, finished by SplitMix64).
pub fn stream_seed(seed: u64, purpose: Purpose, epoch: usize, name: &str) -> u64 {
    let mut hash = Fnv1a::default();
    hash.take(&seed.to_le_bytes());
    hash.take(&[purpose as u8]);
    hash.take(&(epoch as u64).to_le_bytes());
    hash.take(name.as_bytes());
    // FNV leaves the high bits of short inputs weak; SplitMix64's finaliser spreads them.
    let mut z = hash.value().wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
    fn the_hash_is_fnv_1a() {
        // Test vectors of the hash's authors (draft-eastlake-fnv).
        for (text, expected) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut hash = Fnv1a::default();
            hash.take(text.as_bytes());
            assert_eq!(hash.value(), expected, "{text}");
        }
    }

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
