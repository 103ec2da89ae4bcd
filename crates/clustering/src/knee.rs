//! Where a curve over K bends, and which K other measures prefer.

use serde::{Deserialize, Serialize};

use crate::sweep::SweepPoint;

/// A number of clusters, what speaks for it, and on which range of K.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Proposal {
    /// The rule, and the measure that it was applied to.
    pub criterion: Criterion,
    /// The proposed number of clusters.
    pub clusters: usize,
    /// The least K that was looked at.
    pub from: usize,
    /// The largest K that was looked at.
    pub to: usize,
}

/// How a K is found.
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The highest mean silhouette.
    Silhouette,
    /// The highest Calinski-Harabasz index.
    CalinskiHarabasz,
    /// The lowest Davies-Bouldin index.
    DaviesBouldin,
    /// The point of the per-cluster intra-class cosine curve that is farthest from its chord.
    KneeCosinePerCluster,
    /// The same of the per-utterance curve.
    KneeCosinePerUtterance,
    /// The same of the inertia.
    KneeInertia,
    /// The sharpest bend (second difference) of the per-cluster curve.
    SecondDifferencePerCluster,
    /// The sharpest bend of the per-utterance curve.
    SecondDifferencePerUtterance,
}

/// The knee of a curve over increasing `x` that rises ever less or falls ever less. It is the point farthest from the
/// chord between the ends, with both axes scaled to their ranges
/// ([Kneedle](https://raghavan.usc.edu/papers/kneedle-simplex11.pdf) without smoothing). `None` with fewer than 3
/// points, or if the curve is flat or bends the other way.
pub fn knee(curve: &[(f64, f64)]) -> Option<usize> {
    let (&first, &last) = (curve.first()?, curve.last()?);
    let (width, height) = (last.0 - first.0, last.1 - first.1);
    if curve.len() < 3 || width == 0.0 || height == 0.0 {
        return None;
    }
    // Scaled so that the chord is the diagonal. What rises ever less lies above it, and so does what falls ever less,
    // because its height is negative.
    let above = |&(x, y): &(f64, f64)| (y - first.1) / height - (x - first.0) / width;
    let (at, distance) = curve.iter().map(above).enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (distance > 1e-9).then_some(at)
}

/// The point at which the slope of a curve changes most, towards flat. `None` with fewer than 3 points.
pub fn second_difference(curve: &[(f64, f64)]) -> Option<usize> {
    let sign = if curve.last()?.1 >= curve.first()?.1 { 1.0 } else { -1.0 };
    let slope = |a: (f64, f64), b: (f64, f64)| (b.1 - a.1) / (b.0 - a.0);
    let bends = curve.windows(3).map(|three| sign * (slope(three[0], three[1]) - slope(three[1], three[2])));
    let (at, bend) = bends.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (bend > 0.0).then_some(at + 1)
}

/// What each criterion proposes for the values of K from `from` to `to`, silhouette first.
pub fn propose(points: &[SweepPoint], from: usize, to: usize) -> Vec<Proposal> {
    let points: Vec<&SweepPoint> =
        points.iter().filter(|point| (from..=to).contains(&point.clusters)).collect();
    let highest = |value: &dyn Fn(&SweepPoint) -> Option<f64>| {
        let known = points.iter().enumerate().filter_map(|(at, point)| Some((at, value(point)?)));
        // Of equal ones the first: fewer clusters.
        known.rev().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
    };
    let curve = |value: &dyn Fn(&SweepPoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|point| (point.clusters as f64, value(point))).collect()
    };
    let per_cluster = curve(&|point| point.intra_cosine.per_cluster);
    let per_utterance = curve(&|point| point.intra_cosine.per_utterance);
    let found = [
        (Criterion::Silhouette, highest(&|point| point.silhouette)),
        (Criterion::CalinskiHarabasz, highest(&|point| point.calinski_harabasz)),
        (Criterion::DaviesBouldin, highest(&|point| point.davies_bouldin.map(|index| -index))),
        (Criterion::KneeCosinePerCluster, knee(&per_cluster)),
        (Criterion::KneeCosinePerUtterance, knee(&per_utterance)),
        (Criterion::KneeInertia, knee(&curve(&|point| point.inertia))),
        (Criterion::SecondDifferencePerCluster, second_difference(&per_cluster)),
        (Criterion::SecondDifferencePerUtterance, second_difference(&per_utterance)),
    ];
    let ends = points.first().zip(points.last()).map(|(a, b)| (a.clusters, b.clusters));
    found
        .into_iter()
        .filter_map(|(criterion, at)| {
            let (from, to) = ends?;
            Some(Proposal { criterion, clusters: points[at?].clusters, from, to })
        })
        .collect()
}
