#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod database;
mod decision;
mod error;
mod verifier;

pub use database::{Candidate, EnrolledRecording, EnrolledSpeaker, SpeakerDatabase};
pub use decision::{Decision, Rule};
pub use error::{Error, Result};
pub use verifier::{EmbeddedSpeech, Verifier, Voice};
