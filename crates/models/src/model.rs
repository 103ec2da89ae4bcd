use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::cam_plus_plus::{CamPlusPlus, CamPlusPlusConfig};
use crate::ecapa_tdnn::{EcapaTdnn, EcapaTdnnConfig};
use crate::error::{Error, Result, require_size};
use crate::padding::Padding;
use crate::parameters::settle;
use crate::resnet::{ResNet, ResNetConfig};
use crate::speechbrain_ecapa::{SpeechBrainEcapa, SpeechBrainEcapaConfig};
use crate::tdnn::{Tdnn, TdnnConfig};
use crate::wespeaker_ecapa::{WespeakerEcapa, WespeakerEcapaConfig};

/// Which network, with its options: the `[model]` section of a configuration file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
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
}

impl ModelConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Resnet(config) => config.validate(),
            Self::EcapaTdnn(config) => config.validate(),
            Self::Tdnn(config) => config.validate(),
            Self::CamPlusPlus(config) => config.validate(),
            Self::WespeakerEcapaTdnn(config) => config.validate(),
            Self::SpeechBrainEcapaTdnn(config) => config.validate(),
        }
    }

    /// A network with random weights for features of `num_mels` rows, drawn as PyTorch's layers draw theirs (uniform
    /// within `1 / sqrt(fan_in)`, for weights and biases) from the device's generator: `device.seed(n)` before makes it
    /// repeatable, as long as nothing else draws on that device in between.
    ///
    /// On `device.autodiff()` the network trains.
    ///
    /// # Errors
    /// [`Error::Config`] for a value out of range.
    pub fn init(&self, num_mels: usize, device: &Device) -> Result<SpeakerModel> {
        Ok(settle(self.build(num_mels, device)?, ""))
    }

    /// The network with its parameters still to be drawn.
    pub(crate) fn build(&self, num_mels: usize, device: &Device) -> Result<SpeakerModel> {
        require_size(num_mels, "num_mels")?;
        self.validate()?;
        Ok(match self {
            Self::Resnet(config) => SpeakerModel::Resnet(config.build(num_mels, device)),
            Self::EcapaTdnn(config) => SpeakerModel::EcapaTdnn(config.build(num_mels, device)),
            Self::Tdnn(config) => SpeakerModel::Tdnn(config.build(num_mels, device)),
            Self::CamPlusPlus(config) => SpeakerModel::CamPlusPlus(config.build(num_mels, device)),
            Self::WespeakerEcapaTdnn(config) => {
                SpeakerModel::WespeakerEcapaTdnn(config.build(num_mels, device))
            }
            Self::SpeechBrainEcapaTdnn(config) => {
                SpeakerModel::SpeechBrainEcapaTdnn(config.build(num_mels, device))
            }
        })
    }

    /// Size of the embeddings.
    pub fn embedding_size(&self) -> usize {
        match self {
            Self::Resnet(config) => config.embedding_size,
            Self::EcapaTdnn(config) => config.embedding_size,
            Self::Tdnn(config) => config.embedding_size,
            Self::CamPlusPlus(config) => config.embedding_size,
            Self::WespeakerEcapaTdnn(config) => config.embedding_size,
            Self::SpeechBrainEcapaTdnn(config) => config.embedding_size,
        }
    }

    /// Least number of frames that the network can take.
    pub fn min_frames(&self) -> usize {
        match self {
            Self::Resnet(_) => ResNet::MIN_FRAMES,
            Self::EcapaTdnn(config) => config.min_frames(),
            Self::Tdnn(_) => Tdnn::MIN_FRAMES,
            Self::CamPlusPlus(_) => CamPlusPlus::MIN_FRAMES,
            Self::WespeakerEcapaTdnn(_) => WespeakerEcapa::MIN_FRAMES,
            Self::SpeechBrainEcapaTdnn(_) => SpeechBrainEcapa::MIN_FRAMES,
        }
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
        match self {
            Self::Resnet(model) => model.forward(features),
            Self::EcapaTdnn(model) => model.forward(features),
            Self::Tdnn(model) => model.forward(features),
            Self::CamPlusPlus(model) => model.forward(features),
            Self::WespeakerEcapaTdnn(model) => model.forward(features),
            Self::SpeechBrainEcapaTdnn(model) => model.forward(features),
        }
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
        match self {
            Self::Resnet(model) => model.forward_padded(features, padding),
            Self::Tdnn(model) => Some(model.forward_padded(features, &padding)),
            Self::EcapaTdnn(_)
            | Self::CamPlusPlus(_)
            | Self::WespeakerEcapaTdnn(_)
            | Self::SpeechBrainEcapaTdnn(_) => None,
        }
    }

    /// Whether utterances of different lengths can share a batch ([`forward_padded`](Self::forward_padded)).
    pub fn leaves_padding_out(&self) -> bool {
        match self {
            Self::Resnet(model) => model.leaves_padding_out(),
            Self::Tdnn(_) => true,
            Self::EcapaTdnn(_)
            | Self::CamPlusPlus(_)
            | Self::WespeakerEcapaTdnn(_)
            | Self::SpeechBrainEcapaTdnn(_) => false,
        }
    }

    /// Least number of frames that the network can take.
    pub fn min_frames(&self) -> usize {
        match self {
            Self::Resnet(_) => ResNet::MIN_FRAMES,
            Self::EcapaTdnn(model) => model.min_frames(),
            Self::Tdnn(_) => Tdnn::MIN_FRAMES,
            Self::CamPlusPlus(_) => CamPlusPlus::MIN_FRAMES,
            Self::WespeakerEcapaTdnn(_) => WespeakerEcapa::MIN_FRAMES,
            Self::SpeechBrainEcapaTdnn(_) => SpeechBrainEcapa::MIN_FRAMES,
        }
    }

    /// Checks the length of an utterance before [`forward`](Self::forward).
    ///
    /// # Errors
    /// [`Error::TooFewFrames`].
    pub fn check_frames(&self, frames: usize) -> Result<()> {
        check_frames(frames, self.min_frames())
    }
}
