//! Probabilistic linear discriminant analysis, the two-covariance model.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::covariance::eigen;
use crate::{Error, Result};

/// Two-covariance PLDA: an embedding is `mean + y + e`, `y ~ N(0, between)` the same for all utterances of a speaker,
/// `e ~ N(0, within)` anew for each.
///
/// Kept as Kaldi keeps it (`ivector/plda.h`): a transform that makes the within-speaker covariance the identity and the
/// between-speaker covariance diagonal, and that diagonal, `psi`. Sources: Ioffe, "Probabilistic linear discriminant
/// analysis", ECCV 2006; Brümmer and de Villiers, "The speaker partitioning problem", Odyssey 2010.
#[derive(Debug, Clone, PartialEq)]
pub struct Plda {
    /// `[dim]`
    pub(super) mean: DVector<f64>,
    /// `[dim, dim]`
    pub(super) transform: DMatrix<f64>,
    /// Between-speaker variances in the transformed space, descending. `[dim]`
    pub(super) psi: DVector<f64>,
}

/// What is done to the length of an embedding in the space in which PLDA compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum PldaLengthNorm {
    /// Nothing: exact for data that follow the model.
    None,
    /// The squared length weighted by the inverse of the covariance that the model expects of an average of that many
    /// utterances becomes `dim`: Kaldi's `--normalize-length=true`.
    #[default]
    Expected,
    /// The length becomes `sqrt(dim)`: Kaldi's `--simple-length-norm=true`.
    Simple,
}

impl Plda {
    /// The model with this mean, `[dim]`, and these covariances, `[dim, dim]` each.
    ///
    /// # Errors
    /// The within-speaker covariance is not positive definite.
    ///
    /// # Panics
    /// The lengths do not belong together.
    pub fn from_covariances(mean: &[f64], within: &[f64], between: &[f64]) -> Result<Self> {
        let matrix = |values: &[f64]| DMatrix::from_row_slice(mean.len(), mean.len(), values);
        Self::from_matrices(DVector::from_column_slice(mean), &matrix(within), &matrix(between))
    }

    pub(super) fn from_matrices(
        mean: DVector<f64>,
        within: &DMatrix<f64>,
        between: &DMatrix<f64>,
    ) -> Result<Self> {
        let singular = || Error::Singular { what: "the within-speaker covariance" };
        let lower = within.clone().cholesky().ok_or_else(singular)?.unpack();
        let whiten =
            lower.solve_lower_triangular(&DMatrix::identity(mean.len(), mean.len())).ok_or_else(singular)?;
        let (psi, vectors) = eigen(&(&whiten * between * whiten.transpose()));
        if psi.iter().chain(whiten.iter()).any(|value| !value.is_finite()) {
            return Err(singular());
        }
        Ok(Self { mean, transform: vectors.transpose() * whiten, psi: psi.map(|value| value.max(0.0)) })
    }

    /// Length of the embeddings that it compares.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The mean of the speakers.
    pub fn mean(&self) -> &[f64] {
        self.mean.as_slice()
    }

    /// Within- and between-speaker covariance, in that order, `[dim, dim]` each.
    ///
    /// # Errors
    /// The transform cannot be inverted, which only a damaged file brings about.
    pub fn covariances(&self) -> Result<(Vec<f64>, Vec<f64>)> {
        // Symmetric: rows are columns.
        let (within, between) = self.matrices()?;
        Ok((within.as_slice().to_vec(), between.as_slice().to_vec()))
    }

    pub(super) fn matrices(&self) -> Result<(DMatrix<f64>, DMatrix<f64>)> {
        let singular = Error::Singular { what: "the transform of the PLDA" };
        let back = self.transform.clone().try_inverse().ok_or(singular)?;
        let between = &back * DMatrix::from_diagonal(&self.psi) * back.transpose();
        Ok((&back * back.transpose(), between))
    }

    /// Adds `factor` times the between-speaker covariance to the within-speaker covariance, for test data that vary more
    /// than the training data did (Kaldi's `Plda::SmoothWithinClassCovariance`).
    pub(super) fn smooth(&mut self, factor: f64) {
        for (at, psi) in self.psi.iter_mut().enumerate() {
            let within = 1.0 + factor * *psi;
            *psi /= within;
            self.transform.row_mut(at).scale_mut(within.sqrt().recip());
        }
    }

    /// Brings the average of `utterances` embeddings of a speaker into the space in which they are compared.
    ///
    /// # Panics
    /// The embedding is not [`dim`](Self::dim) long.
    pub fn project(&self, embedding: &[f64], utterances: u32, length: PldaLengthNorm) -> Vec<f64> {
        let mut projected = &self.transform * (DVector::from_column_slice(embedding) - &self.mean);
        let expected_square: f64 = match length {
            PldaLengthNorm::None => return projected.as_slice().to_vec(),
            PldaLengthNorm::Simple => projected.norm_squared(),
            PldaLengthNorm::Expected => {
                let variance = self.psi.iter().map(|psi| psi + f64::from(utterances).recip());
                projected.iter().zip(variance).map(|(x, variance)| x * x / variance).sum()
            }
        };
        if expected_square > 0.0 {
            projected *= (self.dim() as f64 / expected_square).sqrt();
        }
        projected.as_slice().to_vec()
    }

    /// What a speaker enrolled with the average `enrolment` of `utterances` utterances (as from [`project`](Self::project)) is compared by.
    pub fn enrol(&self, enrolment: &[f64], utterances: u32) -> EnrolledSpeaker {
        let n = f64::from(utterances);
        let shrink = self.psi.iter().map(|psi| n * psi / (n * psi + 1.0));
        EnrolledSpeaker { mean: enrolment.iter().zip(shrink).map(|(x, shrink)| x * shrink).collect() }
    }

    /// What is needed to compare with speakers who were enrolled with `utterances` utterances each.
    pub fn comparison(&self, utterances: u32) -> Comparison {
        let n = f64::from(utterances);
        let given: Vec<f64> = self.psi.iter().map(|psi| 1.0 + psi / (n * psi + 1.0)).collect();
        let alone = self.psi.iter().map(|psi| 1.0 + psi);
        let log_determinants = alone.zip(&given).map(|(alone, given)| alone.ln() - given.ln()).sum();
        Comparison { precisions: given.iter().map(|variance| variance.recip()).collect(), log_determinants }
    }

    /// `x' (within + between)^-1 x` of a test embedding that was [`project`](Self::project)ed.
    pub fn distance_from_anybody(&self, test: &[f64]) -> f64 {
        test.iter().zip(self.psi.iter()).map(|(x, psi)| x * x / (1.0 + psi)).sum()
    }

    /// Log-likelihood ratio of "the test utterance is of the enrolled speaker" to "of another one", natural logarithm
    /// (Kaldi's `Plda::LogLikelihoodRatio`), of vectors from [`project`](Self::project).
    pub fn log_likelihood_ratio(&self, enrolment: &[f64], utterances: u32, test: &[f64]) -> f64 {
        let enrolled = self.enrol(enrolment, utterances);
        self.comparison(utterances).score(&enrolled, test, self.distance_from_anybody(test))
    }
}

/// A speaker's mean as the model expects it after enrolment.
#[derive(Debug, Clone)]
pub struct EnrolledSpeaker {
    mean: Vec<f64>,
}

/// The variances of a test utterance around an enrolled speaker's mean; they depend on the number of utterances only.
#[derive(Debug, Clone)]
pub struct Comparison {
    precisions: Vec<f64>,
    log_determinants: f64,
}

impl Comparison {
    /// The log-likelihood ratio; `distance` is the test utterance's [`Plda::distance_from_anybody`].
    pub fn score(&self, enrolled: &EnrolledSpeaker, test: &[f64], distance: f64) -> f64 {
        // Four sums in a fixed order: the compiler may not reorder additions, and one sum would wait for itself.
        let mut sums = [0.0_f64; 4];
        let (means, precisions) = (enrolled.mean.chunks_exact(4), self.precisions.chunks_exact(4));
        let rest = means.remainder().iter().zip(precisions.remainder());
        for ((mean, precision), x) in means.zip(precisions).zip(test.chunks_exact(4)) {
            for lane in 0..4 {
                let difference = x[lane] - mean[lane];
                sums[lane] += difference * difference * precision[lane];
            }
        }
        let tail = &test[test.len() - test.len() % 4..];
        let rest: f64 = rest.zip(tail).map(|((mean, p), x)| (x - mean) * (x - mean) * p).sum();
        0.5 * (self.log_determinants + distance - (sums.iter().sum::<f64>() + rest))
    }
}
