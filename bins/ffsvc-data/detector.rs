//! The options that choose a speech detector.

use std::path::PathBuf;

use clap::Args;
use ffsvc_cli::RunFiles;
use ffsvc_features::Vad;

use crate::speech_rule::Rule;

/// Options of the commands that tell speech from pauses.
#[derive(Debug, Args)]
pub(crate) struct Detector {
    /// How speech is told from pauses
    #[arg(long, value_enum, default_value_t = Rule::NoiseFloor)]
    vad: Rule,

    /// Weights of --vad silero: silero_vad_16k_op15.onnx of the Python package silero-vad 6
    #[arg(long, value_name = "FILE", required_if_eq("vad", "silero"))]
    vad_model: Option<PathBuf>,
}

impl Detector {
    /// Adds the model to the files of the run.
    pub(crate) fn of(&self, files: RunFiles) -> RunFiles {
        files.input("--vad-model", &self.vad_model)
    }

    /// The detector.
    pub(crate) fn vad(&self) -> anyhow::Result<Vad> {
        self.vad.vad("--vad", self.vad_model.as_deref())
    }
}
