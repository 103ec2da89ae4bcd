#![doc = include_str!("../README.md")]

mod sha256;

pub use sha256::{Sha256, name_with_sha256, sha256, sha256_of_file};

/// The hash FNV-1a, 64 bits.
///
/// Fowler, Noll, Vo: <http://www.isthe.com/chongo/tech/comp/fnv/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self::new()
    }
}

impl Fnv1a {
    /// The hash of no bytes.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes. How they are divided into calls makes no difference.
    pub fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash of all bytes so far. The high bits of short inputs are weak: [`mix64`] spreads them.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// One step of SplitMix64: adds its constant and applies its finaliser. Every input has another output, and all bits of
/// the output depend on all bits of the input.
///
/// Steele et al., "Fast splittable pseudorandom number generators", 2014.
pub const fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Test vectors of the hash's authors (draft-eastlake-fnv).
        for (text, expected) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut hash = Fnv1a::new();
            hash.update(text.as_bytes());
            assert_eq!(hash.value(), expected, "{text}");
        }
    }

    #[test]
    fn the_mixer_is_split_mix_64() {
        // The first outputs of the generator with seed 1234567, from the reference implementation (Vigna,
        // https://prng.di.unimi.it/splitmix64.c): its state grows by the constant that `mix64` adds.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let outputs: Vec<u64> =
            (0..3).map(|n: u64| mix64(1_234_567_u64.wrapping_add(n.wrapping_mul(STEP)))).collect();
        assert_eq!(
            outputs,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
