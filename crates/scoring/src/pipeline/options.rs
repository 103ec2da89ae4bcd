//! What is scored and how, by the names of files.

use std::fmt;
use std::path::PathBuf;

use ffsvc_kaldi_io::Table;
use serde::{Deserialize, Serialize};

use crate::ScoreNorm;

/// What is scored and how: the stores, what embeddings go through before they are compared, and the normalisation of scores.
/// A plain one compares the embeddings of one store by the cosine.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PipelineOptions {
    /// Embeddings of the test utterances, and of the enrolment utterances unless they have a store of their own.
    pub embeddings: PathBuf,
    /// Embeddings of the enrolment utterances.
    pub enrol_embeddings: Option<PathBuf>,
    /// The mean of these embeddings is subtracted from all.
    pub mean_subtract: Option<PathBuf>,
    /// The mean of these embeddings is subtracted from the enrolment side, and that of `mean_subtract` from the test side only.
    pub enrol_mean_subtract: Option<PathBuf>,
    /// Domain of each utterance: what is subtracted is the mean of its domain.
    pub utt2domain: Option<PathBuf>,
    /// Examples of each domain. The mean of its domain is subtracted from each utterance. `utt2domain` says which one that is,
    /// and without a table its embedding does, see [`Domains`](crate::Domains).
    pub domains: Vec<DomainExamples>,
    /// The back end that processes the embeddings and, if it has a PLDA, compares them.
    pub backend: Option<PathBuf>,
    /// Utterances of the enrolled speakers that trials name.
    pub enrolment: Option<PathBuf>,
    /// What is averaged over these utterances; `None` for directions with the cosine and embeddings with PLDA.
    pub enrol_average: Option<EnrolAverage>,
    /// By what scores are normalised.
    pub cohort: Option<CohortOptions>,
    /// Speakers of the utterances of the trials, to look for them in the cohort.
    pub utt2spk: Option<Table>,
    /// Leave out trials of utterances without embedding instead of failing.
    pub skip_missing: bool,
    /// Compare embeddings of different models.
    pub allow_other_model: bool,
}

impl PipelineOptions {
    /// Cosines of the embeddings of a store.
    pub fn new(embeddings: impl Into<PathBuf>) -> Self {
        Self { embeddings: embeddings.into(), ..Self::default() }
    }
}

/// Examples of a domain: recordings of other speakers than those of the trials.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainExamples {
    /// The domain's name.
    pub name: String,
    /// Embeddings of the examples.
    pub embeddings: PathBuf,
}

impl DomainExamples {
    /// A domain of this name.
    pub fn new(name: impl Into<String>, embeddings: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), embeddings: embeddings.into() }
    }
}

/// What a cohort consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CohortSource {
    /// Embeddings of other speakers than those of the trials. They are prepared as those of the enrolment side are.
    Store(PathBuf),
    /// The examples of each domain, a cohort each. An utterance is compared with the cohort of the domain of the utterance that
    /// it is scored with.
    Domains,
}

/// The cohort by which scores are normalised.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CohortOptions {
    /// How.
    pub norm: ScoreNorm,
    /// Of what.
    pub source: CohortSource,
    /// Speaker of each of these utterances; their embeddings are averaged for each.
    pub utt2spk: Option<PathBuf>,
    /// How many of an utterance's scores with the cohort count, the highest; `None` for all, and for
    /// [`DEFAULT_TOP`](crate::DEFAULT_TOP) with AS-norm.
    pub top: Option<usize>,
}

impl CohortOptions {
    /// Normalisation by all embeddings of a store.
    pub fn new(norm: ScoreNorm, embeddings: impl Into<PathBuf>) -> Self {
        Self { norm, source: CohortSource::Store(embeddings.into()), utt2spk: None, top: None }
    }

    /// Normalisation by the examples of the domains.
    pub fn of_domains(norm: ScoreNorm) -> Self {
        Self { norm, source: CohortSource::Domains, utt2spk: None, top: None }
    }
}

/// What is averaged over the utterances of an enrolled speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum EnrolAverage {
    /// Embeddings, after the back end
    Embeddings,
    /// Embeddings of length 1, after the back end
    Directions,
    /// Scores of the single utterances
    Scores,
}

impl fmt::Display for EnrolAverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embeddings => "embeddings",
            Self::Directions => "directions",
            Self::Scores => "scores",
        })
    }
}
