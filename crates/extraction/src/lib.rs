#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod error;
mod extractor;
mod job;

pub use error::{Error, Result};
pub use extractor::{Embedding, Extractor};
pub use ffsvc_dataset::Recording;
pub use job::{Failure, Job, Report, checksum};
