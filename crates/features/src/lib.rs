#![doc = include_str!("../README.md")]

mod centred_mel;
mod cmn;
mod error;
mod fbank;
mod front_end;
mod levels;
mod librosa_mel;
mod log_mel;
mod mel_banks;
mod mel_spectrogram;
mod natural_log;
mod nemo_mel;
mod power_spectrum;
mod quality;
mod reduction;
mod room_estimates;
mod scratch;
mod speechbrain_fbank;
mod vad;
mod waveform;
mod wide_vectors;
mod window;

pub use cmn::{Cmn, SlidingCmn, UtteranceCmn};
pub use error::{Error, Result};
pub use fbank::{Fbank, FbankOptions};
pub use front_end::{Features, FrontEnd, FrontEndConfig, Kind};
pub use levels::Levels;
pub use librosa_mel::{LibrosaMel, LibrosaMelOptions};
pub use log_mel::{LogMel, LogMelOptions};
pub use mel_banks::{MelBanks, upper_edge_hz};
pub use nemo_mel::{NemoMel, NemoMelOptions};
pub use quality::{Quality, QualityLimits, QualityWarning};
pub use room_estimates::RoomEstimates;
pub use scratch::Scratch;
pub use speechbrain_fbank::{SpeechBrainFbank, SpeechBrainFbankOptions};
pub use vad::{EnergyVad, NoiseFloorVad, SileroNetwork, SileroVad, SpeechDetector, SpeechParts, Vad};
pub use waveform::WaveformNorm;
pub use window::{Symmetry, WindowType};

#[cfg(test)]
#[path = "../tests/goldens/mod.rs"]
mod goldens;
