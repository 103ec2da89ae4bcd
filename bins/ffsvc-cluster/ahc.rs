//! `ahc`: hierarchical clusters.

use clap::{Args, ValueEnum};
use ffsvc_cli::print_json;
use ffsvc_clustering::KMeansOptions;
use ffsvc_clustering::ahc::{Cut, Linkage, Tree, two_stages};
use ffsvc_clustering::validity::{IntraCosine, intra_cosine, means};
use serde::Serialize;

use crate::folder::Folder;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LinkageName {
    Average,
    Complete,
    Single,
    Ward,
    Weighted,
}

/// Cluster embeddings hierarchically, by cosine distance
///
/// Merges the two nearest clusters again and again, until there are --k or the next two are farther apart than --distance
/// (1 - cosine). Writes what `kmeans` writes. Memory is 2 bytes for every pair of embeddings, so that beyond
/// 40,000 of them --stages is needed: K-means to so many centres first, and the hierarchy of these.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-cluster ahc exp/target/embeddings.scp exp/clusters --linkage average --distance 0.7
  ffsvc-cluster ahc exp/target/embeddings.scp exp/clusters --stages 5000 --k 120")]
#[command(group = clap::ArgGroup::new("cut").required(true))]
pub(crate) struct Ahc {
    #[command(flatten)]
    folder: Folder,

    /// Number of clusters
    #[arg(long, value_name = "N", group = "cut")]
    k: Option<usize>,

    /// Largest cosine distance at which two clusters are merged
    #[arg(long, value_name = "D", group = "cut")]
    distance: Option<f64>,

    /// How far two clusters are from each other
    #[arg(long, value_enum, default_value_t = LinkageName::Average)]
    linkage: LinkageName,

    /// K-means to so many centres first
    #[arg(long, value_name = "N")]
    stages: Option<usize>,

    /// Seed of the K-means
    #[arg(long, default_value_t = 0, requires = "stages")]
    seed: u64,

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
    linkage: Linkage,
    distance: Option<f64>,
    stages: Option<usize>,
    clusters: usize,
    intra_cosine: IntraCosine,
    sizes: Vec<usize>,
}

impl Ahc {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let input = self.folder.open("result.json")?;
        let points = input.points();
        let linkage = match self.linkage {
            LinkageName::Average => Linkage::Average,
            LinkageName::Complete => Linkage::Complete,
            LinkageName::Single => Linkage::Single,
            LinkageName::Ward => Linkage::Ward,
            LinkageName::Weighted => Linkage::Weighted,
        };
        let cut = match (self.k, self.distance) {
            (Some(clusters), _) => Cut::Clusters(clusters),
            (None, distance) => Cut::Distance(distance.unwrap_or(f64::NAN)),
        };
        let (labels, clusters) = match self.stages {
            Some(centres) => {
                let first = KMeansOptions { seed: self.seed, ..KMeansOptions::new(centres) };
                two_stages(points, &first, linkage, cut)?
            }
            None => Tree::build(points, linkage)?.cut(cut)?,
        };
        let (centres, _) = means(points, &labels, clusters)?;
        let intra_cosine = intra_cosine(points, &centres, &labels);
        let utterances = input.utterances();
        let sizes = self.folder.write(input, &centres, labels, self.others)?;
        let outcome = Outcome {
            program: concat!("ffsvc-cluster ", env!("CARGO_PKG_VERSION")),
            method: "ahc",
            embeddings: self.folder.store(),
            utterances,
            linkage,
            distance: self.distance,
            stages: self.stages,
            clusters,
            intra_cosine,
            sizes,
        };
        self.folder.write_json("result.json", &outcome)?;
        if json {
            return print_json(&outcome);
        }
        println!(
            "{clusters} clusters of {} utterances, {} to {} each",
            outcome.utterances,
            outcome.sizes.iter().min().unwrap_or(&0),
            outcome.sizes.iter().max().unwrap_or(&0)
        );
        Ok(())
    }
}
