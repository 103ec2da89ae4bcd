#![doc = include_str!("../README.md")]

mod cosine;
mod error;
mod mean;
pub mod metrics;
mod non_finite;
pub mod report;
pub mod score_file;
mod trial_scores;

pub use cosine::{CosineScores, Side, cosine, score_trials};
pub use error::{Error, NameList, Result};
pub use mean::mean_embedding;
pub use trial_scores::TrialScores;
