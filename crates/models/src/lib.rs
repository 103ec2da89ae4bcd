#![doc = include_str!("../README.md")]
// Burn's nested generic types go past the default of 128.
#![recursion_limit = "256"]

mod average;
mod batch_norm;
mod blocks;
mod cam_plus_plus;
mod convolution;
mod cpu;
mod device;
mod ecapa_tdnn;
mod error;
mod freezing;
pub mod heads;
#[cfg(any(feature = "cuda", test))]
mod libdevice;
mod model;
mod model_file;
mod model_info;
mod network;
mod padding;
mod parameters;
pub mod pooling;
mod precision;
mod resnet;
mod running_statistics;
mod speechbrain_ecapa;
mod tdnn;
pub mod toolkits;
mod wespeaker_ecapa;

pub use average::{Averaged, average_models, average_tensors};
pub use batch_norm::BatchNorm;
pub use blocks::frames_at_once;
pub use cam_plus_plus::{CamPlusPlus, CamPlusPlusConfig};
pub use device::{DEVICE_TOKEN, DeviceChoice, DeviceError, RemoteAddress};
pub use ecapa_tdnn::{EcapaTdnn, EcapaTdnnConfig};
pub use error::{Error, Result, TensorMismatch, with_causes};
pub use freezing::{freeze_layers, is_in_layer, keep_running_statistics};
pub use heads::{Head, HeadConfig, HeadOutput, NoHead, Transferred, is_reserved, reserved_name};
pub use model::{ModelConfig, SpeakerModel};
pub use model_file::{ModelFile, load_info, load_model, save_model};
pub use model_info::{ModelIdentity, ModelInfo};
pub use parameters::{NamedTensor, load_named, named_gradients, named_tensors, parameter_ids};
pub use pooling::{Pooling, PoolingConfig};
pub use precision::Precision;
pub use resnet::{ResNet, ResNetConfig};
pub use running_statistics::{running_statistics, with_running_statistics};
pub use speechbrain_ecapa::{SpeechBrainEcapa, SpeechBrainEcapaConfig};
pub use tdnn::{Tdnn, TdnnConfig};
pub use wespeaker_ecapa::{WespeakerEcapa, WespeakerEcapaConfig};
