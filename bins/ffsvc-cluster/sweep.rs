//! `sweep`: how clusters change with their number, and which number the usual criteria propose.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ffsvc_cli::{Progress, UsageError, print_json};
use ffsvc_clustering::knee::{Criterion, Proposal, propose};
use ffsvc_clustering::{SweepOptions, SweepPoint, sweep};
use ffsvc_plots::{SweepCurve, SweepPanel, SweepPlot};
use serde::Serialize;

use crate::folder::{Folder, Input};
use crate::kmeans::Algorithm;

/// Which numbers of clusters.
#[derive(Debug, Clone, Args)]
pub(crate) struct Range {
    /// The least number of clusters
    #[arg(long, value_name = "K")]
    from: Option<usize>,

    /// The largest number of clusters
    #[arg(long, value_name = "K")]
    to: Option<usize>,

    /// From one number of clusters to the next
    #[arg(long, value_name = "K")]
    step: Option<usize>,

    /// The criterion that decides for --k auto
    #[arg(long, value_enum, default_value_t = CriterionName::Silhouette)]
    criterion: CriterionName,

    /// Start every number of clusters from nothing, not from the centres of the one before
    #[arg(long)]
    cold: bool,

    /// Utterances among which the silhouette is measured; 0: not at all
    #[arg(long, value_name = "N", default_value_t = 4000)]
    silhouette_sample: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CriterionName {
    Silhouette,
    CalinskiHarabasz,
    DaviesBouldin,
    KneeCosinePerCluster,
    KneeCosinePerUtterance,
    KneeInertia,
    SecondDifferencePerCluster,
    SecondDifferencePerUtterance,
}

impl Range {
    pub(crate) fn criterion(&self) -> Criterion {
        match self.criterion {
            CriterionName::Silhouette => Criterion::Silhouette,
            CriterionName::CalinskiHarabasz => Criterion::CalinskiHarabasz,
            CriterionName::DaviesBouldin => Criterion::DaviesBouldin,
            CriterionName::KneeCosinePerCluster => Criterion::KneeCosinePerCluster,
            CriterionName::KneeCosinePerUtterance => Criterion::KneeCosinePerUtterance,
            CriterionName::KneeInertia => Criterion::KneeInertia,
            CriterionName::SecondDifferencePerCluster => Criterion::SecondDifferencePerCluster,
            CriterionName::SecondDifferencePerUtterance => Criterion::SecondDifferencePerUtterance,
        }
    }

    /// The range, which is not optional here.
    pub(crate) fn required(&self) -> anyhow::Result<SweepOptions> {
        let (Some(from), Some(to), Some(step)) = (self.from, self.to, self.step) else {
            return Err(
                UsageError::new("give the numbers of clusters to try: --from, --to and --step").into()
            );
        };
        let silhouette_sample = self.silhouette_sample;
        Ok(SweepOptions { silhouette_sample, warm: !self.cold, ..SweepOptions::new(from, to, step) })
    }
}

/// What a sweep has found.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    program: &'static str,
    embeddings: String,
    utterances: usize,
    warm_starts: bool,
    subsample: Option<usize>,
    mini_batch: Option<usize>,
    points: Vec<SweepPoint>,
    proposals: Vec<Proposal>,
}

/// Runs the sweep and writes `sweep.json`.
pub(crate) fn measure(
    input: &Input,
    algorithm: &Algorithm,
    range: &SweepOptions,
    folder: &Folder,
) -> anyhow::Result<Measured> {
    let options = SweepOptions { kmeans: algorithm.options(range.from), ..range.clone() };
    let count = range.to.saturating_sub(range.from) / range.step.max(1) + 1;
    let progress = Progress::begin(count as u64, "numbers of clusters");
    let measured = sweep(input.points(), &options, || progress.inc(1))?;
    progress.finish();
    let proposals = propose(&measured, range.from, range.to);
    let measured = Measured {
        program: concat!("ffsvc-cluster ", env!("CARGO_PKG_VERSION")),
        embeddings: folder.store(),
        utterances: input.utterances(),
        warm_starts: range.warm,
        subsample: options.kmeans.subsample,
        mini_batch: options.kmeans.mini_batch,
        points: measured,
        proposals,
    };
    folder.write_json("sweep.json", &measured)?;
    Ok(measured)
}

/// The number of clusters that a criterion proposes.
pub(crate) fn choose(measured: &Measured, criterion: Criterion) -> anyhow::Result<usize> {
    let proposal = measured.proposals.iter().find(|proposal| proposal.criterion == criterion);
    proposal.map(|proposal| proposal.clusters).ok_or_else(|| {
        let message =
            "the criterion proposes no number of clusters on this range; sweep.json has what was measured";
        anyhow::anyhow!(message)
    })
}

/// Measure the clusters for a range of their number
///
/// Runs K-means for K = --from, --from + --step, ... up to --to, and writes sweep.json to the folder OUT: for each K the
/// mean cosine with the centres (over clusters and over utterances), inertia, silhouette, Calinski-Harabasz and
/// Davies-Bouldin index, and what each criterion proposes. The criteria often disagree: look at the curves.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-cluster sweep exp/target/embeddings.scp exp/sweep --from 20 --to 200 --step 10 --plot exp/sweep/sweep.svg")]
pub(crate) struct Sweep {
    #[command(flatten)]
    folder: Folder,

    #[command(flatten)]
    range: Range,

    #[command(flatten)]
    algorithm: Algorithm,

    /// Draw cosines, silhouette and what is proposed: .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl Sweep {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let range = self.range.required()?;
        let input = self.folder.open("sweep.json")?;
        let measured = measure(&input, &self.algorithm, &range, &self.folder)?;
        if let Some(path) = &self.plot {
            ffsvc_plots::write(&picture(&measured)?, path)?;
        }
        if json {
            return print_json(&measured);
        }
        println!(
            "{:>6} {:>5} {:>9} {:>9} {:>12} {:>10} {:>10} {:>8}",
            "K", "iter", "cos/clus", "cos/utt", "inertia", "silhouette", "CH", "DB"
        );
        for point in &measured.points {
            let shown =
                |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
            println!(
                "{:>6} {:>5} {:>9.4} {:>9.4} {:>12.2} {:>10} {:>10} {:>8}",
                point.clusters,
                point.iterations,
                point.intra_cosine.per_cluster,
                point.intra_cosine.per_utterance,
                point.inertia,
                shown(point.silhouette, 4),
                shown(point.calinski_harabasz, 2),
                shown(point.davies_bouldin, 3),
            );
        }
        println!();
        for proposal in &measured.proposals {
            let name = name_of(proposal.criterion)?;
            println!("{name:<31} K = {} (of {} to {})", proposal.clusters, proposal.from, proposal.to);
        }
        Ok(())
    }
}

/// A criterion as it is called on the command line.
fn name_of(criterion: Criterion) -> anyhow::Result<String> {
    Ok(serde_json::from_value(serde_json::to_value(criterion)?)?)
}

fn picture(measured: &Measured) -> anyhow::Result<SweepPlot> {
    let curve = |name: &str, value: &dyn Fn(&SweepPoint) -> Option<f64>| SweepCurve {
        name: name.to_owned(),
        values: measured.points.iter().filter_map(|point| Some((point.clusters, value(point)?))).collect(),
    };
    let cosines = vec![
        curve("mean over clusters", &|point| Some(point.intra_cosine.per_cluster)),
        curve("mean over utterances", &|point| Some(point.intra_cosine.per_utterance)),
    ];
    let mut panels = vec![SweepPanel { label: "Cosine with the centre".to_owned(), curves: cosines }];
    let silhouette = curve("by cosine distance", &|point| point.silhouette);
    if !silhouette.values.is_empty() {
        panels.push(SweepPanel { label: "Silhouette".to_owned(), curves: vec![silhouette] });
    }
    let proposals = measured.proposals.iter();
    let proposals = proposals.map(|proposal| Ok((name_of(proposal.criterion)?, proposal.clusters)));
    Ok(SweepPlot { title: None, panels, proposals: proposals.collect::<anyhow::Result<_>>()? })
}
