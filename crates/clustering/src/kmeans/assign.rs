//! The nearest centre of every point, without computing most of the distances.
//!
//! The bounds are those of [Yinyang K-means](https://proceedings.mlr.press/v37/ding15.html) (Ding et al., ICML 2015): for
//! each point one upper bound on the distance to its own centre and, for each group of centres, a lower bound on the
//! distance to the nearest of the group. By the triangle inequality a centre that moves by `s` changes no distance by more
//! than `s`. A group whose lower bound stays above the upper one needs no look; for the others the distances are computed
//! as matrix products of the points that are left. A margin for rounding makes the labels those of the plain algorithm
//! to the bit.

use pulp::Arch;
use rayon::prelude::*;

use super::Centres;
use crate::lanes::{Top, dot, least_difference, tops};
use crate::points::Points;
use crate::product::{Columns, LANES};
use crate::sums::{Move, NOWHERE};

/// Points that are worked on together. The more there are, the more of them look at the same group at once.
const BLOCK: usize = 4096;
/// Products with all centres that are held at once.
const PRODUCTS: usize = 1 << 18;

/// The label of every point and what is known of its distances.
pub(super) struct Assignment {
    labels: Vec<u32>,
    /// At least the distance to the own centre.
    upper: Vec<f32>,
    /// `[points, groups]`: a lower bound on the distance to the group's nearest centre other than the own one, plus what
    /// the group had moved in all when the bound was set. Subtracting what it has moved by now gives the bound of today
    /// without a write.
    lower: Vec<f32>,
    moved: Vec<f64>,
    /// Which centre is in which column.
    order: Vec<u32>,
    /// The column of each centre.
    column_of: Vec<u32>,
    /// Columns a group.
    group: usize,
    groups: usize,
    use_bounds: bool,
    arch: Arch,
}

/// What all blocks of one pass share.
struct Pass<'a> {
    points: &'a Points,
    centres: &'a Centres,
    columns: Columns,
    drift: &'a [f64],
    /// What each group has moved in all, rounded up.
    moved: Vec<f32>,
    /// Twice the largest error of a computed squared distance.
    margin: f32,
}

impl Assignment {
    pub(super) fn new(points: &Points, centres: &Centres, use_bounds: bool) -> Self {
        let clusters = centres.len();
        // Wider groups for more centres: the bounds take memory, and time to look at.
        let group = LANES * (clusters / 512 + 1).min(4);
        let order = centres.grouped_order(group);
        let mut column_of = vec![0; clusters];
        for (column, &centre) in order.iter().enumerate() {
            column_of[centre as usize] = column as u32;
        }
        let groups = clusters.div_ceil(group);
        let n = points.len();
        Self {
            labels: vec![NOWHERE; n],
            upper: vec![f32::INFINITY; n],
            // Below every distance: the first pass looks at all centres.
            lower: vec![f32::NEG_INFINITY; n * groups],
            moved: vec![0.0; groups],
            order,
            column_of,
            group,
            groups,
            use_bounds,
            arch: Arch::new(),
        }
    }

    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    pub(super) fn into_labels(self) -> Vec<u32> {
        self.labels
    }

    /// Gives a point another label; the next pass looks at all its distances.
    pub(super) fn relabel(&mut self, point: u32, label: u32) {
        let point = point as usize;
        self.labels[point] = label;
        self.upper[point] = f32::INFINITY;
        self.lower[point * self.groups..][..self.groups].fill(f32::NEG_INFINITY);
    }

    /// Finds the nearest centre of every point (of equally near ones the first), when each centre has moved by `drift`
    /// since the last pass. Returns the points whose label is another one now, in their order.
    pub(super) fn pass(&mut self, points: &Points, centres: &Centres, drift: &[f64]) -> Vec<Move> {
        let mut group_drift = vec![0.0f64; self.groups];
        for (&column, &drift) in self.column_of.iter().zip(drift) {
            let group = &mut group_drift[column as usize / self.group];
            *group = group.max(drift);
        }
        for (moved, drift) in self.moved.iter_mut().zip(group_drift) {
            *moved += drift;
        }
        // The centre of the longest row bounds all products; unit in the last place of 32 bits, once for each addition.
        let reach = points.square_norms().iter().fold(0.0f32, |a, &b| a.max(b)).sqrt()
            + centres
                .data()
                .chunks_exact(centres.dim())
                .map(|row| dot(self.arch, row, row))
                .fold(0.0, f32::max)
                .sqrt();
        let spent = self.moved.iter().copied().fold(0.0, f64::max) as f32;
        let ulps = (points.dim() + 16) as f32 * f32::EPSILON;
        let pass = Pass {
            points,
            centres,
            columns: Columns::new(centres.data(), centres.dim(), &self.order, self.group),
            drift,
            moved: self.moved.iter().map(|&moved| (moved as f32).next_up()).collect(),
            margin: 2.0 * ulps * reach * reach + 8.0 * f32::EPSILON * reach * (reach + spent),
        };
        let (block, groups) = (BLOCK, self.groups);
        let mut labels = std::mem::take(&mut self.labels);
        let mut upper = std::mem::take(&mut self.upper);
        let mut lower = std::mem::take(&mut self.lower);
        let blocks = labels
            .par_chunks_mut(block)
            .zip(upper.par_chunks_mut(block))
            .zip(lower.par_chunks_mut(block * groups))
            .enumerate();
        let moves: Vec<Vec<Move>> = blocks
            .map_init(Scratch::default, |scratch, (at, ((labels, upper), lower))| {
                self.block(&pass, scratch, at * block, labels, upper, lower)
            })
            .collect();
        (self.labels, self.upper, self.lower) = (labels, upper, lower);
        moves.concat()
    }

    /// One block of points, from point `first` on.
    fn block(
        &self,
        pass: &Pass<'_>,
        scratch: &mut Scratch,
        first: usize,
        labels: &mut [u32],
        upper: &mut [f32],
        lower: &mut [f32],
    ) -> Vec<Move> {
        let (groups, dim) = (self.groups, pass.points.dim());
        scratch.left.clear();
        for (at, upper) in upper.iter_mut().enumerate() {
            if labels[at] != NOWHERE {
                let label = labels[at] as usize;
                // Rounded up twice: the drift, and the sum.
                *upper = (*upper + (pass.drift[label] as f32).next_up()).next_up();
                let nearest_other = least_difference(self.arch, &lower[at * groups..][..groups], &pass.moved);
                if self.use_bounds {
                    if apart(*upper, nearest_other, pass.margin) {
                        continue;
                    }
                    let point = first + at;
                    let product = dot(self.arch, pass.points.row(point), pass.centres.row(label));
                    let half = pass.columns.half_norms()[self.column_of[label] as usize];
                    let square = pass.points.square_norms()[point] - 2.0 * (product - half);
                    *upper = upper.min((square.max(0.0) + pass.margin).sqrt());
                    if apart(*upper, nearest_other, pass.margin) {
                        continue;
                    }
                }
            }
            scratch.left.push(at as u32);
        }
        if scratch.left.is_empty() {
            return Vec::new();
        }
        let left = scratch.left.len();
        let whole = left == labels.len();
        if !whole {
            scratch.rows.clear();
            for &at in &scratch.left {
                scratch.rows.extend_from_slice(pass.points.row(first + at as usize));
            }
        }
        let rows = if whole { &pass.points.data()[first * dim..][..left * dim] } else { &scratch.rows };

        // Which of the points that are left have to look at which group.
        scratch.tops.clear();
        scratch.tops.resize(left * groups, UNKNOWN);
        let mut wanted = vec![Vec::new(); groups];
        for (place, &at) in scratch.left.iter().enumerate() {
            let at = at as usize;
            let own = self.column_of.get(labels[at] as usize).map(|&column| column as usize / self.group);
            for (group, wanted) in wanted.iter_mut().enumerate() {
                let bound = lower[at * groups + group] - pass.moved[group];
                if !self.use_bounds || own == Some(group) || !apart(upper[at], bound, pass.margin) {
                    wanted.push(place as u32);
                }
            }
        }
        let looks: usize = wanted.iter().map(Vec::len).sum();
        if looks * 4 >= left * groups * 3 {
            let columns = pass.columns.half_norms().len();
            let some = (PRODUCTS / columns).max(LANES);
            for (rows, out) in rows.chunks(some * dim).zip(scratch.tops.chunks_mut(some * groups)) {
                scratch.products.resize(rows.len() / dim * columns, 0.0);
                pass.columns.dot(rows, 0, columns, &mut scratch.products);
                tops(self.arch, &scratch.products, pass.columns.half_norms(), self.group, out);
            }
        } else {
            for (group, wanted) in wanted.iter().enumerate() {
                if !wanted.is_empty() {
                    let looks = Looks { rows, left, group, wanted };
                    self.look(pass, &looks, &mut scratch.some, &mut scratch.products, &mut scratch.tops);
                }
            }
        }

        let mut moves = Vec::new();
        for (place, &at) in scratch.left.iter().enumerate() {
            let at = at as usize;
            let tops = &scratch.tops[place * groups..][..groups];
            let (label, nearest, home) = self.nearest(tops, &rows[place * dim..][..dim], pass);
            let norm = pass.points.square_norms()[first + at];
            upper[at] = (square_distance(norm, nearest).max(0.0) + pass.margin).sqrt();
            for (group, top) in tops.iter().enumerate() {
                if top.best.is_nan() {
                    continue;
                }
                let other = if group == home { top.second } else { top.best };
                let square = square_distance(norm, other);
                let bound = if square > pass.margin { (square - pass.margin).sqrt() } else { 0.0 };
                lower[at * groups + group] = (bound + pass.moved[group].next_down()).next_down();
            }
            if labels[at] != label {
                moves.push(Move { point: (first + at) as u32, from: labels[at], to: label });
                labels[at] = label;
            }
        }
        moves
    }

    /// The tops of one group for the points that have to look at it.
    fn look(
        &self,
        pass: &Pass<'_>,
        looks: &Looks<'_>,
        some: &mut Vec<f32>,
        products: &mut Vec<f32>,
        out: &mut [Top],
    ) {
        let &Looks { rows, left, group, wanted } = looks;
        let (dim, first) = (pass.points.dim(), group * self.group);
        let rows = if wanted.len() == left {
            rows
        } else {
            some.clear();
            for &place in wanted {
                some.extend_from_slice(&rows[place as usize * dim..][..dim]);
            }
            some
        };
        products.resize(wanted.len() * self.group, 0.0);
        pass.columns.dot(rows, first, self.group, products);
        let half_norms = &pass.columns.half_norms()[first..][..self.group];
        let mut found = vec![UNKNOWN; wanted.len()];
        tops(self.arch, products, half_norms, self.group, &mut found);
        for (&place, top) in wanted.iter().zip(found) {
            out[place as usize * self.groups + group] = top;
        }
    }

    /// The nearest centre by the groups that were looked at, its score, and its group.
    fn nearest(&self, tops: &[Top], row: &[f32], pass: &Pass<'_>) -> (u32, f32, usize) {
        let mut home = usize::MAX;
        let mut best = f32::NEG_INFINITY;
        let mut tie = false;
        for (group, top) in tops.iter().enumerate() {
            if top.best > best || home == usize::MAX && !top.best.is_nan() {
                (home, best, tie) = (group, top.best, top.second == top.best);
            } else if top.best == best {
                tie = true;
            }
        }
        let column = home * self.group + tops[home].at as usize;
        if !tie {
            return (self.order[column], best, home);
        }
        // Equally near centres: the first in the order of the centres, as the plain algorithm has it. A centre as
        // near as the nearest is in a group that was looked at.
        let half_norms = pass.columns.half_norms();
        let mut products = vec![0.0; half_norms.len()];
        pass.columns.dot(row, 0, half_norms.len(), &mut products);
        let scores = products.iter().zip(half_norms).map(|(product, half)| product - half);
        let equal = scores.zip(&self.order).filter(|&(score, _)| score == best).map(|(_, &centre)| centre);
        let first = equal.min().unwrap_or(self.order[column]);
        (first, best, self.column_of[first as usize] as usize / self.group)
    }
}

/// Points that have to look at one group.
struct Looks<'a> {
    rows: &'a [f32],
    left: usize,
    group: usize,
    wanted: &'a [u32],
}

#[derive(Default)]
struct Scratch {
    left: Vec<u32>,
    rows: Vec<f32>,
    some: Vec<f32>,
    products: Vec<f32>,
    tops: Vec<Top>,
}

/// A group that was not looked at.
const UNKNOWN: Top = Top { best: f32::NAN, at: 0, second: f32::NAN };

/// Whether a centre at a distance of at least `other` is farther than one at a distance of at most `own`, by more than
/// rounding could hide.
fn apart(own: f32, other: f32, margin: f32) -> bool {
    other > 0.0 && (other - own) * (other + own) > margin
}

fn square_distance(square_norm: f32, score: f32) -> f32 {
    square_norm - 2.0 * score
}
