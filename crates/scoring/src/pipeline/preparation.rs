//! What embeddings go through before they are compared: means, a back end, averages of enrolled speakers.

use std::path::Path;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;

use super::{EnrolAverage, PipelineOptions, Store};
use crate::backend::Backend;
use crate::origins::Origins;
use crate::remark::{Remark, RemarkKind};
use crate::report::{EmbeddingSource, Preparation, ScoreSource, SourceFile};
use crate::{Centre, EnrolledEmbeddings, EnrolmentList, Error, Result, Scorer, mean_embedding};

/// The embeddings of a run, ready to be compared.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) test: Store,
    /// Of the enrolment side, if they differ from the test side's.
    pub(super) enrolment: Option<Store>,
    /// Still to be subtracted: a single mean needs no second copy of the embeddings.
    pub(super) mean: Option<Vec<f64>>,
    enrolment_centre: Option<Centre>,
    pub(super) backend: Option<Backend>,
    /// Averages of enrolled speakers; they replace the enrolment side.
    pub(super) models: Option<EnrolledEmbeddings>,
    /// Enrolled speakers, and what is averaged over their utterances.
    pub(super) enrolled: Option<(EnrolmentList, EnrolAverage)>,
    /// What else went into it.
    files: Preparation,
    /// Of the stores and the back end.
    pub(super) origins: Origins,
}

impl Prepared {
    pub(super) fn open(options: &PipelineOptions, remarks: &mut Vec<Remark>) -> Result<Self> {
        let test = Store::open(&options.embeddings)?;
        let enrolment = options.enrol_embeddings.as_deref().map(Store::open).transpose()?;
        // The test store itself is often the one whose mean is subtracted; it need not be read twice.
        let other = options.mean_subtract.as_deref().filter(|path| *path != options.embeddings);
        let other = other.map(Store::open).transpose()?;
        let of_mean = options.mean_subtract.as_ref().map(|_| other.as_ref().unwrap_or(&test));
        let of_enrolment_mean = options.enrol_mean_subtract.as_deref().map(Store::open).transpose()?;
        let mut origins = Origins::default();
        for store in
            [Some(&test), enrolment.as_ref(), of_mean, of_enrolment_mean.as_ref()].into_iter().flatten()
        {
            origins.add(store.name(), store.embeddings().provenance());
        }
        for store in of_mean.into_iter().chain(&of_enrolment_mean) {
            remarks.extend(store.zeros(RemarkKind::ZeroInMean, None));
        }

        let mut prepared = if needs_only_a_mean(options) {
            let mean = of_mean.map(|store| mean_embedding(store.embeddings())).transpose()?;
            Self::as_they_are(test, enrolment, mean)
        } else {
            let backend = options.backend.as_ref().map(Backend::read).transpose()?;
            if let (Some(backend), Some(path)) = (&backend, &options.backend) {
                origins.add(&path.display().to_string(), backend.provenance());
            }
            let domains = options.utt2domain.as_ref().map(Table::read).transpose()?;
            let centre = |store: &Store| match &domains {
                None => Centre::global(store.embeddings()),
                Some(domains) => Centre::by_domain(store.embeddings(), domains.clone()),
            };
            let test_centre = of_mean.map(centre).transpose()?;
            let own_centre = of_enrolment_mean.as_ref().map(centre).transpose()?;
            let processed = |store: &Store, centre: Option<&Centre>| {
                store.process(|embeddings| process(embeddings, backend.as_ref(), centre))
            };
            let enrolment = match (&enrolment, &own_centre) {
                (None, None) => None,
                (side, own) => {
                    Some(processed(side.as_ref().unwrap_or(&test), own.as_ref().or(test_centre.as_ref()))?)
                }
            };
            let test = match (&backend, &test_centre) {
                (None, None) => test,
                (_, centre) => processed(&test, centre.as_ref())?,
            };
            let enrolment_centre = own_centre.or(test_centre);
            let files = Preparation {
                backend: options.backend.as_ref().map(SourceFile::identify).transpose()?,
                enrol_mean_subtracted: options.enrol_mean_subtract.as_deref().map(shown),
                utt2domain: domains.as_ref().map(SourceFile::of_table),
                ..Preparation::default()
            };
            Self { enrolment_centre, backend, files, ..Self::as_they_are(test, enrolment, None) }
        };
        if let Some(path) = &options.enrolment {
            prepared.enrol(path, options)?;
        }
        prepared.origins = origins;
        Ok(prepared)
    }

    fn as_they_are(test: Store, enrolment: Option<Store>, mean: Option<Vec<f64>>) -> Self {
        let (enrolment_centre, backend, models, enrolled, files, origins) = Default::default();
        Self { test, enrolment, mean, enrolment_centre, backend, models, enrolled, files, origins }
    }

    /// Averages what is to be averaged over the utterances of enrolled speakers.
    fn enrol(&mut self, path: &Path, options: &PipelineOptions) -> Result<()> {
        let default = if self.has_plda() { EnrolAverage::Embeddings } else { EnrolAverage::Directions };
        let average = options.enrol_average.unwrap_or(default);
        if self.has_plda() && average == EnrolAverage::Directions {
            return Err(Error::DirectionsWithPlda);
        }
        let table = Table::read(path)?;
        self.files.enrolment = Some(SourceFile::of_table(&table));
        self.files.enrol_average = Some(average);
        let list = EnrolmentList::new(table)?;
        if average != EnrolAverage::Scores {
            let single = self.enrolment.as_ref().unwrap_or(&self.test).embeddings();
            self.models =
                Some(list.average(single, average == EnrolAverage::Directions, options.skip_missing)?);
        }
        self.enrolled = Some((list, average));
        Ok(())
    }

    pub(super) fn has_plda(&self) -> bool {
        self.backend.as_ref().is_some_and(|backend| backend.plda().is_some())
    }

    /// What becomes of a cohort's embeddings, but for the subtraction of the single mean.
    pub(super) fn process_cohort(&self, cohort: Store) -> Result<Store> {
        match (&self.backend, &self.enrolment_centre) {
            (None, None) => Ok(cohort),
            (backend, centre) => {
                cohort.process(|embeddings| process(embeddings, backend.as_ref(), centre.as_ref()))
            }
        }
    }

    /// The utterances that a scorer compared.
    pub(super) fn used<'a>(&'a self, scorer: &'a Scorer<'_>) -> impl Iterator<Item = &'a str> {
        let (enrolment_rows, test_rows) = scorer.rows_used();
        let name = |embeddings: &'a Embeddings, row: u32| embeddings.keys()[row as usize].as_str();
        let of_test = test_rows.iter().map(move |&row| name(self.test.embeddings(), row));
        let enrolment = self.enrolment.as_ref().unwrap_or(&self.test).embeddings();
        let single = if self.models.is_some() { &[][..] } else { enrolment_rows };
        let of_enrolment = single.iter().map(move |&row| name(enrolment, row));
        let of_models = self.models.iter().flat_map(|models| models.members.iter().map(String::as_str));
        of_test.chain(of_enrolment).chain(of_models)
    }

    /// What was remarkable about the embeddings that a scorer compared.
    pub(super) fn remarks(&self, scorer: &Scorer<'_>) -> Vec<Remark> {
        let (enrolment_rows, test_rows) = scorer.rows_used();
        let enrolment = self.enrolment.as_ref().unwrap_or(&self.test);
        let mut of_enrolment: Vec<u32> = match &self.models {
            None => enrolment_rows.to_vec(),
            Some(models) => {
                let row = |name: &String| enrolment.embeddings().index_of(name).map(|row| row as u32);
                models.members.iter().filter_map(row).collect()
            }
        };
        let mut of_test = test_rows.to_vec();
        if self.enrolment.is_none() {
            // One store: one remark.
            of_test.append(&mut of_enrolment);
            of_test.sort_unstable();
            of_test.dedup();
        }
        let zeros = |store: &Store, rows: &[u32]| store.zeros(RemarkKind::ZeroInTrials, Some(rows));
        zeros(&self.test, &of_test).into_iter().chain(zeros(enrolment, &of_enrolment)).collect()
    }

    /// What the report says about it.
    pub(super) fn source(&self, options: &PipelineOptions) -> ScoreSource {
        let source = EmbeddingSource {
            embeddings: shown(&options.embeddings),
            enrol_embeddings: options.enrol_embeddings.as_deref().map(shown),
            mean_subtracted: options.mean_subtract.as_deref().map(shown),
            preparation: self.files.clone(),
        };
        if self.has_plda() { ScoreSource::Plda(source) } else { ScoreSource::Cosine(source) }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Whether nothing is asked for but, perhaps, the subtraction of one mean, so that no embedding has to be copied.
fn needs_only_a_mean(options: &PipelineOptions) -> bool {
    options.backend.is_none()
        && options.enrol_mean_subtract.is_none()
        && options.utt2domain.is_none()
        && options.enrolment.is_none()
}

fn process(
    embeddings: &Embeddings,
    backend: Option<&Backend>,
    centre: Option<&Centre>,
) -> Result<Embeddings> {
    match (backend, centre) {
        (Some(backend), centre) => backend.process(embeddings, centre),
        (None, Some(centre)) => centre.subtract(embeddings),
        (None, None) => Ok(embeddings.clone()),
    }
}
