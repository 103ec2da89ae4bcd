#![doc = include_str!("../README.md")]

mod augmenter;
mod cache;
pub mod channel;
pub mod compat;
mod config;
mod convolution;
mod error;
mod internet_call;
mod lists;
mod noise;
mod plan;
mod planner;
mod reverb;
pub mod room;
mod sound_files;
mod spec_augment;
pub mod speed;

pub use augmenter::{Augmenter, Failures, Scratch};
pub use cache::CacheUse;
pub use channel::{ChannelConfig, ClippingConfig, GainConfig};
pub use config::{
    AdditiveConfig, AugmentConfig, BabbleConfig, MusicConfig, NoiseConfig, ReverbConfig, SimulatedConfig,
};
pub use convolution::{Convolver, Filter};
pub use error::{Error, Result};
pub use lists::{BabbleUtterance, CheckedFiles, ListReport, SoundFile, SoundFiles};
pub use noise::mean_power;
pub use plan::{Channel, Noise, NoiseKind, Plan, Reverb, SoundCrop};
pub use planner::{Item, Planner};
pub use spec_augment::{Axis, Mask, SpecAugment, apply_masks};
pub use speed::SpeedConfig;
