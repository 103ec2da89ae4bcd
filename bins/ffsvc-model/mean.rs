use std::path::PathBuf;

use anyhow::bail;
use burn::tensor::Device;
use clap::Args;
use ffsvc_cli::RunFiles;
use ffsvc_embeddings::Embeddings;
use ffsvc_models::{load_model, save_model};
use ffsvc_scoring::report::SourceFile;
use serde::Serialize;

use crate::import_first::import_first;
use crate::output::Output;

/// Put the mean embedding of a domain into a model, which then subtracts it
///
/// Every program that embeds with the written model subtracts the mean. Embeddings of unlabelled recordings from where the
/// model will be used are enough; they must be this model's.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-extract --model campplus.safetensors data/field field.ark
  ffsvc-model mean campplus.safetensors field.scp -o campplus-field.safetensors")]
pub(crate) struct Mean {
    /// Model file
    model: PathBuf,

    /// Store of embeddings that the model made
    embeddings: PathBuf,

    #[command(flatten)]
    output: Output,

    /// Take embeddings of another model
    #[arg(long)]
    allow_other_model: bool,
}

#[derive(Debug, Serialize)]
struct Outcome {
    model: PathBuf,
    embeddings: usize,
    /// Embeddings of zeros among them.
    zero_embeddings: usize,
    /// The model had a mean already, to which this one was added.
    added_to_a_mean: bool,
}

impl Mean {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let files = RunFiles::new().input("MODEL", [&self.model]).input("EMBEDDINGS", [&self.embeddings]);
        self.output.of(files)?.check(json)?;
        let (model, head, mut info) = load_model(&self.model, &Device::flex()).map_err(import_first)?;
        let store = Embeddings::read(&self.embeddings)?;
        let is_of_this_model = self.check_model(&store)?;
        if store.is_empty() || store.dim() != info.model.embedding_size() {
            bail!(
                "{}: {} embeddings of {} numbers; expected some of {}, as the model makes",
                self.embeddings.display(),
                store.len(),
                store.dim(),
                info.model.embedding_size()
            );
        }
        let zeros: Vec<&str> =
            store.iter().filter(|(_, values)| values.iter().all(|x| *x == 0.0)).map(|(key, _)| key).collect();
        if !zeros.is_empty() {
            tracing::warn!(
                "{}: {} of {} embeddings are zero ({}{}): silent recordings? They count in the mean",
                self.embeddings.display(),
                zeros.len(),
                store.len(),
                zeros[..zeros.len().min(3)].join(", "),
                if zeros.len() > 3 { ", ..." } else { "" }
            );
        }
        if info.embedding_mean.is_some() && !is_of_this_model {
            tracing::warn!(
                "{}: it subtracts a mean already, to which the mean of {} is added: right if this model made the embeddings, \
                 wrong if the model without a mean did",
                self.model.display(),
                self.embeddings.display()
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
        let added_to_a_mean = info.embedding_mean.is_some();
        info.embedding_mean = Some(sums.iter().map(|sum| (sum / store.len() as f64) as f32).collect());
        save_model(self.output.path(), &model, head.as_ref(), &info)?;
        let outcome = Outcome {
            model: self.output.path().to_path_buf(),
            embeddings: store.len(),
            zero_embeddings: zeros.len(),
            added_to_a_mean,
        };
        if json {
            return ffsvc_cli::print_json(&outcome);
        }
        println!("model\t{}", outcome.model.display());
        println!("mean of\t{} embeddings", outcome.embeddings);
        Ok(())
    }

    /// Whether the embeddings say that this model made them.
    ///
    /// # Errors
    /// They say that another did, which is not allowed.
    fn check_model(&self, store: &Embeddings) -> anyhow::Result<bool> {
        let Some(origin) = store.provenance() else { return Ok(false) };
        if origin.model_sha256 == SourceFile::identify(&self.model)?.sha256 {
            return Ok(true);
        }
        let message = format!(
            "{} has embeddings of {}, not of {}: its mean is of no use to this model",
            self.embeddings.display(),
            origin.model,
            self.model.display()
        );
        if !self.allow_other_model {
            bail!("{message} (--allow-other-model takes it)");
        }
        tracing::warn!("{message}: allowed by --allow-other-model");
        Ok(false)
    }
}
