//! The cohort by which scores are normalised.

use std::collections::HashSet;

use ffsvc_kaldi_io::Table;

use super::{CohortOptions, CohortSource, Prepared, Store};
use crate::origins::Origins;
use crate::remark::{Remark, RemarkKind};
use crate::report::{Normalisation, SourceFile};
use crate::{Cohort, Error, Result, Scorer, Side};

/// A cohort with what it was made from.
#[derive(Debug)]
pub(super) struct PreparedCohort {
    /// One, or one for each domain.
    pub(super) cohorts: Vec<Cohort>,
    pub(super) normalisation: Normalisation,
    utterances: HashSet<String>,
    utt2spk: Option<Table>,
    /// Speakers of the trials' utterances.
    trial_utt2spk: Option<Table>,
}

impl PreparedCohort {
    pub(super) fn open(
        options: &CohortOptions,
        trial_utt2spk: Option<Table>,
        prepared: &Prepared,
        origins: &mut Origins,
        remarks: &mut Vec<Remark>,
    ) -> Result<Self> {
        if prepared.has_plda() {
            return Err(Error::CohortWithPlda);
        }
        let utt2spk = options.utt2spk.as_ref().map(Table::read).transpose()?;
        let stores: Vec<Store> = match &options.source {
            CohortSource::Store(path) => {
                let store = Store::open(path)?;
                origins.add(store.name(), store.embeddings().provenance());
                remarks.extend(store.zeros(RemarkKind::ZeroInCohort, None));
                vec![prepared.process_cohort(store)?]
            }
            CohortSource::Domains if prepared.examples.is_empty() => return Err(Error::NoDomains),
            CohortSource::Domains => {
                let processed = prepared.examples.iter().map(|examples| prepared.process_examples(examples));
                processed.collect::<Result<_>>()?
            }
        };
        let cohort = |store: &Store| {
            let side = Side { embeddings: store.embeddings(), mean: prepared.mean.as_deref() };
            Cohort::new(options.norm, side, utt2spk.as_ref(), options.top)
        };
        let cohorts = stores.iter().map(cohort).collect::<Result<Vec<_>>>()?;
        let normalisation = Normalisation {
            norm: options.norm,
            cohort: stores.iter().map(Store::name).collect::<Vec<_>>().join(", "),
            cohort_utt2spk: utt2spk.as_ref().map(SourceFile::of_table),
            size: cohorts.iter().map(Cohort::size).sum(),
            top: cohorts.iter().map(Cohort::top).min().unwrap_or(0),
        };
        let keys = stores.iter().flat_map(|store| store.embeddings().keys());
        let utterances = keys.map(|name| stem(name).to_owned()).collect();
        Ok(Self { cohorts, normalisation, utterances, utt2spk, trial_utt2spk })
    }

    /// What the cohort has in common with the trials that a scorer scored: it should be of other speakers.
    pub(super) fn remarks(&self, prepared: &Prepared, scorer: &Scorer<'_>) -> Vec<Remark> {
        let mut seen = HashSet::new();
        let used = || prepared.used(scorer);
        let common = used().filter(|name| self.utterances.contains(stem(name)) && seen.insert(stem(name)));
        let utterances = Remark::about(
            RemarkKind::CohortUtterances,
            &common.collect(),
            "utterances of the trials are in the cohort, which should be of other speakers",
        );
        let speakers = self.utt2spk.as_ref().and_then(|of_cohort| {
            let members: HashSet<&str> =
                self.utterances.iter().filter_map(|name| of_cohort.find(name)).collect();
            let of_trials = self.trial_utt2spk.as_ref().unwrap_or(of_cohort);
            let mut seen = HashSet::new();
            let speaker = |name: &str| of_trials.find(name).filter(|speaker| members.contains(speaker));
            let common = used().filter_map(speaker).filter(|speaker| seen.insert(*speaker)).collect();
            let sentence = "speakers of the trials are in the cohort, which should be of others";
            Remark::about(RemarkKind::CohortSpeakers, &common, sentence)
        });
        utterances.into_iter().chain(speakers).map(|remark| remark.of(&self.normalisation.cohort)).collect()
    }
}

/// A name without its suffix `.wav`.
fn stem(name: &str) -> &str {
    name.strip_suffix(".wav").unwrap_or(name)
}
