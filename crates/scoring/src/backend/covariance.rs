//! Covariance matrices: estimated from embeddings of speakers, and what is computed from them.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::TrainingSet;

/// Within-speaker and total covariance of a training set, as Kaldi's `ivector-compute-lda` has them.
#[derive(Debug, Clone)]
pub(super) struct Covariances {
    /// About the mean of all utterances, divided by their number. `[dim, dim]`
    pub(super) total: DMatrix<f64>,
    /// About each speaker's mean, divided by utterances less speakers. `[dim, dim]`
    pub(super) within: DMatrix<f64>,
}

impl Covariances {
    /// `vectors` are the training set's, processed and centred, a column each.
    pub(super) fn of(set: &TrainingSet, vectors: &DMatrix<f64>) -> Self {
        let count = vectors.ncols() as f64;
        let speakers = set.speakers();
        let scatter = vectors * vectors.transpose();
        let mut between = DMatrix::zeros(vectors.nrows(), vectors.nrows());
        for members in speakers {
            let mean = mean_of(vectors, members);
            between.syger(members.len() as f64, &mean, &mean, 1.0);
        }
        fill_upper(&mut between);
        let within = (&scatter - between) / (count - speakers.len() as f64);
        Self { total: scatter / count, within }
    }
}

/// The mean of some columns.
pub(super) fn mean_of(vectors: &DMatrix<f64>, columns: &[usize]) -> DVector<f64> {
    let mut mean = DVector::zeros(vectors.nrows());
    for &column in columns {
        mean += vectors.column(column);
    }
    mean / columns.len() as f64
}

/// Mean and covariance (divided by the number of columns) of all columns.
pub(crate) fn mean_and_covariance(vectors: &DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
    let mean = vectors.column_mean();
    let mut centred = vectors.clone();
    for mut column in centred.column_iter_mut() {
        column -= &mean;
    }
    let covariance = &centred * centred.transpose() / vectors.ncols() as f64;
    (mean, covariance)
}

/// Copies the lower triangle, which is all that `syger` updates, to the upper.
pub(super) fn fill_upper(matrix: &mut DMatrix<f64>) {
    matrix.fill_upper_triangle_with_lower_triangle();
}

/// Eigenvalues in descending order and their vectors, a column each; of the two signs of a vector, the one that makes its
/// largest component positive.
pub(crate) fn eigen(symmetric: &DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
    let decomposed = SymmetricEigen::new((symmetric + symmetric.transpose()) * 0.5);
    let values = &decomposed.eigenvalues;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut vectors = decomposed.eigenvectors.select_columns(&order);
    for mut column in vectors.column_iter_mut() {
        if column[column.iamax()] < 0.0 {
            column.neg_mut();
        }
    }
    (DVector::from_iterator(order.len(), order.iter().map(|&at| values[at])), vectors)
}

/// A matrix `T` with `T covariance T' = I`; eigenvalues below `floor` times the largest count as that much.
/// `None` if no eigenvalue is positive or one is not a number.
pub(super) fn normalising_transform(covariance: &DMatrix<f64>, floor: f64) -> Option<DMatrix<f64>> {
    let (values, vectors) = eigen(covariance);
    let least = floor * values.get(0)?;
    if !(least > 0.0 && values.iter().all(|value| value.is_finite())) {
        return None;
    }
    let mut transform = vectors.transpose();
    for (mut row, &value) in transform.row_iter_mut().zip(values.iter()) {
        row /= value.max(least).sqrt();
    }
    Some(transform)
}

/// The symmetric square root of a covariance, or with `exponent` -0.5 its inverse; `None` if an eigenvalue is less than
/// `1e-12` of the largest.
pub(super) fn power(covariance: &DMatrix<f64>, exponent: f64) -> Option<DMatrix<f64>> {
    let (values, vectors) = eigen(covariance);
    let (largest, least) = (*values.get(0)?, values[values.len() - 1]);
    if !(largest > 0.0 && least > 1e-12 * largest) {
        return None;
    }
    let scaled = &vectors * DMatrix::from_diagonal(&values.map(|value| value.powf(exponent)));
    Some(scaled * vectors.transpose())
}

/// The part of the covariance `seen` that `reference` does not account for: in coordinates in which `reference` is the
/// identity and `seen` diagonal, what the diagonal has above 1, brought back. `None` as for [`normalising_transform`].
pub(super) fn excess(reference: &DMatrix<f64>, seen: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let normalise = normalising_transform(reference, 1e-10)?;
    let (values, vectors) = eigen(&(&normalise * seen * normalise.transpose()));
    let back = normalise.try_inverse()? * vectors;
    let above = DMatrix::from_diagonal(&values.map(|value| (value - 1.0).max(0.0)));
    Some(&back * above * back.transpose())
}
