//! The miss rate at a false-alarm rate that may not be exceeded.

use serde::{Deserialize, Serialize};

use super::Interval;
use super::operating_point::OperatingPoint;

/// The least miss rate (FRR) among the operating points whose false-alarm rate (FAR) is at most a given one.
///
/// There is always such a point ("reject all"). Nothing is interpolated: what is promised is what the threshold did on these
/// trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MissAtFa {
    /// The false-alarm rate that was allowed.
    pub allowed_p_fa: f64,
    /// Miss rate at the operating point.
    pub p_miss: f64,
    /// Its confidence interval, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<Interval>,
    /// False-alarm rate at the operating point, at most the allowed one.
    pub p_fa: f64,
    /// Lowest threshold that keeps to the allowed rate; `+inf` if every trial must be rejected.
    #[serde(with = "crate::non_finite")]
    pub threshold: f64,
}

/// The first of the points, which come by rising threshold, that keeps to the rate.
pub(super) fn find(points: impl Iterator<Item = OperatingPoint>, allowed_p_fa: f64) -> MissAtFa {
    let reject_all = OperatingPoint { threshold: f64::INFINITY, p_miss: 1.0, p_fa: 0.0 };
    let OperatingPoint { threshold, p_miss, p_fa } =
        { points }.find(|point| point.p_fa <= allowed_p_fa).unwrap_or(reject_all);
    MissAtFa { allowed_p_fa, p_miss, interval: None, p_fa, threshold }
}
