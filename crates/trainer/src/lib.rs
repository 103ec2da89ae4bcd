#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod checkpoint;
mod config;
mod data_parallel;
mod dry_run;
mod error;
mod event;
mod fine_tune;
mod flat_toml;
mod gradients;
mod init_from;
mod learner;
mod margin;
mod moving_average;
mod network;
mod optimizer;
mod pace;
mod progress;
mod reestimate;
mod required;
mod run;
mod schedule;
mod setup;
mod teacher;
mod train_config;
mod validation;

pub use checkpoint::ExperimentDir;
pub use config::{ExperimentConfig, HeadSection};
pub use dry_run::{DryRun, DryRunData, FirstStep};
pub use error::{Error, Result};
pub use event::{Event, Observer};
pub use fine_tune::HeadInit;
pub use init_from::InitFrom;
pub use margin::{MarginSchedule, MarginScheduleConfig, MarginShape};
pub use network::Network;
pub use optimizer::{OptimizerConfig, OptimizerKind, WeightDecayOn};
pub use pace::Pace;
pub use progress::{Fingerprints, Progress};
pub use reestimate::reestimate_batch_norm;
pub use run::{Outcome, Run};
pub use schedule::{Schedule, ScheduleConfig, ScheduleKind};
pub use teacher::{TeacherConfig, TeacherLoss, TeacherTarget};
pub use train_config::{BatchNormMode, Freeze, TrainConfig};
pub use validation::{ErrorRates, Validation, ValidationConfig, ValidationList, ValidationResult};
