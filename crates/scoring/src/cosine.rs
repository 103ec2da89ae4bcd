//! Cosine similarity: of two embeddings, and of every trial of a list.

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Trials;

use crate::dot::dot;
use crate::{Error, ListScores, Result, Scorer};

/// Cosine of the angle between two embeddings, -1 to 1; 0 if one of them is the zero vector.
///
/// Products and sums are in `f64`. The result is the exact cosine rounded to `f32`. Very long and very short `f32`
/// vectors do not overflow or vanish, as they do in the baseline (`1 - scipy.spatial.distance.cosine`). A value that is
/// NaN or infinite makes the cosine NaN.
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

    /// Whether a mean of this length can be subtracted from these embeddings.
    pub(crate) fn check(&self) -> Result<()> {
        let expected = self.embeddings.dim();
        match self.mean.map(<[f64]>::len) {
            Some(found) if found != expected && !self.embeddings.is_empty() => {
                Err(Error::Dimension { what: "the means to subtract", found, expected })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        let same_mean = match (self.mean, other.mean) {
            (None, None) => true,
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            _ => false,
        };
        std::ptr::eq(self.embeddings, other.embeddings) && same_mean
    }
}

/// Scores every trial by the cosine of its two embeddings, on all threads; the result does not depend on their number.
///
/// This is a [`Scorer`] without normalisation. Pass the same [`Side`] twice unless enrolment and test come from
/// different stores or have different means.
///
/// # Errors
/// The sides differ in dimension, or a mean in length; utterances have no embedding, unless `skip_missing` says to leave
/// their trials without score.
pub fn score_trials(
    trials: &Trials,
    enrolment: Side<'_>,
    test: Side<'_>,
    skip_missing: bool,
) -> Result<ListScores> {
    Scorer::new(enrolment, test, None)?.score_trials(trials, skip_missing)
}

/// Writes `embedding - mean` at length 1 into `row`; zero stays zero.
pub(crate) fn unit(embedding: &[f32], mean: Option<&[f64]>, row: &mut [f32]) {
    let centred = |i: usize| f64::from(embedding[i]) - mean.map_or(0.0, |mean| mean[i]);
    let norm = (0..row.len()).map(|i| centred(i) * centred(i)).sum::<f64>().sqrt();
    if norm > 0.0 {
        for (i, value) in row.iter_mut().enumerate() {
            *value = (centred(i) / norm) as f32;
        }
    }
}
