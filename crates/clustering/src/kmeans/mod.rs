//! K-means: options, and Lloyd's iterations over bounded assignments.

mod assign;
mod centres;
mod empty;
mod mini_batch;
mod nearest;
mod split;
mod start;

use ffsvc_ranges::Range;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use centres::Centres;
pub(crate) use split::add_by_splitting;
pub(crate) use start::add_centres;

use crate::content_order::back_from;
use crate::distance::square_distances;
use crate::points::Points;
use crate::sums::ClusterSums;
use crate::validity::sizes;
use crate::{Error, Result};
use assign::Assignment;

/// What a centre is, and with it what "nearest" means.
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// A centre is the mean of its points. Of length-normalised points this is the baseline's notebook.
    #[default]
    Euclidean,
    /// A centre is the mean brought to length 1, so that the nearest is the one of the highest cosine. The points have
    /// to be [length-normalised](Points::length_normalised).
    Spherical,
}

/// Where the centres begin.
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Start {
    /// [`PlusPlus`](Self::PlusPlus) for up to 20 million pairs of point and cluster, [`Parallel`](Self::Parallel) beyond.
    #[default]
    Auto,
    /// Different points at random, as in the baseline's notebook.
    Random,
    /// [k-means++](https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf): points drawn one after the other,
    /// each in proportion to its squared distance from those before; the best of `2 + ln K` draws each time, as
    /// scikit-learn does.
    #[cfg_attr(feature = "clap", value(name = "k-means++"))]
    PlusPlus,
    /// [k-means||](https://arxiv.org/abs/1203.6402): five rounds that draw some 2K points at once, then k-means++ among
    /// these, weighted by how many points are near each.
    #[cfg_attr(feature = "clap", value(name = "k-means-parallel"))]
    Parallel,
    /// These points (numbers of rows).
    #[cfg_attr(feature = "clap", value(skip))]
    Rows(Vec<u32>),
    /// These centres: a warm start.
    #[cfg_attr(feature = "clap", value(skip))]
    Centres(Centres),
}

impl Start {
    /// The same start without row numbers: centres stand for the rows of `points` that it names.
    pub(crate) fn with_rows_of(&self, points: &Points) -> Result<Self> {
        match self {
            Self::Rows(rows) => Ok(Self::Centres(start::at_rows(points, rows)?)),
            other => Ok(other.clone()),
        }
    }
}

/// What becomes of a cluster that loses all its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// It begins anew at the point that is farthest from its centre.
    #[default]
    Reseed,
    /// It stays empty, with a centre of zero: the baseline's notebook.
    Keep,
}

/// How K-means is run.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeansOptions {
    /// Number of clusters.
    pub clusters: usize,
    /// Default: Euclidean.
    pub metric: Metric,
    /// Default: [`Start::Auto`].
    pub start: Start,
    /// At most so many updates of the centres. Default: 300.
    pub max_iterations: usize,
    /// Stop when the squared steps of all centres together are at most this times the mean variance of a dimension
    /// (scikit-learn's `tol`). 0: only when no label changes. Default: 1e-4.
    pub tolerance: f64,
    /// Starts with other random numbers; the fit of the least inertia counts. Default: 1.
    pub restarts: usize,
    /// Default: [`Empty::Reseed`].
    pub empty: Empty,
    /// At the end, as long as it lowers the inertia and so many times at most, merge pairs of clusters and split others
    /// instead, and go on from there. It takes away most of the difference that a start makes. Default: 20.
    pub refinements: usize,
    /// Seed of the random start. Default: 0.
    pub seed: u64,
    /// Use bounds on distances, which gives the same labels in less time and takes 4 bytes for every point and 16 to 64
    /// centres. Default: true.
    pub bounds: bool,
    /// Fit the centres to so many of the points ([`Points::subsample`]), and assign all points to them once: for data of a size
    /// that needs no exactness. Default: `None`, all points.
    pub subsample: Option<usize>,
    /// Moves the centres with random samples of this many points and assigns all points once, instead of Lloyd's
    /// iterations and refinements. It ends when the samples' inertia no longer falls, or after as many points as
    /// `max_iterations` passes have. `subsample` is better for the same time where a pass through a part of the data is
    /// enough. Default: `None`.
    pub mini_batch: Option<usize>,
}

impl KMeansOptions {
    /// Range of [`tolerance`](Self::tolerance).
    pub const TOLERANCE: Range<f64> = Range::at_least(0.0);
    /// Range of [`clusters`](Self::clusters), [`restarts`](Self::restarts), [`max_iterations`](Self::max_iterations),
    /// [`subsample`](Self::subsample) and [`mini_batch`](Self::mini_batch).
    pub const AT_LEAST_ONE: Range<usize> = Range::at_least(1);

    /// The defaults.
    pub fn new(clusters: usize) -> Self {
        Self {
            clusters,
            metric: Metric::default(),
            start: Start::default(),
            max_iterations: 300,
            tolerance: 1e-4,
            restarts: 1,
            empty: Empty::default(),
            refinements: 20,
            seed: 0,
            bounds: true,
            subsample: None,
            mini_batch: None,
        }
    }

    /// The baseline's notebook: random points, Euclidean, until no label changes, empty clusters kept.
    pub fn compat(clusters: usize) -> Self {
        Self {
            start: Start::Random,
            max_iterations: usize::MAX,
            tolerance: 0.0,
            empty: Empty::Keep,
            refinements: 0,
            ..Self::new(clusters)
        }
    }

    fn check(&self, points: &Points) -> Result<()> {
        if self.clusters == 0 || self.clusters > points.len() {
            return Err(Error::Clusters { clusters: self.clusters, points: points.len() });
        }
        Self::AT_LEAST_ONE.check_key("restarts", self.restarts)?;
        for (name, value) in [("subsample", self.subsample), ("mini_batch", self.mini_batch)] {
            value.map_or(Ok(()), |value| Self::AT_LEAST_ONE.check_key(name, value))?;
        }
        if let Some(points) = self.subsample.filter(|&count| count < self.clusters) {
            return Err(Error::Clusters { clusters: self.clusters, points });
        }
        Self::AT_LEAST_ONE.check_key("max_iterations", self.max_iterations)?;
        Ok(Self::TOLERANCE.check_key("tolerance", self.tolerance)?)
    }
}

/// The result of K-means.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// `[clusters, dim]`
    pub centres: Centres,
    /// The nearest centre of each point.
    pub labels: Vec<u32>,
    /// Updates of the centres, counted as the baseline's notebook does: the last one, after which no label changes,
    /// counts. Those of refinements are included. Of mini-batches: how many there were.
    pub iterations: usize,
    /// Whether it ended by itself, and not at `max_iterations`.
    pub converged: bool,
    /// Sum of the squared distances of the points from their centres.
    pub inertia: f64,
}

impl KMeans {
    /// Runs K-means.
    ///
    /// The same points, options and seed give the same result, bit for bit, in any order of the points and on any number
    /// of threads. (Points that are not in content order are copied: see [`Points::in_content_order`].)
    ///
    /// # Errors
    /// More clusters than points, or none; an option out of range; a start that does not fit the points.
    pub fn fit(points: &Points, options: &KMeansOptions) -> Result<Self> {
        let Some(order) = points.content_order() else { return Self::fit_in_order(points, options) };
        let start = options.start.with_rows_of(points)?;
        let options = KMeansOptions { start, ..options.clone() };
        let fit = Self::fit_in_order(&points.select(&order), &options)?;
        Ok(Self { labels: back_from(&order, &fit.labels), ..fit })
    }

    /// Runs K-means on points in content order.
    pub(crate) fn fit_in_order(points: &Points, options: &KMeansOptions) -> Result<Self> {
        options.check(points)?;
        if let Some(count) = options.subsample.filter(|&count| count < points.len()) {
            let some = points.subsample(count, options.seed);
            let start = options.start.with_rows_of(points)?;
            let options = KMeansOptions { start, subsample: None, ..options.clone() };
            let fit = Self::fit_in_order(&some, &options)?;
            return Ok(fit.assigned(points, options.metric));
        }
        let enough = options.tolerance * mean_variance(points, options.tolerance);
        let fit_once = |restart: usize| -> Result<Self> {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            rng.set_stream(restart as u64);
            let mut fit = if let Some(size) = options.mini_batch {
                Self::mini_batch(points, size, options, &mut rng)?
            } else {
                let start = start::centres(points, options.clusters, &options.start, &mut rng)?;
                Self::lloyd(points, start, options, enough)
            };
            let refinements = if options.mini_batch.is_some() { 0 } else { options.refinements };
            for _ in 0..refinements {
                let Some(centres) = split::merge_and_split(points, &fit) else { break };
                let mut refined = Self::lloyd(points, centres, options, enough);
                refined.iterations += fit.iterations;
                if refined.inertia >= fit.inertia {
                    break;
                }
                fit = refined;
            }
            Ok(fit)
        };
        let mut best = fit_once(0)?;
        for restart in 1..options.restarts {
            let fit = fit_once(restart)?;
            if fit.inertia < best.inertia {
                best = fit;
            }
        }
        Ok(best)
    }

    fn mini_batch(
        points: &Points,
        size: usize,
        options: &KMeansOptions,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        // Centres to begin with are drawn from a few samples, unless they are given: scikit-learn's `init_size`.
        let few = (3 * size).max(3 * options.clusters);
        let given = matches!(options.start, Start::Rows(_) | Start::Centres(_));
        let start = if given || few >= points.len() {
            start::centres(points, options.clusters, &options.start, rng)?
        } else {
            start::centres(&points.subsample(few, options.seed), options.clusters, &options.start, rng)?
        };
        let (centres, iterations, converged) = mini_batch::follow(points, start, size, options, rng);
        let followed = Self { centres, labels: Vec::new(), iterations, converged, inertia: f64::INFINITY };
        Ok(followed.assigned(points, options.metric))
    }

    /// These centres for other points: each point to the nearest, and the centres to where their points are.
    pub(crate) fn assigned(&self, points: &Points, metric: Metric) -> Self {
        let mut centres = self.centres.clone();
        let (labels, moves) = Assignment::once(points, &centres);
        let mut sums = ClusterSums::new(points, centres.len());
        sums.apply(points, &moves);
        // Those without points stay where they are.
        let filled: Vec<bool> = sums.counts().iter().map(|&count| count > 0).collect();
        centres.follow(&sums, &filled, metric);
        Self::new(points, centres, labels, self.iterations, self.converged)
    }

    fn new(points: &Points, centres: Centres, labels: Vec<u32>, iterations: usize, converged: bool) -> Self {
        let inertia = square_distances(points, &centres, &labels).iter().map(|&d| f64::from(d)).sum();
        Self { centres, labels, iterations, converged, inertia }
    }

    /// `enough` is the sum of the centres' squared steps that the tolerance stands for.
    fn lloyd(points: &Points, mut centres: Centres, options: &KMeansOptions, enough: f64) -> Self {
        if options.metric == Metric::Spherical {
            centres.normalise();
        }
        let clusters = centres.len();
        let mut assignment = Assignment::new(points, &centres, options.bounds);
        let mut sums = ClusterSums::new(points, clusters);
        let moves = assignment.pass(points, &centres, &vec![0.0; clusters]);
        sums.apply(points, &moves);
        let mut touched = vec![true; clusters];
        let (mut iterations, mut converged) = (0, false);
        while !converged && iterations < options.max_iterations {
            iterations += 1;
            if options.empty == Empty::Reseed {
                empty::reseed(points, &centres, &mut assignment, &mut sums, &mut touched);
            }
            let drift = centres.follow(&sums, &touched, options.metric);
            let moves = assignment.pass(points, &centres, &drift);
            let step: f64 = drift.iter().map(|drift| drift * drift).sum();
            converged = moves.is_empty() || (options.tolerance > 0.0 && step <= enough);
            touched = sums.apply(points, &moves);
        }
        Self::new(points, centres, assignment.into_labels(), iterations, converged)
    }

    /// Number of points in each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        sizes(&self.labels, self.centres.len())
    }
}

/// Mean over the dimensions of the points' variance; not computed if it is not `needed`.
fn mean_variance(points: &Points, needed: f64) -> f64 {
    if needed == 0.0 {
        return 0.0;
    }
    let (n, dim) = (points.len() as f64, points.dim());
    let mut sums = vec![0.0f64; dim];
    let mut squares = 0.0;
    for (row, &square) in points.data().chunks_exact(dim).zip(points.square_norms()) {
        squares += f64::from(square);
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let of_means: f64 = sums.iter().map(|sum| (sum / n) * (sum / n)).sum();
    ((squares / n - of_means) / dim as f64).max(0.0)
}
