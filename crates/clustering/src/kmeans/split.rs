//! Splitting and merging clusters: out of local optima, and from K clusters to more.
//!
//! Lloyd's iterations move centres, but never one from where two share a speaker to where two speakers share one.
//! Splitting a cluster in two along its widest direction lowers the inertia by a known amount. Merging two raises it by
//! a known amount. Where the split gains more than the merge costs, both together are an improvement, and the
//! iterations improve it further.

use pulp::Arch;
use rayon::prelude::*;

use super::{Centres, KMeans};
use crate::lanes::dot;
use crate::points::Points;

/// Steps of the power iteration for the widest direction: it only has to point the right way.
const POWER_STEPS: usize = 4;
/// Iterations of the two halves.
const HALVING_STEPS: usize = 10;

/// What a cluster would be in two parts.
struct Split {
    cluster: usize,
    /// How much less the inertia would be.
    gain: f64,
    halves: [Vec<f32>; 2],
}

/// The centres with `count` more of them: the clusters whose split lowers the inertia most are split. Fewer come if
/// there are no more to split.
pub(crate) fn add_by_splitting(points: &Points, fit: &KMeans, count: usize) -> Centres {
    let mut centres = fit.centres.clone();
    for Split { cluster, halves: [one, other], .. } in splits(points, fit).into_iter().take(count) {
        centres.set(cluster, &one);
        centres.push(&other);
    }
    centres
}

/// The centres after merging pairs of clusters and splitting as many others, where both together lower the inertia;
/// `None` if none does.
pub(super) fn merge_and_split(points: &Points, fit: &KMeans) -> Option<Centres> {
    let sizes = fit.sizes();
    let mut centres = fit.centres.clone();
    let mut used = vec![false; centres.len()];
    let mut splits = splits(points, fit).into_iter().peekable();
    for (cost, one, other) in merges(fit, &sizes) {
        while splits.next_if(|split| used[split.cluster]).is_some() {}
        let Some(split) = splits.peek() else { break };
        if split.gain <= cost {
            break;
        }
        if used[one] || used[other] || split.cluster == one || split.cluster == other {
            continue;
        }
        let Some(Split { cluster, halves: [first, second], .. }) = splits.next() else { break };
        let (n, m) = (sizes[one] as f64, sizes[other] as f64);
        let rows = fit.centres.row(one).iter().zip(fit.centres.row(other));
        let mean: Vec<f32> =
            rows.map(|(&a, &b)| ((f64::from(a) * n + f64::from(b) * m) / (n + m).max(1.0)) as f32).collect();
        centres.set(one, &mean);
        centres.set(other, &second);
        centres.set(cluster, &first);
        [one, other, cluster].into_iter().for_each(|cluster| used[cluster] = true);
    }
    used.contains(&true).then_some(centres)
}

/// For each cluster the later one that it costs least to merge it with, and the cost (Ward's: how much more the inertia
/// would be), cheapest first.
fn merges(fit: &KMeans, sizes: &[usize]) -> Vec<(f64, usize, usize)> {
    let cost = |one: usize, other: usize| {
        let (n, m) = (sizes[one] as f64, sizes[other] as f64);
        let rows = fit.centres.row(one).iter().zip(fit.centres.row(other));
        let square: f64 = rows.map(|(&a, &b)| f64::from(a - b) * f64::from(a - b)).sum();
        n * m / (n + m).max(1.0) * square
    };
    let cheapest = (0..sizes.len()).into_par_iter().filter_map(|one| {
        let others = (one + 1..sizes.len()).map(|other| (cost(one, other), one, other));
        others.min_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)))
    });
    let mut cheapest: Vec<_> = cheapest.collect();
    cheapest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    cheapest
}

/// The splits of all clusters that can be split, the most worthwhile first.
fn splits(points: &Points, fit: &KMeans) -> Vec<Split> {
    let mut members = vec![Vec::new(); fit.centres.len()];
    for (point, &label) in fit.labels.iter().enumerate() {
        members[label as usize].push(point as u32);
    }
    let found =
        members.par_iter().enumerate().filter_map(|(cluster, members)| split(points, cluster, members));
    let mut found: Vec<Split> = found.collect();
    found.sort_by(|a, b| b.gain.total_cmp(&a.gain).then(a.cluster.cmp(&b.cluster)));
    found
}

fn split(points: &Points, cluster: usize, members: &[u32]) -> Option<Split> {
    if members.len() < 2 {
        return None;
    }
    let arch = Arch::new();
    let row = |point: u32| points.row(point as usize);
    let (mean, _) = mean_of(points, members.iter().copied());
    let square = |point: u32| crate::lanes::square_distance(arch, row(point), &mean);
    // From the farthest member on, so that nothing is random.
    let farthest =
        members.iter().copied().max_by(|&a, &b| square(a).total_cmp(&square(b)).then(b.cmp(&a)))?;
    let mut direction: Vec<f32> = row(farthest).iter().zip(&mean).map(|(value, mean)| value - mean).collect();
    for _ in 0..POWER_STEPS {
        let at_mean = dot(arch, &mean, &direction);
        let mut next = vec![0.0f64; mean.len()];
        let mut weights = 0.0;
        for &point in members {
            let weight = f64::from(dot(arch, row(point), &direction) - at_mean);
            weights += weight;
            next.iter_mut().zip(row(point)).for_each(|(sum, &value)| *sum += weight * f64::from(value));
        }
        next.iter_mut().zip(&mean).for_each(|(sum, &mean)| *sum -= weights * f64::from(mean));
        let length = next.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length == 0.0 {
            return None;
        }
        direction = next.iter().map(|value| (value / length) as f32).collect();
    }
    let mut bound = dot(arch, &mean, &direction);
    let mut sides = Vec::new();
    let mut found = None;
    for _ in 0..HALVING_STEPS {
        let new: Vec<bool> = members.iter().map(|&point| dot(arch, row(point), &direction) > bound).collect();
        if new == sides {
            break;
        }
        sides = new;
        let side =
            |which: bool| members.iter().zip(&sides).filter(move |side| *side.1 == which).map(|side| *side.0);
        let ((one, n), (other, m)) = (mean_of(points, side(false)), mean_of(points, side(true)));
        if n == 0 || m == 0 {
            return None;
        }
        direction = other.iter().zip(&one).map(|(b, a)| b - a).collect();
        bound = (dot(arch, &other, &other) - dot(arch, &one, &one)) / 2.0;
        let apart: f64 = direction.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let gain = n as f64 * m as f64 / (n + m) as f64 * apart;
        found = Some(Split { cluster, gain, halves: [one, other] });
    }
    found.filter(|split| split.gain > 0.0)
}

fn mean_of(points: &Points, members: impl Iterator<Item = u32>) -> (Vec<f32>, usize) {
    let mut sums = vec![0.0f64; points.dim()];
    let mut count = 0;
    for point in members {
        count += 1;
        sums.iter_mut().zip(points.row(point as usize)).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    (sums.into_iter().map(|sum| (sum / count.max(1) as f64) as f32).collect(), count)
}
