//! PLDA scores of prepared vectors.

use std::collections::HashMap;

use ffsvc_embeddings::Embeddings;
use rayon::prelude::*;

use crate::backend::{Backend, Comparison, EnrolledSpeaker, Plda, PldaLengthNorm};
use crate::names::Pair;
use crate::{Error, Result};

#[derive(Debug)]
pub(super) struct LogLikelihoodRatios<'a> {
    plda: &'a Plda,
    length_norm: PldaLengthNorm,
    enrolment: &'a Embeddings,
    enrolled_with: Option<&'a HashMap<String, u32>>,
    test: &'a Embeddings,
    /// A place each: of how many utterances a speaker's vector is the average, and what is compared.
    enrolled: Vec<(u32, EnrolledSpeaker)>,
    /// A place each: the vector and its distance from anybody.
    tested: Vec<(Vec<f64>, f64)>,
    /// One for each number of enrolment utterances that occurs.
    comparisons: HashMap<u32, Comparison>,
}

impl<'a> LogLikelihoodRatios<'a> {
    /// # Errors
    /// The back end has no PLDA, or vectors of another dimension.
    pub(super) fn new(
        backend: &'a Backend,
        enrolment: &'a Embeddings,
        enrolled_with: Option<&'a HashMap<String, u32>>,
        test: &'a Embeddings,
    ) -> Result<Self> {
        let (plda, options) = backend.plda().zip(backend.options().plda).ok_or(Error::NoPlda)?;
        for (what, store) in [("the enrolment vectors", enrolment), ("the test vectors", test)] {
            if !store.is_empty() && store.dim() != plda.dim() {
                return Err(Error::Dimension { what, found: store.dim(), expected: plda.dim() });
            }
        }
        let (enrolled, tested, comparisons) = Default::default();
        let length_norm = options.length_norm;
        Ok(Self { plda, length_norm, enrolment, enrolled_with, test, enrolled, tested, comparisons })
    }

    /// Projects the rows that are not prepared yet.
    pub(super) fn prepare(&mut self, enrolment: &[u32], test: &[u32]) {
        let project = |store: &Embeddings, row: u32, utterances: u32| {
            let row = &store.data()[row as usize * store.dim()..][..store.dim()];
            let vector: Vec<f64> = row.iter().copied().map(f64::from).collect();
            self.plda.project(&vector, utterances, self.length_norm)
        };
        let enrol = |&row: &u32| {
            let name = &self.enrolment.keys()[row as usize];
            let utterances = self.enrolled_with.and_then(|counts| counts.get(name)).copied().unwrap_or(1);
            (utterances, self.plda.enrol(&project(self.enrolment, row, utterances), utterances))
        };
        let enrolled: Vec<_> = enrolment[self.enrolled.len()..].par_iter().map(enrol).collect();
        let tested = test[self.tested.len()..].par_iter().map(|&row| {
            let vector = project(self.test, row, 1);
            let distance = self.plda.distance_from_anybody(&vector);
            (vector, distance)
        });
        let tested: Vec<_> = tested.collect();
        for (utterances, _) in &enrolled {
            self.comparisons.entry(*utterances).or_insert_with(|| self.plda.comparison(*utterances));
        }
        self.enrolled.extend(enrolled);
        self.tested.extend(tested);
    }

    pub(super) fn scores(&self, pairs: &[Pair]) -> Vec<f32> {
        let score = |&(a, b): &Pair| {
            let (utterances, speaker) = &self.enrolled[a as usize];
            let (vector, distance) = &self.tested[b as usize];
            self.comparisons[utterances].score(speaker, vector, *distance) as f32
        };
        pairs.par_iter().map(score).collect()
    }
}
