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
mod eres2net;
mod eres2net_v2;
mod error;
mod freezing;
mod gemini_df_resnet;
pub mod heads;
mod layer_norm;
#[cfg(any(feature = "cuda", test))]
mod libdevice;

mod model;
mod model_file;
mod model_info;
mod network;
mod onnx;
mod padding;
mod parameters;
pub mod pooling;
mod precision;
mod redimnet;
mod redimnet2;
mod repvgg;
mod res2;
mod res2net;
mod resnet;
mod running_statistics;
mod simam_resnet;
mod speechbrain_ecapa;
mod stages;
mod tdnn;
pub mod toolkits;
mod wespeaker_ecapa;

pub use average::{Averaged, average_models, average_tensors};
pub use batch_norm::BatchNorm;
pub use blocks::frames_at_once;
pub use cam_plus_plus::{CamPlusPlus, CamPlusPlusConfig};
pub use device::{DEVICE_TOKEN, DeviceChoice, DeviceError, RemoteAddress};
pub use ecapa_tdnn::{EcapaTdnn, EcapaTdnnConfig};
pub use eres2net::{ERes2Net, ERes2NetConfig};
pub use eres2net_v2::{ERes2NetV2, ERes2NetV2Config};
pub use error::{Error, Result, TensorMismatch, with_causes};
pub use freezing::{freeze_layers, is_in_layer, keep_running_statistics};
pub use gemini_df_resnet::{GeminiDfResNet, GeminiDfResNetConfig};
pub use heads::{Head, HeadConfig, HeadOutput, NoHead, Transferred, is_reserved, reserved_name};
pub use model::{ModelConfig, SpeakerModel};
pub use model_file::{ModelFile, load_info, load_model, save_model};
pub use model_info::{ModelIdentity, ModelInfo};
pub use onnx::{OnnxInput, export_onnx};
pub use parameters::{NamedTensor, load_named, named_gradients, named_tensors, parameter_ids};
pub use pooling::{Pooling, PoolingConfig};
pub use precision::Precision;
pub use redimnet::{BlockKind, ReDimNet, ReDimNetConfig, ReDimStage};
pub use redimnet2::{ReDim2Stage, ReDimNet2, ReDimNet2Config};
pub use repvgg::{RepVgg, RepVggConfig};
pub use res2net::{Res2Net, Res2NetConfig, Res2NetForm};
pub use resnet::{ResNet, ResNetConfig};
pub use running_statistics::{running_statistics, with_running_statistics};
pub use simam_resnet::{SimAmResNet, SimAmResNetConfig};
pub use speechbrain_ecapa::{SpeechBrainEcapa, SpeechBrainEcapaConfig};
pub use tdnn::{Tdnn, TdnnConfig};
pub use wespeaker_ecapa::{WespeakerEcapa, WespeakerEcapaConfig};
