//! The convex hull of the ROC: the operating points that are optimal for some prior. Its edges are the pools of
//! [`Pav`].

use super::operating_point::{OperatingPoint, Totals};
use crate::Pav;

/// The hull's vertices by rising threshold, from "accept all" to "reject all".
pub(super) fn vertices(pav: &Pav) -> impl Iterator<Item = OperatingPoint> + '_ {
    let (target, nontarget) = pav.counts();
    let totals = Totals { target, nontarget };
    let thresholds = pav.pools().iter().map(|pool| pool.low).chain([f64::INFINITY]);
    let mut below = (0, 0);
    let mut pools = pav.pools().iter();
    thresholds.map(move |threshold| {
        let point = totals.point(threshold, below.0, below.1);
        if let Some(pool) = pools.next() {
            below = (below.0 + pool.target, below.1 + pool.nontarget);
        }
        point
    })
}

/// Where the hull crosses `p_miss = p_fa`.
pub(super) fn eer(pav: &Pav) -> f64 {
    let mut last = OperatingPoint { threshold: f64::NEG_INFINITY, p_miss: 0.0, p_fa: 1.0 };
    for point in vertices(pav) {
        let (before, after) = (last.p_miss - last.p_fa, point.p_miss - point.p_fa);
        if after >= 0.0 {
            let share = -before / (after - before);
            return last.p_miss + share * (point.p_miss - last.p_miss);
        }
        last = point;
    }
    // Unreachable for a hull: it ends at p_miss 1, p_fa 0.
    0.5
}
