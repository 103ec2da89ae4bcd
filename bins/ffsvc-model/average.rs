use std::path::PathBuf;

use anyhow::Context;
use burn::tensor::Device;
use clap::Args;
use ffsvc_augment::AugmentConfig;
use ffsvc_cli::{OutputPath, Range, RangeArg as _, RunFiles, UsageError};
use ffsvc_models::{Averaged, average_models, save_model};
use ffsvc_trainer::{ExperimentConfig, ExperimentDir, reestimate_batch_norm};
use serde::Serialize;

use crate::import_first::import_first;

/// Average the weights of several models
///
/// The mean of a run's last checkpoints, or of fine-tunes of one model, is often better than each of them. The head is
/// averaged too where all have the same; otherwise the result has none.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-model average exp/resnet34 --last 10 -o exp/resnet34/average.safetensors
  ffsvc-model average a/best.safetensors b/best.safetensors -o mean.safetensors --reestimate-batch-norm data/train")]
pub(crate) struct Average {
    /// Model files; with --last: the folder of an experiment
    #[arg(required = true)]
    models: Vec<PathBuf>,

    /// Model file to write
    #[arg(short, long, value_name = "FILE")]
    output: OutputPath,

    /// Average the newest N checkpoints of an experiment (train.keep says how many there are)
    #[arg(long, value_name = "N", range = Range::<u32>::at_least(1))]
    last: Option<u32>,

    /// Replace the running statistics of BatchNorm by those of the averaged network over this data directory, cropped
    /// and augmented as in training
    #[arg(long, value_name = "DIR")]
    reestimate_batch_norm: Option<PathBuf>,

    /// With --reestimate-batch-norm: how many batches at most
    #[arg(long, value_name = "N", default_value_t = 200, requires = "reestimate_batch_norm", range = Range::<u32>::at_least(1))]
    batches: u32,

    /// With --reestimate-batch-norm: crops as they are in the recordings
    #[arg(long, requires = "reestimate_batch_norm")]
    no_augmentation: bool,
}

#[derive(Debug, Serialize)]
struct Outcome {
    model: PathBuf,
    averaged: Vec<PathBuf>,
    head: bool,
    /// Some models had another head, or none.
    heads_left_out: bool,
    embedding_means_left_out: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics_from_batches: Option<usize>,
}

impl Average {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new()
            .input("MODELS", &self.models)
            .input("--reestimate-batch-norm", &self.reestimate_batch_norm)
            .regular_output("--output", [&self.output])
            .check(json)?;
        let averaged = self.sources()?;
        let device = Device::flex();
        let Averaged { mut model, head, info, heads_left_out, embedding_means_left_out, .. } =
            average_models(&averaged, &device).map_err(import_first)?;
        if embedding_means_left_out {
            tracing::warn!(
                "left out: the means that the models subtract from embeddings, which are those of other networks; \
                 `ffsvc-model mean` makes one for this network"
            );
        }
        let mut statistics_from_batches = None;
        if let Some(data) = &self.reestimate_batch_norm {
            let config = self.training_config(&info.config_toml)?;
            let count;
            (model, count) = reestimate_batch_norm(model, &config, data, self.batches as usize, &device)?;
            statistics_from_batches = Some(count);
        }
        save_model(&self.output, &model, head.as_ref(), &info)?;
        let outcome = Outcome {
            model: self.output.to_path_buf(),
            averaged,
            head: head.is_some(),
            heads_left_out,
            embedding_means_left_out,
            statistics_from_batches,
        };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("averaged\t{}", outcome.averaged.len());
        println!("model\t{}", outcome.model.display());
        if outcome.heads_left_out {
            println!("left out\thead (the models have different ones)");
        }
        if outcome.embedding_means_left_out {
            println!("left out\tmean to subtract from embeddings");
        }
        if let Some(count) = outcome.statistics_from_batches {
            println!("statistics of\t{count} batches");
        }
        Ok(())
    }

    fn sources(&self) -> anyhow::Result<Vec<PathBuf>> {
        let Some(last) = self.last.map(|last| last as usize) else { return Ok(self.models.clone()) };
        let [exp] = self.models.as_slice() else {
            return Err(UsageError::new("--last takes the folder of one experiment").into());
        };
        let checkpoints = ExperimentDir::open(exp)?.list()?;
        if checkpoints.len() < last {
            anyhow::bail!(
                "{}: found {} checkpoints; expected {last} or more (train.keep says how many a run keeps)",
                exp.display(),
                checkpoints.len()
            );
        }
        let newest = &checkpoints[checkpoints.len() - last..];
        Ok(newest.iter().map(|(_, path)| ExperimentDir::model_of(path)).collect())
    }

    /// The configuration that the model was trained with.
    fn training_config(&self, text: &str) -> anyhow::Result<ExperimentConfig> {
        let mut config: ExperimentConfig =
            toml::from_str(text).context("the training configuration in the last model file")?;
        if self.no_augmentation {
            config.augment = AugmentConfig::default();
        }
        Ok(config)
    }
}
