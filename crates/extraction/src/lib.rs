#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod block;
mod checksum;
mod error;
mod extractor;
mod identity;
mod job;
mod memory;
mod options;
mod partial;
mod precision;
mod speech_only;
mod store;
mod windows;

pub use checksum::checksum;
pub use error::{Error, Result};
pub use extractor::{Embedding, Extractor};
pub use ffsvc_dataset::Recording;
pub use job::{Failure, FailureKind, Job, Report};
pub use options::ExtractorOptions;
pub use precision::InferencePrecision;
pub use store::check_store;
