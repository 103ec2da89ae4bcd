//! The cohort by which scores are normalised.

use std::path::PathBuf;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use ffsvc_scoring::report::{Normalisation, SourceFile};
use ffsvc_scoring::{Cohort, ScoreNorm, Side};
use tracing::info;

use crate::preparation::Prepared;

#[derive(Debug, clap::Args)]
pub(crate) struct CohortArgs {
    /// Normalise scores by those with a cohort: z-norm, t-norm, s-norm or as-norm
    #[arg(long, value_name = "KIND", requires = "cohort", requires = "embeddings")]
    score_norm: Option<ScoreNorm>,

    /// Embeddings of the cohort: other speakers than those of the trials. They are prepared as
    /// those of the enrolment side are
    #[arg(long, value_name = "STORE", requires = "score_norm")]
    cohort: Option<PathBuf>,

    /// Average the cohort's embeddings for each speaker: lines 'utterance speaker'
    #[arg(long, value_name = "FILE", requires = "cohort")]
    cohort_utt2spk: Option<PathBuf>,

    /// How many of an utterance's scores with the cohort count, the highest [default: all; 300 for as-norm]
    #[arg(long, value_name = "COUNT", requires = "cohort")]
    top: Option<usize>,
}

impl CohortArgs {
    /// Whether scores are to be normalised.
    pub(crate) fn is_given(&self) -> bool {
        self.score_norm.is_some()
    }

    /// Reads the cohort, if one is asked for, and says what it is.
    pub(crate) fn read(&self, prepared: &Prepared) -> anyhow::Result<Option<(Cohort, Normalisation)>> {
        let (Some(norm), Some(path)) = (self.score_norm, &self.cohort) else { return Ok(None) };
        let embeddings = prepared.process_cohort(Embeddings::read(path)?)?;
        let utt2spk = self.cohort_utt2spk.as_ref().map(Table::read).transpose()?;
        let cohort = Cohort::new(
            norm,
            Side { embeddings: &embeddings, mean: prepared.mean() },
            utt2spk.as_ref(),
            self.top,
        )?;
        info!("{} by the highest {} of {} cohort scores", norm, cohort.top(), cohort.size());
        let normalisation = Normalisation {
            norm,
            cohort: path.display().to_string(),
            cohort_utt2spk: self.cohort_utt2spk.as_ref().map(SourceFile::identify).transpose()?,
            size: cohort.size(),
            top: cohort.top(),
        };
        Ok(Some((cohort, normalisation)))
    }
}
