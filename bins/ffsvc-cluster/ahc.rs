//! `ahc`: hierarchical clusters.

use clap::Args;
use ffsvc_cli::{RangeArg as _, RunFiles};
use ffsvc_clustering::KMeansOptions;
use ffsvc_clustering::ahc::{Cut, Linkage, Tree, two_stages};
use ffsvc_clustering::validity::means;
use serde::Serialize;

use crate::clusters::Found;
use crate::folder::Output;
use crate::input::Source;

/// Cluster embeddings hierarchically, by cosine distance
///
/// Merges the two nearest clusters again and again, until there are --k or the next two are farther apart than --distance
/// (1 - cosine). Writes what `kmeans` writes. Memory is 2 bytes for every pair of embeddings, so that beyond
/// 40,000 of them --kmeans-first is needed: K-means to so many centres first, and the hierarchy of these.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-cluster ahc exp/target/embeddings.scp -o exp/clusters --linkage average --distance 0.7
  ffsvc-cluster ahc exp/target/embeddings.scp -o exp/clusters --kmeans-first 5000 --k 120")]
#[command(group = clap::ArgGroup::new("cut").required(true))]
pub(crate) struct Ahc {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    output: Output,

    /// Number of clusters
    #[arg(long, value_name = "N", group = "cut", range = KMeansOptions::AT_LEAST_ONE)]
    k: Option<usize>,

    /// Largest cosine distance at which two clusters are merged
    #[arg(long, value_name = "D", group = "cut", range = Cut::DISTANCE)]
    distance: Option<f64>,

    /// How far two clusters are from each other
    #[arg(long, value_enum, default_value_t = Linkage::Average)]
    linkage: Linkage,

    /// K-means to so many centres first
    #[arg(long, value_name = "N", range = KMeansOptions::AT_LEAST_ONE)]
    kmeans_first: Option<usize>,

    /// Seed of the K-means
    #[arg(long, value_name = "N", default_value_t = 0, requires = "kmeans_first")]
    seed: u64,

    /// Nearest other clusters to write down for each utterance
    #[arg(long, value_name = "N", default_value_t = 4)]
    nearest_clusters: usize,
}

#[derive(Serialize)]
struct Method {
    method: &'static str,
    linkage: Linkage,
    distance: Option<f64>,
    kmeans_first: Option<usize>,
}

impl Ahc {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let folder = self.output.lock(self.source.files(RunFiles::new()), json)?;
        let input = self.source.read()?;
        let points = input.points();
        let cut = match (self.k, self.distance) {
            (Some(clusters), _) => Cut::Clusters(clusters),
            (None, distance) => Cut::Distance(distance.unwrap_or(f64::NAN)),
        };
        folder.clear()?;
        let (labels, clusters) = match self.kmeans_first {
            Some(centres) => {
                let first = KMeansOptions { seed: self.seed, ..KMeansOptions::new(centres) };
                two_stages(points, &first, self.linkage, cut)?
            }
            None => Tree::build(points, self.linkage)?.cut(cut)?,
        };
        let (centres, _) = means(points, &labels, clusters)?;
        let Self { linkage, distance, kmeans_first, .. } = self;
        let method = Method { method: "ahc", linkage, distance, kmeans_first };
        Found { centres, labels, method }.write(&input, &folder, self.nearest_clusters, json)
    }
}
