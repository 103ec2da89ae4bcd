//! Cosines of prepared embeddings, normalised by a cohort if there is one.

use rayon::prelude::*;

use crate::cosine::{Side, unit};
use crate::dot::dots;
use crate::names::Pair;
use crate::norm::{Cohort, CohortStatistics};
use crate::{Error, Result};

/// Trials that a thread scores at a time.
const TRIALS_TOGETHER: usize = 1024;

/// Rows that a thread prepares at a time.
const ROWS_TOGETHER: usize = 64;

#[derive(Debug)]
pub(super) struct Cosines<'a> {
    /// `None` if it is the same as `test`.
    enrolment: Option<Units<'a>>,
    test: Units<'a>,
    /// None, one, or one for each domain.
    cohorts: &'a [Cohort],
}

/// The embeddings of a side that have been needed so far, centred and of length 1, in the order of their places.
#[derive(Debug)]
struct Units<'a> {
    side: Side<'a>,
    /// `[places, dim]`. Room for the whole store is reserved, which costs nothing before it is used.
    rows: Vec<f32>,
    /// `[cohorts][places]`
    statistics: Vec<Vec<CohortStatistics>>,
    /// With several cohorts, the domain of each row of the store.
    domains: &'a [u32],
    /// With several cohorts, the domain of each place.
    of_places: Vec<u32>,
}

impl<'a> Cosines<'a> {
    pub(super) fn new(enrolment: Option<Side<'a>>, test: Side<'a>, cohorts: &'a [Cohort]) -> Self {
        Self { enrolment: enrolment.map(Units::new), test: Units::new(test), cohorts }
    }

    /// Says of which domain each row of the stores is: its cohort is for the utterances that the row is compared with.
    pub(super) fn set_domains(&mut self, enrolment: &'a [u32], test: &'a [u32]) {
        if let Some(units) = &mut self.enrolment {
            units.domains = enrolment;
        }
        self.test.domains = test;
    }

    /// Prepares the rows that are not prepared yet.
    ///
    /// # Errors
    /// An utterance has no spread among its cohort scores.
    pub(super) fn prepare(&mut self, enrolment: &[u32], test: &[u32]) -> Result<()> {
        if let Some(units) = &mut self.enrolment {
            units.prepare(enrolment, self.cohorts)?;
        }
        self.test.prepare(test, self.cohorts)
    }

    pub(super) fn scores(&self, pairs: &[Pair]) -> Vec<f32> {
        let test = &self.test;
        let enrolment = self.enrolment.as_ref().unwrap_or(test);
        let dim = test.side.embeddings.dim();
        let mut scores = vec![0.0; pairs.len()];
        let blocks = scores.par_chunks_mut(TRIALS_TOGETHER).zip(pairs.par_chunks(TRIALS_TOGETHER));
        blocks.for_each(|(scores, pairs)| {
            let mut products = [0.0; TRIALS_TOGETHER];
            dots(pairs, &enrolment.rows, &test.rows, dim, &mut products);
            for ((score, &product), &(a, b)) in scores.iter_mut().zip(&products).zip(pairs) {
                let cosine = product.clamp(-1.0, 1.0);
                *score = match self.cohorts.first() {
                    None => cosine as f32,
                    Some(cohort) => {
                        let (of_a, of_b) = (test.domain(b), enrolment.domain(a));
                        let (a, b) =
                            (enrolment.statistics[of_a][a as usize], test.statistics[of_b][b as usize]);
                        cohort.norm().apply(cosine, a, b) as f32
                    }
                };
            }
        });
        scores
    }
}

impl<'a> Units<'a> {
    fn new(side: Side<'a>) -> Self {
        Self {
            side,
            rows: Vec::with_capacity(side.embeddings.len() * side.embeddings.dim()),
            statistics: Vec::new(),
            domains: &[],
            of_places: Vec::new(),
        }
    }

    /// The cohort for what is compared with a place.
    fn domain(&self, place: u32) -> usize {
        self.of_places.get(place as usize).map_or(0, |&domain| domain as usize)
    }

    fn prepare(&mut self, asked_for: &[u32], cohorts: &[Cohort]) -> Result<()> {
        let Self { side, rows, statistics, domains, of_places } = self;
        let dim = side.embeddings.dim();
        if dim == 0 {
            return Ok(());
        }
        let (done, data) = (rows.len() / dim, side.embeddings.data());
        rows.resize(asked_for.len() * dim, 0.0);
        let (from, new) = (&asked_for[done..], &mut rows[done * dim..]);
        new.par_chunks_mut(ROWS_TOGETHER * dim).zip(from.par_chunks(ROWS_TOGETHER)).for_each(
            |(rows, from)| {
                for (row, &from) in rows.chunks_exact_mut(dim).zip(from) {
                    unit(&data[from as usize * dim..][..dim], side.mean, row);
                }
            },
        );
        of_places.extend(from.iter().filter_map(|&row| domains.get(row as usize)));
        statistics.resize(cohorts.len(), Vec::new());
        for (cohort, statistics) in cohorts.iter().zip(statistics) {
            let found = cohort.statistics(&rows[done * dim..]);
            if let Some((&row, of)) = from.iter().zip(&found).find(|(_, of)| of.std.is_nan() || of.std <= 0.0)
            {
                let utterance = side.embeddings.keys()[row as usize].clone();
                return Err(Error::NoSpread { utterance, score: of.mean });
            }
            statistics.extend(found);
        }
        Ok(())
    }
}
