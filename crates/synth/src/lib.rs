#![doc = include_str!("../README.md")]

mod biquad;
mod config;
mod corpus;
mod error;
mod glottis;
mod random;
mod recording;
mod room;
mod speaker;
mod speech;
mod tract;
mod trials;
mod voice;
mod vowel;

pub use config::SynthConfig;
pub use corpus::{SetSummary, Summary, generate};
pub use error::{Error, Result};
pub use speaker::{NUM_FORMANTS, Speaker};
pub use voice::sustained_vowel;
pub use vowel::{Sex, Vowel};

/// Samples a second of everything in this crate.
pub const SAMPLE_RATE: u32 = 16_000;
