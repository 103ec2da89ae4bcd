//! Error rates of a verification system: EER, minDCF and the DET curve they are read from.
//!
//! # Conventions
//! A trial is accepted when `score >= threshold`. The miss rate `p_miss` is the share of target trials that
//! are rejected, the false-alarm rate `p_fa` the share of non-target trials that are accepted. Scores of
//! `-0.0` and `0.0` are equal; infinities are ordinary scores; NaN is an [error](crate::Error::NanScore).
//!
//! # Two definitions
//! [`Definition::Tied`] (the default) is the textbook one. All trials with the same score change sides
//! together, so they make one operating point; the points are joined by straight lines (which is what deciding
//! ties by lot achieves); the EER is where that line meets `p_miss = p_fa`. It depends on nothing but the
//! scores' ranks: neither the order of the trials nor a monotone map of the scores changes it. minDCF is the
//! least cost over the operating points, "accept all" and "reject all" among them, so it never exceeds 1.
//!
//! [`Definition::Compat`] is the FFSVC2022 baseline's (`tools/utils.py`: `compute_det_curve`, `compute_eer`,
//! `ComputeMinDcf`): every score is an operating point of its own, tied targets before tied non-targets, and
//! the EER is the mean of both rates where they differ least. Its thresholds mean `score > threshold`.
//!
//! | scores | `Tied` | `Compat` |
//! | --- | --- | --- |
//! | separable | EER 0, threshold = lowest target | EER 0, threshold = highest non-target |
//! | every target below every non-target | EER 1, ROCCH-EER 0.5, minDCF 1 | EER 1, minDCF 1 |
//! | all scores identical | EER 0.5, minDCF 1 | EER 1, minDCF 1 |
//! | no target, or no non-target trial | error | EER NaN, minDCF `C_fa (1-P)` over the normaliser |
//! | no trial | error | error |
//!
//! Everything here sorts once, O(N log N), and then walks the sorted scores without further memory.
//!
//! ```
//! use ffsvc_scoring::metrics::{DcfParameters, DetCurve};
//!
//! let curve = DetCurve::new(&[0.9_f32, 0.8, 0.4], &[0.5_f32, 0.1, 0.0, -0.2])?;
//! assert!((curve.eer().rate - 0.25).abs() < 1e-12);
//! let dcf = curve.min_dcf(&DcfParameters::new(0.01, 1.0, 1.0)?);
//! assert!((dcf.cost - 1.0 / 3.0).abs() < 1e-12); // accept from 0.8 up: one of three targets is lost
//! assert_eq!(dcf.threshold, f64::from(0.8_f32));
//! # Ok::<(), ffsvc_scoring::Error>(())
//! ```

mod compat;
mod dcf;
mod det;
mod rocch;

pub use compat::{CompatCurve, CompatPoints};
pub use dcf::{DcfParameters, MinDcf};
pub use det::{DetCurve, Eer, OperatingPoint, OperatingPoints};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Which definition of the error rates is meant; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Definition {
    /// Equal scores are one operating point, the crossing is interpolated.
    #[default]
    Tied,
    /// The FFSVC2022 baseline's arithmetic.
    Compat,
}

/// EER and minDCF of one set of scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The definition that the numbers follow.
    pub definition: Definition,
    /// Equal error rate, 0 to 1.
    #[serde(with = "crate::non_finite")]
    pub eer: f64,
    /// Score at which the EER is met.
    #[serde(with = "crate::non_finite")]
    pub eer_threshold: f64,
    /// Equal error rate on the ROC's convex hull, 0 to 0.5; only with [`Definition::Tied`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rocch_eer: Option<f64>,
    /// One minimum for each set of costs asked for, in that order.
    pub min_dcf: Vec<MinDcf>,
}

/// Computes EER and every minDCF asked for.
///
/// # Errors
/// A NaN score; no trial at all; with [`Definition::Tied`] also a missing class.
pub fn evaluate<T: Copy + Into<f64> + Sync>(
    target: &[T],
    nontarget: &[T],
    definition: Definition,
    costs: &[DcfParameters],
) -> Result<Metrics, Error> {
    match definition {
        Definition::Tied => {
            let curve = DetCurve::new(target, nontarget)?;
            let eer = curve.eer();
            Ok(Metrics {
                definition,
                eer: eer.rate,
                eer_threshold: eer.threshold,
                rocch_eer: Some(curve.rocch_eer()),
                min_dcf: costs.iter().map(|c| curve.min_dcf(c)).collect(),
            })
        }
        Definition::Compat => {
            let curve = CompatCurve::new(target, nontarget)?;
            let eer = curve.eer();
            Ok(Metrics {
                definition,
                eer: eer.rate,
                eer_threshold: eer.threshold,
                rocch_eer: None,
                min_dcf: costs.iter().map(|c| curve.min_dcf(c)).collect(),
            })
        }
    }
}
