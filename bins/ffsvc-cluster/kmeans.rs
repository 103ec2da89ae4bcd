//! `kmeans`: clusters of a given or a proposed number.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use ffsvc_cli::{Range, RangeArg as _, RunFiles, UsageError};
use ffsvc_clustering::knee::Criterion;
use ffsvc_clustering::{Centres, Empty, KMeans, KMeansOptions, Metric, Start};
use ffsvc_embeddings::{Embeddings, check_one_model};
use serde::Serialize;

use crate::algorithm::{Algorithm, Trying};
use crate::clusters::Found;
use crate::folder::{Folder, Output};
use crate::input::{Input, Source};
use crate::number::Number;
use crate::sweep::Measured;

/// Range of --k-factor.
const K_FACTOR: Range<f64> = Range::above(0.0);

/// Cluster embeddings by K-means
///
/// Writes centres.scp, centres.ark, assignments and result.json to the folder OUT. centres has a vector for each
/// cluster, named by its number. assignments has lines `utterance cluster:cosine ...`, sorted by utterance: the own
/// cluster, then the nearest others.
///
/// With a range or `auto`, several numbers of clusters are tried first, as `sweep` does. The number that --criterion
/// proposes is taken, or --k-factor times it. sweep.json has the measures.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-cluster kmeans exp/target/embeddings.scp -o exp/clusters --k 120
  ffsvc-cluster kmeans exp/target/embeddings.scp -o exp/clusters --k 20..200:10 --criterion silhouette")]
pub(crate) struct Kmeans {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    output: Output,

    /// Number of clusters: 100; a range FROM..TO:STEP of numbers to try, TO included: 20..200:10; or auto: about 20
    /// numbers up to a quarter of the embeddings, and to 2,000 at most
    #[arg(long, value_name = "N|RANGE|auto")]
    k: Number,

    /// With a range or auto: what decides on the number of clusters [default: silhouette]
    #[arg(long, value_enum)]
    criterion: Option<Criterion>,

    /// With a range or auto: so many times the proposed number. More clusters than there are speakers are purer, and
    /// --min-size and --keep-share of `labels` drop the scraps [default: 1]
    #[arg(long, value_name = "F", range = K_FACTOR)]
    k_factor: Option<f64>,

    #[command(flatten)]
    trying: Trying,

    #[command(flatten)]
    algorithm: Algorithm,

    /// Start from the centres of this store: a warm start
    #[arg(long, value_name = "STORE", conflicts_with_all = ["start", "restarts", "compat"])]
    start_from: Option<PathBuf>,

    /// Start from centres of embeddings of another model
    #[arg(long, requires = "start_from")]
    allow_other_model: bool,

    /// Nearest other clusters to write down for each utterance
    #[arg(long, value_name = "N", default_value_t = 4)]
    nearest_clusters: usize,
}

#[derive(Serialize)]
struct Method {
    method: &'static str,
    compat: bool,
    metric: Metric,
    subsample: Option<usize>,
    mini_batch: Option<usize>,
    seed: u64,
    iterations: usize,
    converged: bool,
    inertia: f64,
}

impl Kmeans {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        self.refuse_idle_options()?;
        let files = self.source.files(RunFiles::new()).input("--start-from", &self.start_from);
        let folder = self.output.lock(files, json)?;
        let input = self.source.read()?;
        let points = input.points();
        let start = self.start_from.as_deref().map(|store| self.read_centres(store, &input)).transpose()?;
        folder.clear()?;
        let mut options = self.algorithm.options(self.number_of_clusters(&input, &folder)?);
        if let Some(centres) = start {
            options.start = Start::Centres(centres);
        }
        let fit = KMeans::fit(points, &options)?;
        warn(&fit, &options);
        let method = Method {
            method: "k-means",
            compat: options.empty == Empty::Keep,
            metric: options.metric,
            subsample: options.subsample,
            mini_batch: options.mini_batch,
            seed: options.seed,
            iterations: fit.iterations,
            converged: fit.converged,
            inertia: fit.inertia,
        };
        let found = Found { centres: fit.centres, labels: fit.labels, method };
        found.write(&input, &folder, self.nearest_clusters, json)
    }

    /// Every option that is given has an effect.
    fn refuse_idle_options(&self) -> Result<(), UsageError> {
        let refuse = |option: &str, why: &str| Err(UsageError::new(format!("{option}: {why}")));
        if matches!(self.k, Number::Given(_)) {
            let given = [(self.criterion.is_some(), "--criterion"), (self.k_factor.is_some(), "--k-factor")];
            let given = given.into_iter().find_map(|(given, option)| given.then_some(option));
            if let Some(option) = given.or(self.trying.given()) {
                return refuse(
                    option,
                    "needs several numbers of clusters to try (--k FROM..TO:STEP or --k auto)",
                );
            }
        } else if self.start_from.is_some() {
            return refuse("--start-from", "needs one number of clusters (--k N), that of the centres");
        }
        if self.start_from.is_some() && self.algorithm.has_idle_seed() {
            return refuse(
                "--seed",
                "nothing is random with --start-from and without --subsample or --mini-batch",
            );
        }
        if self.trying.without_silhouette() && self.criterion() == Criterion::Silhouette {
            return refuse(
                "--silhouette-sample 0",
                "--criterion silhouette needs the silhouette; name another",
            );
        }
        Ok(())
    }

    fn read_centres(&self, path: &Path, input: &Input) -> anyhow::Result<Centres> {
        let centres = Embeddings::read(path)?;
        let (dim, expected) = (centres.dim(), input.points().dim());
        let shown = path.display();
        if dim != expected {
            let message =
                format!("--start-from {shown} has {dim} dimensions, the embeddings have {expected}");
            return Err(UsageError::new(message).into());
        }
        let stores =
            [(input.store().to_owned(), input.provenance()), (shown.to_string(), centres.provenance())];
        match check_one_model(stores) {
            Err(mixed) if self.allow_other_model => tracing::warn!("{mixed}: allowed by --allow-other-model"),
            other => {
                other.context("--start-from: --allow-other-model takes the centres of another model")?;
            }
        }
        Ok(Centres::new(centres.into_parts().1, dim))
    }

    fn criterion(&self) -> Criterion {
        self.criterion.unwrap_or(Criterion::Silhouette)
    }

    /// The given number, or the proposed one.
    fn number_of_clusters(&self, input: &Input, folder: &Folder) -> anyhow::Result<usize> {
        if let Number::Given(clusters) = self.k {
            return Ok(clusters);
        }
        let points = input.points().len();
        let range = self.k.range(points);
        let measured = Measured::new(input, &self.trying.options(range, &self.algorithm), folder)?;
        let proposed = measured.proposed(self.criterion())?;
        let wanted = (proposed as f64 * self.k_factor.unwrap_or(1.0)).round();
        if wanted > points as f64 {
            tracing::warn!(
                "--k-factor asks for {wanted} clusters; there are {points} points, and so many clusters"
            );
        }
        Ok((wanted as usize).clamp(1, points))
    }
}

fn warn(fit: &KMeans, options: &KMeansOptions) {
    if !fit.converged {
        tracing::warn!("ended after {} iterations, before the labels settled", fit.iterations);
    }
    let empty = fit.sizes().iter().filter(|&&size| size == 0).count();
    if empty > 0 {
        let keeps = options.empty == Empty::Keep;
        let why = if keeps { "--compat keeps them" } else { "fewer different embeddings" };
        tracing::warn!("{empty} of {} clusters are empty ({why})", options.clusters);
    }
}
