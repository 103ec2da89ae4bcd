//! Measures of a partition that need no known labels (cluster validity indices).

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::distance::{cosines, square_distances};
use crate::points::Points;
use crate::product::Columns;
use crate::sums::{ClusterSums, Move, NOWHERE};
use crate::{Centres, Error, Result};

/// Rows of the silhouette's distance matrix that are held at once.
const BLOCK: usize = 256;

/// Mean cosine of the points with the centres of their clusters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IntraCosine {
    /// Mean over the clusters of each one's mean: the curve of the baseline's notebook, but without the clusters that
    /// are empty.
    pub per_cluster: f64,
    /// Mean over the points: the curve of the baseline's paper.
    pub per_utterance: f64,
}

/// The mean cosine of points with the centres of their clusters.
pub fn intra_cosine(points: &Points, centres: &Centres, labels: &[u32]) -> IntraCosine {
    let mut sums = vec![(0.0f64, 0usize); centres.len()];
    for (cosine, &label) in cosines(points, centres, labels).into_iter().zip(labels) {
        let (sum, count) = &mut sums[label as usize];
        *sum += f64::from(cosine);
        *count += 1;
    }
    sums.retain(|&(_, count)| count > 0);
    let of_clusters: f64 = sums.iter().map(|&(sum, count)| sum / count as f64).sum();
    let of_points: f64 = sums.iter().map(|&(sum, _)| sum).sum();
    IntraCosine {
        per_cluster: of_clusters / sums.len() as f64,
        per_utterance: of_points / labels.len() as f64,
    }
}

/// The mean of each cluster's points, and how many there are; a cluster without points has a mean of zero.
///
/// # Errors
/// There are not as many labels as points, or a label is not below `clusters`.
pub fn means(points: &Points, labels: &[u32], clusters: usize) -> Result<(Centres, Vec<usize>)> {
    check(points, labels)?;
    if let Some(&label) = labels.iter().find(|&&label| label as usize >= clusters) {
        let what = "the number of a cluster, at most";
        return Err(Error::Mismatch { what, found: label as usize, expected: clusters.saturating_sub(1) });
    }
    let mut sums = ClusterSums::new(points, clusters);
    let moves: Vec<Move> =
        labels.iter().zip(0..).map(|(&to, point)| Move { point, from: NOWHERE, to }).collect();
    sums.apply(points, &moves);
    let rows = (0..clusters).flat_map(|cluster| {
        let count = sums.counts()[cluster].max(1) as f64;
        sums.sum(cluster).iter().map(move |sum| (sum / count) as f32)
    });
    Ok((Centres::new(rows.collect(), points.dim()), sums.counts().to_vec()))
}

/// Number of points in each cluster.
///
/// # Panics
/// A label is not below `clusters`.
pub fn sizes(labels: &[u32], clusters: usize) -> Vec<usize> {
    let mut sizes = vec![0; clusters];
    labels.iter().for_each(|&label| sizes[label as usize] += 1);
    sizes
}

fn check(points: &Points, labels: &[u32]) -> Result<()> {
    if labels.len() == points.len() {
        return Ok(());
    }
    Err(Error::Mismatch { what: "labels", found: labels.len(), expected: points.len() })
}

/// The Calinski-Harabasz index: variance between the clusters over variance within, each by its degrees of freedom.
/// Higher is better. `None` unless there are from 2 to n - 1 clusters.
///
/// # Errors
/// There are not as many labels as points.
pub fn calinski_harabasz(points: &Points, labels: &[u32]) -> Result<Option<f64>> {
    check(points, labels)?;
    let clusters = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let (centres, counts) = means(points, labels, clusters)?;
    let (mean, _) = means(points, &vec![0; labels.len()], 1)?;
    let filled = counts.iter().filter(|&&count| count > 0).count();
    if filled < 2 || filled >= points.len() {
        return Ok(None);
    }
    let square = |a: &[f32]| -> f64 {
        a.iter().zip(mean.row(0)).map(|(&a, &b)| f64::from(a - b) * f64::from(a - b)).sum()
    };
    let between: f64 =
        counts.iter().enumerate().map(|(cluster, &count)| count as f64 * square(centres.row(cluster))).sum();
    let within: f64 = square_distances(points, &centres, labels).into_iter().map(f64::from).sum();
    let degrees = (points.len() - filled) as f64 / (filled as f64 - 1.0);
    Ok(Some(if within == 0.0 { 1.0 } else { between / within * degrees }))
}

/// The Davies-Bouldin index: mean over the clusters of the worst ratio of two clusters' spreads (mean distance from the
/// mean) to the distance of their means. Lower is better. `None` unless there are from 2 to n - 1 clusters.
///
/// # Errors
/// There are not as many labels as points.
pub fn davies_bouldin(points: &Points, labels: &[u32]) -> Result<Option<f64>> {
    check(points, labels)?;
    let clusters = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let (centres, counts) = means(points, labels, clusters)?;
    let mut spreads = vec![0.0f64; clusters];
    for (square, &label) in square_distances(points, &centres, labels).into_iter().zip(labels) {
        spreads[label as usize] += f64::from(square).sqrt();
    }
    spreads.iter_mut().zip(&counts).for_each(|(spread, &count)| *spread /= count.max(1) as f64);
    let filled: Vec<usize> = (0..clusters).filter(|&cluster| counts[cluster] > 0).collect();
    if filled.len() < 2 || filled.len() >= points.len() {
        return Ok(None);
    }
    let worst = filled.par_iter().map(|&one| {
        let ratios = filled.iter().filter(|&&other| other != one).map(|&other| {
            let square: f64 = centres
                .row(one)
                .iter()
                .zip(centres.row(other))
                .map(|(&a, &b)| f64::from(a - b) * f64::from(a - b))
                .sum();
            // Two clusters with the same mean: scikit-learn leaves the pair out.
            if square == 0.0 { 0.0 } else { (spreads[one] + spreads[other]) / square.sqrt() }
        });
        ratios.fold(0.0, f64::max)
    });
    let worst: Vec<f64> = worst.collect();
    Ok(Some(worst.iter().sum::<f64>() / filled.len() as f64))
}

/// The mean silhouette by cosine distance (1 - cosine) of length-normalised points, of a sample of at most `sample` of
/// them, among which the distances are measured. From -1 to 1, higher is better; a point alone in its cluster has 0.
/// `None` unless the sample has from 2 to n - 1 clusters.
///
/// # Errors
/// There are not as many labels as points.
pub fn silhouette(points: &Points, labels: &[u32], sample: usize, seed: u64) -> Result<Option<f64>> {
    check(points, labels)?;
    if sample < points.len() {
        let mut chosen: Vec<u32> =
            index::sample(&mut ChaCha8Rng::seed_from_u64(seed), points.len(), sample.max(1))
                .into_iter()
                .map(|row| row as u32)
                .collect();
        chosen.sort_unstable();
        let some: Vec<u32> = chosen.iter().map(|&row| labels[row as usize]).collect();
        return silhouette(&points.select(&chosen), &some, sample, seed);
    }
    // Points in the order of their clusters: the distances to a cluster stand side by side.
    let n = points.len();
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_by_key(|&row| (labels[row as usize], row));
    let mut clusters: Vec<(usize, usize)> = Vec::new();
    for place in 0..n {
        if place == 0 || labels[order[place] as usize] != labels[order[place - 1] as usize] {
            clusters.push((place, place));
        }
        clusters.last_mut().into_iter().for_each(|cluster| cluster.1 = place + 1);
    }
    if clusters.len() < 2 || clusters.len() >= n {
        return Ok(None);
    }
    let sorted = points.select(&order);
    let dim = points.dim();
    let columns = Columns::in_order(sorted.data(), dim);
    let width = columns.half_norms().len();
    let mut home = vec![0usize; n];
    for (cluster, &(begin, end)) in clusters.iter().enumerate() {
        home[begin..end].fill(cluster);
    }
    let sums: Vec<f64> = sorted
        .data()
        .par_chunks(BLOCK * dim)
        .enumerate()
        .map_init(Vec::new, |products, (block, rows)| {
            products.resize(rows.len() / dim * width, 0.0);
            columns.dot(rows, 0, width, products);
            let each = products.chunks_exact(width).zip(&home[block * BLOCK..]);
            each.map(|(cosines, &home)| of_one(cosines, home, &clusters)).sum()
        })
        .collect();
    Ok(Some(sums.iter().sum::<f64>() / n as f64))
}

/// The silhouette of one point from its cosines with all.
fn of_one(cosines: &[f32], home: usize, clusters: &[(usize, usize)]) -> f64 {
    let mean = |&(begin, end): &(usize, usize), count: usize| {
        cosines[begin..end].iter().map(|&cosine| 1.0 - f64::from(cosine)).sum::<f64>() / count as f64
    };
    let size = clusters[home].1 - clusters[home].0;
    if size == 1 {
        return 0.0;
    }
    // The distance from itself is 0 but for rounding, and not counted.
    let within = mean(&clusters[home], size - 1);
    let others = clusters.iter().enumerate().filter(|&(cluster, _)| cluster != home);
    let nearest = others.map(|(_, range)| mean(range, range.1 - range.0)).fold(f64::INFINITY, f64::min);
    let larger = within.max(nearest);
    if larger == 0.0 { 0.0 } else { (nearest - within) / larger }
}
