use std::path::PathBuf;

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use ffsvc_cli::RunFiles;
use ffsvc_models::ModelFile;
use ffsvc_models::toolkits::{ExportFormat, Toolkit, export_model};
use serde::Serialize;

use crate::import_first::import_first;
use crate::output::Output;

/// Write a model's weights as a file that PyTorch reads
///
/// ffsvc writes {"model": ..., "classifier": ...} as the baseline's save_model does. The other toolkits' names write a
/// flat state_dict. All are in the zip format of torch.save. safetensors has the names of the toolkit that has the
/// network. What the format cannot store is left out and listed; `ffsvc-model info` shows it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-model export --to ffsvc exp/resnet34/best.safetensors -o model_20.pkl
  ffsvc-model export --to safetensors campplus.safetensors -o weights.safetensors")]
pub(crate) struct Export {
    /// Form of the file
    #[arg(long, value_enum)]
    to: Form,

    /// Model file
    model: PathBuf,

    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Checkpoint(Toolkit),
    Safetensors,
}

impl ValueEnum for Form {
    fn value_variants<'a>() -> &'a [Self] {
        use Toolkit::{Ffsvc, ReDimNet, SpeechBrain, ThreeDSpeaker, Wespeaker};
        &[
            Self::Checkpoint(Ffsvc),
            Self::Checkpoint(Wespeaker),
            Self::Checkpoint(ThreeDSpeaker),
            Self::Checkpoint(SpeechBrain),
            Self::Checkpoint(ReDimNet),
            Self::Safetensors,
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        match self {
            Self::Checkpoint(toolkit) => toolkit.to_possible_value(),
            Self::Safetensors => Some(clap::builder::PossibleValue::new("safetensors").help("Tensors alone")),
        }
    }
}

#[derive(Debug, Serialize)]
struct Outcome {
    file: PathBuf,
    tensors: usize,
    /// What the model file has and this one has not.
    left_out: Vec<&'static str>,
}

impl Export {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        self.output.of(RunFiles::new().input("MODEL", [&self.model]))?.check(json)?;
        let file = ModelFile::open(&self.model).map_err(import_first)?;
        let (model, head) = file.load(&Device::flex())?;
        let info = file.info();
        let format = match self.to {
            Form::Checkpoint(toolkit) => ExportFormat::Torch(toolkit),
            Form::Safetensors => ExportFormat::Safetensors,
        };
        let exported = export_model(self.output.path(), &info.model, &model, head.as_ref(), format)?;
        let left_out = [
            ("front end", true),
            ("mean to subtract from embeddings", info.embedding_mean.is_some()),
            ("low-pass of the baseline", info.compat_lowpass),
            ("head", head.is_some() && !exported.head),
            ("names of the speakers", !info.speakers.is_empty()),
        ];
        let left_out = left_out.into_iter().filter(|(_, left_out)| *left_out).map(|(what, _)| what).collect();
        if info.embedding_mean.is_some() {
            tracing::warn!(
                "{}: embeddings of the exported network are other ones: it does not subtract the mean that this model subtracts",
                self.model.display()
            );
        }
        let outcome = Outcome { file: self.output.path().to_path_buf(), tensors: exported.tensors, left_out };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("file\t{}", outcome.file.display());
        println!("tensors\t{}", outcome.tensors);
        println!("left out\t{}", outcome.left_out.join(", "));
        Ok(())
    }
}
