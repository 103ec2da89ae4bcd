use std::fmt;
use std::str::FromStr;

use ffsvc_models::PreparedLayers;

use crate::error::Error;

/// What an [`Extractor`](crate::Extractor)'s network computes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InferencePrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Convolutions in 8 bits, everything else in 32 ([`PreparedLayers`]). It is for processors, and faster on
    /// those with AVX-512 VNNI.
    Int8,
}

impl InferencePrecision {
    /// Whether this processor has the instruction that makes this precision fast.
    pub fn is_fast_here(self) -> bool {
        self == Self::F32 || PreparedLayers::is_int8_fast()
    }
}

impl fmt::Display for InferencePrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for InferencePrecision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "f32" => Ok(Self::F32),
            "int8" => Ok(Self::Int8),
            _ => Err(Error::Precision(text.to_owned())),
        }
    }
}
