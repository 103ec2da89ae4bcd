//! The score files of several systems on one trial list, with quality measures: what calibrate, apply and plot read.

use std::path::{Path, PathBuf};

use anyhow::bail;
use ffsvc_cli::RunFiles;
use ffsvc_kaldi_io::{Table, Trials};
use ffsvc_scoring::calibration::{Inputs, QualityInput, QualityMeasure, System};
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::{Remark, TrialScores, list_remarks, score_file};
use tracing::warn;

use crate::options::TrialArgs;

/// Scores of one or several systems.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct SystemArgs {
    #[command(flatten)]
    list: TrialArgs,

    /// Score file; one for each system
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) scores: Vec<PathBuf>,

    /// Quality measure, such as log-min:utt2dur (may be repeated)
    #[arg(long, value_name = "SIDES:FILE")]
    pub(crate) quality_measure: Vec<QualityArg>,

    /// Leave out trials without a score instead of failing; they are counted
    #[arg(long)]
    skip_missing: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct QualityArg {
    pub(crate) measure: QualityMeasure,
    table: PathBuf,
}

impl std::str::FromStr for QualityArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (measure, table) =
            text.split_once(':').ok_or_else(|| format!("found {text:?}, expected SIDES:FILE"))?;
        Ok(Self { measure: measure.parse()?, table: PathBuf::from(table) })
    }
}

/// A file and what its system is called.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

impl From<&str> for Named {
    fn from(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() => Self { name: name.to_owned(), file: file.into() },
            _ => Self { name: text.to_owned(), file: text.into() },
        }
    }
}

/// What was read, and from which files.
pub(crate) struct Systems {
    pub(crate) trials: Trials,
    pub(crate) list: SourceFile,
    pub(crate) inputs: Inputs,
    pub(crate) files: Vec<System>,
    pub(crate) quality: Vec<QualityInput>,
    pub(crate) remarks: Vec<Remark>,
}

impl SystemArgs {
    pub(crate) fn run_files(&self) -> RunFiles {
        RunFiles::new()
            .input("--trials", [&self.list.trials])
            .input("--scores", &self.scores)
            .input("--quality-measure", self.quality_measure.iter().map(|arg| &arg.table))
    }

    pub(crate) fn read(&self) -> anyhow::Result<Systems> {
        let (trials, list, remarks) = read_trials(&self.list)?;
        let (mut systems, mut files) = (Vec::new(), Vec::new());
        for path in &self.scores {
            let (scores, file) = read_scores(path, &trials, self.skip_missing)?;
            systems.push(scores);
            files.push(file);
        }
        let (mut values, mut quality) = (Vec::new(), Vec::new());
        for QualityArg { measure, table } in &self.quality_measure {
            let table = Table::read(table)?;
            values.push(measure.of_trials(&trials, &table)?);
            quality.push(QualityInput { measure: *measure, table: SourceFile::of_table(&table) });
        }
        Ok(Systems { trials, list, inputs: Inputs { systems, quality: values }, files, quality, remarks })
    }
}

/// Reads a trial list and warns of what is remarkable about it.
pub(crate) fn read_trials(args: &TrialArgs) -> anyhow::Result<(Trials, SourceFile, Vec<Remark>)> {
    let trials = Trials::read(&args.trials, args.trial_columns)?;
    let remarks = list_remarks(&trials, &args.trials);
    remarks.iter().for_each(|remark| warn!("{remark}"));
    let list = SourceFile::of_trials(&args.trials, &trials)?;
    Ok((trials, list, remarks))
}

/// As [`read_trials`], of a list whose trials must have labels.
pub(crate) fn read_labelled_trials(args: &TrialArgs) -> anyhow::Result<(Trials, Vec<bool>)> {
    let (trials, list, _) = read_trials(args)?;
    match trials.labels.clone() {
        Some(labels) => Ok((trials, labels)),
        None => bail!("{}: found no labels, expected a trial list with labels", list.path),
    }
}

/// Reads the scores of a list, and warns of trials without score and of scores without trial.
pub(crate) fn read_scores(
    path: &Path,
    trials: &Trials,
    skip_missing: bool,
) -> anyhow::Result<(TrialScores, System)> {
    let found = score_file::read(path, trials, skip_missing)?;
    let (skipped, of) = (found.scores.skipped().len(), found.scores.len());
    if skipped > 0 {
        warn!("{}: {skipped} of {of} trials have no score and are left out", path.display());
    }
    if found.surplus > 0 {
        warn!("{}: {} scores belong to no trial of the list", path.display(), found.surplus);
    }
    Ok((found.scores, System { scores: found.file, model: found.model }))
}
