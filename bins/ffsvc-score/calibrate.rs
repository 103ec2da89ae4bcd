//! `ffsvc-score calibrate`, `fuse` and `apply`.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ffsvc_cli::UsageError;
use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::calibration::{
    Calibration, CalibrationFile, Folds, Inputs, LogisticOptions, Method, QualityInput, QualityMeasure,
    TrainedOn, cross_validate, train,
};
use ffsvc_scoring::metrics::{DcfParameters, Definition, Measures, Metrics, evaluate};
use ffsvc_scoring::report::{Counts, SourceFile};
use ffsvc_scoring::{TrialScores, score_file};
use serde::Serialize;
use tracing::{info, warn};

use crate::score::PROGRAM;

const DETAILS: &str = "\
The map is a weighted sum of scores and quality measures plus an offset, trained by logistic regression for the cost of
log-likelihood ratios at --prior (0.5: Cllr), or with --method pav any rising map of one system's scores. With --folds, the
scores that are measured and written are those of trials held out from training: with --utt2spk, no speaker of a trial
was in the training of the calibration that it gets; without, speakers may have been. The model that is written is trained
on all trials.

A quality measure is SIDES:FILE: a table of 'utterance value' lines, and which of the two values of a trial counts: enrol,
test, min, max, mean or difference, or their natural logarithms (log-min). apply takes the same ones in the same order.

Examples:
  ffsvc-score calibrate --trials data/dev/trials --scores exp/dev/scores --model exp/calibration.json \\
      --quality log-min:data/dev/utt2dur --folds 10 --utt2spk data/dev/utt2spk
  ffsvc-score fuse --trials data/dev/trials --scores exp/a/scores --scores exp/b/scores --model exp/fusion.json
  ffsvc-score apply --trials data/eval/trials --scores exp/a/eval --scores exp/b/eval --model exp/fusion.json \\
      --scores-out exp/fused";

// What scores are read for `calibrate`, `fuse` and `apply`; as a doc comment, clap would take it for the help of these.
#[derive(Debug, clap::Args)]
struct InputArgs {
    /// Trial list
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,

    /// Columns of the trial list: auto, label-first, label-last or no-label
    #[arg(long, value_name = "ORDER", default_value = "auto")]
    trial_columns: TrialColumns,

    /// Score file; one for each system
    #[arg(long, value_name = "FILE", required = true)]
    scores: Vec<PathBuf>,

    /// Quality measure, such as log-min:utt2dur; may be given several times
    #[arg(long, value_name = "SIDES:FILE")]
    quality: Vec<QualityArg>,

    /// Leave out trials without score (they are counted) instead of failing
    #[arg(long)]
    skip_missing: bool,
}

#[derive(Debug, Clone)]
struct QualityArg {
    measure: QualityMeasure,
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

/// What was read.
struct Read {
    trials: Trials,
    inputs: Inputs,
}

impl InputArgs {
    fn read(&self) -> anyhow::Result<Read> {
        let trials = Trials::read(&self.trials, self.trial_columns)?;
        let mut systems = Vec::new();
        for path in &self.scores {
            let read = score_file::read(path, &trials, self.skip_missing)?;
            if !read.scores.skipped().is_empty() {
                warn!("{} trials have no score in {}", read.scores.skipped().len(), path.display());
            }
            if read.surplus > 0 {
                warn!("{} scores of {} belong to no trial of the list", read.surplus, path.display());
            }
            systems.push(read.scores);
        }
        let quality = self
            .quality
            .iter()
            .map(|arg| Ok(arg.measure.of_trials(&trials, &Table::read(&arg.table)?)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Read { trials, inputs: Inputs { systems, quality } })
    }
}

/// Turn scores into log-likelihood ratios
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    input: InputArgs,

    /// The calibration, a JSON file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Prior probability of a target trial at which the cost is to be least
    #[arg(long, value_name = "P", default_value_t = 0.01)]
    prior: f64,

    /// Method
    #[arg(long, value_name = "METHOD", default_value = "logistic")]
    method: MethodKind,

    /// Penalty on the squared weights of standardised inputs
    #[arg(long, value_name = "R", default_value_t = 0.0)]
    ridge: f64,

    /// Measure (and write) scores of trials held out in so many folds
    #[arg(long, value_name = "K")]
    folds: Option<u32>,

    /// Speaker of each utterance and model, for folds that share no speaker
    #[arg(long, value_name = "FILE", requires = "folds")]
    utt2spk: Option<PathBuf>,

    /// Seed of the order in which speakers or trials are dealt out to folds
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Write the log-likelihood ratios of these trials, held out if there are folds
    #[arg(long, value_name = "FILE")]
    scores_out: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodKind {
    /// A weighted sum by logistic regression
    Logistic,
    /// A rising map by pool-adjacent-violators
    Pav,
}

/// What `calibrate` and `fuse` found.
#[derive(Serialize)]
struct Report<'a> {
    model: String,
    #[serde(flatten)]
    file: &'a CalibrationFile,
    /// Which trials the calibrated scores are of.
    measured_on: &'static str,
    folds: Option<u32>,
    /// Of each system's scores as they came.
    before: Vec<Metrics>,
    after: Metrics,
}

impl Calibrate {
    pub(crate) fn run(&self, several: bool) -> anyhow::Result<()> {
        match (several, self.input.scores.len()) {
            (true, 1) => {
                return Err(UsageError::new("fuse takes two score files or more; calibrate takes one").into());
            }
            (false, 2..) => {
                return Err(UsageError::new("calibrate takes one score file; fuse takes several").into());
            }
            _ => {}
        }
        let costs =
            DcfParameters::new(self.prior, 1.0, 1.0).map_err(|error| UsageError::new(error.to_string()))?;
        let Read { trials, inputs } = self.input.read()?;
        let Some(labels) = &trials.labels else {
            let message = format!("{} has no labels to train from", self.input.trials.display());
            return Err(UsageError::new(message).into());
        };
        let method = match self.method {
            MethodKind::Logistic => {
                Method::Logistic(LogisticOptions { prior: self.prior, ridge: self.ridge })
            }
            MethodKind::Pav => Method::Pav,
        };
        let calibration = train(&trials, &inputs, method)?;
        warn_of(&calibration, &self.input.scores);
        let of_all = calibration.apply(&trials, &inputs)?;
        let (calibrated, measured_on) = match self.folds {
            None => (of_all, "the training trials"),
            Some(folds) => {
                let (folds, measured_on) = self.folds(&trials, folds)?;
                (cross_validate(&trials, &inputs, method, &folds)?, measured_on)
            }
        };
        let measure = |scores: &TrialScores| {
            let (target, nontarget) = scores.split(labels)?;
            evaluate(&target, &nontarget, Definition::Tied, &Measures::new(&[costs]))
        };
        let before = inputs.systems.iter().map(measure).collect::<ffsvc_scoring::Result<Vec<_>>>()?;
        let after = measure(&calibrated)?;
        let counts = Counts::of(&calibrated, Some(labels));
        let file = CalibrationFile {
            program: PROGRAM.to_owned(),
            method,
            calibration,
            systems: self.input.scores.iter().map(SourceFile::identify).collect::<Result<_, _>>()?,
            quality: self
                .input
                .quality
                .iter()
                .map(|arg| {
                    Ok(QualityInput { measure: arg.measure, table: SourceFile::identify(&arg.table)? })
                })
                .collect::<ffsvc_scoring::Result<_>>()?,
            trained_on: TrainedOn {
                trials: SourceFile::identify(&self.input.trials)?,
                target: counts.target.unwrap_or_default(),
                nontarget: counts.nontarget.unwrap_or_default(),
                skipped: counts.skipped,
            },
        };
        file.write(&self.model)?;
        info!("the calibration is in {}", self.model.display());
        write_scores(self.scores_out.as_deref(), &trials, &calibrated)?;
        let model = self.model.display().to_string();
        let report = Report { model, file: &file, measured_on, folds: self.folds, before, after };
        if self.json {
            ffsvc_cli::print_json(&report)
        } else {
            print!("{report}");
            Ok(())
        }
    }

    fn folds(&self, trials: &Trials, folds: u32) -> anyhow::Result<(Folds, &'static str)> {
        Ok(match &self.utt2spk {
            Some(path) => {
                let utt2spk = Table::read(path)?;
                (Folds::by_speaker(trials, &utt2spk, folds, self.seed)?, "held-out speakers")
            }
            None => {
                warn!("without --utt2spk, the speakers of held-out trials may have been trained on");
                (Folds::by_trial(trials.pairs.len(), folds, self.seed)?, "held-out trials")
            }
        })
    }
}

/// A higher score should not speak against a target.
fn warn_of(calibration: &Calibration, systems: &[PathBuf]) {
    if let Calibration::Linear { weights, .. } = calibration {
        for (weight, path) in weights.iter().zip(systems).filter(|(weight, _)| **weight < 0.0) {
            warn!("the weight of {} is negative, {weight}", path.display());
        }
    }
}

fn write_scores(out: Option<&Path>, trials: &Trials, scores: &TrialScores) -> anyhow::Result<()> {
    if let Some(path) = out {
        score_file::write(path, trials, scores)?;
        info!("scores are in {}", path.display());
    }
    Ok(())
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.file.trained_on;
        writeln!(
            f,
            "trials       {} ({} target, {} non-target)",
            counts.trials.path, counts.target, counts.nontarget
        )?;
        match &self.file.calibration {
            Calibration::Linear { weights, quality_weights, offset } => {
                for (weight, system) in weights.iter().zip(&self.file.systems) {
                    writeln!(f, "weight       {weight:>12.6}  {}", system.path)?;
                }
                for (weight, quality) in quality_weights.iter().zip(&self.file.quality) {
                    writeln!(
                        f,
                        "weight       {weight:>12.6}  {} of {}",
                        quality.measure, quality.table.path
                    )?;
                }
                writeln!(f, "offset       {offset:>12.6}")?;
            }
            Calibration::Pav { scores, .. } => writeln!(f, "PAV          {} knots", scores.len())?,
        }
        writeln!(
            f,
            "\n{:<10} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "", "EER %", "minDCF", "actDCF", "minCllr", "Cllr"
        )?;
        for (at, metrics) in self.before.iter().enumerate() {
            row(f, &format!("system {}", at + 1), metrics)?;
        }
        row(f, "calibrated", &self.after)?;
        let folds = self.folds.map(|folds| format!(", {folds} folds")).unwrap_or_default();
        writeln!(f, "\nCalibrated scores are measured on {}{folds}.", self.measured_on)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, metrics: &Metrics) -> fmt::Result {
    write!(f, "{name:<10} {:>8.3}", 100.0 * metrics.eer)?;
    for dcf in metrics.min_dcf.iter().chain(&metrics.act_dcf) {
        write!(f, " {:>9.5}", dcf.cost)?;
    }
    if let Some(cllr) = &metrics.cllr {
        write!(f, " {:>9.5} {:>9.5}", cllr.minimum, cllr.actual)?;
    }
    writeln!(f)
}

/// Apply a calibration or fusion to the scores of a trial list
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Apply {
    #[command(flatten)]
    input: InputArgs,

    /// The calibration, from calibrate or fuse
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Where the log-likelihood ratios go
    #[arg(long, value_name = "FILE")]
    scores_out: PathBuf,
}

impl Apply {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let file = CalibrationFile::read(&self.model)?;
        let given: Vec<String> = self.input.quality.iter().map(|arg| arg.measure.to_string()).collect();
        let expected: Vec<String> = file.quality.iter().map(|quality| quality.measure.to_string()).collect();
        if given != expected {
            let listed =
                |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(UsageError::new(format!(
                "found quality measures {}, expected {} as {} was trained on",
                listed(&given),
                listed(&expected),
                self.model.display()
            ))
            .into());
        }
        let Read { trials, inputs } = self.input.read()?;
        let scores = file.calibration.apply(&trials, &inputs)?;
        write_scores(Some(&self.scores_out), &trials, &scores)
    }
}
