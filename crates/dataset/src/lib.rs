#![doc = include_str!("../README.md")]

mod augmentation;
mod augmented_copy;
mod config;
mod crop_notices;
mod data_loader;
mod data_set;
mod domains;
mod error;
mod headers;
mod loader_speed;
mod notices;
mod quality;
mod random;
mod recording;
mod sampler;
mod shares;
mod sound_list;
mod stopwatch;
mod unreadable;

pub use augmentation::{Augmentation, class_names};
pub use augmented_copy::{AugmentedCopy, plan_line};
pub use config::{CropConfig, DataConfig};
pub use data_loader::{Batch, BatchRange, DataLoader};
pub use data_set::{BatchMaker, Scratch, TrainingSet, TrainingUtterance};
pub use domains::{DataShare, TrainData, TrainingDomain};
pub use error::{Error, ReadError, Result};
pub use headers::probe_recordings;
pub use loader_speed::{LoaderSpeed, StageSpeed, measure_loader};
pub use notices::{Notice, Noticed, Notices};
pub use quality::{block_quality, file_quality, recording_quality};
pub use random::{Occurrence, Purpose, stream, stream_seed};
pub use recording::{Crop, Recording, open_audio, read_audio, read_audio_crop};
pub use sampler::{Balance, Draw, EpochPlan, Sampler, SamplerConfig};
pub use shares::AugmentedShare;
pub use stopwatch::{Stage, Stopwatch};
