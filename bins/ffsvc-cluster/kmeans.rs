//! `kmeans`: clusters of a given or a proposed number.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ffsvc_cli::{UsageError, print_json};
use ffsvc_clustering::validity::{IntraCosine, intra_cosine};
use ffsvc_clustering::{Centres, Empty, KMeans, KMeansOptions, Metric, Points, Start};
use ffsvc_embeddings::Embeddings;
use serde::Serialize;

use crate::folder::Folder;
use crate::sweep::Range;

/// How K-means runs, for `kmeans` and `sweep`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Algorithm {
    /// What a centre is: the mean of its points, or the mean brought to length 1
    #[arg(long, value_enum, default_value_t = MetricName::Euclidean)]
    metric: MetricName,

    /// Where the centres begin
    #[arg(long, value_enum, default_value_t = StartName::Auto)]
    start: StartName,

    /// Stop when the squared steps of all centres together are at most this times the mean variance of a dimension;
    /// 0: when no label changes
    #[arg(long, value_name = "T", default_value_t = 1e-4)]
    tolerance: f64,

    /// At most so many updates of the centres
    #[arg(long, value_name = "N", default_value_t = 300)]
    max_iterations: usize,

    /// Starts with other random numbers; the one of the least inertia counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    restarts: usize,

    /// Times that clusters may be merged and others split in the end, where that lowers the inertia
    #[arg(long, value_name = "N", default_value_t = 20)]
    refinements: usize,

    /// Fit the centres to so many of the utterances, and assign all to them once: for sizes that need no exactness
    #[arg(long, value_name = "N")]
    subsample: Option<usize>,

    /// Let the centres follow random samples of so many utterances, and assign all to them once
    #[arg(long, value_name = "N", conflicts_with = "refinements")]
    mini_batch: Option<usize>,

    /// Seed of all that is random
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// The baseline's notebook: random start, Euclidean, until no label changes, clusters that lose all points stay
    /// empty
    #[arg(long, conflicts_with_all = ["metric", "start", "tolerance", "max_iterations", "refinements", "mini_batch"])]
    compat: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MetricName {
    Euclidean,
    Spherical,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StartName {
    /// k-means++ for up to 20 million pairs of utterance and cluster, k-means|| beyond
    Auto,
    /// Random utterances
    Random,
    /// Utterances in proportion to their squared distance from those before
    #[value(name = "k-means++")]
    PlusPlus,
    /// Many candidates in five rounds, then k-means++ among them
    #[value(name = "k-means-parallel")]
    Parallel,
}

impl Algorithm {
    pub(crate) fn options(&self, clusters: usize) -> KMeansOptions {
        let options = if self.compat {
            KMeansOptions::compat(clusters)
        } else {
            KMeansOptions {
                metric: match self.metric {
                    MetricName::Euclidean => Metric::Euclidean,
                    MetricName::Spherical => Metric::Spherical,
                },
                start: match self.start {
                    StartName::Auto => Start::Auto,
                    StartName::Random => Start::Random,
                    StartName::PlusPlus => Start::PlusPlus,
                    StartName::Parallel => Start::Parallel,
                },
                max_iterations: self.max_iterations,
                tolerance: self.tolerance,
                refinements: self.refinements,
                ..KMeansOptions::new(clusters)
            }
        };
        let Self { restarts, subsample, mini_batch, seed, .. } = *self;
        KMeansOptions { restarts, subsample, mini_batch, seed, ..options }
    }
}

/// A number of clusters, or "auto".
#[derive(Debug, Clone, Copy)]
enum Number {
    Given(usize),
    Auto,
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(number) if number > 0 => Ok(Self::Given(number)),
            _ => Err(format!("found {text:?}, expected a number of at least 1, or auto")),
        }
    }
}

/// Cluster embeddings by K-means
///
/// Writes to the folder OUT: centres.scp and centres.ark (a vector for each cluster, named by its number), assignments
/// (`utterance cluster:cosine ...`: the own cluster, then the nearest others) and result.json.
///
/// With `--k auto` the numbers of --from, --to and --step are tried first, as `sweep` does, and the one that
/// --criterion proposes is taken, or --k-factor times it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-cluster kmeans exp/target/embeddings.scp exp/clusters --k 120
  ffsvc-cluster kmeans exp/target/embeddings.scp exp/clusters --k auto --from 20 --to 200 --step 10")]
pub(crate) struct Kmeans {
    #[command(flatten)]
    folder: Folder,

    /// Number of clusters, or auto
    #[arg(long, value_name = "N|auto")]
    k: Number,

    #[command(flatten)]
    range: Range,

    /// With --k auto: so many times the proposed number. More clusters than there are speakers are purer, and --min-size
    /// and --keep-share of `labels` drop the scraps
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    k_factor: f64,

    #[command(flatten)]
    algorithm: Algorithm,

    /// Start from the centres of this store: a warm start
    #[arg(long, value_name = "STORE", conflicts_with_all = ["start", "restarts"])]
    start_from: Option<PathBuf>,

    /// Nearest other clusters to write down for each utterance
    #[arg(long, value_name = "N", default_value_t = 4)]
    others: usize,
}

#[derive(Serialize)]
struct Outcome {
    program: &'static str,
    method: &'static str,
    embeddings: String,
    utterances: usize,
    clusters: usize,
    compat: bool,
    metric: Metric,
    subsample: Option<usize>,
    mini_batch: Option<usize>,
    seed: u64,
    iterations: usize,
    converged: bool,
    inertia: f64,
    intra_cosine: IntraCosine,
    sizes: Vec<usize>,
}

impl Kmeans {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let range = match self.k {
            Number::Auto => Some(self.range.required()?),
            Number::Given(_) => None,
        };
        if !(self.k_factor > 0.0 && self.k_factor.is_finite()) {
            let message = format!("--k-factor {}: expected a number above 0", self.k_factor);
            return Err(UsageError::new(message).into());
        }
        let input = self.folder.open("result.json")?;
        let points = input.points();
        let clusters = match (self.k, range) {
            (Number::Given(clusters), _) => clusters,
            (Number::Auto, range) => {
                let range = range.context("a range for --k auto")?;
                let measured = crate::sweep::measure(&input, &self.algorithm, &range, &self.folder)?;
                let proposed = crate::sweep::choose(&measured, self.range.criterion())?;
                ((proposed as f64 * self.k_factor).round() as usize).clamp(1, points.len())
            }
        };
        let mut options = self.algorithm.options(clusters);
        if let Some(store) = &self.start_from {
            options.start = Start::Centres(read_centres(store, points)?);
        }
        let fit = KMeans::fit(points, &options)?;
        if !fit.converged {
            tracing::warn!("ended after {} iterations, before the labels settled", fit.iterations);
        }
        let empty = fit.sizes().iter().filter(|&&size| size == 0).count();
        if empty > 0 {
            let why = if options.empty == Empty::Keep {
                "--compat keeps them"
            } else {
                "fewer different embeddings"
            };
            tracing::warn!("{empty} of {clusters} clusters are empty ({why})");
        }
        let intra_cosine = intra_cosine(points, &fit.centres, &fit.labels);
        let utterances = input.utterances();
        let sizes = self.folder.write(input, &fit.centres, fit.labels, self.others)?;
        let outcome = Outcome {
            program: concat!("ffsvc-cluster ", env!("CARGO_PKG_VERSION")),
            method: "k-means",
            embeddings: self.folder.store(),
            utterances,
            clusters,
            compat: options.empty == Empty::Keep,
            metric: options.metric,
            subsample: options.subsample,
            mini_batch: options.mini_batch,
            seed: options.seed,
            iterations: fit.iterations,
            converged: fit.converged,
            inertia: fit.inertia,
            intra_cosine,
            sizes,
        };
        self.folder.write_json("result.json", &outcome)?;
        if json {
            return print_json(&outcome);
        }
        println!(
            "{clusters} clusters of {} utterances, {} to {} each, after {} iterations",
            outcome.utterances,
            outcome.sizes.iter().min().unwrap_or(&0),
            outcome.sizes.iter().max().unwrap_or(&0),
            outcome.iterations
        );
        println!(
            "mean cosine with the centre: {:.4} over clusters, {:.4} over utterances",
            outcome.intra_cosine.per_cluster, outcome.intra_cosine.per_utterance
        );
        Ok(())
    }
}

fn read_centres(store: &PathBuf, points: &Points) -> anyhow::Result<Centres> {
    let centres = Embeddings::read(store)?;
    let dim = centres.dim();
    if dim != points.dim() {
        let message =
            format!("{} has {dim} dimensions, the embeddings have {}", store.display(), points.dim());
        return Err(UsageError::new(message).into());
    }
    Ok(Centres::new(centres.into_parts().1, dim))
}
