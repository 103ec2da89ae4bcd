use std::path::PathBuf;

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use ffsvc_models::load_model;
use ffsvc_models::toolkits::{ExportFormat, Toolkit, export_model};
use serde::Serialize;

/// Write a model's weights as a file that PyTorch reads
///
/// ffsvc writes {"model": ..., "classifier": ...} as the baseline's save_model does, the other toolkits' names a flat
/// state_dict, all in the zip format of torch.save. safetensors has the names of the toolkit that has the network. The
/// front end, and a mean to subtract, stay behind: `ffsvc-model info` shows them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-model export --to ffsvc exp/resnet34/best.safetensors model_20.pkl
  ffsvc-model export --to safetensors campplus.safetensors weights.safetensors")]
pub(crate) struct Export {
    /// Form of the file
    #[arg(long, value_enum)]
    to: Target,

    /// Model file
    model: PathBuf,

    /// File to write
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The FFSVC2022 baseline's checkpoint
    Ffsvc,
    /// WeSpeaker's checkpoint
    Wespeaker,
    /// 3D-Speaker's checkpoint
    #[value(name = "3dspeaker")]
    ThreeDSpeaker,
    /// SpeechBrain's checkpoint
    Speechbrain,
    /// Tensors alone
    Safetensors,
}

#[derive(Debug, Serialize)]
struct Outcome {
    file: PathBuf,
    tensors: usize,
}

impl Export {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let (model, head, info) = load_model(&self.model, &Device::flex())?;
        let format = match self.to {
            Target::Ffsvc => ExportFormat::Torch(Toolkit::Ffsvc),
            Target::Wespeaker => ExportFormat::Torch(Toolkit::Wespeaker),
            Target::ThreeDSpeaker => ExportFormat::Torch(Toolkit::ThreeDSpeaker),
            Target::Speechbrain => ExportFormat::Torch(Toolkit::SpeechBrain),
            Target::Safetensors => ExportFormat::Safetensors,
        };
        let tensors = export_model(&self.out, &info.model, &model, head.as_ref(), format)?;
        let outcome = Outcome { file: self.out, tensors };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("file\t{}", outcome.file.display());
        println!("tensors\t{}", outcome.tensors);
        Ok(())
    }
}
