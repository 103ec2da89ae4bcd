//! What embeddings go through before they are compared: means, a back end, averages of enrolled speakers.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ffsvc_cli::UsageError;
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use ffsvc_scoring::backend::Backend;
use ffsvc_scoring::report::{EmbeddingSource, Preparation, ScoreSource, SourceFile};
use ffsvc_scoring::{Centre, EnrolledEmbeddings, EnrolmentList, Side, mean_embedding};
use tracing::{info, warn};

use crate::score::Score;

#[derive(Debug, clap::Args)]
pub(crate) struct PreparationArgs {
    /// Process the embeddings by this back end (from train-backend), and compare by its PLDA if it has one
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    backend: Option<PathBuf>,

    /// Subtract the mean of these embeddings from the enrolment side, and that of --mean-subtract from the test side only
    #[arg(long, value_name = "STORE", requires = "mean_subtract")]
    enrol_mean_subtract: Option<PathBuf>,

    /// Subtract the mean of an utterance's domain: lines 'utterance domain', for the utterances of the trials and for those that
    /// the means are made from
    #[arg(long, value_name = "FILE", requires = "mean_subtract")]
    utt2domain: Option<PathBuf>,

    /// Utterances of the enrolled speakers that the trials name: lines 'model utterance utterance ...'
    #[arg(long, value_name = "FILE", requires = "embeddings")]
    enrolment: Option<PathBuf>,

    /// What is averaged over a model's utterances [default: directions for the cosine, embeddings for PLDA]
    #[arg(long, value_name = "WHAT", requires = "enrolment")]
    enrol_average: Option<EnrolAverage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EnrolAverage {
    /// Embeddings, after the back end
    Embeddings,
    /// Embeddings of length 1, after the back end
    Directions,
    /// Scores of the single utterances
    Scores,
}

/// The embeddings of a run, ready to be compared.
pub(crate) struct Prepared {
    store: String,
    test: Embeddings,
    /// Of the enrolment side, if they differ from the test side's.
    enrolment: Option<Embeddings>,
    /// Still to be subtracted: a single mean needs no second copy of the embeddings.
    mean: Option<Vec<f64>>,
    enrolment_centre: Option<Centre>,
    backend: Option<Backend>,
    /// Averages of enrolled speakers; they replace the enrolment side.
    models: Option<EnrolledEmbeddings>,
    /// Enrolled speakers whose scores are averaged.
    list: Option<EnrolmentList>,
    preparation: Preparation,
}

impl PreparationArgs {
    /// Whether nothing is asked for but, perhaps, the subtraction of one mean.
    fn is_plain(&self) -> bool {
        self.backend.is_none()
            && self.enrol_mean_subtract.is_none()
            && self.utt2domain.is_none()
            && self.enrolment.is_none()
    }

    /// Reads the stores and does to them what is asked for.
    pub(crate) fn prepare(&self, args: &Score, store: &Path) -> anyhow::Result<Prepared> {
        let test = Embeddings::read(store)?;
        info!("{} embeddings of {} dimensions", test.len(), test.dim());
        let enrolment = args.enrol_embeddings.as_ref().map(Embeddings::read).transpose()?;
        // The test store itself is often the one whose mean is subtracted; it need not be read twice.
        let of_mean =
            args.mean_subtract.as_ref().filter(|path| *path != store).map(Embeddings::read).transpose()?;
        let of_mean = args.mean_subtract.as_ref().map(|_| of_mean.as_ref().unwrap_or(&test));
        let mut prepared = Prepared {
            store: store.display().to_string(),
            test: Embeddings::default(),
            enrolment: None,
            mean: None,
            enrolment_centre: None,
            backend: None,
            models: None,
            list: None,
            preparation: Preparation::default(),
        };
        if self.is_plain() {
            let mean = of_mean.map(mean_embedding).transpose()?;
            return Ok(Prepared { test, enrolment, mean, ..prepared });
        }
        let backend = self.backend.as_ref().map(Backend::read).transpose()?;
        let centre = of_mean.map(|embeddings| self.centre(embeddings)).transpose()?;
        let of_enrolment = self.enrol_mean_subtract.as_ref().map(Embeddings::read).transpose()?;
        let of_enrolment = of_enrolment.as_ref().map(|embeddings| self.centre(embeddings)).transpose()?;
        if enrolment.is_some() || of_enrolment.is_some() {
            let centre = of_enrolment.as_ref().or(centre.as_ref());
            let side = enrolment.map_or(Cow::Borrowed(&test), Cow::Owned);
            prepared.enrolment = Some(process(side, backend.as_ref(), centre)?);
        }
        prepared.test = process(Cow::Owned(test), backend.as_ref(), centre.as_ref())?;
        prepared.enrolment_centre = of_enrolment.or(centre);
        prepared.backend = backend;
        let average = self.enrol(&mut prepared, args.skip_missing)?;

        let identify = |path: &Option<PathBuf>| path.as_ref().map(SourceFile::identify).transpose();
        prepared.preparation = Preparation {
            backend: identify(&self.backend)?,
            enrol_mean_subtracted: self.enrol_mean_subtract.as_ref().map(|path| path.display().to_string()),
            utt2domain: identify(&self.utt2domain)?,
            enrolment: identify(&self.enrolment)?,
            enrol_average: average,
        };
        Ok(prepared)
    }

    /// Averages what is to be averaged over the utterances of enrolled speakers; its name.
    fn enrol(&self, prepared: &mut Prepared, skip_missing: bool) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.enrolment else { return Ok(None) };
        let default = if prepared.by_plda() { EnrolAverage::Embeddings } else { EnrolAverage::Directions };
        let average = self.enrol_average.unwrap_or(default);
        if prepared.by_plda() && average == EnrolAverage::Directions {
            let message =
                "--enrol-average directions is for the cosine: PLDA compares averages of embeddings";
            return Err(UsageError::new(message).into());
        }
        let list = EnrolmentList::new(Table::read(path)?)?;
        info!("{} models in {}", list.len(), path.display());
        if average == EnrolAverage::Scores {
            prepared.list = Some(list);
        } else {
            let single = prepared.enrolment.as_ref().unwrap_or(&prepared.test);
            let models = list.average(single, average == EnrolAverage::Directions, skip_missing)?;
            if models.incomplete > 0 {
                warn!("{} models lack embeddings of their utterances and are left out", models.incomplete);
            }
            prepared.models = Some(models);
        }
        Ok(average.to_possible_value().map(|value| value.get_name().to_owned()))
    }

    fn centre(&self, embeddings: &Embeddings) -> anyhow::Result<Centre> {
        Ok(match &self.utt2domain {
            None => Centre::global(embeddings)?,
            Some(path) => {
                let centre = Centre::by_domain(embeddings, Table::read(path)?)?;
                info!("means of {} domains", centre.count());
                centre
            }
        })
    }
}

impl Prepared {
    /// The enrolment and the test side.
    pub(crate) fn sides(&self) -> (Side<'_>, Side<'_>) {
        let test = Side { embeddings: &self.test, mean: self.mean() };
        let models = self.models.as_ref().map(|models| &models.embeddings);
        let enrolment = models.or(self.enrolment.as_ref()).unwrap_or(&self.test);
        (Side { embeddings: enrolment, ..test }, test)
    }

    /// What is still to be subtracted from all embeddings.
    pub(crate) fn mean(&self) -> Option<&[f64]> {
        self.mean.as_deref()
    }

    /// The back end, if it compares by PLDA.
    pub(crate) fn plda(&self) -> Option<&Backend> {
        self.backend.as_ref().filter(|backend| backend.plda().is_some())
    }

    fn by_plda(&self) -> bool {
        self.plda().is_some()
    }

    /// Averages of enrolled speakers.
    pub(crate) fn models(&self) -> Option<&EnrolledEmbeddings> {
        self.models.as_ref()
    }

    /// Enrolled speakers whose scores are averaged.
    pub(crate) fn list(&self) -> Option<&EnrolmentList> {
        self.list.as_ref()
    }

    /// Whether the comparison is another one than the cosine of two embeddings, which trials that stream are scored by.
    pub(crate) fn needs_whole_list(&self) -> bool {
        self.by_plda() || self.list.is_some()
    }

    /// What becomes of a cohort's embeddings, but for the subtraction of [`mean`](Self::mean).
    pub(crate) fn process_cohort(&self, cohort: Embeddings) -> ffsvc_scoring::Result<Embeddings> {
        process(Cow::Owned(cohort), self.backend.as_ref(), self.enrolment_centre.as_ref())
    }

    /// What the report says about it.
    pub(crate) fn source(&self, args: &Score) -> ScoreSource {
        let shown = |path: &PathBuf| path.display().to_string();
        let source = EmbeddingSource {
            embeddings: self.store.clone(),
            enrol_embeddings: args.enrol_embeddings.as_ref().map(shown),
            mean_subtracted: args.mean_subtract.as_ref().map(shown),
            preparation: self.preparation.clone(),
        };
        if self.by_plda() { ScoreSource::Plda(source) } else { ScoreSource::Cosine(source) }
    }
}

fn process(
    embeddings: Cow<'_, Embeddings>,
    backend: Option<&Backend>,
    centre: Option<&Centre>,
) -> ffsvc_scoring::Result<Embeddings> {
    match (backend, centre) {
        (Some(backend), centre) => backend.process(&embeddings, centre),
        (None, Some(centre)) => centre.subtract(&embeddings),
        (None, None) => Ok(embeddings.into_owned()),
    }
}
