//! What `--shard` and `--memory` are given as.

use std::str::FromStr;

/// Part `index` of `parts`, from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shard {
    pub(crate) index: usize,
    pub(crate) parts: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, parts)| Some(Self { index: index.parse().ok()?, parts: parts.parse().ok()? }));
        let is_part = |shard: &Self| shard.index >= 1 && shard.index <= shard.parts;
        numbers.filter(is_part).ok_or_else(|| "expected I/N with I from 1 to N, e.g. 2/8".to_owned())
    }
}

/// Bytes, as people write them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemorySize(pub(crate) u64);

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[digits.len()..];
        let shift = match unit.strip_suffix("iB").or(unit.strip_suffix('B')).unwrap_or(unit) {
            "" => Some(0),
            "K" => Some(10),
            "M" => Some(20),
            "G" => Some(30),
            "T" => Some(40),
            _ => None,
        };
        let bytes =
            shift.zip(digits.parse().ok()).and_then(|(shift, size): (u32, u64)| size.checked_mul(1 << shift));
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bytes
            .map(Self)
            .ok_or_else(|| "expected a number above 0 of bytes, or with K, M, G or T, e.g. 4G".to_owned())
    }
}
