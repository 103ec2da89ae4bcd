//! `labels`: a data directory with pseudo-speakers.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use ffsvc_cli::{OutputPath, RangeArg as _, RunFiles, print_json};
use ffsvc_clustering::{LabelOptions, LabelReport, label, labels_of_groups, speaker_name};
use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::{DataDir, OpenOptions, Output, Table, write_table};
use serde::Serialize;

use crate::clusters::Clusters;
use crate::folder::Folder;
use crate::words::warn_of;

/// The last file that is written.
const REPORT: &str = "labels.json";
const SOFT_LABELS: &str = "soft_labels";

/// Write a data directory with clusters as speakers
///
/// Takes the utterances of DATA_DIR that the clustering has put into clusters worth keeping, and calls their speakers
/// `PREFIX-NUMBER`. Rules are applied in this order: --group-by, --min-cosine, --min-margin, --keep-share, --min-size. OUT_DIR gets
/// wav.scp, utt2spk, spk2utt, the tables by utterance of DATA_DIR, soft_labels (`utterance speaker:cosine ...`, the nearest
/// clusters among those kept) and labels.json, which says how many utterances each rule left out.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example, and labelled data beside it for a fine-tune:
  ffsvc-cluster labels exp/clusters data/target -o data/target-r1 --prefix r1 --keep-share 0.8 --min-size 4
  ffsvc-data combine data/source data/target-r1 --output data/train-r1

Clusters of the recordings close to the speakers, for those of all devices:
  ffsvc-data subset data/target --utterances data/near -o data/target-near
  ffsvc-extract --model M.safetensors data/target-near exp/near.ark
  ffsvc-cluster kmeans exp/near.scp -o exp/clusters --k 200
  ffsvc-cluster labels exp/clusters data/target -o data/target-r1 --group-by data/target/utt2group")]
pub(crate) struct Labels {
    /// The folder that `kmeans` or `ahc` has written
    clusters: PathBuf,

    /// The data directory of the clustered utterances
    data_dir: PathBuf,

    /// Folder for the new data directory
    #[arg(value_name = "OUT_DIR", required_unless_present = "output", conflicts_with = "output")]
    out_dir: Option<OutputPath>,

    /// Folder for the new data directory, in place of OUT_DIR
    #[arg(short, long, value_name = "OUT_DIR")]
    output: Option<OutputPath>,

    /// Put before the number of the cluster, with a hyphen
    #[arg(long, default_value = "cluster", value_parser = name_part)]
    prefix: String,

    /// Number of the round, put behind the prefix: PREFIX-r2-0042
    #[arg(long, value_name = "N")]
    round: Option<u32>,

    /// Of each cluster, keep this share of its utterances: the nearest to the centre
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, range = LabelOptions::KEEP_SHARE)]
    keep_share: f64,

    /// Keep clusters with at least so many utterances, once all else is done
    #[arg(long, value_name = "N", default_value_t = 1, range = LabelOptions::MIN_SIZE)]
    min_size: usize,

    /// Keep utterances whose cosine with their centre is at least this
    #[arg(long, value_name = "COSINE", range = LabelOptions::MIN_COSINE)]
    min_cosine: Option<f32>,

    /// Keep utterances whose cosine with their centre is higher than with any other by at least this
    #[arg(long, value_name = "COSINE", range = LabelOptions::MIN_MARGIN)]
    min_margin: Option<f32>,

    /// Table `utterance group`: all utterances of a group get the label that most of them have, those that were not
    /// clustered too
    #[arg(long, value_name = "UTT2GROUP")]
    group_by: Option<PathBuf>,

    /// Replace a data directory that is there already
    #[arg(long)]
    overwrite: bool,

    /// Accept commands (`sph2pipe ... |`) in wav.scp; they are not run
    #[arg(long)]
    allow_pipes: bool,
}

/// `labels.json`
#[derive(Serialize)]
struct Outcome {
    program: &'static str,
    /// The folder of the clusters.
    clustering: String,
    /// Which model made the clustered embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Provenance>,
    #[serde(flatten)]
    report: LabelReport,
    /// Utterances of the data directory that were not clustered and have the label of their group.
    followed: usize,
    /// Utterances of the data directory that were not clustered and have no label.
    unclustered: usize,
    /// Kept utterances that the data directory does not have.
    absent: usize,
    /// Utterances of the data directory.
    data_utterances: usize,
    /// Utterances of the new data directory.
    written: usize,
    /// `written` by `data_utterances`.
    written_share: f64,
}

/// Who gets which label.
struct Decided<'a> {
    clusters: &'a Clusters,
    /// Of the clustered utterances.
    labels: Vec<Option<u32>>,
    report: LabelReport,
    /// The label of each utterance of the data directory that is written.
    of_data: HashMap<&'a str, u32>,
    /// Utterances of the data directory that were not clustered and have the label of their group: how many.
    followed: usize,
    /// Utterances of the data directory that were not clustered and have no label.
    unclustered: Vec<&'a str>,
    /// Kept utterances that the data directory does not have.
    absent: Vec<&'a str>,
}

impl Labels {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let (option, out) = match (&self.out_dir, &self.output) {
            (Some(path), _) => ("OUT_DIR", path),
            (None, path) => ("--output", path.as_ref().context("a folder for the new data directory")?),
        };
        RunFiles::new()
            .input("CLUSTERS", [&self.clusters])
            .input("DATA_DIR", [&self.data_dir])
            .input("--group-by", &self.group_by)
            .output_folder(option, [out])
            .check(json)?;
        let output = Output::new(out).overwrite(self.overwrite);
        output.check()?;
        let clusters = Clusters::read(&self.clusters)?;
        let data = DataDir::open_with(&self.data_dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let decided = self.decide(&clusters, &data)?;
        if decided.of_data.is_empty() {
            bail!("no utterance of {} is left: {}", self.data_dir.display(), decided.losses());
        }
        decided.warn();

        let folder = Folder::lock(out)?;
        folder.remove(&[REPORT, SOFT_LABELS])?;
        let name = self.names(clusters.clusters);
        let written =
            data.relabel(|utterance| decided.of_data.get(utterance).copied().map(&name), &output)?;
        write_table(folder.path(SOFT_LABELS), decided.soft_labels(&name))?;
        let outcome = Outcome {
            program: concat!("ffsvc-cluster ", env!("CARGO_PKG_VERSION")),
            clustering: self.clusters.display().to_string(),
            model: clusters.model.clone(),
            followed: decided.followed,
            unclustered: decided.unclustered.len(),
            absent: decided.absent.len(),
            data_utterances: data.len(),
            written,
            written_share: written as f64 / data.len() as f64,
            report: decided.report,
        };
        ffsvc_cli::write_json(folder.path(REPORT), &outcome)?;
        if json {
            return print_json(&outcome);
        }
        outcome.print(out);
        Ok(())
    }

    fn decide<'a>(&self, clusters: &'a Clusters, data: &'a DataDir) -> anyhow::Result<Decided<'a>> {
        let groups = self.group_by.as_ref().map(Table::read).transpose()?;
        if let Some(table) = &groups
            && !data.utterances().any(|utterance| table.get(utterance.id).is_some())
        {
            let (table, data) = (table.path().display(), self.data_dir.display());
            bail!("{table} has none of the utterances of {data}");
        }
        let options = LabelOptions {
            keep_share: self.keep_share,
            min_cosine: self.min_cosine,
            min_margin: self.min_margin,
            min_size: self.min_size,
        };
        let assignments = &clusters.assignments;
        let (labels, report) = label(assignments, groups.as_ref(), &options)?;
        let of_groups =
            groups.as_ref().map(|groups| (groups, labels_of_groups(assignments, &labels, groups)));
        let of_group = |utterance: &str| {
            let (groups, labels) = of_groups.as_ref()?;
            labels.get(groups.get(utterance)?).copied()
        };
        let clustered: HashMap<&str, Option<u32>> =
            assignments.utterances.iter().map(String::as_str).zip(labels.iter().copied()).collect();
        let (mut of_data, mut followed, mut unclustered) = (HashMap::new(), 0, Vec::new());
        for utterance in data.utterances().map(|utterance| utterance.id) {
            let label = match clustered.get(utterance) {
                Some(&label) => label,
                None => {
                    let label = of_group(utterance);
                    match label {
                        Some(_) => followed += 1,
                        None => unclustered.push(utterance),
                    }
                    label
                }
            };
            label.map(|label| of_data.insert(utterance, label));
        }
        let kept = assignments.utterances.iter().zip(&labels).filter(|(_, label)| label.is_some());
        let absent = kept.map(|(utterance, _)| utterance.as_str());
        let absent = absent.filter(|utterance| data.position(utterance).is_none()).collect();
        Ok(Decided { clusters, labels, report, of_data, followed, unclustered, absent })
    }

    /// The speakers' names, by cluster.
    fn names(&self, clusters: u32) -> impl Fn(u32) -> String {
        let prefix = match self.round {
            Some(round) => format!("{}-r{round}", self.prefix),
            None => self.prefix.clone(),
        };
        move |cluster| speaker_name(&prefix, cluster, clusters)
    }
}

impl Decided<'_> {
    /// One line for each kind of utterance without a label or recording.
    fn warn(&self) {
        warn_of("utterances of the data directory were not clustered and have no label", &self.unclustered);
        warn_of("clustered utterances are not in the data directory", &self.absent);
    }

    /// Where the utterances have gone, in words.
    fn losses(&self) -> String {
        let others = [
            (self.unclustered.len(), "of the data directory not clustered"),
            (self.absent.len(), "clustered ones not in the data directory"),
        ];
        let all = losses(&self.report).into_iter().chain(others).filter(|(count, _)| *count > 0);
        all.map(|(count, why)| format!("{count} {why}")).collect::<Vec<_>>().join(", ")
    }

    /// The nearest of the kept clusters of each labelled utterance, `speaker:cosine ...`, by utterance.
    fn soft_labels(&self, name: impl Fn(u32) -> String) -> Vec<(&str, String)> {
        let kept: BTreeSet<u32> = self.labels.iter().flatten().copied().collect();
        let assignments = &self.clusters.assignments;
        let rows = assignments.utterances.iter().zip(&assignments.near).zip(&self.labels);
        let mut rows: Vec<(&str, String)> = rows
            .filter(|((utterance, _), label)| {
                label.is_some() && self.of_data.contains_key(utterance.as_str())
            })
            .map(|((utterance, near), _)| {
                let near = near.iter().filter(|near| kept.contains(&near.cluster));
                let pairs = near.map(|near| format!("{}:{}", name(near.cluster), near.cosine));
                (utterance.as_str(), pairs.collect::<Vec<_>>().join(" "))
            })
            .filter(|(_, line)| !line.is_empty())
            .collect();
        rows.sort_unstable();
        rows
    }
}

impl Outcome {
    fn print(&self, out: &Path) {
        let Self { report, written, data_utterances, .. } = self;
        println!(
            "{}: {written} of {data_utterances} utterances, {} of {} clusters",
            out.display(),
            report.kept_clusters,
            report.clusters
        );
        let gains = [
            (report.regrouped, "took the label of their group"),
            (self.followed, "were not clustered and took the label of their group"),
        ];
        for (count, what) in gains.into_iter().chain(losses(report)) {
            if count > 0 {
                println!("  {count} {what}");
            }
        }
    }
}

/// A part of a speaker's name.
fn name_part(text: &str) -> Result<String, String> {
    let is_name = !text.contains(char::is_whitespace);
    is_name.then(|| text.to_owned()).ok_or_else(|| "expected a name without white space".to_owned())
}

/// What each option has left out.
fn losses(report: &LabelReport) -> [(usize, &'static str); 4] {
    [
        (report.below_cosine, "left out by --min-cosine"),
        (report.below_margin, "left out by --min-margin"),
        (report.beyond_share, "left out by --keep-share"),
        (report.in_small_clusters, "left out by --min-size"),
    ]
}
