//! Fitting a PLDA to a domain of which there are unlabelled embeddings only.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::Plda;
use super::covariance::{excess, mean_and_covariance, power};
use crate::{Error, Result};

/// How a PLDA is fitted to unlabelled embeddings of another domain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "method")]
pub enum Adaptation {
    /// Correlation alignment: both covariances are transformed by `C_in^1/2 C_out^-1/2`, so that the total covariance
    /// is the domain's. See Sun et al., "Return of frustratingly easy domain adaptation", AAAI 2016. For PLDA see Alam
    /// et al., "Speaker verification in mismatched conditions with frustratingly easy domain adaptation", Odyssey 2018.
    Coral,
    /// CORAL+: each covariance grows by this share of the excess of its CORAL image, and never shrinks. See Lee et al.,
    /// "The CORAL+ algorithm for unsupervised domain adaptation of PLDA", ICASSP 2019.
    CoralPlus {
        /// The paper's gamma, 0 to 1.
        within_scale: f64,
        /// The paper's beta, 0 to 1.
        between_scale: f64,
    },
    /// What the domain's covariance has in excess of the model's total covariance is shared out between the two covariances
    /// (Kaldi's `ivector-adapt-plda`, `PldaUnsupervisedAdaptor`).
    Kaldi {
        /// Share of the excess that goes to the within-speaker covariance; Kaldi's default is 0.3.
        within_scale: f64,
        /// Share of the excess that goes to the between-speaker covariance; Kaldi's default is 0.7.
        between_scale: f64,
        /// How much of the outer product of the shift of the mean counts as covariance; Kaldi's default is 1.
        mean_shift_scale: f64,
    },
}

impl Adaptation {
    fn check(self) -> Result<()> {
        let (within, between, shift) = match self {
            Self::Coral => return Ok(()),
            Self::CoralPlus { within_scale, between_scale } => (within_scale, between_scale, 0.0),
            Self::Kaldi { within_scale, between_scale, mean_shift_scale } => {
                (within_scale, between_scale, mean_shift_scale)
            }
        };
        for (name, value) in [
            ("the within-speaker scale", within),
            ("the between-speaker scale", between),
            ("the scale of the mean's shift", shift),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::Option { name, value, expected: "0 or more" });
            }
        }
        Ok(())
    }
}

impl Plda {
    /// Adapts to the columns of `vectors`, processed as the training set was. The mean becomes theirs.
    pub(super) fn adapt(&mut self, vectors: &DMatrix<f64>, adaptation: Adaptation) -> Result<()> {
        adaptation.check()?;
        let (mean, mut domain) = mean_and_covariance(vectors);
        let (within, between) = self.matrices()?;
        let total = &within + &between;
        let singular = || Error::Singular { what: "a covariance of the PLDA" };
        let coral = || {
            let of_domain = power(&domain, 0.5)
                .ok_or(Error::TooFewToAdapt { utterances: vectors.ncols(), dim: vectors.nrows() })?;
            let carry = of_domain * power(&total, -0.5).ok_or_else(singular)?;
            Ok::<_, Error>((&carry * &within * carry.transpose(), &carry * &between * carry.transpose()))
        };
        let (within, between) = match adaptation {
            Adaptation::Coral => coral()?,
            Adaptation::CoralPlus { within_scale, between_scale } => {
                let (within_image, between_image) = coral()?;
                let more_within = excess(&within, &within_image).ok_or_else(singular)?;
                let more_between = excess(&between, &between_image).ok_or_else(singular)?;
                (within + within_scale * more_within, between + between_scale * more_between)
            }
            Adaptation::Kaldi { within_scale, between_scale, mean_shift_scale } => {
                let shift = &mean - &self.mean;
                domain += mean_shift_scale * &shift * shift.transpose();
                let more = excess(&total, &domain).ok_or_else(singular)?;
                (within + within_scale * &more, between + between_scale * more)
            }
        };
        *self = Self::from_matrices(mean, &within, &between)?;
        Ok(())
    }
}
