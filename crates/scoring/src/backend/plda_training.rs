//! Expectation maximisation for PLDA.

use nalgebra::{DMatrix, DVector};

use super::covariance::{fill_upper, mean_of};
use super::{Plda, TrainingSet};
use crate::{Error, Result};

/// Sufficient statistics of the training set.
struct Statistics {
    /// Sum over speakers of the scatter about their own mean. `[dim, dim]`
    scatter: DMatrix<f64>,
    /// Mean of a speaker less the mean of all speakers' means, and the speaker's number of utterances; ordered by that
    /// number, so that what depends on it alone is computed once for each.
    speakers: Vec<(usize, DVector<f64>)>,
    mean: DVector<f64>,
    utterances: usize,
}

impl Statistics {
    fn of(set: &TrainingSet, vectors: &DMatrix<f64>) -> Self {
        let dim = vectors.nrows();
        let mut scatter = vectors * vectors.transpose();
        let mut mean = DVector::zeros(dim);
        let mut speakers = Vec::new();
        for members in set.speakers() {
            let own = mean_of(vectors, members);
            scatter.syger(-(members.len() as f64), &own, &own, 1.0);
            mean += &own;
            speakers.push((members.len(), own));
        }
        fill_upper(&mut scatter);
        mean /= speakers.len() as f64;
        for (_, own) in &mut speakers {
            *own -= &mean;
        }
        speakers.sort_by_key(|&(utterances, _)| utterances);
        Self { scatter, speakers, mean, utterances: vectors.ncols() }
    }
}

impl Plda {
    /// Estimates the model by `iterations` of expectation maximisation from identity covariances, as Kaldi's
    /// `ivector-compute-plda` (`PldaEstimator`) does. The mean is that of the speakers' means, each speaker counting
    /// once. The covariances come from the scatter about them and the posterior of each speaker's `y`.
    ///
    /// `vectors` are the set's, processed, `[dim, utterances]`.
    pub(super) fn train(set: &TrainingSet, vectors: &DMatrix<f64>, iterations: usize) -> Result<Self> {
        let statistics = Statistics::of(set, vectors);
        let dim = vectors.nrows();
        let (mut within, mut between) = (DMatrix::identity(dim, dim), DMatrix::identity(dim, dim));
        for _ in 0..iterations {
            (within, between) = iterate(&statistics, within, between)?;
        }
        Self::from_matrices(statistics.mean, &within, &between)
    }
}

/// One iteration: new within- and between-speaker covariance.
fn iterate(
    statistics: &Statistics,
    within: DMatrix<f64>,
    between: DMatrix<f64>,
) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
    let dim = within.nrows();
    let inverse = |matrix: DMatrix<f64>, what| {
        matrix.cholesky().map(|cholesky| cholesky.inverse()).ok_or(Error::Singular { what })
    };
    let within_inverse = inverse(within, "the within-speaker covariance")?;
    let between_inverse = inverse(between, "the between-speaker covariance")?;
    let (mut within_sum, mut between_sum) = (statistics.scatter.clone(), DMatrix::zeros(dim, dim));
    for same in statistics.speakers.chunk_by(|(a, _), (b, _)| a == b) {
        let n = same[0].0 as f64;
        // Of a speaker with n utterances whose mean is m, y has the covariance `posterior` and the mean
        // `posterior n within^-1 m`.
        let posterior = inverse(&between_inverse + n * &within_inverse, "the posterior covariance")?;
        let gain = n * &posterior * &within_inverse;
        let mut means = DMatrix::zeros(dim, same.len());
        for (mut column, (_, mean)) in means.column_iter_mut().zip(same) {
            column.copy_from(mean);
        }
        let expected = gain * &means;
        means -= &expected;
        let count = same.len() as f64;
        between_sum += count * &posterior + &expected * expected.transpose();
        within_sum += n * (count * &posterior + &means * means.transpose());
    }
    // Kaldi counts the scatter as utterances less speakers, and each speaker's mean as one.
    Ok((within_sum / statistics.utterances as f64, between_sum / statistics.speakers.len() as f64))
}
