//! PLDA scores of a trial list.

use std::collections::HashMap;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Trials;
use rayon::prelude::*;

use super::{Backend, Comparison, EnrolledSpeaker, Plda};
use crate::error::NameList;
use crate::{Error, Result, TrialScores};

/// The PLDA scores of a trial list.
#[derive(Debug, Clone, PartialEq)]
pub struct PldaScores {
    /// One log-likelihood ratio for each trial.
    pub scores: TrialScores,
    /// How many utterance names were found only by adding or removing a `.wav` suffix (of two stores, in the one with
    /// more of them).
    pub matched_by_suffix: usize,
}

/// Scores every trial by PLDA, on all threads; the result does not depend on their number.
///
/// Both stores hold what [`Backend::process`] made. `enrolled_with` says of how many utterances an enrolment vector is the average
/// (1 for a name that it does not hold, and for all without it).
///
/// # Errors
/// The back end has no PLDA, or vectors of another dimension; utterances have no embedding, unless `skip_missing` says to
/// leave their trials without score.
pub fn score_plda(
    trials: &Trials,
    backend: &Backend,
    enrolment: &Embeddings,
    enrolled_with: Option<&HashMap<String, u32>>,
    test: &Embeddings,
    skip_missing: bool,
) -> Result<PldaScores> {
    let (plda, options) = backend.plda().zip(backend.options().plda).ok_or(Error::NoPlda)?;
    for (what, store) in [("the enrolment vectors", enrolment), ("the test vectors", test)] {
        if !store.is_empty() && store.dim() != plda.dim() {
            return Err(Error::Dimension { what, found: store.dim(), expected: plda.dim() });
        }
    }
    let (mut as_enrolment, mut as_test) = (vec![false; trials.names.len()], vec![false; trials.names.len()]);
    for &(a, b) in &trials.pairs {
        as_enrolment[a as usize] = true;
        as_test[b as usize] = true;
    }
    let found_enrolment = trials.resolve(|name| enrolment.index_of(name));
    let found_test = trials.resolve(|name| test.get(name));
    let project = |vector: &[f32], utterances| {
        let vector: Vec<f64> = vector.iter().copied().map(f64::from).collect();
        plda.project(&vector, utterances, options.length_norm)
    };
    let enrolled: Vec<Option<(u32, EnrolledSpeaker)>> = (0..trials.names.len())
        .into_par_iter()
        .map(|id| {
            let row = found_enrolment.values[id].filter(|_| as_enrolment[id])?;
            // By the store's name for it, which may differ from the trials' by its suffix.
            let name = &enrolment.keys()[row];
            let utterances = enrolled_with.and_then(|counts| counts.get(name)).copied().unwrap_or(1);
            let vector = &enrolment.data()[row * enrolment.dim()..][..enrolment.dim()];
            Some((utterances, plda.enrol(&project(vector, utterances), utterances)))
        })
        .collect();
    let tested: Vec<Option<(Vec<f64>, f64)>> = (0..trials.names.len())
        .into_par_iter()
        .map(|id| {
            let vector = project(found_test.values[id].filter(|_| as_test[id])?, 1);
            let distance = plda.distance_from_anybody(&vector);
            Some((vector, distance))
        })
        .collect();
    refuse_missing(trials, &as_enrolment, &enrolled, &as_test, &tested, skip_missing)?;

    let comparisons = comparisons(plda, &enrolled);
    let values: Vec<f64> = trials
        .pairs
        .par_iter()
        .map(|&(a, b)| match (&enrolled[a as usize], &tested[b as usize]) {
            (Some((utterances, speaker)), Some((vector, distance))) => {
                comparisons[utterances].score(speaker, vector, *distance)
            }
            _ => f64::NAN,
        })
        .collect();
    let skipped = (0..values.len())
        .filter(|&place| {
            let (a, b) = trials.pairs[place];
            enrolled[a as usize].is_none() || tested[b as usize].is_none()
        })
        .collect();
    Ok(PldaScores {
        scores: TrialScores::new(trials, values, skipped)?,
        matched_by_suffix: found_enrolment.by_suffix.max(found_test.by_suffix),
    })
}

/// A comparison for every number of enrolment utterances that occurs.
fn comparisons(plda: &Plda, enrolled: &[Option<(u32, EnrolledSpeaker)>]) -> HashMap<u32, Comparison> {
    let mut comparisons = HashMap::new();
    for (utterances, _) in enrolled.iter().flatten() {
        comparisons.entry(*utterances).or_insert_with(|| plda.comparison(*utterances));
    }
    comparisons
}

fn refuse_missing<A, B>(
    trials: &Trials,
    as_enrolment: &[bool],
    enrolled: &[Option<A>],
    as_test: &[bool],
    tested: &[Option<B>],
    skip_missing: bool,
) -> Result<()> {
    if skip_missing {
        return Ok(());
    }
    let mut utterances = NameList::default();
    for (id, name) in trials.names.iter().enumerate() {
        if as_enrolment[id] && enrolled[id].is_none() || as_test[id] && tested[id].is_none() {
            utterances.push(|| name.clone());
        }
    }
    if utterances.total() == 0 {
        return Ok(());
    }
    let missing = |&&(a, b): &&(u32, u32)| enrolled[a as usize].is_none() || tested[b as usize].is_none();
    let affected = trials.pairs.iter().filter(missing).count();
    Err(Error::MissingEmbeddings { trials: affected, of: trials.pairs.len(), utterances })
}
