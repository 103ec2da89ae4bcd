//! Weights of other toolkits, in and out.
//!
//! A network is recognised by the names and shapes of its tensors (`recognise`); `names` translates the names. To add a
//! toolkit's network: what its tensors look like in `recognise.rs`, in `names.rs` its names where they are not ours, and its
//! toolkit and front end here.

mod config_file;
mod export;
mod import;
mod names;
mod nemo;
mod onnx_file;
mod pickle_classes;
mod recognise;
mod redimnet;
mod tensor_file;
mod torch_writer;

pub use export::{ExportFormat, Exported, export_model};
pub use import::{ImportOptions, Imported, import_model};
pub use tensor_file::TensorFile;
pub(crate) use tensor_file::is_torch_file;

use ffsvc_features::{
    Cmn, FbankOptions, FrontEndConfig, Kind, LibrosaMelOptions, LogMelOptions, NemoMelOptions,
    SpeechBrainFbankOptions, WaveformNorm, WindowType,
};

use crate::model::ModelConfig;
use crate::pooling::PoolingConfig;
use crate::res2net::Res2NetForm;

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
    /// ReDimNet's authors
    #[cfg_attr(feature = "clap", value(name = "redimnet"))]
    ReDimNet,
    /// Resemblyzer
    Resemblyzer,
    /// NVIDIA NeMo
    Nemo,
}

impl Toolkit {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ffsvc,
        Self::Wespeaker,
        Self::ThreeDSpeaker,
        Self::SpeechBrain,
        Self::ReDimNet,
        Self::Resemblyzer,
        Self::Nemo,
    ];

    /// The toolkit that has `model`, whose names of tensors are the model's own. The paper's ECAPA-TDNN and the x-vector
    /// count as the baseline's: they have its names.
    pub fn of(model: &ModelConfig) -> Self {
        match model {
            ModelConfig::Resnet(config) if config.pooling == PoolingConfig::StatsAll => Self::Ffsvc,
            ModelConfig::Res2Net(config) if config.form == Res2NetForm::ThreeDSpeaker => Self::ThreeDSpeaker,
            ModelConfig::EcapaTdnn(_) | ModelConfig::Tdnn(_) => Self::Ffsvc,
            ModelConfig::Resnet(_)
            | ModelConfig::WespeakerEcapaTdnn(_)
            | ModelConfig::SimAmResnet(_)
            | ModelConfig::Res2Net(_)
            | ModelConfig::GeminiDfResnet(_)
            | ModelConfig::RepVgg(_) => Self::Wespeaker,
            ModelConfig::CamPlusPlus(_) | ModelConfig::ERes2Net(_) | ModelConfig::ERes2NetV2(_) => {
                Self::ThreeDSpeaker
            }
            ModelConfig::SpeechBrainEcapaTdnn(_) => Self::SpeechBrain,
            ModelConfig::ReDimNet(_) | ModelConfig::ReDimNet2(_) => Self::ReDimNet,
            ModelConfig::Ge2eLstm(_) => Self::Resemblyzer,
            ModelConfig::TitaNet(_) => Self::Nemo,
        }
    }

    /// Name of the toolkit, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffsvc => "the FFSVC2022 baseline",
            Self::Wespeaker => "WeSpeaker",
            Self::ThreeDSpeaker => "3D-Speaker",
            Self::SpeechBrain => "SpeechBrain",
            Self::ReDimNet => "ReDimNet's authors",
            Self::Resemblyzer => "Resemblyzer",
            Self::Nemo => "NeMo",
        }
    }

    /// In front of the head's tensors, in the file that has the network's; `None` where it is kept in a file of its own.
    fn head_prefix(self) -> Option<&'static str> {
        match self {
            Self::Ffsvc => Some("classifier."),
            Self::Wespeaker => Some("projection."),
            Self::ReDimNet => Some("cls_head.2."),
            Self::Nemo => Some("decoder.final."),
            Self::ThreeDSpeaker | Self::SpeechBrain | Self::Resemblyzer => None,
        }
    }

    /// In front of tensors that the toolkit's module has beside the network.
    fn beside_network(self) -> Option<&'static str> {
        match self {
            // Windows and filters follow from the front end's options.
            Self::ReDimNet => Some("spec."),
            // Scale and offset of the cosines in the GE2E loss.
            Self::Resemblyzer => Some("similarity_"),
            // Window and filters, as above.
            Self::Nemo => Some("preprocessor."),
            _ => None,
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
            // resemblyzer/audio.py, without its removal of silence.
            Self::Resemblyzer => FrontEndConfig {
                waveform_norm: WaveformNorm::RaiseToDbfs(-30.0),
                cmn: Cmn::None {},
                ..of(Kind::LibrosaMel(LibrosaMelOptions::default()))
            },
            // conf/titanet-large.yaml: AudioToMelSpectrogramPreprocessor, without its dither, which is for training alone.
            Self::Nemo => {
                FrontEndConfig { cmn: Cmn::PerFeature {}, ..of(Kind::NemoMel(NemoMelOptions::default())) }
            }
            // redimnet/layers/features.py and redimnet2/layers/features.py MelBanks.
            Self::ReDimNet => of(Kind::LogMel(LogMelOptions {
                num_mels: 72,
                window: WindowType::Hamming,
                low_frequency_hz: 20.0,
                high_frequency_hz: 7600.0,
                preemphasis: 0.97,
                ..LogMelOptions::default()
            })),
        }
    }
}
