//! Sums of a cluster's points that do not depend on the order of addition.

use pulp::Arch;
use rayon::prelude::*;

use crate::lanes::accumulate;
use crate::points::Points;

/// Rounds values to multiples of a step. The step is so fine that it does not change 32-bit values of the data's own
/// size. It is so coarse that a 64-bit sum of all points is exact. Exact sums are the same in any order, on any number
/// of threads. A point that leaves a cluster subtracts precisely what it added.
#[derive(Debug, Clone, Copy)]
struct Grid {
    /// `value + shift - shift` is the rounding, by the 53 bits of a double.
    shift: f64,
}

impl Grid {
    /// For sums of `count` values, none larger than `largest`.
    fn new(largest: f32, count: usize) -> Self {
        let largest = 2.0f64.powi(f64::from(largest.max(f32::MIN_POSITIVE)).log2().ceil() as i32);
        let bits = usize::BITS - count.leading_zeros();
        let step = largest * 2.0f64.powi(bits as i32 - 52);
        Self { shift: 1.5 * 2.0f64.powi(52) * step }
    }
}

/// The sum and number of points of each cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterSums {
    dim: usize,
    grid: Grid,
    sums: Vec<f64>,
    counts: Vec<usize>,
}

/// A point that goes from one cluster to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) point: u32,
    /// [`NOWHERE`] for a point that had no cluster.
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// The label of a point without a cluster.
pub(crate) const NOWHERE: u32 = u32::MAX;

impl ClusterSums {
    pub(crate) fn new(points: &Points, clusters: usize) -> Self {
        let dim = points.dim();
        let grid = Grid::new(points.largest(), points.len());
        Self { dim, grid, sums: vec![0.0; clusters * dim], counts: vec![0; clusters] }
    }

    pub(crate) fn counts(&self) -> &[usize] {
        &self.counts
    }

    pub(crate) fn sum(&self, cluster: usize) -> &[f64] {
        &self.sums[cluster * self.dim..][..self.dim]
    }

    /// Carries out the moves, each cluster's by one thread, and says which clusters they touch.
    pub(crate) fn apply(&mut self, points: &Points, moves: &[Move]) -> Vec<bool> {
        let clusters = self.counts.len();
        let mut starts = vec![0usize; clusters + 1];
        let ends = |m: &Move| [(m.from, false), (m.to, true)].into_iter().filter(|&(c, _)| c != NOWHERE);
        for (cluster, _) in moves.iter().flat_map(ends) {
            starts[cluster as usize + 1] += 1;
        }
        for cluster in 0..clusters {
            starts[cluster + 1] += starts[cluster];
        }
        let mut next = starts.clone();
        let mut events = vec![(0u32, false); starts[clusters]];
        for m in moves {
            for (cluster, add) in ends(m) {
                let place = &mut next[cluster as usize];
                events[*place] = (m.point, add);
                *place += 1;
            }
        }
        let (arch, shift) = (Arch::new(), self.grid.shift);
        let clusters = self.sums.par_chunks_exact_mut(self.dim).zip(&mut self.counts).enumerate();
        clusters
            .map(|(cluster, (sums, count))| {
                let events = &events[starts[cluster]..starts[cluster + 1]];
                for &(point, add) in events {
                    let sign = if add { 1.0 } else { -1.0 };
                    accumulate(arch, sums, points.row(point as usize), shift, sign);
                    *count = if add { *count + 1 } else { *count - 1 };
                }
                !events.is_empty()
            })
            .collect()
    }
}
