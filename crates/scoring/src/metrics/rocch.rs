//! The convex hull of the ROC: the operating points that are optimal for some prior.

use super::OperatingPoint;

/// The lower-left hull of the points in the (p_fa, p_miss) plane, in their order.
///
/// The points must come by rising threshold, that is by falling `p_fa` and rising `p_miss` (Andrew's monotone
/// chain without its sort).
pub(super) fn hull(points: impl Iterator<Item = OperatingPoint>) -> Vec<OperatingPoint> {
    let mut hull: Vec<OperatingPoint> = Vec::new();
    for point in points {
        while let [.., a, b] = hull.as_slice() {
            // b stays only if it lies strictly below the line from a to the new point.
            let cross =
                (b.p_fa - a.p_fa) * (point.p_miss - a.p_miss) - (b.p_miss - a.p_miss) * (point.p_fa - a.p_fa);
            if cross < 0.0 {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// Where the hull crosses `p_miss = p_fa`.
pub(super) fn eer(hull: &[OperatingPoint]) -> f64 {
    for pair in hull.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (before, after) = (a.p_miss - a.p_fa, b.p_miss - b.p_fa);
        if after >= 0.0 {
            let share = -before / (after - before);
            return a.p_miss + share * (b.p_miss - a.p_miss);
        }
    }
    // Unreachable for a hull: it ends at p_miss 1, p_fa 0.
    0.5
}
