//! Trials to scores, by the cosine or by PLDA: what lists in memory and lists that are streamed have in common.

mod cosines;
mod log_likelihood_ratios;
mod models;
mod places;

use std::collections::{HashMap, HashSet};

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{NameList, Trials};

use self::cosines::Cosines;
use self::log_likelihood_ratios::LogLikelihoodRatios;
use self::models::Models;
use self::places::Places;
use crate::backend::Backend;
use crate::cosine::Side;
use crate::enrolment::EnrolmentList;
use crate::names::{NameFinder, Pair};
use crate::norm::Cohort;
use crate::{Error, Result, TrialScores};

/// Scores trials by the cosine of their embeddings, normalised by a cohort if there is one, or by a PLDA.
///
/// Each embedding that occurs is prepared once. For the cosine it is centred, normalised to length 1 (in `f64`, kept as
/// `f32`) and compared with the cohort. For PLDA it is projected. A trial then costs a dot product. The cosine of a
/// zero vector with anything is 0. The results depend neither on the number of threads nor on what is scored in the
/// same run.
#[derive(Debug)]
pub struct Scorer<'a> {
    test: Places<'a>,
    /// `None` if it is the same as `test`.
    enrolment: Option<Places<'a>>,
    comparison: Comparison<'a>,
    /// Enrolled speakers whose scores are averaged; they are what the enrolment side of a trial names.
    models: Option<Models<'a>>,
    /// The list of enrolled speakers, if the enrolment side of a trial names one.
    model_list: Option<String>,
}

#[derive(Debug)]
enum Comparison<'a> {
    Cosine(Cosines<'a>),
    Plda(LogLikelihoodRatios<'a>),
}

/// The scores of a trial list in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ListScores {
    /// One score for each trial; each is an `f32`'s value.
    pub scores: TrialScores,
    /// How many utterance names were found only by adding or removing a `.wav` suffix (of two stores, in the one with
    /// more of them).
    pub matched_by_suffix: usize,
}

impl<'a> Scorer<'a> {
    /// Cosines of the embeddings of two sides. Pass the same [`Side`] twice unless enrolment and test come from different
    /// stores or have different means.
    ///
    /// # Errors
    /// The sides or the cohort differ in dimension, or a mean in length.
    pub fn new(enrolment: Side<'a>, test: Side<'a>, cohort: Option<&'a Cohort>) -> Result<Self> {
        Self::with_cohorts(enrolment, test, cohort.map_or(&[], std::slice::from_ref))
    }

    /// The same with a cohort for each domain, and the place of the domain of each embedding of the two stores. The scores of an
    /// utterance are compared with those that it has with the cohort of the other side's domain.
    ///
    /// # Errors
    /// As [`new`](Self::new); a domain without cohort, or an embedding without domain.
    pub fn by_domain(
        (enrolment, enrolment_domains): (Side<'a>, &'a [u32]),
        (test, test_domains): (Side<'a>, &'a [u32]),
        cohorts: &'a [Cohort],
    ) -> Result<Self> {
        for (side, domains) in [(enrolment, enrolment_domains), (test, test_domains)] {
            let (found, expected) = (domains.len(), side.embeddings.len());
            if found != expected {
                return Err(Error::Dimension { what: "domains of embeddings", found, expected });
            }
            if let Some(domain) =
                domains.iter().map(|&domain| domain as usize).find(|&domain| domain >= cohorts.len())
            {
                let (found, expected) = (domain, cohorts.len());
                return Err(Error::Dimension { what: "the place of a domain", found, expected });
            }
        }
        let mut scorer = Self::with_cohorts(enrolment, test, cohorts)?;
        if let Comparison::Cosine(cosines) = &mut scorer.comparison {
            cosines.set_domains(enrolment_domains, test_domains);
        }
        Ok(scorer)
    }

    fn with_cohorts(enrolment: Side<'a>, test: Side<'a>, cohorts: &'a [Cohort]) -> Result<Self> {
        enrolment.check()?;
        test.check()?;
        check_dim("the enrolment embeddings", enrolment.embeddings, test.embeddings)?;
        let expected = test.embeddings.dim();
        if let Some(found) = cohorts.iter().map(Cohort::dim).find(|&found| found != expected)
            && !test.embeddings.is_empty()
        {
            return Err(Error::Dimension { what: "the cohort's embeddings", found, expected });
        }
        let one_side = enrolment.is(&test);
        Ok(Self {
            test: Places::new(test.embeddings),
            enrolment: (!one_side).then(|| Places::new(enrolment.embeddings)),
            comparison: Comparison::Cosine(Cosines::new((!one_side).then_some(enrolment), test, cohorts)),
            models: None,
            model_list: None,
        })
    }

    /// Log-likelihood ratios of vectors that [`Backend::process`] made, by the back end's PLDA. `enrolled_with` says of how many
    /// utterances an enrolment vector is the average (1 for a name that it does not hold, and for all without it).
    ///
    /// # Errors
    /// The back end has no PLDA, or vectors of another dimension.
    pub fn plda(
        backend: &'a Backend,
        enrolment: &'a Embeddings,
        enrolled_with: Option<&'a HashMap<String, u32>>,
        test: &'a Embeddings,
    ) -> Result<Self> {
        Ok(Self {
            test: Places::new(test),
            // An utterance is prepared in two ways, also if both sides have one store.
            enrolment: Some(Places::new(enrolment)),
            comparison: Comparison::Plda(LogLikelihoodRatios::new(backend, enrolment, enrolled_with, test)?),
            models: None,
            model_list: None,
        })
    }

    /// Makes the enrolment side of a trial a model of `list`: its score is the average over the model's utterances.
    ///
    /// # Errors
    /// Utterances of the models have no embedding, unless `skip_missing` says to leave out these models.
    pub fn with_models(mut self, list: &'a EnrolmentList, skip_missing: bool) -> Result<Self> {
        let enrolment = self.enrolment.as_ref().unwrap_or(&self.test).embeddings();
        self.models = Some(Models::new(list, enrolment, skip_missing)?);
        Ok(self.naming_models_of(list))
    }

    /// Says that the enrolment side of a trial names a model of `list`, for messages.
    pub(crate) fn naming_models_of(mut self, list: &EnrolmentList) -> Self {
        self.model_list = Some(list.path().display().to_string());
        self
    }

    /// Scores every trial of a list, on all threads.
    ///
    /// # Errors
    /// Utterances have no embedding, unless `skip_missing` says to leave their trials without score; an utterance has no
    /// spread among its cohort scores.
    pub fn score_trials(&mut self, trials: &Trials, skip_missing: bool) -> Result<ListScores> {
        let finder = self.name_finder();
        let mut rows = vec![(None, None); trials.names.len()];
        for &(a, b) in &trials.pairs {
            let (a, b) = (a as usize, b as usize);
            rows[a].0.get_or_insert_with(|| finder.enrolment(&trials.names[a]));
            rows[b].1.get_or_insert_with(|| finder.test(&trials.names[b]));
        }
        let enrolment_row = |id: u32| rows[id as usize].0.flatten();
        let test_row = |id: u32| rows[id as usize].1.flatten();

        let mut skipped = Vec::new();
        let mut pairs = Vec::with_capacity(trials.len());
        for (place, &(a, b)) in trials.pairs.iter().enumerate() {
            match (enrolment_row(a), test_row(b)) {
                (Some(a), Some(b)) => pairs.push((a, b)),
                _ => skipped.push(place),
            }
        }
        if !skipped.is_empty() && !skip_missing {
            let mut missing = Missing::default();
            for &place in &skipped {
                let (a, b) = trials.pairs[place];
                let sides = [(self.has_models(), a, enrolment_row(a)), (false, b, test_row(b))];
                for (is_model, id, _) in sides.into_iter().filter(|(.., row)| row.is_none()) {
                    missing.push(is_model, trials.names[id as usize].clone());
                }
            }
            return Err(self.refuse(missing, skipped.len(), trials.len()));
        }
        let matched_by_suffix = finder.by_suffix();
        self.mark(&mut pairs);
        self.prepare_marked()?;
        let mut scored = self.scores(&pairs).into_iter().map(f64::from);
        let mut next_skipped = skipped.iter().peekable();
        let values = (0..trials.len())
            .map(|place| match next_skipped.next_if_eq(&&place) {
                Some(_) => f64::NAN,
                None => scored.next().unwrap_or(f64::NAN),
            })
            .collect();
        Ok(ListScores { scores: TrialScores::new(trials, values, skipped)?, matched_by_suffix })
    }

    /// Whether the enrolment side of a trial names a model.
    pub(crate) fn has_models(&self) -> bool {
        self.model_list.is_some()
    }

    /// Whether both sides are of one store, so that equal rows are one utterance.
    pub(crate) fn has_one_store(&self) -> bool {
        let enrolment = self.enrolment.as_ref().unwrap_or(&self.test);
        self.models.is_none() && std::ptr::eq(enrolment.embeddings(), self.test.embeddings())
    }

    /// Finds what trials name.
    pub(crate) fn name_finder(&self) -> NameFinder<'a> {
        let test = self.test.embeddings();
        match &self.models {
            Some(models) => NameFinder::of_models(models.numbers(), test),
            None => NameFinder::of_stores(self.enrolment.as_ref().map_or(test, Places::embeddings), test),
        }
    }

    /// Why trials cannot be scored.
    pub(crate) fn refuse(&self, missing: Missing, trials: usize, of: usize) -> Error {
        match &self.model_list {
            Some(list) if missing.models.total() > 0 => {
                Error::UnknownModels { list: list.clone(), models: missing.models }
            }
            _ => Error::MissingEmbeddings { trials, of, utterances: missing.utterances },
        }
    }

    /// Replaces rows of the stores by the places that they have, or will have, among the prepared ones.
    pub(crate) fn mark(&mut self, pairs: &mut [Pair]) {
        let Self { test, enrolment, models, .. } = self;
        match (models, enrolment) {
            (None, None) => pairs.iter_mut().for_each(|(a, b)| (*a, *b) = (test.place(*a), test.place(*b))),
            (None, Some(enrolment)) => {
                pairs.iter_mut().for_each(|(a, b)| (*a, *b) = (enrolment.place(*a), test.place(*b)));
            }
            (Some(models), enrolment) => {
                for (model, b) in pairs {
                    models.mark(*model, enrolment.as_mut().unwrap_or(test));
                    *b = test.place(*b);
                }
            }
        }
    }

    /// Prepares what was [marked](Self::mark) since the last time.
    ///
    /// # Errors
    /// An utterance has no spread among its cohort scores.
    pub(crate) fn prepare_marked(&mut self) -> Result<()> {
        let enrolment = self.enrolment.as_ref().map_or(&[][..], Places::asked_for);
        let test = self.test.asked_for();
        match &mut self.comparison {
            Comparison::Cosine(cosines) => cosines.prepare(enrolment, test),
            Comparison::Plda(ratios) => {
                ratios.prepare(enrolment, test);
                Ok(())
            }
        }
    }

    /// The scores of [marked](Self::mark) pairs, which must be prepared.
    pub(crate) fn scores(&self, pairs: &[Pair]) -> Vec<f32> {
        match &self.models {
            None => self.scores_of_utterances(pairs),
            Some(models) => models.average(pairs, |pairs| self.scores_of_utterances(pairs)),
        }
    }

    fn scores_of_utterances(&self, pairs: &[Pair]) -> Vec<f32> {
        match &self.comparison {
            Comparison::Cosine(cosines) => cosines.scores(pairs),
            Comparison::Plda(ratios) => ratios.scores(pairs),
        }
    }

    /// What a pair of rows (or a model and a row) is called.
    pub(crate) fn names_of_rows(&self, enrolment: u32, test: u32) -> String {
        let key = |places: &Places<'a>, row: u32| places.embeddings().keys()[row as usize].as_str();
        let enrolment = match &self.models {
            Some(models) => models.name(enrolment),
            None => key(self.enrolment.as_ref().unwrap_or(&self.test), enrolment),
        };
        format!("{enrolment} {}", key(&self.test, test))
    }

    /// The utterances that were compared: rows of the enrolment store (empty if it is the test store), and of the test store.
    pub(crate) fn rows_used(&self) -> (&[u32], &[u32]) {
        (self.enrolment.as_ref().map_or(&[][..], Places::asked_for), self.test.asked_for())
    }

    /// The names of the places of a side, in their order: the enrolment side's (`None` if the test side's serve), the test
    /// side's.
    pub(crate) fn place_names(&self) -> (Option<Vec<String>>, Vec<String>) {
        let of_enrolment = match (&self.models, &self.enrolment) {
            (Some(models), _) => Some(models.names()),
            (None, Some(enrolment)) => Some(enrolment.names()),
            (None, None) => None,
        };
        (of_enrolment, self.test.names())
    }
}

fn check_dim(what: &'static str, side: &Embeddings, test: &Embeddings) -> Result<()> {
    let (found, expected) = (side.dim(), test.dim());
    if found != expected && !side.is_empty() && !test.is_empty() {
        return Err(Error::Dimension { what, found, expected });
    }
    Ok(())
}

/// Names of the trials that the stores, or the enrolment list, do not have; each once.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    seen: HashSet<(bool, String)>,
    utterances: NameList,
    models: NameList,
}

impl Missing {
    pub(crate) fn push(&mut self, is_model: bool, name: String) {
        if self.seen.insert((is_model, name.clone())) {
            let list = if is_model { &mut self.models } else { &mut self.utterances };
            list.push(|| name);
        }
    }
}
