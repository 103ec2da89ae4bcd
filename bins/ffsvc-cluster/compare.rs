//! `compare`: two labellings beside each other.

use std::path::{Path, PathBuf};

use clap::Args;
use ffsvc_cli::print_json;
use ffsvc_clustering::quality::{Compared, Quality};
use ffsvc_kaldi_io::Table;
use serde::Serialize;

use crate::clusters::Clusters;

/// Compare clusters with known speakers, or with the clusters of another round
///
/// Reads two tables like utt2spk, or folders that `kmeans` or `ahc` has written, and compares their labels of the
/// utterances that both have. If the second has known speakers, the measures tell how good the clusters are. If it has
/// the pseudo-labels of the round before, they tell how far the labels have settled. NMI and ARI do not depend on the
/// order of the two.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-cluster compare exp/clusters data/target/utt2spk.true
  ffsvc-cluster compare data/target-r1/utt2spk data/target/utt2spk.true --matching")]
pub(crate) struct Compare {
    /// Table `utterance cluster`, or a folder of clusters
    clusters: PathBuf,

    /// Table `utterance speaker`, or a folder of clusters
    speakers: PathBuf,

    /// Print which cluster stands for which speaker in the best matching
    #[arg(long)]
    matching: bool,
}

#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    measures: Quality,
    only_in_clusters: usize,
    only_in_speakers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<Vec<Pair>>,
}

#[derive(Serialize)]
struct Pair {
    cluster: String,
    speaker: String,
    common: usize,
    cluster_size: usize,
    speaker_size: usize,
}

impl Compare {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let compared = Compared::new(&read(&self.clusters)?, &read(&self.speakers)?)?;
        let matching = compared.contingency.matching();
        let pairs = || {
            let pairs = matching.iter().map(|pair| Pair {
                cluster: compared.clusters[pair.cluster as usize].clone(),
                speaker: compared.classes[pair.class as usize].clone(),
                common: pair.common,
                cluster_size: pair.cluster_size,
                speaker_size: pair.class_size,
            });
            pairs.collect()
        };
        let outcome = Outcome {
            measures: compared.contingency.quality_with(&matching),
            only_in_clusters: compared.only_first,
            only_in_speakers: compared.only_second,
            matching: self.matching.then(pairs),
        };
        if json {
            return print_json(&outcome);
        }
        let measures = &outcome.measures;
        println!(
            "{} utterances in {} clusters and of {} speakers ({} only among the clusters, {} only among the speakers)",
            measures.utterances,
            measures.clusters,
            measures.classes,
            outcome.only_in_clusters,
            outcome.only_in_speakers
        );
        for (name, value) in [
            ("NMI (V-measure)", measures.nmi),
            ("adjusted Rand index", measures.ari),
            ("purity", measures.purity),
            ("inverse purity", measures.inverse_purity),
            ("homogeneity", measures.homogeneity),
            ("completeness", measures.completeness),
            ("pairwise precision", measures.pair_precision),
            ("pairwise recall", measures.pair_recall),
            ("pairwise F", measures.pair_f),
            ("accuracy of best matching", measures.matched_accuracy),
        ] {
            println!("{name:<26} {value:.4}");
        }
        for pair in outcome.matching.iter().flatten() {
            println!(
                "{} {} {} of {} and {}",
                pair.cluster, pair.speaker, pair.common, pair.cluster_size, pair.speaker_size
            );
        }
        Ok(())
    }
}

/// A table of labels, from a file or a folder of clusters.
fn read(path: &Path) -> anyhow::Result<Table> {
    if !path.is_dir() {
        return Ok(Table::read(path)?);
    }
    let assignments = Clusters::read(path)?.assignments;
    let rows = assignments.utterances.iter().zip(&assignments.near);
    let text: String = rows.map(|(utterance, near)| format!("{utterance} {}\n", near[0].cluster)).collect();
    Ok(Table::parse(path, text.into_bytes())?)
}
