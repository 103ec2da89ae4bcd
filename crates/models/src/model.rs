//! The architectures as one type: [`ModelConfig`] for their options, [`SpeakerModel`] for their networks.
//!
//! To add one: a variant in both and in `each!`, with [`NetworkConfig`] and [`Network`] for what it holds.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::cam_plus_plus::{CamPlusPlus, CamPlusPlusConfig};
use crate::ecapa_tdnn::{EcapaTdnn, EcapaTdnnConfig};
use crate::eres2net::{ERes2Net, ERes2NetConfig};
use crate::eres2net_v2::{ERes2NetV2, ERes2NetV2Config};
use crate::error::{Error, Result, require_size};
use crate::ge2e_lstm::{Ge2eLstm, Ge2eLstmConfig};
use crate::gemini_df_resnet::{GeminiDfResNet, GeminiDfResNetConfig};
use crate::multiplications::multiplications;
use crate::network::{Network, NetworkConfig};
use crate::padding::Padding;
use crate::parameters::initialise;
use crate::redimnet::{ReDimNet, ReDimNetConfig};
use crate::redimnet2::{ReDimNet2, ReDimNet2Config};
use crate::repvgg::{RepVgg, RepVggConfig};
use crate::res2net::{Res2Net, Res2NetConfig};
use crate::resnet::{ResNet, ResNetConfig};
use crate::simam_resnet::{SimAmResNet, SimAmResNetConfig};
use crate::speechbrain_ecapa::{SpeechBrainEcapa, SpeechBrainEcapaConfig};
use crate::tdnn::{Tdnn, TdnnConfig};
use crate::titanet::{TitaNet, TitaNetConfig};
use crate::wespeaker_ecapa::{WespeakerEcapa, WespeakerEcapaConfig};
use crate::windows::Windows;

/// `$body` for what the variant of a [`ModelConfig`] or a [`SpeakerModel`] holds.
macro_rules! each {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            Self::Resnet($inner) => $body,
            Self::EcapaTdnn($inner) => $body,
            Self::Tdnn($inner) => $body,
            Self::CamPlusPlus($inner) => $body,
            Self::WespeakerEcapaTdnn($inner) => $body,
            Self::SpeechBrainEcapaTdnn($inner) => $body,
            Self::ERes2Net($inner) => $body,
            Self::ERes2NetV2($inner) => $body,
            Self::SimAmResnet($inner) => $body,
            Self::ReDimNet($inner) => $body,
            Self::ReDimNet2($inner) => $body,
            Self::Res2Net($inner) => $body,
            Self::GeminiDfResnet($inner) => $body,
            Self::RepVgg($inner) => $body,
            Self::Ge2eLstm($inner) => $body,
            Self::TitaNet($inner) => $body,
        }
    };
}

/// Layers that a network may have beyond those that its file holds before it is refused unbuilt.
const LAYERS_TO_SPARE: usize = 1000;

/// Which network, with its options: the `[model]` section of a configuration file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// `architecture = "resnet"`.
    Resnet(ResNetConfig),
    /// `architecture = "ecapa-tdnn"`.
    EcapaTdnn(EcapaTdnnConfig),
    /// `architecture = "tdnn"`: the x-vector.
    Tdnn(TdnnConfig),
    /// `architecture = "cam-plus-plus"`.
    CamPlusPlus(CamPlusPlusConfig),
    /// `architecture = "wespeaker-ecapa-tdnn"`: WeSpeaker's form of ECAPA-TDNN.
    WespeakerEcapaTdnn(WespeakerEcapaConfig),
    /// `architecture = "speechbrain-ecapa-tdnn"`: SpeechBrain's form of ECAPA-TDNN.
    #[serde(rename = "speechbrain-ecapa-tdnn")]
    SpeechBrainEcapaTdnn(SpeechBrainEcapaConfig),
    /// `architecture = "eres2net"`.
    #[serde(rename = "eres2net")]
    ERes2Net(ERes2NetConfig),
    /// `architecture = "eres2net-v2"`.
    #[serde(rename = "eres2net-v2")]
    ERes2NetV2(ERes2NetV2Config),
    /// `architecture = "simam-resnet"`.
    #[serde(rename = "simam-resnet")]
    SimAmResnet(SimAmResNetConfig),
    /// `architecture = "redimnet"`.
    #[serde(rename = "redimnet")]
    ReDimNet(ReDimNetConfig),
    /// `architecture = "redimnet2"`.
    #[serde(rename = "redimnet2")]
    ReDimNet2(ReDimNet2Config),
    /// `architecture = "res2net"`.
    #[serde(rename = "res2net")]
    Res2Net(Res2NetConfig),
    /// `architecture = "gemini-df-resnet"`.
    GeminiDfResnet(GeminiDfResNetConfig),
    /// `architecture = "repvgg"`.
    #[serde(rename = "repvgg")]
    RepVgg(RepVggConfig),
    /// `architecture = "ge2e-lstm"`: the d-vector.
    #[serde(rename = "ge2e-lstm")]
    Ge2eLstm(Ge2eLstmConfig),
    /// `architecture = "titanet"`.
    #[serde(rename = "titanet")]
    TitaNet(TitaNetConfig),
}

impl ModelConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        each!(self, config => config.validate())
    }

    /// A network with random weights for features of `num_mels` rows. Weights and biases are drawn like those of
    /// PyTorch's layers (uniform within `1 / sqrt(fan_in)`), from the device's generator. Call `device.seed(n)` before
    /// to make it repeatable. Nothing else may draw on that device in between.
    ///
    /// On `device.autodiff()` the network trains.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of range.
    pub fn init(&self, num_mels: usize, device: &Device) -> Result<SpeakerModel> {
        Ok(initialise(self.build(num_mels, device)?, ""))
    }

    /// The network with its parameters still to be drawn.
    pub(crate) fn build(&self, num_mels: usize, device: &Device) -> Result<SpeakerModel> {
        require_size(num_mels, "num_mels")?;
        self.validate()?;
        each!(self, config => config.validate_rows(num_mels))?;
        Ok(each!(self, config => SpeakerModel::from(config.build(num_mels, device))))
    }

    /// Fails if the network has far more layers than a file of `tensors` tensors can fill: then it is not even built.
    pub(crate) fn check_layers(&self, tensors: usize) -> std::result::Result<(), String> {
        let layers = each!(self, config => config.layers());
        if layers <= tensors.saturating_add(LAYERS_TO_SPARE) {
            return Ok(());
        }
        Err(format!("its network has more than {layers} layers, and the file {tensors} tensors"))
    }

    /// The `architecture` of the configuration, for example `resnet`.
    pub fn architecture(&self) -> String {
        let fields = serde_json::to_value(self).unwrap_or_default();
        fields["architecture"].as_str().unwrap_or_default().to_owned()
    }

    /// The same network, but that it draws nothing when it trains.
    pub fn without_dropout(&self) -> Self {
        let mut config = self.clone();
        match &mut config {
            Self::Resnet(resnet) => resnet.dropout = 0.0,
            Self::TitaNet(titanet) => titanet.dropout = 0.0,
            _ => {}
        }
        config
    }

    /// Size of the embeddings.
    pub fn embedding_size(&self) -> usize {
        each!(self, config => config.embedding_size)
    }

    /// Least number of frames that the network can take.
    pub fn min_frames(&self) -> usize {
        each!(self, config => config.min_frames())
    }

    /// Checks the length of an utterance before it is given to the network, which panics on a shorter one.
    ///
    /// # Errors
    /// [`Error::TooFewFrames`].
    pub fn check_frames(&self, frames: usize) -> Result<()> {
        check_frames(frames, self.min_frames())
    }
}

fn check_frames(frames: usize, min_frames: usize) -> Result<()> {
    if frames < min_frames { Err(Error::TooFewFrames { frames, min_frames }) } else { Ok(()) }
}

/// A network that turns features into an embedding.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // One or two of them exist in a program.
pub enum SpeakerModel {
    /// See [`ResNet`].
    Resnet(ResNet),
    /// See [`EcapaTdnn`].
    EcapaTdnn(EcapaTdnn),
    /// See [`Tdnn`].
    Tdnn(Tdnn),
    /// See [`CamPlusPlus`].
    CamPlusPlus(CamPlusPlus),
    /// See [`WespeakerEcapa`].
    WespeakerEcapaTdnn(WespeakerEcapa),
    /// See [`SpeechBrainEcapa`].
    SpeechBrainEcapaTdnn(SpeechBrainEcapa),
    /// See [`ERes2Net`].
    ERes2Net(ERes2Net),
    /// See [`ERes2NetV2`].
    ERes2NetV2(ERes2NetV2),
    /// See [`SimAmResNet`].
    SimAmResnet(SimAmResNet),
    /// See [`ReDimNet`].
    ReDimNet(ReDimNet),
    /// See [`ReDimNet2`].
    ReDimNet2(ReDimNet2),
    /// See [`Res2Net`].
    Res2Net(Res2Net),
    /// See [`GeminiDfResNet`].
    GeminiDfResnet(GeminiDfResNet),
    /// See [`RepVgg`].
    RepVgg(RepVgg),
    /// See [`Ge2eLstm`].
    Ge2eLstm(Ge2eLstm),
    /// See [`TitaNet`].
    TitaNet(TitaNet),
}

impl SpeakerModel {
    /// Embeddings, not length-normalised.
    ///
    /// Features on an autodiff device are a training pass (batch statistics, dropout); for an evaluation pass take
    /// [`Module::valid`] and features on the plain device.
    ///
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    ///
    /// # Panics
    /// With fewer frames than [`min_frames`](Self::min_frames), another number of rows than the network was made for, or
    /// features on another device than the network. Call [`check_frames`](Self::check_frames) where lengths vary.
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        each!(self, network => network.forward(features))
    }

    /// Embeddings of utterances of different lengths in one batch, each as [`forward`](Self::forward) of it alone would give
    /// it, to rounding. In evaluation only: features on a plain device. None where the network has no such pass
    /// (attention, squeeze and excitation); then only utterances of the same length can go together.
    ///
    /// # Shapes
    /// - features: `[batch, mel, frames]`, zeros behind the end of each utterance
    /// - frames: the length of each, at least [`min_frames`](Self::min_frames)
    /// - output: `[batch, embedding]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward); also if an utterance is longer than the batch.
    pub fn forward_padded(&self, features: Tensor<3>, frames: &[usize]) -> Option<Tensor<2>> {
        let [_, _, longest] = features.dims();
        let padding = Padding::new(frames.to_vec(), longest, &features.device());
        each!(self, network => network.forward_padded(features, padding))
    }

    /// Whether utterances of different lengths can share a batch ([`forward_padded`](Self::forward_padded)).
    pub fn supports_padding(&self) -> bool {
        each!(self, network => network.supports_padding())
    }

    /// The windows in which the network sees a recording outside training: [`forward`](Self::forward) is of one, and the embedding of
    /// the recording is the mean of theirs, of length 1. `None` where the network sees the recording as a whole.
    pub fn windows(&self) -> Option<Windows> {
        each!(self, network => network.windows())
    }

    /// Multiply-accumulates for features of zeros, `[1, num_mels, frames]`, which are computed for it: the products of convolutions,
    /// linear layers, LSTM and attention. That is of one window where the network sees [`windows`](Self::windows).
    ///
    /// # Panics
    /// As [`forward`](Self::forward), for features on `device`.
    pub fn multiply_accumulates(&self, num_mels: usize, frames: usize, device: &Device) -> u64 {
        multiplications(|| {
            self.forward(Tensor::zeros([1, num_mels, frames], device));
        })
    }

    /// Least number of frames that the network can take.
    pub fn min_frames(&self) -> usize {
        each!(self, network => network.min_frames())
    }

    /// Checks the length of an utterance before [`forward`](Self::forward).
    ///
    /// # Errors
    /// [`Error::TooFewFrames`].
    pub fn check_frames(&self, frames: usize) -> Result<()> {
        check_frames(frames, self.min_frames())
    }
}

/// `From` of each network.
macro_rules! from_networks {
    ($($variant:ident($network:ident)),*) => {$(
        impl From<$network> for SpeakerModel {
            fn from(network: $network) -> Self {
                Self::$variant(network)
            }
        }
    )*};
}

from_networks!(
    Resnet(ResNet),
    EcapaTdnn(EcapaTdnn),
    Tdnn(Tdnn),
    CamPlusPlus(CamPlusPlus),
    WespeakerEcapaTdnn(WespeakerEcapa),
    SpeechBrainEcapaTdnn(SpeechBrainEcapa),
    ERes2Net(ERes2Net),
    ERes2NetV2(ERes2NetV2),
    SimAmResnet(SimAmResNet),
    ReDimNet(ReDimNet),
    ReDimNet2(ReDimNet2),
    Res2Net(Res2Net),
    GeminiDfResnet(GeminiDfResNet),
    RepVgg(RepVgg),
    Ge2eLstm(Ge2eLstm),
    TitaNet(TitaNet)
);
