//! The cost of log-likelihood ratios.

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

use super::Interval;
use super::operating_point::{Tie, Totals};

/// Cost of the scores as natural logarithms of likelihood ratios, over all priors and costs at once, in bits. It is 0
/// for perfect scores, 1 for scores without information (all 0), and unbounded for wrong ones. See N. Brümmer and J. du
/// Preez, *Application-independent evaluation of speaker detection*, 2006.
///
/// `(mean over targets of log2(1 + exp(-score)) + mean over non-targets of log2(1 + exp(score))) / 2`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cllr {
    /// The cost of the scores as they are; infinite if a target scores `-inf` or a non-target `+inf`.
    #[serde(with = "crate::non_finite")]
    pub actual: f64,
    /// Its confidence interval, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actual_interval: Option<Interval>,
    /// The cost after the best monotone calibration (see [`Pav`](crate::Pav)), 0 to 1: what the scores' order alone
    /// costs. The difference to `actual` is what calibration can save.
    pub minimum: f64,
    /// Its confidence interval, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub minimum_interval: Option<Interval>,
}

/// The cost of the scores as they are.
pub(super) fn actual(ties: impl Iterator<Item = Tie>, totals: Totals) -> f64 {
    let (mut of_target, mut of_nontarget) = (0.0, 0.0);
    for tie in ties {
        // A weight of 0 would make an infinite cost NaN.
        if tie.target > 0 {
            of_target += tie.target as f64 * softplus(-tie.score);
        }
        if tie.nontarget > 0 {
            of_nontarget += tie.nontarget as f64 * softplus(tie.score);
        }
    }
    (of_target / totals.target as f64 + of_nontarget / totals.nontarget as f64) / (2.0 * LN_2)
}

/// `ln(1 + exp(x))` without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
