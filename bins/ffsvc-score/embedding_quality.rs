//! `ffsvc-score embedding-quality`.

use std::path::PathBuf;

use clap::ValueEnum;
use ffsvc_cli::{OutputFile, RangeArg, RunFiles, UsageError};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Table, write_table};
use ffsvc_scoring::calibration::{cohort_means, embedding_lengths};
use ffsvc_scoring::{Cohort, ScoreNorm, Side, check_origins, mean_embedding};
use tracing::{info, warn};

use crate::options::TOP;

const DETAILS: &str = "\
Example:
  ffsvc-score embedding-quality --embeddings exp/dev/embeddings.scp --measure length -o exp/dev/utt2length
  ffsvc-score calibrate --trials data/dev/trials --scores exp/dev/scores -o exp/calibration.json \\
      --quality-measure log-min:exp/dev/utt2length";

/// Write a quality measure of each utterance, 'utterance value', for calibrate
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct EmbeddingQuality {
    /// Embeddings of the utterances
    #[arg(long, value_name = "STORE")]
    embeddings: PathBuf,

    /// Measure
    #[arg(long, value_name = "MEASURE")]
    measure: Measure,

    /// Table to write
    #[arg(short, long, value_name = "FILE")]
    output: OutputFile,

    /// Subtract the mean of these embeddings before, from the cohort too
    #[arg(long, value_name = "STORE")]
    mean_subtract: Option<PathBuf>,

    /// Embeddings of other speakers
    #[arg(long, value_name = "STORE", required_if_eq("measure", "cohort-mean"))]
    cohort: Option<PathBuf>,

    /// Average the cohort's embeddings for each speaker: lines 'utterance speaker'
    #[arg(long, value_name = "FILE", requires = "cohort")]
    cohort_utt2spk: Option<PathBuf>,

    /// How many of an utterance's scores with the cohort count, the highest [default: 300, or all of a smaller cohort]
    #[arg(long, value_name = "COUNT", requires = "cohort", range = TOP)]
    top: Option<usize>,

    /// Compare embeddings of different models
    #[arg(long)]
    allow_other_model: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Length of the embedding
    Length,
    /// Mean of the cosines with the nearest of a cohort
    CohortMean,
}

impl EmbeddingQuality {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        RunFiles::new()
            .input("--embeddings", [&self.embeddings])
            .input("--mean-subtract", &self.mean_subtract)
            .input("--cohort", &self.cohort)
            .input("--cohort-utt2spk", &self.cohort_utt2spk)
            .output("--output", [&self.output])
            .check(false)?;
        if self.measure == Measure::Length && self.cohort.is_some() {
            return Err(UsageError::new("--cohort: --measure length has no cohort; cohort-mean has").into());
        }
        let embeddings = Embeddings::read(&self.embeddings)?;
        if embeddings.is_empty() {
            anyhow::bail!("{} holds no embedding: there is nothing to measure", self.embeddings.display());
        }
        let of_mean = self.mean_subtract.as_ref().map(Embeddings::read).transpose()?;
        let members = self.cohort.as_ref().map(Embeddings::read).transpose()?;
        self.check_models(&embeddings, of_mean.as_ref(), members.as_ref())?;
        let mean = of_mean.as_ref().map(mean_embedding).transpose()?;
        let mean = mean.as_deref();
        let values = match &members {
            None => embedding_lengths(&embeddings, mean)?,
            Some(members) => {
                let utt2spk = self.cohort_utt2spk.as_ref().map(Table::read).transpose()?;
                let side = Side { embeddings: members, mean };
                let cohort = Cohort::new(ScoreNorm::AsNorm, side, utt2spk.as_ref(), self.top)?;
                cohort_means(&embeddings, mean, &cohort)?
            }
        };
        write_table(&self.output, embeddings.keys().iter().zip(values.iter().map(f64::to_string)))?;
        info!("{} values are in {}", values.len(), self.output);
        Ok(())
    }

    fn check_models(
        &self,
        embeddings: &Embeddings,
        of_mean: Option<&Embeddings>,
        members: Option<&Embeddings>,
    ) -> anyhow::Result<()> {
        let named = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let names =
            [Some(self.embeddings.display().to_string()), named(&self.mean_subtract), named(&self.cohort)];
        let stores = names.iter().zip([Some(embeddings), of_mean, members]);
        let stores = stores.filter_map(|(name, store)| Some((name.as_deref()?, store?)));
        for remark in check_origins(stores, self.allow_other_model)? {
            warn!("{remark}");
        }
        Ok(())
    }
}
