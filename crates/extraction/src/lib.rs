#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod error;
mod extractor;
mod job;
mod quality;
mod recording;

pub use error::{Error, Result};
pub use extractor::{Embedding, Extractor, Recording};
pub use job::{Failure, Job, Report, checksum};
pub use quality::{block_quality, recording_quality};
pub use recording::{read_audio, read_audio_crop, read_audio_crop_watched};
