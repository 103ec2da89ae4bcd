//! `ffsvc-score errors`.

use std::path::PathBuf;

use ffsvc_cli::{OutputFile, Range, RangeArg, RunFiles, write_json};
use ffsvc_kaldi_io::Table;
use ffsvc_scoring::error_analysis::{ErrorAnalysis, ErrorAnalysisOptions};
use ffsvc_scoring::metrics::{Definition, Measures, evaluate};

use crate::options::{AT_LEAST_ONE, TrialArgs};
use crate::systems::{Named, read_labelled_trials, read_scores};

const DETAILS: &str = "\
Example:
  ffsvc-score errors --trials data/dev/trials --scores exp/dev/scores --utt2spk data/dev/utt2spk \\
      --table device=data/dev/utt2device --table snr=exp/dev/utt2snr

Trials are sorted by how far their score is from the threshold. Utterances and speakers are sorted by the sum of their miss rate
and their false-alarm rate; a trial counts for both of its sides.";

/// Show the trials, utterances and speakers that cost most errors
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Errors {
    #[command(flatten)]
    list: TrialArgs,

    /// Score file
    #[arg(long, value_name = "FILE")]
    scores: PathBuf,

    /// Accept trials whose score is at least this [default: the threshold of the EER]
    #[arg(long, value_name = "SCORE", range = Range::<f64>::any())]
    threshold: Option<f64>,

    /// Length of each list
    #[arg(long, value_name = "COUNT", default_value_t = 10, range = AT_LEAST_ONE)]
    top: usize,

    /// Speakers of the utterances, to list them too
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,

    /// Show what a table of utterances says of both sides of a trial, such as device=utt2device (may be repeated)
    #[arg(long, value_name = "[NAME=]FILE")]
    table: Vec<Named>,

    /// Leave out trials without a score instead of failing; they are counted
    #[arg(long)]
    skip_missing: bool,

    /// Write the lists as JSON to this file
    #[arg(long, value_name = "FILE")]
    report_out: Option<OutputFile>,

    /// Print the lists as JSON
    #[arg(long)]
    json: bool,
}

impl Errors {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let findings = RunFiles::new()
            .input("--trials", [&self.list.trials])
            .input("--scores", [&self.scores])
            .input("--utt2spk", &self.utt2spk)
            .input("--table", self.table.iter().map(|table| &table.file))
            .output("--report-out", &self.report_out)
            .check(self.json)?;
        let (trials, labels) = read_labelled_trials(&self.list)?;
        let (scores, _) = read_scores(&self.scores, &trials, self.skip_missing)?;
        let (target, nontarget) = scores.split(&labels)?;
        let at_eer = evaluate(&target, &nontarget, Definition::Tied, &Measures::default())?.eer_threshold;

        let mut options = ErrorAnalysisOptions::new(self.threshold.unwrap_or(at_eer));
        options.top = self.top;
        options.utt2spk = self.utt2spk.as_ref().map(Table::read).transpose()?;
        for Named { name, file } in &self.table {
            options.tables.push((name.clone(), Table::read(file)?));
        }
        let found = ErrorAnalysis::new(&trials, &scores, &options)?;
        if let Some(path) = &self.report_out {
            write_json(path, &found)?;
        }
        findings.show(&found)
    }
}
