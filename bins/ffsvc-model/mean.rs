use std::path::PathBuf;

use anyhow::bail;
use burn::tensor::Device;
use clap::Args;
use ffsvc_embeddings::Embeddings;
use ffsvc_models::{load_model, save_model};
use serde::Serialize;

/// Put the mean embedding of a domain into a model, which then subtracts it
///
/// Every program that embeds with the written model subtracts the mean. Embeddings of unlabelled recordings from where the
/// model will be used are enough; they must be this model's.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-extract --model campplus.safetensors data/field field.ark
  ffsvc-model mean campplus.safetensors field.scp campplus-field.safetensors")]
pub(crate) struct Mean {
    /// Model file
    model: PathBuf,

    /// Store of embeddings that the model made
    embeddings: PathBuf,

    /// Model file to write
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Outcome {
    model: PathBuf,
    embeddings: usize,
}

impl Mean {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let (model, head, mut info) = load_model(&self.model, &Device::flex())?;
        let store = Embeddings::read(&self.embeddings)?;
        if store.is_empty() || store.dim() != info.model.embedding_size() {
            bail!(
                "{}: {} embeddings of {} numbers; expected some of {}, as the model makes",
                self.embeddings.display(),
                store.len(),
                store.dim(),
                info.model.embedding_size()
            );
        }
        // A mean that the model subtracted already is missing from its embeddings.
        let mut sums: Vec<f64> = match &info.embedding_mean {
            Some(mean) => mean.iter().map(|&x| f64::from(x) * store.len() as f64).collect(),
            None => vec![0.0; store.dim()],
        };
        for (_, embedding) in store.iter() {
            sums.iter_mut().zip(embedding).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        info.embedding_mean = Some(sums.iter().map(|sum| (sum / store.len() as f64) as f32).collect());
        save_model(&self.out, &model, head.as_ref(), &info)?;
        let outcome = Outcome { model: self.out, embeddings: store.len() };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("model\t{}", outcome.model.display());
        println!("mean of\t{} embeddings", outcome.embeddings);
        Ok(())
    }
}
