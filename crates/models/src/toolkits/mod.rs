//! Weights of other toolkits, in and out.
//!
//! A network is recognised by the names and shapes of its tensors (`recognise`); `Toolkit::name_of` translates the
//! names. To add a toolkit's network: what its tensors look like in `recognise.rs`, its names and front end here.

mod config_file;
mod export;
mod import;
mod pickle_classes;
mod recognise;
mod tensor_file;
mod torch_writer;

pub use export::{ExportFormat, Exported, export_model};
pub use import::{ImportOptions, Imported, import_model};
pub use tensor_file::TensorFile;
pub(crate) use tensor_file::is_torch_file;

use std::borrow::Cow;

use ffsvc_features::{
    Cmn, FbankOptions, FrontEndConfig, Kind, SpeechBrainFbankOptions, WaveformNorm, WindowType,
};

use crate::model::ModelConfig;
use crate::pooling::PoolingConfig;

/// Where weights come from or go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Toolkit {
    /// The FFSVC2022 baseline
    Ffsvc,
    /// WeSpeaker
    Wespeaker,
    /// 3D-Speaker
    #[cfg_attr(feature = "clap", value(name = "3dspeaker"))]
    ThreeDSpeaker,
    /// SpeechBrain
    #[cfg_attr(feature = "clap", value(name = "speechbrain"))]
    SpeechBrain,
}

impl Toolkit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ffsvc, Self::Wespeaker, Self::ThreeDSpeaker, Self::SpeechBrain];

    /// The toolkit that has `model`, whose names of tensors are the model's own. The paper's ECAPA-TDNN and the x-vector
    /// count as the baseline's: they have its names.
    pub fn of(model: &ModelConfig) -> Self {
        match model {
            ModelConfig::Resnet(config) if config.pooling == PoolingConfig::StatsAll => Self::Ffsvc,
            ModelConfig::EcapaTdnn(_) | ModelConfig::Tdnn(_) => Self::Ffsvc,
            ModelConfig::Resnet(_) | ModelConfig::WespeakerEcapaTdnn(_) => Self::Wespeaker,
            ModelConfig::CamPlusPlus(_) => Self::ThreeDSpeaker,
            ModelConfig::SpeechBrainEcapaTdnn(_) => Self::SpeechBrain,
        }
    }

    /// Name of the toolkit, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffsvc => "the FFSVC2022 baseline",
            Self::Wespeaker => "WeSpeaker",
            Self::ThreeDSpeaker => "3D-Speaker",
            Self::SpeechBrain => "SpeechBrain",
        }
    }

    /// What this toolkit calls the tensor that is called `ours` in [`named_tensors`](crate::named_tensors).
    pub(crate) fn name_of(self, ours: &str) -> Cow<'_, str> {
        match self {
            Self::Ffsvc | Self::SpeechBrain => Cow::Borrowed(ours),
            Self::Wespeaker => wespeaker_name(ours),
            Self::ThreeDSpeaker => three_d_speaker_name(ours),
        }
    }

    /// In front of the head's tensors, in the file that has the network's; `None` where it is kept in a file of its own.
    fn head_prefix(self) -> Option<&'static str> {
        match self {
            Self::Ffsvc => Some("classifier."),
            Self::Wespeaker => Some("projection."),
            Self::ThreeDSpeaker | Self::SpeechBrain => None,
        }
    }

    /// The front end that the toolkit's recipes train with.
    pub fn front_end(self) -> FrontEndConfig {
        let of = |kind| FrontEndConfig {
            sample_rate: 16000,
            waveform_norm: WaveformNorm::None,
            kind,
            cmn: Cmn::default(),
        };
        let fbank = |window, int16_scale| {
            of(Kind::Fbank(FbankOptions { window, int16_scale, ..FbankOptions::default() }))
        };
        match self {
            Self::Ffsvc => FrontEndConfig::default(),
            // wespeaker/dataset/processor.py compute_fbank; dither is for training alone.
            Self::Wespeaker => fbank(WindowType::Hamming, true),
            // speakerlab/process/processor.py FBank: torchaudio's Kaldi fbank of samples within 1.
            Self::ThreeDSpeaker => fbank(WindowType::Povey, false),
            // recipes/VoxCeleb/SpeakerRec/hparams/train_ecapa_tdnn.yaml: Fbank, and the mean of the sentence.
            Self::SpeechBrain => of(Kind::SpeechBrainFbank(SpeechBrainFbankOptions::default())),
        }
    }
}

/// `ResNet` of wespeaker/models/resnet.py; everything else has our names.
fn wespeaker_name(ours: &str) -> Cow<'_, str> {
    if let Some(rest) = ours.strip_prefix("front.") {
        return Cow::Owned(rest.replace(".downsample.", ".shortcut."));
    }
    match ours.strip_prefix("bottleneck.") {
        Some(rest) => Cow::Owned(format!("seg_1.{rest}")),
        None => Cow::Borrowed(ours),
    }
}

/// The layers of CAM++'s dense blocks count from 1: `tdnnd.0` is `tdnnd1`.
fn three_d_speaker_name(ours: &str) -> Cow<'_, str> {
    let translated = ours.split_once(".tdnnd.").and_then(|(block, rest)| {
        let (layer, rest) = rest.split_once('.')?;
        Some(format!("{block}.tdnnd{}.{rest}", layer.parse::<usize>().ok()? + 1))
    });
    translated.map_or(Cow::Borrowed(ours), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated() {
        for (toolkit, ours, theirs) in [
            (Toolkit::Wespeaker, "front.layer2.0.downsample.0.weight", "layer2.0.shortcut.0.weight"),
            (Toolkit::Wespeaker, "bottleneck.bias", "seg_1.bias"),
            (Toolkit::Wespeaker, "pool.linear1.weight", "pool.linear1.weight"),
            (Toolkit::Wespeaker, "layer2.se_res2block.1.bns.3.bias", "layer2.se_res2block.1.bns.3.bias"),
            (
                Toolkit::ThreeDSpeaker,
                "xvector.block2.tdnnd.23.cam_layer.linear1.bias",
                "xvector.block2.tdnnd24.cam_layer.linear1.bias",
            ),
            (
                Toolkit::ThreeDSpeaker,
                "head.layer1.0.shortcut.1.running_var",
                "head.layer1.0.shortcut.1.running_var",
            ),
            (Toolkit::Ffsvc, "front.layer2.0.downsample.0.weight", "front.layer2.0.downsample.0.weight"),
        ] {
            assert_eq!(toolkit.name_of(ours), theirs);
        }
    }
}
