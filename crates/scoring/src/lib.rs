#![doc = include_str!("../README.md")]

pub mod backend;
pub mod calibration;
pub mod conditions;
mod cosine;
mod dot;
mod enrolment;
mod error;
mod evaluation;
mod mean;
pub mod metrics;
mod non_finite;
mod norm;
mod pav;
pub mod report;
pub mod score_file;
mod scorer;
mod stream;
pub mod threshold;
mod trial_scores;

pub use cosine::{CosineScores, Side, cosine, score_trials};
pub use enrolment::{EnrolledEmbeddings, EnrolmentList, ExpandedTrials};
pub use error::{Error, NameList, Result};
pub use evaluation::{Evaluation, MIN_TRIALS};
pub use mean::{Centre, mean_embedding};
pub use norm::{Cohort, CohortStatistics, DEFAULT_TOP, ScoreNorm};
pub use pav::{Pav, Pool};
pub use scorer::Scorer;
pub use stream::StreamedScores;
pub use trial_scores::TrialScores;
