//! From files of embeddings and a trial list to scores: one way for the cosine and for PLDA.
//!
//! ```text
//! PipelineOptions -> Pipeline::open     stores, means, back end, enrolled speakers, cohort: read and prepared
//!                    Pipeline::score    trial list -> Scorer -> score files
//!                    Scored             what is left of the list
//!                    Scored::report     error rates, as a whole and by condition -> Report
//! ```

mod cohort;
mod options;
mod preparation;
mod store;

use std::io::Read;

use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::TrialReader;

use self::cohort::PreparedCohort;
pub use self::options::{CohortOptions, CohortSource, DomainExamples, EnrolAverage, PipelineOptions};
use self::preparation::Prepared;
use self::store::Store;
use crate::remark::Remark;
use crate::report::ScoreSource;
use crate::score_file::ScoreWriter;
use crate::scored::{Origin, Scored};
use crate::{Result, Scorer, Side, StreamOptions};

/// Embeddings that are ready to be compared, and how they are compared.
#[derive(Debug)]
pub struct Pipeline {
    prepared: Prepared,
    cohort: Option<PreparedCohort>,
    skip_missing: bool,
    source: ScoreSource,
    model: Option<Provenance>,
    remarks: Vec<Remark>,
}

impl Pipeline {
    /// Reads the files and prepares the embeddings.
    ///
    /// # Errors
    /// - A file cannot be read.
    /// - The stores are of different models or dimensions.
    /// - An utterance has no domain or no speaker, or an utterance of an enrolled speaker has no embedding.
    /// - Options do not go together.
    pub fn open(options: &PipelineOptions) -> Result<Self> {
        let mut remarks = Vec::new();
        let mut prepared = Prepared::open(options, &mut remarks)?;
        let mut origins = std::mem::take(&mut prepared.origins);
        let cohort = options
            .cohort
            .as_ref()
            .map(|cohort| {
                PreparedCohort::open(cohort, options.utt2spk.clone(), &prepared, &mut origins, &mut remarks)
            })
            .transpose()?;
        let (model, of_origins) = origins.check(options.allow_other_model)?;
        remarks.extend(of_origins);
        let source = prepared.source(options);
        Ok(Self { prepared, cohort, skip_missing: options.skip_missing, source, model, remarks })
    }

    /// What was remarkable about the stores.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Scores a trial list while it is read. Scores are written to `outputs`, which the caller
    /// [commits](ScoreWriter::commit). The trials are kept in memory if `keep_trials` says so: break-downs and confidence
    /// intervals need them.
    ///
    /// # Errors
    /// As [`Scorer::score_stream`].
    pub fn score<R: Read + Send>(
        &self,
        trials: TrialReader<R>,
        keep_trials: bool,
        outputs: &mut [ScoreWriter],
    ) -> Result<Scored> {
        let mut scorer = self.scorer()?;
        let options = StreamOptions::new().skipping_missing(self.skip_missing).keeping_trials(keep_trials);
        let found = scorer.score_stream(trials, options, outputs)?;
        let mut remarks = self.remarks.clone();
        remarks.extend(self.prepared.remarks(&scorer));
        if let Some(cohort) = &self.cohort {
            remarks.extend(cohort.remarks(&self.prepared, &scorer));
        }
        let origin = Origin {
            source: self.source.clone(),
            model: self.model.clone(),
            normalisation: self.cohort.as_ref().map(|cohort| cohort.normalisation.clone()),
            skip_missing: self.skip_missing,
        };
        Ok(Scored::streamed(found, origin, remarks))
    }

    /// The scorer of these embeddings.
    ///
    /// # Errors
    /// The embeddings of the sides or the cohort do not belong together.
    pub fn scorer(&self) -> Result<Scorer<'_>> {
        let Prepared { test, enrolment, mean, backend, models, enrolled, .. } = &self.prepared;
        let test = Side { embeddings: test.embeddings(), mean: mean.as_deref() };
        let single = enrolment.as_ref().map_or(test.embeddings, Store::embeddings);
        let enrolment = models.as_ref().map_or(single, |models| &models.embeddings);
        let scorer = match backend.as_ref().filter(|backend| backend.plda().is_some()) {
            Some(backend) => {
                let enrolled_with = models.as_ref().map(|models| &models.utterances);
                Scorer::plda(backend, enrolment, enrolled_with, test.embeddings)?
            }
            None => {
                let cohorts = self.cohort.as_ref().map_or(&[][..], |cohort| &cohort.cohorts);
                let enrolment = Side { embeddings: enrolment, ..test };
                match cohorts {
                    [] | [_] => Scorer::new(enrolment, test, cohorts.first())?,
                    _ => {
                        let domains = (self.prepared.enrolment_domains(), self.prepared.test.domains());
                        Scorer::by_domain((enrolment, domains.0), (test, domains.1), cohorts)?
                    }
                }
            }
        };
        match enrolled {
            None => Ok(scorer),
            Some((list, EnrolAverage::Scores)) => scorer.with_models(list, self.skip_missing),
            Some((list, _)) => Ok(scorer.naming_models_of(list)),
        }
    }
}
