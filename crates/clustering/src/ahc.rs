//! Agglomerative hierarchical clustering by cosine distance.

use ffsvc_ranges::Range;
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
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
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

impl Cut {
    /// Range of [`Cut::Distance`].
    pub const DISTANCE: Range<f64> = Range::at_least(0.0);
}

/// The merges of a hierarchical clustering.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    points: usize,
    /// Two clusters and their distance, by rising distance. A number below `points` is a point, `points + i` is what
    /// merge `i` made.
    merges: Vec<(usize, usize, f64)>,
    /// The points in content order: clusters are numbered in it.
    order: Vec<u32>,
}

impl Tree {
    /// Merges length-normalised points by the cosine distance (1 - cosine) of their clusters. Takes 2 bytes for every
    /// pair of points.
    ///
    /// The order of the points does not matter, also where pairs are equally near: they are merged in an order of their
    /// content. Only identical points are told apart by their order.
    ///
    /// # Errors
    /// There are more than 40,000 points: use [`two_stages`].
    pub fn build(points: &Points, linkage: Linkage) -> Result<Self> {
        let n = points.len();
        if n > MOST_POINTS {
            return Err(Error::TooManyForTree { points: n, most: MOST_POINTS });
        }
        let order = points.content_order();
        let ordered = order.as_ref().map(|order| points.select(order));
        let mut distances = cosine_distances(ordered.as_ref().unwrap_or(points));
        let method = match linkage {
            Linkage::Average => Method::Average,
            Linkage::Complete => Method::Complete,
            Linkage::Single => Method::Single,
            Linkage::Ward => Method::Ward,
            Linkage::Weighted => Method::Weighted,
        };
        let tree = kodama::linkage(&mut distances, n, method);
        let order = order.unwrap_or_else(|| (0..n as u32).collect());
        let number = |cluster: usize| order.get(cluster).map_or(cluster, |&point| point as usize);
        let merge = |step: &kodama::Step<f32>| {
            (number(step.cluster1), number(step.cluster2), f64::from(step.dissimilarity))
        };
        let merges = tree.steps().iter().map(merge).collect();
        Ok(Self { points: n, merges, order })
    }

    /// The merges: two clusters and their distance, by rising distance. A number below that of the points is a point, a
    /// higher one is what an earlier merge made.
    pub fn merges(&self) -> &[(usize, usize, f64)] {
        &self.merges
    }

    /// The cluster of each point and how many clusters there are. Clusters are numbered by the content of their points,
    /// whatever the order of these.
    ///
    /// # Errors
    /// No cluster or more than points are wanted; the distance is negative or not a number.
    pub fn cut(&self, cut: Cut) -> Result<(Vec<u32>, usize)> {
        let n = self.points;
        let merged = match cut {
            Cut::Clusters(clusters) if clusters == 0 || clusters > n => {
                return Err(Error::Clusters { clusters, points: n });
            }
            Cut::Clusters(clusters) => n - clusters,
            Cut::Distance(limit) => {
                Cut::DISTANCE.check_key("distance", limit)?;
                self.merges.partition_point(|&(_, _, distance)| distance <= limit)
            }
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
        for &point in &self.order {
            let number = &mut numbers[parent[point as usize]];
            if *number == u32::MAX {
                *number = clusters;
                clusters += 1;
            }
        }
        Ok((parent[..n].iter().map(|&top| numbers[top]).collect(), clusters as usize))
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
