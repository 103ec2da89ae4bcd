//! `labels`: a data directory with pseudo-speakers.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use ffsvc_cli::print_json;
use ffsvc_clustering::{Assignments, LabelOptions, LabelReport, label, labels_of_groups, speaker_name};
use ffsvc_kaldi_io::{DataDir, OpenOptions, Output, Table, write_table};
use serde::Serialize;

/// Write a data directory with clusters as speakers
///
/// Takes the utterances of DATA_DIR that the clustering has put into clusters worth keeping, and calls their speakers
/// `PREFIX-NUMBER`. Rules are applied in this order: --group, --min-cosine, --min-margin, --keep-share, --min-size. OUT_DIR gets
/// wav.scp, utt2spk, spk2utt, the tables by utterance of DATA_DIR, soft_labels (`utterance speaker:cosine ...`, the nearest
/// clusters among those kept) and labels.json, which says how many utterances each rule left out.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example, and labelled data beside it for a fine-tune:
  ffsvc-cluster labels exp/clusters data/target data/target-r1 --prefix r1 --keep-share 0.8 --min-size 4
  ffsvc-data combine data/source data/target-r1 --output data/train-r1

Clusters of the recordings close to the speakers, for those of all devices:
  ffsvc-data subset data/target --utterances data/near -o data/target-near
  ffsvc-extract --model M.safetensors data/target-near exp/near.ark
  ffsvc-cluster kmeans exp/near.scp exp/clusters --k 200
  ffsvc-cluster labels exp/clusters data/target data/target-r1 --group data/target/utt2group")]
pub(crate) struct Labels {
    /// The folder that `kmeans` has written
    clusters: PathBuf,

    /// The data directory of the clustered utterances
    data_dir: PathBuf,

    /// Folder for the new data directory
    out_dir: PathBuf,

    /// Put before the number of the cluster, with a hyphen
    #[arg(long, default_value = "cluster")]
    prefix: String,

    /// Number of the round, put behind the prefix: PREFIX-r2-0042
    #[arg(long, value_name = "N")]
    round: Option<u32>,

    /// Of each cluster, keep this share of its utterances: the nearest to the centre
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    keep_share: f64,

    /// Keep clusters with at least so many utterances, once all else is done
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_size: usize,

    /// Keep utterances whose cosine with their centre is at least this
    #[arg(long, value_name = "COSINE", allow_hyphen_values = true)]
    min_cosine: Option<f32>,

    /// Keep utterances whose cosine with their centre is higher than with any other by at least this
    #[arg(long, value_name = "COSINE", allow_hyphen_values = true)]
    min_margin: Option<f32>,

    /// Table `utterance group`: all utterances of a group get the label that most of them have, those that were not
    /// clustered too
    #[arg(long, value_name = "UTT2GROUP")]
    group: Option<PathBuf>,

    /// Replace a data directory that is there already
    #[arg(long)]
    overwrite: bool,

    /// Accept commands (`sph2pipe ... |`) in wav.scp; they are not run
    #[arg(long)]
    allow_pipes: bool,
}

#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    report: LabelReport,
    /// Utterances of the data directory that were not clustered and have the label of their group.
    followed: usize,
    /// Utterances of the data directory that were not clustered and have no label.
    unclustered: usize,
    /// Kept utterances that the data directory does not have.
    absent: usize,
    /// Utterances of the new data directory.
    written: usize,
}

impl Labels {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let assignments = Assignments::read(self.clusters.join("assignments"))?;
        let data = DataDir::open_with(&self.data_dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let groups = self.group.as_ref().map(Table::read).transpose()?;
        let options = LabelOptions {
            keep_share: self.keep_share,
            min_cosine: self.min_cosine,
            min_margin: self.min_margin,
            min_size: self.min_size,
        };
        let (labels, report) = label(&assignments, groups.as_ref(), &options)?;

        let highest = assignments.near.iter().flatten().map(|near| near.cluster).max().unwrap_or(0);
        let prefix = match self.round {
            Some(round) => format!("{}-r{round}", self.prefix),
            None => self.prefix.clone(),
        };
        let name = |cluster: u32| speaker_name(&prefix, cluster, highest.saturating_add(1));
        let utterances = assignments.utterances.iter().map(String::as_str);
        let label_of: HashMap<&str, Option<u32>> = utterances.zip(labels.iter().copied()).collect();
        let of_groups =
            groups.as_ref().map(|groups| (groups, labels_of_groups(&assignments, &labels, groups)));
        let of_group = |utterance: &str| {
            let (groups, labels) = of_groups.as_ref()?;
            labels.get(groups.get(utterance)?).copied()
        };
        let output = Output::new(&self.out_dir).overwrite(self.overwrite);
        let written = data.relabel(
            |utterance| label_of.get(utterance).copied().unwrap_or_else(|| of_group(utterance)).map(name),
            &output,
        )?;

        let kept: std::collections::BTreeSet<u32> = labels.iter().flatten().copied().collect();
        let soft = assignments.utterances.iter().zip(&assignments.near).zip(&labels);
        let mut soft: Vec<(&str, String)> = soft
            .filter(|((utterance, _), label)| label.is_some() && data.position(utterance).is_some())
            .map(|((utterance, near), _)| {
                let near = near.iter().filter(|near| kept.contains(&near.cluster));
                let pairs = near.map(|near| format!("{}:{}", name(near.cluster), near.cosine));
                (utterance.as_str(), pairs.collect::<Vec<_>>().join(" "))
            })
            .filter(|(_, line)| !line.is_empty())
            .collect();
        soft.sort_unstable();
        write_table(self.out_dir.join("soft_labels"), soft)?;

        let others: Vec<&str> =
            data.utterances().map(|utterance| utterance.id).filter(|id| !label_of.contains_key(id)).collect();
        let followed = others.iter().filter(|id| of_group(id).is_some()).count();
        let outcome = Outcome {
            followed,
            unclustered: others.len() - followed,
            absent: report.kept + followed - written,
            written,
            report,
        };
        crate::folder::write_json(&self.out_dir.join("labels.json"), &outcome)?;
        for (count, what) in [
            (outcome.unclustered, "utterances of the data directory were not clustered and have no label"),
            (outcome.absent, "clustered utterances are not in the data directory"),
        ] {
            if count > 0 {
                tracing::warn!("{count} {what}");
            }
        }
        if json {
            return print_json(&outcome);
        }
        let report = &outcome.report;
        println!(
            "{}: {written} of {} utterances, {} of {} clusters",
            self.out_dir.display(),
            data.len(),
            report.kept_clusters,
            report.clusters
        );
        for (count, why) in [
            (report.regrouped, "took the label of their group"),
            (outcome.followed, "were not clustered and took the label of their group"),
            (report.below_cosine, "left out by --min-cosine"),
            (report.below_margin, "left out by --min-margin"),
            (report.beyond_share, "left out by --keep-share"),
            (report.in_small_clusters, "left out by --min-size"),
        ] {
            if count > 0 {
                println!("  {count} {why}");
            }
        }
        Ok(())
    }
}
