//! Clusters without points.

use super::Centres;
use super::assign::Assignment;
use crate::distance::square_distances;
use crate::points::Points;
use crate::sums::{ClusterSums, Move};

/// Gives each empty cluster the point that is farthest from its centre (of equally far ones the first), unless that point
/// is alone in its cluster or lies on its centre. This lowers the inertia, so that the iterations still come to an end.
pub(super) fn reseed(
    points: &Points,
    centres: &Centres,
    assignment: &mut Assignment,
    sums: &mut ClusterSums,
    touched: &mut [bool],
) {
    let empty: Vec<usize> = (0..centres.len()).filter(|&cluster| sums.counts()[cluster] == 0).collect();
    if empty.is_empty() {
        return;
    }
    let distances = square_distances(points, centres, assignment.labels());
    let mut farthest: Vec<u32> = (0..points.len() as u32).collect();
    farthest.sort_by(|&a, &b| distances[b as usize].total_cmp(&distances[a as usize]).then(a.cmp(&b)));
    let mut candidates = farthest.into_iter().take_while(|&point| distances[point as usize] > 0.0);
    for cluster in empty {
        let Some(point) =
            candidates.find(|&point| sums.counts()[assignment.labels()[point as usize] as usize] > 1)
        else {
            return;
        };
        let from = assignment.labels()[point as usize];
        sums.apply(points, &[Move { point, from, to: cluster as u32 }]);
        assignment.relabel(point, cluster as u32);
        touched[from as usize] = true;
        touched[cluster] = true;
    }
}
