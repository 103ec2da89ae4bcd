//! The nearest centre of every point, without computing most of the distances.
//!
//! The bounds are those of [Yinyang K-means](https://proceedings.mlr.press/v37/ding15.html) (Ding et al., ICML 2015).
//! Each point has one upper bound on the distance to its own centre. For each group of centres it has a lower bound on
//! the distance to the nearest of the group. By the triangle inequality, a centre that moves by `s` changes no distance
//! by more than `s`. A group whose lower bound stays above the upper one is skipped. For the others, the distances are
//! computed as matrix products of the remaining points. A margin for rounding makes the labels those of the plain
//! algorithm to the bit.

use pulp::Arch;
use rayon::prelude::*;

use super::Centres;
use crate::lanes::{Top, dot, least_difference, scan};
use crate::points::Points;
use crate::product::{Columns, LANES};
use crate::sums::{Move, NOWHERE};

/// Numbers of the points that are worked on together. The more there are, the more of them look at the same group at
/// once, but they should stay in a core's own cache meanwhile.
const BLOCK: usize = 1 << 18;
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

/// Points that one thread works on, and what is known of them.
struct Block<'a> {
    /// Number of the first point.
    first: usize,
    labels: &'a mut [u32],
    upper: &'a mut [f32],
    lower: &'a mut [f32],
}

impl Block<'_> {
    fn rows<'p>(&self, points: &'p Points) -> &'p [f32] {
        &points.data()[self.first * points.dim()..][..self.labels.len() * points.dim()]
    }
}

impl Assignment {
    pub(super) fn new(points: &Points, centres: &Centres, use_bounds: bool) -> Self {
        let clusters = centres.len();
        // Wider groups for more centres: the bounds take memory, and time to look at.
        let group =
            if use_bounds { LANES * (clusters / 512 + 1).min(4) } else { clusters.next_multiple_of(LANES) };
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

    /// The label of every point, found once and without bounds, and the points as moves to their clusters.
    pub(super) fn once(points: &Points, centres: &Centres) -> (Vec<u32>, Vec<Move>) {
        let mut assignment = Self::new(points, centres, false);
        let moves = assignment.pass(points, centres, &vec![0.0; centres.len()]);
        (assignment.labels, moves)
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
        let (size, groups) = ((BLOCK / points.dim()).max(LANES), self.groups);
        let mut labels = std::mem::take(&mut self.labels);
        let mut upper = std::mem::take(&mut self.upper);
        let mut lower = std::mem::take(&mut self.lower);
        let blocks = labels
            .par_chunks_mut(size)
            .zip(upper.par_chunks_mut(size))
            .zip(lower.par_chunks_mut(size * groups))
            .enumerate();
        let moves: Vec<Vec<Move>> = blocks
            .map_init(Scratch::default, |scratch, (at, ((labels, upper), lower))| {
                self.assign_block(&pass, scratch, &mut Block { first: at * size, labels, upper, lower })
            })
            .collect();
        (self.labels, self.upper, self.lower) = (labels, upper, lower);
        moves.concat()
    }

    /// Assigns the points of one block and brings their bounds up to date.
    fn assign_block(&self, pass: &Pass<'_>, scratch: &mut Scratch, block: &mut Block<'_>) -> Vec<Move> {
        self.find_open(pass, block, &mut scratch.open);
        if scratch.open.is_empty() {
            return Vec::new();
        }
        self.choose_groups(pass, block, scratch);
        scratch.forget(self.groups);
        let rows = block.rows(pass.points);
        let looks: usize = scratch.wanted.iter().map(Vec::len).sum();
        if looks * 8 >= scratch.open.len() * self.groups * 7 {
            self.look_at_all(pass, rows, scratch);
        } else {
            for group in 0..self.groups {
                self.look(pass, rows, group, scratch);
            }
        }
        self.settle(pass, block, scratch)
    }

    /// The points whose nearest centre may be another one now, as places in the block. The upper bounds grow by what the
    /// own centres have moved, and are measured anew where they no longer decide.
    fn find_open(&self, pass: &Pass<'_>, block: &mut Block<'_>, open: &mut Vec<u32>) {
        open.clear();
        for at in 0..block.labels.len() {
            if !self.is_decided(pass, block, at) {
                open.push(at as u32);
            }
        }
    }

    /// Whether the bounds say that a point keeps its label.
    fn is_decided(&self, pass: &Pass<'_>, block: &mut Block<'_>, at: usize) -> bool {
        if block.labels[at] == NOWHERE {
            return false;
        }
        let label = block.labels[at] as usize;
        let upper = &mut block.upper[at];
        // Rounded up twice: the drift, and the sum.
        *upper = (*upper + (pass.drift[label] as f32).next_up()).next_up();
        if !self.use_bounds {
            return false;
        }
        let lower = &block.lower[at * self.groups..][..self.groups];
        let nearest_other = least_difference(self.arch, lower, &pass.moved);
        if apart(*upper, nearest_other, pass.margin) {
            return true;
        }
        let point = block.first + at;
        let product = dot(self.arch, pass.points.row(point), pass.centres.row(label));
        let half_norm = pass.columns.half_norms()[self.column_of[label] as usize];
        let square = square_distance(pass.points.square_norms()[point], product - half_norm);
        *upper = upper.min((square.max(0.0) + pass.margin).sqrt());
        apart(*upper, nearest_other, pass.margin)
    }

    /// Which of the open points have to look at which group: those whose bounds do not rule it out, and the own one.
    fn choose_groups(&self, pass: &Pass<'_>, block: &Block<'_>, scratch: &mut Scratch) {
        let groups = self.groups;
        scratch.wanted.resize(groups, Vec::new());
        scratch.wanted.iter_mut().for_each(Vec::clear);
        for (place, &at) in scratch.open.iter().enumerate() {
            let at = at as usize;
            let own =
                self.column_of.get(block.labels[at] as usize).map(|&column| column as usize / self.group);
            let bounds = block.lower[at * groups..][..groups].iter().zip(&pass.moved);
            for (group, (wanted, (bound, moved))) in scratch.wanted.iter_mut().zip(bounds).enumerate() {
                let ruled_out = self.use_bounds && apart(block.upper[at], bound - moved, pass.margin);
                if !ruled_out || own == Some(group) {
                    wanted.push(place as u32);
                }
            }
        }
    }

    /// Gives the open points the labels and bounds that follow from what was seen; returns those with another label.
    fn settle(&self, pass: &Pass<'_>, block: &mut Block<'_>, scratch: &Scratch) -> Vec<Move> {
        let groups = self.groups;
        let mut moves = Vec::new();
        for (place, &at) in scratch.open.iter().enumerate() {
            let at = at as usize;
            let point = block.first + at;
            let top = scratch.tops[place];
            let (column, second) = self.nearest(top, pass.points.row(point), pass);
            let (label, home) = (self.order[column], column / self.group);
            let norm = pass.points.square_norms()[point];
            block.upper[at] = (square_distance(norm, top.best).max(0.0) + pass.margin).sqrt();
            let maxima = &scratch.maxima[place * groups..][..groups];
            let bounds = block.lower[at * groups..][..groups].iter_mut().zip(&pass.moved);
            for (group, ((lower, moved), &nearest)) in bounds.zip(maxima).enumerate() {
                if nearest.is_nan() {
                    continue;
                }
                let other = if group == home { second } else { nearest };
                let square = square_distance(norm, other);
                let bound = if square > pass.margin { (square - pass.margin).sqrt() } else { 0.0 };
                *lower = (bound + moved.next_down()).next_down();
            }
            if block.labels[at] != label {
                moves.push(Move { point: point as u32, from: block.labels[at], to: label });
                block.labels[at] = label;
            }
        }
        moves
    }

    /// All groups for all open points.
    fn look_at_all(&self, pass: &Pass<'_>, rows: &[f32], scratch: &mut Scratch) {
        let Scratch { open, copies, products, maxima, tops, .. } = scratch;
        let (dim, half_norms) = (pass.points.dim(), pass.columns.half_norms());
        let rows = if open.len() * dim == rows.len() {
            rows
        } else {
            copies.clear();
            open.iter().for_each(|&at| copies.extend_from_slice(&rows[at as usize * dim..][..dim]));
            copies
        };
        let (columns, groups) = (half_norms.len(), self.groups);
        let some = (PRODUCTS / columns).max(LANES);
        let outs = maxima.chunks_mut(some * groups).zip(tops.chunks_mut(some));
        for (rows, (maxima, tops)) in rows.chunks(some * dim).zip(outs) {
            products.resize(rows.len() / dim * columns, 0.0);
            pass.columns.dot(rows, 0, columns, products);
            scan(self.arch, products, half_norms, self.group, maxima, tops);
        }
    }

    /// One group for the points that have to look at it.
    fn look(&self, pass: &Pass<'_>, rows: &[f32], group: usize, scratch: &mut Scratch) {
        let Scratch { open, wanted, chosen, products, some, found, maxima, tops, .. } = scratch;
        let (wanted, first) = (&wanted[group], group * self.group);
        chosen.clear();
        chosen.extend(wanted.iter().map(|&place| open[place as usize]));
        products.resize(wanted.len() * self.group, 0.0);
        pass.columns.dot_chosen(self.arch, rows, chosen, (first, self.group), products);
        some.resize(wanted.len(), 0.0);
        found.resize(wanted.len(), UNKNOWN);
        let half_norms = &pass.columns.half_norms()[first..][..self.group];
        scan(self.arch, products, half_norms, self.group, some, found);
        for (&place, &Top { best, at, second }) in wanted.iter().zip(&*found) {
            let place = place as usize;
            maxima[place * self.groups + group] = best;
            let top = &mut tops[place];
            if top.best.is_nan() || best > top.best {
                *top = Top { best, at: first as u32 + at, second };
            } else if best == top.best {
                top.second = best;
            }
        }
    }

    /// The column of the nearest centre, and the score of the next in its group.
    fn nearest(&self, top: Top, row: &[f32], pass: &Pass<'_>) -> (usize, f32) {
        if top.best > top.second {
            return (top.at as usize, top.second);
        }
        // Equally near centres: the first in the order of the centres, as the plain algorithm has it. A centre as
        // near as the nearest is in a group that was looked at.
        let half_norms = pass.columns.half_norms();
        let mut products = vec![0.0; half_norms.len()];
        pass.columns.dot(row, 0, half_norms.len(), &mut products);
        let scores: Vec<f32> =
            products.iter().zip(half_norms).map(|(product, half)| product - half).collect();
        let equal = (0..self.order.len()).filter(|&column| scores[column] == top.best);
        let column = equal.min_by_key(|&column| self.order[column]).unwrap_or(top.at as usize);
        let group = column / self.group * self.group..(column / self.group + 1) * self.group;
        let others = group.filter(|&other| other != column).map(|other| scores[other]);
        (column, others.fold(f32::NEG_INFINITY, f32::max))
    }
}

/// Memory that blocks use one after the other.
#[derive(Default)]
struct Scratch {
    /// The points whose label is not decided: their places in the block.
    open: Vec<u32>,
    /// For each group the places in `open` that have to look at it.
    wanted: Vec<Vec<u32>>,
    chosen: Vec<u32>,
    copies: Vec<f32>,
    products: Vec<f32>,
    some: Vec<f32>,
    found: Vec<Top>,
    /// `[open, groups]`: the highest score in each group, NaN where nobody has looked.
    maxima: Vec<f32>,
    /// The highest of all, where it is, and the second of its group (or of another, if that is as high).
    tops: Vec<Top>,
}

impl Scratch {
    /// Makes room for the open points, at which nobody has looked.
    fn forget(&mut self, groups: usize) {
        self.maxima.clear();
        self.maxima.resize(self.open.len() * groups, f32::NAN);
        self.tops.clear();
        self.tops.resize(self.open.len(), UNKNOWN);
    }
}

/// The top of nothing.
const UNKNOWN: Top = Top { best: f32::NAN, at: 0, second: f32::NAN };

/// Whether a centre at a distance of at least `other` is farther than one at a distance of at most `own`, by more than
/// rounding could hide.
fn apart(own: f32, other: f32, margin: f32) -> bool {
    other > 0.0 && (other - own) * (other + own) > margin
}

fn square_distance(square_norm: f32, score: f32) -> f32 {
    square_norm - 2.0 * score
}
