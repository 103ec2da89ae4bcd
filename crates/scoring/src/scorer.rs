//! Cosine scores of trials, normalised by a cohort if asked for: what lists in memory and streams have in common.

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Trials;
use rayon::prelude::*;

use crate::cosine::{CosineScores, Side, unit};
use crate::dot::dots;
use crate::error::NameList;
use crate::norm::{Cohort, CohortStatistics};
use crate::{Error, Result, TrialScores};

/// Trials that a thread scores at a time.
const TRIALS_TOGETHER: usize = 1024;

/// Rows that a thread prepares at a time.
const ROWS_TOGETHER: usize = 64;

const NOT_PREPARED: u32 = u32::MAX;

/// Scores trials by the cosine of their embeddings, normalised by a cohort if there is one.
///
/// Each embedding that occurs is centred and brought to length 1 once (in `f64`, kept as `f32`), and compared with the
/// cohort once, so a trial costs one dot product. A zero vector scores 0 against everything. The results depend
/// neither on the number of threads nor on what is scored in the same run.
#[derive(Debug)]
pub struct Scorer<'a> {
    test: Prepared<'a>,
    /// `None` if it is the same as `test`.
    enrolment: Option<Prepared<'a>>,
    cohort: Option<&'a Cohort>,
}

impl<'a> Scorer<'a> {
    /// A scorer for trials between these two sides. Pass the same [`Side`] twice unless enrolment and test come from different
    /// stores or have different means.
    ///
    /// # Errors
    /// The sides or the cohort differ in dimension, or a mean in length.
    pub fn new(enrolment: Side<'a>, test: Side<'a>, cohort: Option<&'a Cohort>) -> Result<Self> {
        enrolment.check()?;
        test.check()?;
        let expected = test.embeddings.dim();
        let others = [
            (
                "the enrolment embeddings",
                (!enrolment.embeddings.is_empty()).then(|| enrolment.embeddings.dim()),
            ),
            ("the cohort's embeddings", cohort.map(Cohort::dim)),
        ];
        for (what, found) in others {
            if let Some(found) = found.filter(|&found| found != expected && !test.embeddings.is_empty()) {
                return Err(Error::Dimension { what, found, expected });
            }
        }
        let one_side = enrolment.is(&test);
        Ok(Self {
            test: Prepared::new(test),
            enrolment: (!one_side).then(|| Prepared::new(enrolment)),
            cohort,
        })
    }

    /// Scores every trial of a list.
    ///
    /// # Errors
    /// Utterances have no embedding, unless `skip_missing` says to leave their trials without score; an utterance has no
    /// spread among its cohort scores.
    pub fn score_trials(&mut self, trials: &Trials, skip_missing: bool) -> Result<CosineScores> {
        let row =
            |side: Side<'a>| trials.resolve(|name| side.embeddings.index_of(name).map(|row| row as u32));
        let test_rows = row(self.test.side);
        let enrolment_rows = self.enrolment.as_ref().map(|enrolment| row(enrolment.side));
        let matched_by_suffix =
            test_rows.by_suffix.max(enrolment_rows.as_ref().map_or(0, |rows| rows.by_suffix));
        let test_rows = test_rows.values;
        let enrolment_rows = enrolment_rows.map_or_else(|| test_rows.clone(), |rows| rows.values);

        let mut skipped = Vec::new();
        let mut pairs = Vec::with_capacity(trials.len());
        for (place, &(a, b)) in trials.pairs.iter().enumerate() {
            match (enrolment_rows[a as usize], test_rows[b as usize]) {
                (Some(a), Some(b)) => pairs.push((a, b)),
                _ => skipped.push(place),
            }
        }
        if !skipped.is_empty() && !skip_missing {
            let mut seen = vec![false; trials.names.len()];
            let mut utterances = NameList::default();
            for &place in &skipped {
                let (a, b) = trials.pairs[place];
                for (id, row) in [(a, enrolment_rows[a as usize]), (b, test_rows[b as usize])] {
                    if row.is_none() && !std::mem::replace(&mut seen[id as usize], true) {
                        utterances.push(|| trials.names[id as usize].clone());
                    }
                }
            }
            return Err(Error::MissingEmbeddings { trials: skipped.len(), of: trials.len(), utterances });
        }
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
        Ok(CosineScores { scores: TrialScores::new(trials, values, skipped)?, matched_by_suffix })
    }

    /// The stores of both sides: enrolment, if it is another one, and test.
    pub(crate) fn stores(&self) -> (Option<&'a Embeddings>, &'a Embeddings) {
        (self.enrolment.as_ref().map(|enrolment| enrolment.side.embeddings), self.test.side.embeddings)
    }

    /// Replaces rows of the two stores by the places that they have, or will have, among the prepared ones.
    pub(crate) fn mark(&mut self, pairs: &mut [(u32, u32)]) {
        let Self { test, enrolment, .. } = self;
        match enrolment {
            None => pairs.iter_mut().for_each(|(a, b)| (*a, *b) = (test.place(*a), test.place(*b))),
            Some(enrolment) => {
                pairs.iter_mut().for_each(|(a, b)| (*a, *b) = (enrolment.place(*a), test.place(*b)));
            }
        }
    }

    /// Prepares what was [marked](Self::mark) since the last time.
    ///
    /// # Errors
    /// An utterance has no spread among its cohort scores.
    pub(crate) fn prepare_marked(&mut self) -> Result<()> {
        if let Some(enrolment) = &mut self.enrolment {
            enrolment.prepare(self.cohort)?;
        }
        self.test.prepare(self.cohort)
    }

    /// The scores of [marked](Self::mark) pairs, which must be prepared.
    pub(crate) fn scores(&self, pairs: &[(u32, u32)]) -> Vec<f32> {
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
                *score = match self.cohort {
                    None => cosine as f32,
                    Some(cohort) => {
                        let (a, b) = (enrolment.statistics[a as usize], test.statistics[b as usize]);
                        cohort.norm().apply(cosine, a, b) as f32
                    }
                };
            }
        });
        scores
    }
}

/// The embeddings of a side that have been needed so far, centred and of length 1, in the order in which they were asked for.
#[derive(Debug)]
struct Prepared<'a> {
    side: Side<'a>,
    /// For each row of the store the place of the prepared one, [`NOT_PREPARED`] if it was never asked for.
    places: Vec<u32>,
    /// The store's rows in the order of their places.
    asked_for: Vec<u32>,
    /// `[places, dim]`. Room for the whole store is reserved, which costs nothing before it is used.
    rows: Vec<f32>,
    /// With a cohort: a place each.
    statistics: Vec<CohortStatistics>,
}

impl<'a> Prepared<'a> {
    fn new(side: Side<'a>) -> Self {
        let len = side.embeddings.len();
        Self {
            side,
            places: vec![NOT_PREPARED; len],
            asked_for: Vec::new(),
            rows: Vec::with_capacity(len * side.embeddings.dim()),
            statistics: Vec::new(),
        }
    }

    /// The place that the store's row has or will have.
    #[inline]
    fn place(&mut self, row: u32) -> u32 {
        let place = &mut self.places[row as usize];
        if *place == NOT_PREPARED {
            *place = self.asked_for.len() as u32;
            self.asked_for.push(row);
        }
        *place
    }

    fn prepare(&mut self, cohort: Option<&Cohort>) -> Result<()> {
        let Self { side, asked_for, rows, statistics, .. } = self;
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
        let Some(cohort) = cohort else { return Ok(()) };
        let found = cohort.statistics(&rows[done * dim..]);
        if let Some((&row, of)) = from.iter().zip(&found).find(|(_, of)| of.std.is_nan() || of.std <= 0.0) {
            let utterance = side.embeddings.keys()[row as usize].clone();
            return Err(Error::NoSpread { utterance, score: of.mean });
        }
        statistics.extend(found);
        Ok(())
    }
}
