//! Agglomerative hierarchical clustering by cosine distance.

use kodama::Method;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::points::Points;
use crate::product::{Columns, LANES};
use crate::validity::means;
use crate::{Error, KMeans, KMeansOptions, Result};

/// Points whose distances from all later ones are computed at once.
const BLOCK: usize = 128;
/// Beyond so many points the distance matrix takes more than 3.2 GB.
const MOST_POINTS: usize = 40_000;

/// How far two clusters are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// The mean distance of their points.
    #[default]
    Average,
    /// The distance of their farthest points.
    Complete,
    /// The distance of their nearest points.
    Single,
    /// Ward's criterion on the cosine distances.
    Ward,
    /// The mean of the distances of the two that each was merged from.
    Weighted,
}

/// Where the tree is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// Into so many clusters.
    Clusters(usize),
    /// Clusters at most so far apart (cosine distance, 0 to 2, and beyond with Ward) are merged.
    Distance(f64),
}

/// The merges of a hierarchical clustering.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    points: usize,
    /// Two clusters and their distance, by rising distance. A number below `points` is a point, `points + i` is what
    /// merge `i` made.
    merges: Vec<(usize, usize, f64)>,
}

impl Tree {
    /// Merges length-normalised points by the cosine distance (1 - cosine) of their clusters. Takes 2 bytes for every
    /// pair of points.
    ///
    /// # Errors
    /// There are more than 40,000 points: use [`two_stages`].
    pub fn build(points: &Points, linkage: Linkage) -> Result<Self> {
        let n = points.len();
        if n > MOST_POINTS {
            let expected = "at most 40000; cluster in two stages";
            return Err(Error::Option { name: "the number of points", value: n as f64, expected });
        }
        let mut distances = cosine_distances(points);
        let method = match linkage {
            Linkage::Average => Method::Average,
            Linkage::Complete => Method::Complete,
            Linkage::Single => Method::Single,
            Linkage::Ward => Method::Ward,
            Linkage::Weighted => Method::Weighted,
        };
        let tree = kodama::linkage(&mut distances, n, method);
        let merges =
            tree.steps().iter().map(|step| (step.cluster1, step.cluster2, f64::from(step.dissimilarity)));
        Ok(Self { points: n, merges: merges.collect() })
    }

    /// The merges: two clusters and their distance, by rising distance. A number below that of the points is a point, a
    /// higher one is what an earlier merge made.
    pub fn merges(&self) -> &[(usize, usize, f64)] {
        &self.merges
    }

    /// The cluster of each point, numbered in the order of their first points, and how many there are.
    ///
    /// # Errors
    /// No cluster or more than points are wanted; the distance is NaN.
    pub fn cut(&self, cut: Cut) -> Result<(Vec<u32>, usize)> {
        let n = self.points;
        let merged = match cut {
            Cut::Clusters(clusters) if clusters == 0 || clusters > n => {
                return Err(Error::Clusters { clusters, points: n });
            }
            Cut::Clusters(clusters) => n - clusters,
            Cut::Distance(value) if value.is_nan() => {
                return Err(Error::Option { name: "the distance", value, expected: "a number" });
            }
            Cut::Distance(limit) => self.merges.partition_point(|&(_, _, distance)| distance <= limit),
        };
        // The topmost merge that each is part of.
        let mut parent: Vec<usize> = (0..n + merged).collect();
        for (at, &(one, other, _)) in self.merges[..merged].iter().enumerate() {
            (parent[one], parent[other]) = (n + at, n + at);
        }
        for node in (0..parent.len()).rev() {
            parent[node] = parent[parent[node]];
        }
        let mut numbers = vec![u32::MAX; n + merged];
        let mut clusters = 0;
        let labels = parent[..n]
            .iter()
            .map(|&top| {
                if numbers[top] == u32::MAX {
                    numbers[top] = clusters;
                    clusters += 1;
                }
                numbers[top]
            })
            .collect();
        Ok((labels, clusters as usize))
    }
}

/// The upper triangle of the matrix of cosine distances, row by row, without the diagonal.
fn cosine_distances(points: &Points) -> Vec<f32> {
    let (n, dim) = (points.len(), points.dim());
    let columns = Columns::in_order(points.data(), dim);
    let width = columns.half_norms().len();
    let mut distances = vec![0.0f32; n * (n - 1) / 2];
    let mut rest = distances.as_mut_slice();
    let mut blocks = Vec::new();
    for first in (0..n).step_by(BLOCK) {
        let size: usize = (first..n.min(first + BLOCK)).map(|row| n - 1 - row).sum();
        let (block, others) = rest.split_at_mut(size);
        rest = others;
        blocks.push((first, block));
    }
    blocks.into_par_iter().for_each_init(Vec::new, |products, (first, mut block)| {
        let last = n.min(first + BLOCK);
        let skipped = first / LANES * LANES;
        let count = width - skipped;
        products.resize((last - first) * count, 0.0);
        columns.dot(&points.data()[first * dim..last * dim], skipped, count, products);
        for (row, cosines) in (first..last).zip(products.chunks_exact(count)) {
            let (out, others) = std::mem::take(&mut block).split_at_mut(n - 1 - row);
            block = others;
            for (out, cosine) in out.iter_mut().zip(&cosines[row + 1 - skipped..]) {
                *out = (1.0 - cosine).max(0.0);
            }
        }
    });
    distances
}

/// K-means to so many centres as `first.clusters` says, then hierarchical clustering of these, for sizes that a distance
/// matrix does not allow. Returns the labels of the points and the number of clusters.
///
/// # Errors
/// As [`KMeans::fit`], [`Tree::build`] and [`Tree::cut`].
pub fn two_stages(
    points: &Points,
    first: &KMeansOptions,
    linkage: Linkage,
    cut: Cut,
) -> Result<(Vec<u32>, usize)> {
    let fit = KMeans::fit(points, first)?;
    let (centres, sizes) = means(points, &fit.labels, fit.centres.len())?;
    let filled: Vec<u32> = (0..sizes.len() as u32).filter(|&cluster| sizes[cluster as usize] > 0).collect();
    let rows = filled.iter().flat_map(|&cluster| centres.row(cluster as usize)).copied().collect();
    let tree = Tree::build(&Points::length_normalised(rows, points.dim())?, linkage)?;
    let (of_centres, clusters) = tree.cut(cut)?;
    let mut number = vec![0; sizes.len()];
    filled.iter().zip(of_centres).for_each(|(&cluster, label)| number[cluster as usize] = label);
    Ok((fit.labels.iter().map(|&label| number[label as usize]).collect(), clusters))
}
