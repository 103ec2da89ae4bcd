//! What embeddings themselves say about the quality of their recordings.

use ffsvc_embeddings::Embeddings;

use crate::cosine::unit;
use crate::{Cohort, Error, Result};

/// The length of each embedding, less `mean`, in the order of the store: short for recordings of which a network is not sure.
///
/// # Errors
/// The mean has another length than the embeddings.
pub fn embedding_lengths(embeddings: &Embeddings, mean: Option<&[f64]>) -> Result<Vec<f64>> {
    check_mean(embeddings, mean)?;
    let square = |(at, &value): (usize, &f32)| (f64::from(value) - mean.map_or(0.0, |mean| mean[at])).powi(2);
    Ok(embeddings
        .iter()
        .map(|(_, embedding)| embedding.iter().enumerate().map(square).sum::<f64>().sqrt())
        .collect())
}

/// The mean of each embedding's scores with the [nearest](Cohort::top) of a cohort, in the order of the store: high for
/// recordings that are near to everybody.
///
/// # Errors
/// The mean or the cohort has another dimension than the embeddings.
pub fn cohort_means(embeddings: &Embeddings, mean: Option<&[f64]>, cohort: &Cohort) -> Result<Vec<f64>> {
    check_mean(embeddings, mean)?;
    let dim = embeddings.dim();
    if dim != cohort.dim() {
        return Err(Error::Dimension { what: "the cohort's embeddings", found: cohort.dim(), expected: dim });
    }
    let mut rows = vec![0.0; embeddings.data().len()];
    for (row, (_, embedding)) in rows.chunks_exact_mut(dim.max(1)).zip(embeddings.iter()) {
        unit(embedding, mean, row);
    }
    Ok(cohort.statistics(&rows).into_iter().map(|statistics| statistics.mean).collect())
}

fn check_mean(embeddings: &Embeddings, mean: Option<&[f64]>) -> Result<()> {
    match mean.map(<[f64]>::len) {
        Some(found) if found != embeddings.dim() => {
            Err(Error::Dimension { what: "the means to subtract", found, expected: embeddings.dim() })
        }
        _ => Ok(()),
    }
}
