use std::path::PathBuf;

use burn::tensor::Device;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use ffsvc_cli::{RunFiles, UsageError};
use ffsvc_models::toolkits::{ExportFormat, Toolkit, export_model};
use ffsvc_models::{ModelFile, OnnxInput, export_onnx};
use serde::Serialize;

use crate::import_first::import_first;
use crate::output::Output;

/// Write a model as a file that PyTorch or ONNX Runtime reads
///
/// ffsvc writes {"model": ..., "classifier": ...} as the baseline's save_model does. The other toolkits' names write a
/// flat state_dict. All are in the zip format of torch.save. safetensors has the names of the toolkit that has the
/// network. onnx writes the network itself, from features to embedding, with the front end as metadata, or from samples to
/// embedding. What the format cannot store is left out and listed; `ffsvc-model info` shows it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-model export --to ffsvc exp/resnet34/best.safetensors -o model_20.pkl
  ffsvc-model export --to safetensors campplus.safetensors -o weights.safetensors
  ffsvc-model export --to onnx campplus.safetensors -o campplus.onnx
  ffsvc-model export --to onnx --with-front-end campplus.safetensors -o campplus.onnx")]
pub(crate) struct Export {
    /// Form of the file
    #[arg(long, value_enum)]
    to: Form,

    /// Put the front end into the graph, which then reads samples (full scale 1.0, at the model's sample rate) instead of
    /// features; with --to onnx
    #[arg(long)]
    with_front_end: bool,

    /// Model file
    model: PathBuf,

    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Checkpoint(Toolkit),
    Safetensors,
    Onnx,
}

impl ValueEnum for Form {
    fn value_variants<'a>() -> &'a [Self] {
        use Toolkit::{Ffsvc, Nemo, ReDimNet, Resemblyzer, SpeechBrain, ThreeDSpeaker, Wespeaker};
        &[
            Self::Checkpoint(Ffsvc),
            Self::Checkpoint(Wespeaker),
            Self::Checkpoint(ThreeDSpeaker),
            Self::Checkpoint(SpeechBrain),
            Self::Checkpoint(ReDimNet),
            Self::Checkpoint(Resemblyzer),
            Self::Checkpoint(Nemo),
            Self::Safetensors,
            Self::Onnx,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Checkpoint(toolkit) => toolkit.to_possible_value(),
            Self::Safetensors => Some(PossibleValue::new("safetensors").help("Tensors alone")),
            Self::Onnx => Some(PossibleValue::new("onnx").help("Network from features to embedding")),
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
        if self.with_front_end && self.to != Form::Onnx {
            return Err(UsageError::new(
                "--with-front-end needs --to onnx: other forms have no place for it",
            )
            .into());
        }
        let file = ModelFile::open(&self.model).map_err(import_first)?;
        let (model, head) = file.load(&Device::flex())?;
        let info = file.info();
        let path = self.output.path();
        let torch = |format| export_model(path, &info.model, &model, head.as_ref(), format);
        let (tensors, with_head) = match self.to {
            Form::Onnx => {
                let input = if self.with_front_end { OnnxInput::Samples } else { OnnxInput::Features };
                (export_onnx(path, info, &model, input)?, false)
            }
            Form::Safetensors => torch(ExportFormat::Safetensors).map(|done| (done.tensors, done.head))?,
            Form::Checkpoint(toolkit) => {
                torch(ExportFormat::Torch(toolkit)).map(|done| (done.tensors, done.head))?
            }
        };
        let weights_alone = self.to != Form::Onnx;
        let mean_is_lost = weights_alone && info.embedding_mean.is_some();
        let left_out = [
            ("front end", weights_alone),
            ("mean to subtract from embeddings", mean_is_lost),
            ("low-pass of the baseline", weights_alone && info.compat_lowpass),
            ("head", head.is_some() && !with_head),
            ("names of the speakers", !info.speakers.is_empty()),
        ];
        let left_out = left_out.into_iter().filter(|(_, left_out)| *left_out).map(|(what, _)| what).collect();
        if mean_is_lost {
            tracing::warn!(
                "{}: embeddings of the exported network are other ones: it does not subtract the mean that this model subtracts",
                self.model.display()
            );
        }
        let outcome = Outcome { file: self.output.path().to_path_buf(), tensors, left_out };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("file\t{}", outcome.file.display());
        println!("tensors\t{}", outcome.tensors);
        println!("left out\t{}", outcome.left_out.join(", "));
        Ok(())
    }
}
