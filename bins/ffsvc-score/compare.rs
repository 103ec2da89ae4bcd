//! `ffsvc-score compare`.

use std::fmt;
use std::path::PathBuf;

use ffsvc_cli::{OutputFile, RangeArg, RunFiles, UsageError, write_json};
use ffsvc_kaldi_io::Table;
use ffsvc_scoring::metrics::{BootstrapOptions, DcfParameters, Measures};
use ffsvc_scoring::{Comparison, compare_systems};
use serde::Serialize;

use crate::options::{PROBABILITY, REPLICATES, TrialArgs};
use crate::systems::{Named, read_labelled_trials, read_scores};

const DETAILS: &str = "\
Example:
  ffsvc-score compare --trials data/dev/trials --utt2spk data/dev/utt2spk \\
      --scores cosine=exp/cosine.scores --scores as-norm=exp/as-norm.scores

The first system is compared with each of the others. Speakers are drawn with replacement, and both systems are measured on
the same draw: the interval is that of their difference. A trial counts if all systems have scored it.";

/// Compare systems on the same trials: differences of EER and minDCF with intervals
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Compare {
    #[command(flatten)]
    list: TrialArgs,

    /// A system's score file; two or more
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    scores: Vec<Named>,

    /// Speakers of the utterances
    #[arg(long, value_name = "FILE")]
    utt2spk: PathBuf,

    /// Leave out trials without a score instead of failing; they are counted
    #[arg(long)]
    skip_missing: bool,

    /// Prior probabilities of a target trial for minDCF, with costs of 1
    #[arg(long, value_name = "P,...", value_delimiter = ',', default_value = "0.01", range = PROBABILITY)]
    p_target: Vec<f64>,

    /// How often the speakers are drawn
    #[arg(long, value_name = "N", default_value_t = BootstrapOptions::default().replicates, range = REPLICATES)]
    bootstrap: usize,

    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = BootstrapOptions::default().seed)]
    seed: u64,

    /// Confidence of the intervals
    #[arg(long, value_name = "SHARE", default_value_t = BootstrapOptions::default().level, range = PROBABILITY)]
    level: f64,

    /// Write the comparison as JSON to this file
    #[arg(long, value_name = "FILE")]
    report_out: Option<OutputFile>,

    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// What is shown: each system beside the first.
#[derive(Serialize)]
struct Comparisons {
    comparisons: Vec<Pair>,
}

#[derive(Serialize)]
struct Pair {
    first: String,
    second: String,
    #[serde(flatten)]
    found: Comparison,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let findings = RunFiles::new()
            .input("--trials", [&self.list.trials])
            .input("--scores", self.scores.iter().map(|system| &system.file))
            .input("--utt2spk", [&self.utt2spk])
            .output("--report-out", &self.report_out)
            .check(self.json)?;
        if self.scores.len() < 2 {
            return Err(UsageError::new("--scores: found one system, expected two or more to compare").into());
        }
        let costs = self.p_target.iter().map(|&p_target| DcfParameters::new(p_target, 1.0, 1.0));
        let measures = Measures::new(&costs.collect::<ffsvc_scoring::Result<Vec<_>>>()?);
        let options = BootstrapOptions { replicates: self.bootstrap, seed: self.seed, level: self.level };

        let (trials, _) = read_labelled_trials(&self.list)?;
        let utt2spk = Table::read(&self.utt2spk)?;
        let read = |system: &Named| read_scores(&system.file, &trials, self.skip_missing);
        let systems = self.scores.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        let scores: Vec<_> = systems.iter().map(|(scores, _)| scores).collect();
        let found = compare_systems(&trials, &scores, &utt2spk, &measures, options)?;
        let pair = |(found, second): (Comparison, &Named)| Pair {
            first: self.scores[0].name.clone(),
            second: second.name.clone(),
            found,
        };
        let comparisons = found.into_iter().zip(&self.scores[1..]).map(pair).collect();
        let comparisons = Comparisons { comparisons };
        if let Some(path) = &self.report_out {
            write_json(path, &comparisons)?;
        }
        findings.show(&comparisons)
    }
}

impl fmt::Display for Comparisons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Pair { first, second, found }) in self.comparisons.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            writeln!(f, "first: {first}, second: {second}")?;
            write!(f, "{found}")?;
        }
        Ok(())
    }
}
