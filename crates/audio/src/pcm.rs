//! Bytes of interleaved PCM to samples of one channel, full scale 1.0.

use crate::Channel;

/// How one sample is stored, its lowest byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Unsigned with a bias of 128.
    U8,
    I8,
    I16,
    I24,
    I32,
    F32,
    F64,
    /// ITU-T G.711, for telephones.
    ALaw,
    MuLaw,
}

impl Encoding {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::ALaw | Self::MuLaw => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::U8 | Self::I8 => "8-bit PCM",
            Self::I16 => "16-bit PCM",
            Self::I24 => "24-bit PCM",
            Self::I32 => "32-bit PCM",
            Self::F32 => "32-bit float",
            Self::F64 => "64-bit float",
            Self::ALaw => "A-law",
            Self::MuLaw => "mu-law",
        }
    }

    /// Decodes `out.len()` frames of `channels` samples from `bytes`, which holds exactly as many.
    ///
    /// An integer sample `v` of `b` bits becomes `v / 2^(b-1)`: exact up to 24 bits, rounded to nearest above. A-law and
    /// mu-law are expanded to 16 bits first.
    pub(crate) fn decode(self, bytes: &[u8], channels: usize, channel: Channel, out: &mut [f32]) {
        match self {
            Self::U8 => frames::<1>(bytes, channels, channel, out, |[b]| (f32::from(b) - 128.0) / 128.0),
            Self::I8 => frames::<1>(bytes, channels, channel, out, |[b]| f32::from(b as i8) / 128.0),
            Self::I16 => {
                frames::<2>(bytes, channels, channel, out, |b| f32::from(i16::from_le_bytes(b)) / 32_768.0)
            }
            Self::I24 => frames::<3>(bytes, channels, channel, out, |[a, b, c]| {
                // In the upper three bytes, so that the sign comes along.
                i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0
            }),
            Self::I32 => {
                frames::<4>(bytes, channels, channel, out, |b| i32::from_le_bytes(b) as f32 / 2_147_483_648.0)
            }
            Self::F32 => frames::<4>(bytes, channels, channel, out, f32::from_le_bytes),
            Self::F64 => frames::<8>(bytes, channels, channel, out, |b| f64::from_le_bytes(b) as f32),
            Self::ALaw => frames::<1>(bytes, channels, channel, out, |[b]| f32::from(a_law(b)) / 32_768.0),
            Self::MuLaw => frames::<1>(bytes, channels, channel, out, |[b]| f32::from(mu_law(b)) / 32_768.0),
        }
    }
}

fn frames<const N: usize>(
    bytes: &[u8],
    channels: usize,
    channel: Channel,
    out: &mut [f32],
    sample: impl Fn([u8; N]) -> f32,
) {
    let (samples, _) = bytes.as_chunks::<N>();
    let frames = samples.chunks_exact(channels);
    match channel.index() {
        Some(index) => {
            for (value, frame) in out.iter_mut().zip(frames) {
                *value = sample(frame[index]);
            }
        }
        None => {
            for (value, frame) in out.iter_mut().zip(frames) {
                *value = frame.iter().map(|&bytes| sample(bytes)).sum::<f32>() / channels as f32;
            }
        }
    }
}

/// G.711 A-law to 16 bits. Even bits are sent inverted; the sign bit is set for positive samples.
fn a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, i16::from(code & 15));
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// G.711 mu-law to 16 bits. All bits are sent inverted; the sign bit is then set for negative samples.
fn mu_law(code: u8) -> i16 {
    const BIAS: i16 = 0x84;
    let code = !code;
    let magnitude = ((i16::from(code & 15) << 3) + BIAS) << ((code >> 4) & 7);
    if code & 0x80 == 0 { magnitude - BIAS } else { BIAS - magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_i16_is_exact() {
        for value in i16::MIN..=i16::MAX {
            let mut out = [0.0];
            Encoding::I16.decode(&value.to_le_bytes(), 1, Channel::First, &mut out);
            assert_eq!(f64::from(out[0]), f64::from(value) / 32_768.0);
        }
    }

    #[test]
    fn extremes_of_every_encoding() {
        let one = |encoding: Encoding, bytes: &[u8]| {
            let mut out = [0.0];
            encoding.decode(bytes, 1, Channel::First, &mut out);
            out[0]
        };
        assert_eq!(one(Encoding::U8, &[0]), -1.0);
        assert_eq!(one(Encoding::U8, &[128]), 0.0);
        assert_eq!(one(Encoding::I24, &[0, 0, 0x80]), -1.0);
        assert_eq!(one(Encoding::I24, &[0xff, 0xff, 0x7f]), 8_388_607.0 / 8_388_608.0);
        assert_eq!(one(Encoding::I24, &[0xff, 0xff, 0xff]), -1.0 / 8_388_608.0);
        assert_eq!(one(Encoding::I32, &i32::MIN.to_le_bytes()), -1.0);
        // The extremes and the smallest steps of G.711's tables.
        let g711 = |encoding, code| one(encoding, &[code]) * 32_768.0;
        assert_eq!(
            [0xaa, 0x2a, 0xd5, 0x55].map(|code| g711(Encoding::ALaw, code)),
            [32_256.0, -32_256.0, 8.0, -8.0]
        );
        assert_eq!(
            [0x80, 0x00, 0xff, 0x7f].map(|code| g711(Encoding::MuLaw, code)),
            [32_124.0, -32_124.0, 0.0, 0.0]
        );
        assert_eq!(one(Encoding::F64, &1.5f64.to_le_bytes()), 1.5);
    }
}
