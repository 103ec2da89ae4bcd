#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod augmentation;
mod augmented_copy;
mod batch;
mod checkpoint;
mod config;
mod data_set;
mod domains;
mod error;
mod event;
mod fine_tune;
mod gradients;
mod learner;
mod margin;
mod moving_average;
mod network;
mod optimizer;
mod plan;
mod random;
mod reestimate;
mod run;
mod sampler;
mod schedule;
mod setup;
mod validation;

pub use augmentation::Augmentation;
pub use augmented_copy::{AugmentedCopy, plan_line};
pub use batch::Batch;
pub use checkpoint::{ExperimentDir, Progress};
pub use config::{DataConfig, ExperimentConfig, Freeze, HeadSection, TrainConfig, ValidationConfig};
pub use data_set::{BatchMaker, Scratch, TrainingSet, TrainingUtterance};
pub use domains::{DataShare, TrainData, TrainingDomain};
pub use error::{Error, Result};
pub use event::{Event, Observer};
pub use fine_tune::HeadStart;
pub use margin::{MarginSchedule, MarginScheduleConfig, MarginShape};
pub use network::Network;
pub use optimizer::{OptimizerConfig, OptimizerKind, WeightDecayOn};
pub use plan::{Plan, PlannedData, Rehearsal};
pub use random::{Purpose, stream, stream_seed};
pub use reestimate::reestimate_batch_norm;
pub use run::{Outcome, Run};
pub use sampler::{Balance, Draw, EpochPlan, Sampler, SamplerConfig};
pub use schedule::{Schedule, ScheduleConfig, ScheduleKind};
pub use setup::Beginning;
pub use validation::{Validation, ValidationResult};
