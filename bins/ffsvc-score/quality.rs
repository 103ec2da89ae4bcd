//! `ffsvc-score quality`.

use std::path::PathBuf;

use clap::ValueEnum;
use ffsvc_cli::UsageError;
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Table, write_table};
use ffsvc_scoring::calibration::{cohort_means, embedding_lengths};
use ffsvc_scoring::{Cohort, ScoreNorm, Side, mean_embedding};
use tracing::info;

const DETAILS: &str = "\
Example:
  ffsvc-score quality --embeddings exp/dev/embeddings.scp --measure length --out exp/dev/utt2length
  ffsvc-score calibrate --trials data/dev/trials --scores exp/dev/scores --model exp/calibration.json \\
      --quality log-min:exp/dev/utt2length";

/// Write a quality measure of each utterance, 'utterance value', for calibrate and fuse
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Quality {
    /// Embeddings of the utterances
    #[arg(long, value_name = "STORE")]
    embeddings: PathBuf,

    /// Measure
    #[arg(long, value_name = "MEASURE")]
    measure: Measure,

    /// Table to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

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
    #[arg(long, value_name = "COUNT", requires = "cohort")]
    top: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Length of the embedding
    Length,
    /// Mean of the cosines with the nearest of a cohort
    CohortMean,
}

impl Quality {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if self.measure == Measure::Length && self.cohort.is_some() {
            return Err(UsageError::new("--measure length has no cohort; cohort-mean has").into());
        }
        let embeddings = Embeddings::read(&self.embeddings)?;
        let mean = match &self.mean_subtract {
            None => None,
            Some(path) => Some(mean_embedding(&Embeddings::read(path)?)?),
        };
        let mean = mean.as_deref();
        let values = match &self.cohort {
            None => embedding_lengths(&embeddings, mean)?,
            Some(path) => {
                let members = Embeddings::read(path)?;
                let utt2spk = self.cohort_utt2spk.as_ref().map(Table::read).transpose()?;
                let side = Side { embeddings: &members, mean };
                let cohort = Cohort::new(ScoreNorm::AsNorm, side, utt2spk.as_ref(), self.top)?;
                cohort_means(&embeddings, mean, &cohort)?
            }
        };
        write_table(&self.out, embeddings.keys().iter().zip(values.iter().map(f64::to_string)))?;
        info!("{} values are in {}", values.len(), self.out.display());
        Ok(())
    }
}
