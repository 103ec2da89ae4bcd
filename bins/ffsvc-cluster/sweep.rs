//! `sweep`: how clusters change with their number, and which number the usual criteria propose.

use clap::{Args, ValueEnum};
use ffsvc_cli::{OutputPath, Progress, RunFiles, UsageError, print_json};
use ffsvc_clustering::knee::{Criterion, Proposal, propose};
use ffsvc_clustering::{SweepOptions, SweepPoint, sweep};
use ffsvc_embeddings::Provenance;
use ffsvc_plots::{SweepCurve, SweepPanel, SweepPlot};
use serde::Serialize;

use crate::algorithm::{Algorithm, Trying};
use crate::folder::{Folder, Output, SWEEP};
use crate::input::{Input, Source};
use crate::number::Number;
use crate::words::Counted;

/// What a sweep has found.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    program: &'static str,
    embeddings: String,
    /// Which model made the embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Provenance>,
    utterances: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_embeddings: Option<Counted>,
    warm_starts: bool,
    subsample: Option<usize>,
    mini_batch: Option<usize>,
    points: Vec<SweepPoint>,
    proposals: Vec<Proposal>,
}

impl Measured {
    /// Runs the sweep and writes `sweep.json`.
    pub(crate) fn new(input: &Input, options: &SweepOptions, folder: &Folder) -> anyhow::Result<Self> {
        let progress = Progress::begin(options.values().len() as u64, "numbers of clusters");
        let points = sweep(input.points(), options, || progress.inc(1))?;
        progress.finish();
        let measured = Self {
            program: concat!("ffsvc-cluster ", env!("CARGO_PKG_VERSION")),
            embeddings: input.store().to_owned(),
            model: input.provenance().cloned(),
            utterances: input.named().utterances.len(),
            zero_embeddings: Counted::new(&input.named().zero),
            warm_starts: options.warm,
            subsample: options.kmeans.subsample,
            mini_batch: options.kmeans.mini_batch,
            proposals: propose(&points, options.from, options.to),
            points,
        };
        ffsvc_cli::write_json(folder.path(SWEEP), &measured)?;
        Ok(measured)
    }

    /// The number of clusters that a criterion proposes.
    pub(crate) fn proposed(&self, criterion: Criterion) -> anyhow::Result<usize> {
        let proposal = self.proposals.iter().find(|proposal| proposal.criterion == criterion);
        proposal.map(|proposal| proposal.clusters).ok_or_else(|| {
            anyhow::anyhow!(
                "--criterion {} proposes no number of clusters on this range; {SWEEP} has what was measured",
                name_of(criterion)
            )
        })
    }
}

/// Measure the clusters for several numbers of them
///
/// Runs K-means for each number of clusters and writes sweep.json to the folder OUT. For each number it has the mean
/// cosine with the centres (over clusters and over utterances), inertia, silhouette, and the Calinski-Harabasz and
/// Davies-Bouldin index. It also has what each criterion proposes. The criteria often disagree: look at the curves.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-cluster sweep exp/target/embeddings.scp -o exp/sweep --k 20..200:10 --plot-out exp/sweep/sweep.svg")]
pub(crate) struct Sweep {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    output: Output,

    /// Numbers of clusters: a range FROM..TO:STEP, TO included: 20..200:10; one number; or auto: about 20 numbers up to a
    /// quarter of the embeddings, and to 2,000 at most
    #[arg(long, value_name = "N|RANGE|auto")]
    k: Number,

    #[command(flatten)]
    trying: Trying,

    #[command(flatten)]
    algorithm: Algorithm,

    /// Draw cosines, silhouette and what is proposed: .svg or .png
    #[arg(long, value_name = "FILE")]
    plot_out: Option<OutputPath>,
}

impl Sweep {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        if let Some(path) = &self.plot_out {
            ffsvc_plots::check_ending(path)
                .map_err(|error| UsageError::new(format!("--plot-out {error}")))?;
        }
        if matches!(self.k, Number::Given(_)) && self.trying.without_warm_start() {
            let message =
                "--no-warm-start: needs several numbers of clusters (--k FROM..TO:STEP or --k auto)";
            return Err(UsageError::new(message).into());
        }
        let files = self.source.files(RunFiles::new()).regular_output("--plot-out", &self.plot_out);
        let folder = self.output.lock(files, json)?;
        let input = self.source.read()?;
        folder.clear()?;
        let range = self.k.range(input.points().len());
        let measured = Measured::new(&input, &self.trying.options(range, &self.algorithm), &folder)?;
        if let Some(path) = &self.plot_out {
            ffsvc_plots::write(&picture(&measured), path)?;
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
            let name = name_of(proposal.criterion);
            println!("{name:<31} K = {} (of {} to {})", proposal.clusters, proposal.from, proposal.to);
        }
        Ok(())
    }
}

/// A criterion as it is called on the command line.
fn name_of(criterion: Criterion) -> String {
    criterion.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn picture(measured: &Measured) -> SweepPlot {
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
    let proposals = proposals.map(|proposal| (name_of(proposal.criterion), proposal.clusters)).collect();
    SweepPlot { title: None, panels, proposals }
}
