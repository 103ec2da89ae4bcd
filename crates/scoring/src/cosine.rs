//! Cosine similarity: of two embeddings, and of every trial of a list.

use std::borrow::Cow;

use ffsvc_kaldi_io::{Embeddings, Trials};
use rayon::prelude::*;

use crate::error::NameList;
use crate::{Error, Result, TrialScores};

/// Partial sums of a dot product. A fixed number in a fixed order: the same bits on every machine, and room for
/// the compiler to use vector instructions.
const LANES: usize = 8;

/// Cosine of the angle between two embeddings, -1 to 1; 0 if one of them is the zero vector.
///
/// Products and sums are in `f64`: neither very long nor very short `f32` vectors overflow or vanish, as they do in
/// the baseline (`1 - scipy.spatial.distance.cosine`), and the result is the exact cosine rounded to `f32`. A value
/// that is NaN or infinite makes it NaN.
///
/// ```
/// use ffsvc_scoring::cosine;
/// assert_eq!(cosine(&[1.0, 2.0], &[2.0, 4.0]), 1.0);
/// assert_eq!(cosine(&[1.0, 0.0], &[0.0, 3.0]), 0.0);
/// assert_eq!(cosine(&[1e30, 0.0], &[-1e30, 0.0]), -1.0);
/// ```
///
/// # Panics
/// The embeddings are not equally long.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "cosine of embeddings of different lengths");
    let norms = dot(a, a).sqrt() * dot(b, b).sqrt();
    if norms == 0.0 { 0.0 } else { (dot(a, b) / norms).clamp(-1.0, 1.0) as f32 }
}

/// The embeddings of one side of the trials, and what is subtracted from each before it is compared.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Embeddings by utterance.
    pub embeddings: &'a Embeddings,
    /// The centre of the domain, of length `dim` (see [`mean_embedding`](crate::mean_embedding)); `None` for the origin.
    pub mean: Option<&'a [f64]>,
}

impl<'a> Side<'a> {
    /// Embeddings as they are, nothing subtracted.
    pub fn new(embeddings: &'a Embeddings) -> Self {
        Self { embeddings, mean: None }
    }

    fn is(&self, other: &Self) -> bool {
        let same_mean = match (self.mean, other.mean) {
            (None, None) => true,
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            _ => false,
        };
        std::ptr::eq(self.embeddings, other.embeddings) && same_mean
    }
}

/// The cosines of a trial list.
#[derive(Debug, Clone, PartialEq)]
pub struct CosineScores {
    /// One score for each trial; each is an `f32`'s value.
    pub scores: TrialScores,
    /// How many utterance names were found only by adding or removing a `.wav` suffix (of two stores, in the one with
    /// more of them).
    pub matched_by_suffix: usize,
}

/// Scores every trial by the cosine of its two embeddings, on all threads; the result does not depend on their number.
///
/// Each embedding that occurs is centred and brought to length 1 once (in `f64`, kept as `f32`), so a trial costs one
/// dot product. A zero vector scores 0 against everything. Pass the same [`Side`] twice unless enrolment and
/// test come from different stores or have different means.
///
/// # Errors
/// The sides differ in dimension, or a mean in length; utterances have no embedding, unless `skip_missing` says to leave
/// their trials without score.
pub fn score_trials(
    trials: &Trials,
    enrolment: Side<'_>,
    test: Side<'_>,
    skip_missing: bool,
) -> Result<CosineScores> {
    if !enrolment.embeddings.is_empty() && !test.embeddings.is_empty() {
        let (found, expected) = (enrolment.embeddings.dim(), test.embeddings.dim());
        if found != expected {
            return Err(Error::Dimension { what: "the enrolment embeddings", found, expected });
        }
    }
    let one_side = enrolment.is(&test);
    let (mut as_enrolment, mut as_test) = (vec![false; trials.names.len()], vec![false; trials.names.len()]);
    for &(a, b) in &trials.pairs {
        as_enrolment[a as usize] = true;
        as_test[b as usize] = true;
    }
    if one_side {
        as_test.iter_mut().zip(&as_enrolment).for_each(|(test, &enrolment)| *test |= enrolment);
    }
    let test = UnitRows::new(trials, &as_test, test)?;
    let enrolment = if one_side {
        Cow::Borrowed(&test)
    } else {
        Cow::Owned(UnitRows::new(trials, &as_enrolment, enrolment)?)
    };

    let skipped = trials_without_embedding(trials, &enrolment, &test);
    if !skipped.is_empty() && !skip_missing {
        let mut utterances = NameList::default();
        for (id, name) in trials.names.iter().enumerate() {
            let missing = as_enrolment[id] && !enrolment.present[id] || as_test[id] && !test.present[id];
            if missing {
                utterances.push(|| name.clone());
            }
        }
        return Err(Error::MissingEmbeddings { trials: skipped.len(), of: trials.pairs.len(), utterances });
    }
    let values = trials
        .pairs
        .par_iter()
        .map(|&(a, b)| f64::from(dot(enrolment.row(a), test.row(b)).clamp(-1.0, 1.0) as f32))
        .collect();
    let matched_by_suffix = if one_side { test.by_suffix } else { enrolment.by_suffix.max(test.by_suffix) };
    Ok(CosineScores { scores: TrialScores::new(trials, values, skipped)?, matched_by_suffix })
}

fn trials_without_embedding(trials: &Trials, enrolment: &UnitRows, test: &UnitRows) -> Vec<usize> {
    let missing =
        |&(_, &(a, b)): &(usize, &(u32, u32))| !enrolment.present[a as usize] || !test.present[b as usize];
    trials.pairs.iter().enumerate().filter(missing).map(|(place, _)| place).collect()
}

/// Centred embeddings of length 1, a row for each name of the trials; names that are not used or have no embedding have a zero row.
#[derive(Debug, Clone)]
struct UnitRows {
    data: Vec<f32>,
    dim: usize,
    present: Vec<bool>,
    by_suffix: usize,
}

impl UnitRows {
    fn new(trials: &Trials, used: &[bool], side: Side<'_>) -> Result<Self> {
        let dim = side.embeddings.dim();
        let wrong = side.mean.map(<[f64]>::len).filter(|&found| found != dim);
        if let Some(found) = wrong.filter(|_| !side.embeddings.is_empty()) {
            return Err(Error::Dimension { what: "the means to subtract", found, expected: dim });
        }
        let resolved = trials.resolve(|name| side.embeddings.get(name));
        let mut data = vec![0.0; trials.names.len() * dim];
        let rows = data.par_chunks_exact_mut(dim.max(1));
        rows.zip(&resolved.values).zip(used).for_each(|((row, found), &used)| {
            if let (Some(embedding), true) = (found, used) {
                unit(embedding, side.mean, row);
            }
        });
        let present = resolved.values.iter().map(Option::is_some).collect();
        Ok(Self { data, dim, present, by_suffix: resolved.by_suffix })
    }

    fn row(&self, id: u32) -> &[f32] {
        let start = id as usize * self.dim;
        &self.data[start..start + self.dim]
    }
}

/// Writes `embedding - mean` at length 1 into `row`; zero stays zero.
fn unit(embedding: &[f32], mean: Option<&[f64]>, row: &mut [f32]) {
    let centred = |i: usize| f64::from(embedding[i]) - mean.map_or(0.0, |mean| mean[i]);
    let norm = (0..row.len()).map(|i| centred(i) * centred(i)).sum::<f64>().sqrt();
    if norm > 0.0 {
        for (i, value) in row.iter_mut().enumerate() {
            *value = (centred(i) / norm) as f32;
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f64 = rest.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}
