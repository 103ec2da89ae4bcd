//! How K-means runs, for `kmeans` and `sweep`.

use clap::Args;
use ffsvc_cli::RangeArg as _;
use ffsvc_clustering::{KMeansOptions, Metric, Start, SweepOptions};

use crate::number::Range;

/// Options of K-means.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "K-means")]
pub(crate) struct Algorithm {
    /// What a centre is: the mean of its points, or the mean brought to length 1
    #[arg(long, value_enum, default_value_t = Metric::Euclidean)]
    metric: Metric,

    /// Where the centres begin
    #[arg(long, value_enum, default_value_t = Start::Auto)]
    start: Start,

    /// Stop when the squared steps of all centres together are at most this times the mean variance of a dimension;
    /// 0: when no label changes
    #[arg(long, value_name = "T", default_value_t = 1e-4, range = KMeansOptions::TOLERANCE)]
    tolerance: f64,

    /// At most so many updates of the centres
    #[arg(long, value_name = "N", default_value_t = 300, range = KMeansOptions::AT_LEAST_ONE)]
    max_iterations: usize,

    /// Starts with other random numbers; the one of the least inertia counts
    #[arg(long, value_name = "N", default_value_t = 1, range = KMeansOptions::AT_LEAST_ONE)]
    restarts: usize,

    /// Times that clusters may be merged and others split in the end, where that lowers the inertia
    #[arg(long, value_name = "N", default_value_t = 20)]
    refinements: usize,

    /// Fit the centres to so many of the utterances, and assign all to them once: for large sets
    #[arg(long, value_name = "N", range = KMeansOptions::AT_LEAST_ONE)]
    subsample: Option<usize>,

    /// Let the centres follow random samples of so many utterances, and assign all to them once
    #[arg(long, value_name = "N", range = KMeansOptions::AT_LEAST_ONE, conflicts_with_all = ["refinements", "tolerance"])]
    mini_batch: Option<usize>,

    /// Seed of all that is random [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The baseline's notebook: random start, Euclidean, until no label changes, clusters that lose all points stay
    /// empty
    #[arg(long, conflicts_with_all = ["metric", "start", "tolerance", "max_iterations", "refinements", "mini_batch"])]
    compat: bool,
}

impl Algorithm {
    pub(crate) fn options(&self, clusters: usize) -> KMeansOptions {
        let options = if self.compat {
            KMeansOptions::compat(clusters)
        } else {
            KMeansOptions {
                metric: self.metric,
                start: self.start.clone(),
                max_iterations: self.max_iterations,
                tolerance: self.tolerance,
                refinements: self.refinements,
                ..KMeansOptions::new(clusters)
            }
        };
        let Self { restarts, subsample, mini_batch, .. } = *self;
        KMeansOptions { restarts, subsample, mini_batch, seed: self.seed.unwrap_or(0), ..options }
    }

    /// Whether `--seed` is given although nothing is random once the centres are given.
    pub(crate) fn has_idle_seed(&self) -> bool {
        self.seed.is_some() && self.subsample.is_none() && self.mini_batch.is_none()
    }
}

/// How several numbers of clusters are tried.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Numbers of clusters")]
pub(crate) struct Trying {
    /// Start every number of clusters from nothing, not from the clusters of the one before
    #[arg(long)]
    no_warm_start: bool,

    /// Utterances among which the silhouette is measured; 0: not at all [default: 4000]
    #[arg(long, value_name = "N")]
    silhouette_sample: Option<usize>,
}

impl Trying {
    pub(crate) fn options(&self, range: Range, algorithm: &Algorithm) -> SweepOptions {
        let options = SweepOptions::new(range.from, range.to, range.step);
        SweepOptions {
            warm: !self.no_warm_start,
            silhouette_sample: self.silhouette_sample.unwrap_or(options.silhouette_sample),
            kmeans: algorithm.options(range.from),
            ..options
        }
    }

    /// The first option that is given, if one is.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [(self.no_warm_start, "--no-warm-start"), (self.silhouette_sample.is_some(), "--silhouette-sample")]
            .into_iter()
            .find_map(|(given, option)| given.then_some(option))
    }

    pub(crate) fn without_warm_start(&self) -> bool {
        self.no_warm_start
    }

    pub(crate) fn without_silhouette(&self) -> bool {
        self.silhouette_sample == Some(0)
    }
}
