//! K-means for many numbers of clusters, each begun from the one before.

use ffsvc_ranges::Range;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::distance::square_distances;
use crate::kmeans::{add_by_splitting, add_centres};
use crate::points::Points;
use crate::validity::{IntraCosine, calinski_harabasz, davies_bouldin, intra_cosine, silhouette};
use crate::{Centres, Error, KMeans, KMeansOptions, Result, Start};

/// How a sweep is done.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepOptions {
    /// The least number of clusters.
    pub from: usize,
    /// The largest number of clusters.
    pub to: usize,
    /// From one number to the next.
    pub step: usize,
    /// Points among which the silhouette is measured; 0: not at all. Default: 4000.
    pub silhouette_sample: usize,
    /// Whether each number of clusters begins from the clusters of the one before, the widest of them split
    /// (default), or from nothing.
    pub warm: bool,
    /// Options of each K-means; `clusters` is not read, and `start` for the first only when `warm`. With a `subsample`, it
    /// is drawn once, centres are fitted to it, and what is measured are all points, assigned to these centres.
    pub kmeans: KMeansOptions,
}

impl SweepOptions {
    /// The defaults, for K = `from`, `from + step`, ... up to `to`.
    pub fn new(from: usize, to: usize, step: usize) -> Self {
        Self { from, to, step, silhouette_sample: 4000, warm: true, kmeans: KMeansOptions::new(from) }
    }

    /// The numbers of clusters.
    pub fn values(&self) -> Vec<usize> {
        (self.from..=self.to).step_by(self.step.max(1)).collect()
    }

    fn check(&self, points: &Points) -> Result<()> {
        KMeansOptions::AT_LEAST_ONE.check_key("step", self.step)?;
        KMeansOptions::AT_LEAST_ONE.check_key("from", self.from)?;
        Range::at_least(self.from).check_key("to", self.to)?;
        let fitted = self.kmeans.subsample.map_or(points.len(), |count| count.min(points.len()));
        if self.to > fitted {
            return Err(Error::Clusters { clusters: self.to, points: fitted });
        }
        Ok(())
    }
}

/// One number of clusters and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SweepPoint {
    /// Number of clusters.
    pub clusters: usize,
    /// Updates of the centres.
    pub iterations: usize,
    /// Whether K-means ended by itself.
    pub converged: bool,
    /// Sum of the squared distances from the centres.
    pub inertia: f64,
    /// Mean cosine with the centres.
    pub intra_cosine: IntraCosine,
    /// By cosine distance, of a sample.
    pub silhouette: Option<f64>,
    /// Higher is better.
    pub calinski_harabasz: Option<f64>,
    /// Lower is better.
    pub davies_bouldin: Option<f64>,
    /// Utterances of the smallest cluster.
    pub smallest: usize,
    /// Utterances of the largest cluster.
    pub largest: usize,
}

/// Runs K-means for every number of clusters and measures each; `done` is called after each one.
///
/// The same points give the same numbers, bit for bit, in any order and on any number of threads.
///
/// # Errors
/// A range without a number or beyond the number of points; as [`KMeans::fit`].
pub fn sweep(points: &Points, options: &SweepOptions, done: impl FnMut()) -> Result<Vec<SweepPoint>> {
    options.check(points)?;
    let start = options.kmeans.start.with_rows_of(points)?;
    let options =
        SweepOptions { kmeans: KMeansOptions { start, ..options.kmeans.clone() }, ..options.clone() };
    match points.content_order() {
        Some(order) => sweep_in_order(&points.select(&order), &options, done),
        None => sweep_in_order(points, &options, done),
    }
}

/// A sweep of points in content order.
fn sweep_in_order(
    points: &Points,
    options: &SweepOptions,
    mut done: impl FnMut(),
) -> Result<Vec<SweepPoint>> {
    let some = match options.kmeans.subsample {
        Some(count) if count < points.len() => Some(points.subsample(count, options.kmeans.seed)),
        _ => None,
    };
    let fitted = some.as_ref().unwrap_or(points);
    let mut measured = Vec::new();
    let mut last: Option<KMeans> = None;
    for clusters in options.values() {
        let mut kmeans = KMeansOptions { clusters, subsample: None, ..options.kmeans.clone() };
        if options.warm
            && let Some(last) = last.take()
        {
            let centres = grown(fitted, last, &kmeans)?;
            (kmeans.start, kmeans.restarts) = (Start::Centres(centres), 1);
        }
        let fit = KMeans::fit_in_order(fitted, &kmeans)?;
        let assigned = some.as_ref().map(|_| fit.assigned(points, kmeans.metric));
        let all = assigned.as_ref().unwrap_or(&fit);
        let sizes = all.sizes();
        let sample = options.silhouette_sample;
        let point = SweepPoint {
            clusters,
            iterations: all.iterations,
            converged: all.converged,
            inertia: all.inertia,
            intra_cosine: intra_cosine(points, &all.centres, &all.labels),
            silhouette: match sample {
                0 => None,
                _ => silhouette(points, &all.labels, sample, options.kmeans.seed)?,
            },
            calinski_harabasz: calinski_harabasz(points, &all.labels)?,
            davies_bouldin: davies_bouldin(points, &all.labels)?,
            smallest: sizes.iter().copied().min().unwrap_or(0),
            largest: sizes.iter().copied().max().unwrap_or(0),
        };
        done();
        measured.push(point);
        last = Some(fit);
    }
    Ok(measured)
}

/// Centres to begin with, from those of fewer clusters: the widest clusters are split. Where there are to be many more, that
/// takes several turns, with Lloyd's iterations between: half of a wide cluster needs a split more than a narrow one does.
fn grown(points: &Points, mut last: KMeans, options: &KMeansOptions) -> Result<Centres> {
    loop {
        let missing = options.clusters - last.centres.len();
        let mut centres = add_by_splitting(points, &last, missing.min(last.centres.len().div_ceil(4)));
        if centres.len() == last.centres.len() {
            // No cluster has two different points.
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(options.clusters as u64);
            let distances = square_distances(points, &last.centres, &last.labels);
            add_centres(points, &mut centres, distances, missing, &mut rng);
        }
        if centres.len() == options.clusters {
            return Ok(centres);
        }
        let clusters = centres.len();
        let (start, restarts, refinements) = (Start::Centres(centres), 1, 0);
        let options = KMeansOptions { clusters, start, restarts, refinements, ..options.clone() };
        last = KMeans::fit_in_order(points, &options)?;
    }
}
