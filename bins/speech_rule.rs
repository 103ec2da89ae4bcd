//! The speech detectors that the programs offer.

use std::path::Path;

use clap::ValueEnum;
use ffsvc_cli::UsageError;
use ffsvc_features::{EnergyVad, NoiseFloorVad, SileroNetwork, SileroVad, Vad};

/// How speech is told from pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rule {
    /// Above the noise floor of the recording
    NoiseFloor,
    /// Kaldi's compute-vad with the options of its speaker recipes: for clean recordings
    Kaldi,
    /// Silero VAD, a network that tells speech from other sounds; needs --vad-model
    Silero,
}

impl Rule {
    /// The detector, with the model of `--vad-model`; `option` is the one that chose it. The model is read, so that a wrong one
    /// is known before the work.
    pub(crate) fn vad(self, option: &str, model: Option<&Path>) -> anyhow::Result<Vad> {
        match (self, model) {
            (Self::Silero, Some(model)) => {
                SileroNetwork::open(model)?;
                Ok(Vad::Silero(SileroVad::new(model)))
            }
            (Self::Silero, None) => Err(UsageError::new(format!("{option} silero needs --vad-model")).into()),
            (_, Some(_)) => Err(UsageError::new(format!("--vad-model is for {option} silero")).into()),
            (Self::NoiseFloor, None) => Ok(Vad::NoiseFloor(NoiseFloorVad::default())),
            (Self::Kaldi, None) => {
                Ok(Vad::Energy(EnergyVad { energy_threshold: 5.5, ..EnergyVad::default() }))
            }
        }
    }
}
