#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod augmentation;
mod augmented_copy;
mod batch;
mod checkpoint;
mod config;
mod data_set;
mod error;
mod event;
mod loader_speed;
mod network;
mod optimizer;
mod random;
mod run;
mod sampler;
mod schedule;
mod stopwatch;
mod unreadable;
mod validation;

pub use augmentation::Augmentation;
pub use augmented_copy::{AugmentedCopy, plan_line};
pub use batch::Batch;
pub use checkpoint::{ExperimentDir, Progress};
pub use config::{DataConfig, ExperimentConfig, TrainConfig, ValidationConfig};
pub use data_set::{BatchMaker, Scratch, TrainingSet, TrainingUtterance};
pub use error::{Error, Result};
pub use event::{Event, Observer};
pub use loader_speed::{LoaderSpeed, StageSpeed, measure_loader};
pub use network::Network;
pub use optimizer::{OptimizerConfig, OptimizerKind};
pub use random::{Purpose, stream, stream_seed};
pub use run::{Beginning, Outcome, Run};
pub use sampler::EpochPlan;
pub use schedule::{Schedule, ScheduleConfig, ScheduleKind};
pub use stopwatch::{Stage, Stopwatch};
pub use validation::{Validation, ValidationResult};
