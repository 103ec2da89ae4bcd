//! What embeddings go through before they are compared: means, a back end, averages of enrolled speakers.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Table, find_name};

use super::{EnrolAverage, PipelineOptions, Store};
use crate::backend::Backend;
use crate::domains::Domains;
use crate::origins::Origins;
use crate::remark::{Remark, RemarkKind};
use crate::report::{DomainSource, EmbeddingSource, Preparation, ScoreSource, SourceFile};
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
    /// The domain of each average, where there are domains.
    pub(super) model_domains: Vec<u32>,
    /// Examples of the domains, as they were read.
    pub(super) examples: Vec<Store>,
    /// Enrolled speakers, and what is averaged over their utterances.
    pub(super) enrolled: Option<(EnrolmentList, EnrolAverage)>,
    /// What else went into it.
    files: Preparation,
    /// Of the stores and the back end.
    pub(super) origins: Origins,
}

impl Prepared {
    pub(super) fn open(options: &PipelineOptions, remarks: &mut Vec<Remark>) -> Result<Self> {
        if !options.domains.is_empty() && options.mean_subtract.is_some() {
            return Err(Error::DomainsWithMean);
        }
        let mut test = Store::open(&options.embeddings)?;
        let mut enrolment = options.enrol_embeddings.as_deref().map(Store::open).transpose()?;
        let examples = options.domains.iter().map(|domain| Store::open(&domain.embeddings));
        let examples = examples.collect::<Result<Vec<_>>>()?;
        let table = options.utt2domain.as_ref().map(Table::read).transpose()?;
        let domains = of_examples(options, &examples, table.clone())?.map(Arc::new);
        if let Some(domains) = &domains {
            for store in enrolment.iter_mut().chain([&mut test]) {
                store.find_domains(domains)?;
            }
        }
        // The test store itself is often the one whose mean is subtracted; it need not be read twice.
        let other = options.mean_subtract.as_deref().filter(|path| *path != options.embeddings);
        let other = other.map(Store::open).transpose()?;
        let of_mean = options.mean_subtract.as_ref().map(|_| other.as_ref().unwrap_or(&test));
        let of_enrolment_mean = options.enrol_mean_subtract.as_deref().map(Store::open).transpose()?;
        let mut origins = Origins::default();
        for store in [Some(&test), enrolment.as_ref(), of_mean, of_enrolment_mean.as_ref()]
            .into_iter()
            .flatten()
            .chain(&examples)
        {
            origins.add(store.name(), store.embeddings().provenance());
        }
        for store in of_mean.into_iter().chain(&of_enrolment_mean).chain(&examples) {
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
            let centre = |store: &Store| match &table {
                None => Centre::global(store.embeddings()),
                Some(table) => Centre::by_domain(store.embeddings(), table.clone()),
            };
            let test_centre = of_mean.map(centre).transpose()?.or(domains.map(Centre::of_domains));
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
                utt2domain: table.as_ref().map(SourceFile::of_table),
                domains: domain_sources(options, enrolment.as_ref(), &test),
                ..Preparation::default()
            };
            Self { enrolment_centre, backend, files, examples, ..Self::as_they_are(test, enrolment, None) }
        };
        if let Some(path) = &options.enrolment {
            prepared.enrol(path, options)?;
        }
        prepared.origins = origins;
        Ok(prepared)
    }

    fn as_they_are(test: Store, enrolment: Option<Store>, mean: Option<Vec<f64>>) -> Self {
        let (enrolment_centre, backend, models, enrolled, examples) = Default::default();
        let (model_domains, files, origins) = Default::default();
        Self {
            test,
            enrolment,
            mean,
            enrolment_centre,
            backend,
            models,
            model_domains,
            enrolled,
            examples,
            files,
            origins,
        }
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
            let store = self.enrolment.as_ref().unwrap_or(&self.test);
            let normalise = average == EnrolAverage::Directions;
            let models = list.average(store.embeddings(), normalise, options.skip_missing)?;
            if !self.examples.is_empty() {
                self.model_domains = model_domains(&list, &models, store);
            }
            self.models = Some(models);
        }
        self.enrolled = Some((list, average));
        Ok(())
    }

    pub(super) fn has_plda(&self) -> bool {
        self.backend.as_ref().is_some_and(|backend| backend.plda().is_some())
    }

    /// What becomes of the examples of a domain when they are its cohort.
    pub(super) fn process_examples(&self, examples: &Store) -> Result<Store> {
        let centre = Centre::global(examples.embeddings())?;
        examples.process(|embeddings| process(embeddings, self.backend.as_ref(), Some(&centre)))
    }

    /// The place of the domain of each embedding of the enrolment side, where there are domains.
    pub(super) fn enrolment_domains(&self) -> &[u32] {
        match &self.models {
            Some(_) => &self.model_domains,
            None => self.enrolment.as_ref().unwrap_or(&self.test).domains(),
        }
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

fn of_examples(
    options: &PipelineOptions,
    examples: &[Store],
    utt2domain: Option<Table>,
) -> Result<Option<Domains>> {
    if examples.is_empty() {
        return Ok(None);
    }
    let named = options.domains.iter().zip(examples);
    let named: Vec<_> = named.map(|(domain, store)| (domain.name.as_str(), store.embeddings())).collect();
    Domains::of_examples(&named, utt2domain).map(Some)
}

/// What the report says about the domains.
fn domain_sources(options: &PipelineOptions, enrolment: Option<&Store>, test: &Store) -> Vec<DomainSource> {
    let count = |store: &Store, place| store.domains().iter().filter(|&&domain| domain == place).count();
    (0..)
        .zip(&options.domains)
        .map(|(place, domain)| DomainSource {
            name: domain.name.clone(),
            examples: shown(&domain.embeddings),
            enrolment: count(enrolment.unwrap_or(test), place),
            test: count(test, place),
        })
        .collect()
}

/// The domain that most utterances of each model are of; of equally many, the first.
fn model_domains(list: &EnrolmentList, models: &EnrolledEmbeddings, store: &Store) -> Vec<u32> {
    let of_model: HashMap<&str, u32> = list
        .iter()
        .map(|(model, utterances)| {
            let mut counts: HashMap<u32, usize> = HashMap::new();
            for row in utterances.filter_map(|name| find_name(name, |name| store.embeddings().index_of(name)))
            {
                *counts.entry(store.domains()[row.value]).or_default() += 1;
            }
            let most = counts.into_iter().max_by_key(|&(domain, count)| (count, Reverse(domain)));
            (model, most.map_or(0, |(domain, _)| domain))
        })
        .collect();
    models.embeddings.keys().iter().map(|model| of_model[model.as_str()]).collect()
}

/// Whether nothing is asked for but, perhaps, the subtraction of one mean, so that no embedding has to be copied.
fn needs_only_a_mean(options: &PipelineOptions) -> bool {
    options.backend.is_none()
        && options.domains.is_empty()
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
