//! `ffsvc-score calibrate` and `apply`.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use ffsvc_cli::{OutputFile, Range, RangeArg, UsageError};
use ffsvc_kaldi_io::{Table, Trials};
use ffsvc_scoring::calibration::{
    Calibration, CalibrationFile, Folds, LogisticOptions, MAX_FOLDS, Method, System, TrainedOn,
    cross_validate, train,
};
use ffsvc_scoring::metrics::{DcfParameters, Definition, Measures, Metrics, evaluate};
use ffsvc_scoring::report::{Counts, SourceFile};
use ffsvc_scoring::{Remark, TrialScores, score_file};
use serde::Serialize;
use tracing::{info, warn};

use crate::options::PROBABILITY;
use crate::score::PROGRAM;
use crate::systems::{SystemArgs, Systems};

const RIDGE: Range<f64> = Range::at_least(0.0);
const FOLDS: Range<u32> = Range::of(2, MAX_FOLDS);

const DETAILS: &str = "\
The map is a weighted sum of scores and quality measures plus an offset, trained by logistic regression for the cost of
log-likelihood ratios at --p-target (0.5: Cllr). With several --scores it is their fusion. With --method pav it is any rising
map of one system's scores.

With --folds, the scores that are measured and written are those of trials held out from training. With --utt2spk, no speaker
of a trial was in the training of the calibration that it gets; without, speakers may have been. The calibration that is
written is trained on all trials.

A quality measure is SIDES:FILE: a table of 'utterance value' lines, and which of the two values of a trial counts: enrol,
test, min, max, mean or difference, or their natural logarithms (log-min). apply takes the same ones in the same order.

Examples:
  Calibrate one system, measured on speakers that the calibration has not seen:
    ffsvc-score calibrate --trials data/dev/trials --scores exp/dev/scores -o exp/calibration.json \
        --quality-measure log-min:data/dev/utt2dur --folds 10 --utt2spk data/dev/utt2spk
  Fuse two systems, and apply the fusion to other trials:
    ffsvc-score calibrate --trials data/dev/trials --scores exp/a/scores --scores exp/b/scores -o exp/fusion.json
    ffsvc-score apply --trials data/eval/trials --scores exp/a/eval --scores exp/b/eval --calibration exp/fusion.json \
        -o exp/fused";

/// Turn the scores of one or several systems into log-likelihood ratios
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    input: SystemArgs,

    #[command(flatten)]
    training: TrainingArgs,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
struct TrainingArgs {
    /// Prior probability of a target trial at which the cost is to be least
    #[arg(long, value_name = "P", default_value_t = 0.01, range = PROBABILITY)]
    p_target: f64,

    /// Method
    #[arg(long, value_name = "METHOD", default_value = "logistic")]
    method: MethodKind,

    /// Penalty on the squared weights of standardised inputs, for logistic [default: 0]
    #[arg(long, value_name = "R", range = RIDGE)]
    ridge: Option<f64>,

    /// Measure (and write) scores of trials held out in so many folds
    #[arg(long, value_name = "K", range = FOLDS)]
    folds: Option<u32>,

    /// Speaker of each utterance and model, for folds that share no speaker
    #[arg(long, value_name = "FILE", requires = "folds")]
    utt2spk: Option<PathBuf>,

    /// Seed of the order in which speakers or trials are dealt out to folds [default: 0]
    #[arg(long, value_name = "N", requires = "folds")]
    seed: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// The calibration, a JSON file
    #[arg(short, long, value_name = "FILE")]
    output: OutputFile,

    /// Write the log-likelihood ratios of these trials, held out if there are folds
    #[arg(long, value_name = "FILE")]
    scores_out: Option<OutputFile>,

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

/// What calibrate found.
#[derive(Serialize)]
struct Report<'a> {
    output: String,
    #[serde(flatten)]
    file: &'a CalibrationFile,
    /// Which trials the calibrated scores are of.
    measured_on: &'static str,
    folds: Option<u32>,
    /// Of each system's scores as they came.
    before: Vec<Metrics>,
    after: Metrics,
    #[serde(skip_serializing_if = "<[Remark]>::is_empty")]
    remarks: &'a [Remark],
}

impl Calibrate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Self { input, training, output } = self;
        let files = input.run_files().input("--utt2spk", &training.utt2spk);
        let files = files.output("--output", [&output.output]).output("--scores-out", &output.scores_out);
        let findings = files.check(output.json)?;
        let method = self.method()?;
        let costs = DcfParameters::new(training.p_target, 1.0, 1.0)?;

        let Systems { trials, list, inputs, files, quality, remarks } = input.read()?;
        let Some(labels) = &trials.labels else {
            return Err(UsageError::new(format!("{} has no labels to train from", list.path)).into());
        };
        let calibration = train(&trials, &inputs, method)?;
        warn_of(&calibration, &input.scores);
        let of_all = calibration.apply(&trials, &inputs)?;
        let (calibrated, measured_on) = match training.folds {
            None => (of_all, "the training trials"),
            Some(folds) => {
                let (folds, measured_on) = training.deal(&trials, folds)?;
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
            systems: files,
            quality,
            trained_on: TrainedOn {
                trials: list,
                target: counts.target.unwrap_or_default(),
                nontarget: counts.nontarget.unwrap_or_default(),
                skipped: counts.skipped,
            },
        };
        file.write(&output.output)?;
        info!("the calibration is in {}", output.output);
        if let Some(path) = &output.scores_out {
            write_scores(path, &trials, &calibrated)?;
        }
        findings.show(&Report {
            output: output.output.to_string(),
            file: &file,
            measured_on,
            folds: training.folds,
            before,
            after,
            remarks: &remarks,
        })
    }

    fn method(&self) -> Result<Method, UsageError> {
        let TrainingArgs { method, ridge, p_target, .. } = self.training;
        match method {
            MethodKind::Logistic => {
                Ok(Method::Logistic(LogisticOptions { prior: p_target, ridge: ridge.unwrap_or_default() }))
            }
            MethodKind::Pav if ridge.is_some() => {
                Err(UsageError::new("--ridge is for --method logistic: pav has no weights"))
            }
            MethodKind::Pav if self.input.scores.len() > 1 => {
                Err(UsageError::new("--method pav takes one --scores: only logistic fuses several"))
            }
            MethodKind::Pav if !self.input.quality_measure.is_empty() => {
                Err(UsageError::new("--quality-measure is for --method logistic: pav maps scores alone"))
            }
            MethodKind::Pav => Ok(Method::Pav),
        }
    }
}

impl TrainingArgs {
    /// Deals out the trials to folds, and says what they have in common.
    fn deal(&self, trials: &Trials, folds: u32) -> anyhow::Result<(Folds, &'static str)> {
        let seed = self.seed.unwrap_or_default();
        Ok(match &self.utt2spk {
            Some(path) => (Folds::by_speaker(trials, &Table::read(path)?, folds, seed)?, "held-out speakers"),
            None => {
                warn!("without --utt2spk, the speakers of held-out trials may have been trained on");
                (Folds::by_trial(trials.pairs.len(), folds, seed)?, "held-out trials")
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

fn write_scores(path: &OutputFile, trials: &Trials, scores: &TrialScores) -> anyhow::Result<()> {
    score_file::write(path, trials, scores)?;
    info!("scores are in {path}");
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
                    writeln!(f, "weight       {weight:>12.6}  {}", system.scores.path)?;
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

/// Apply a calibration to the scores of a trial list
#[derive(Debug, clap::Args)]
#[command(after_long_help = DETAILS)]
pub(crate) struct Apply {
    #[command(flatten)]
    input: SystemArgs,

    /// The calibration, from calibrate
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    calibration: PathBuf,

    /// Take a calibration of scores of another model
    #[arg(long, help_heading = "Input")]
    allow_other_model: bool,

    /// Where the log-likelihood ratios go
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: OutputFile,
}

impl Apply {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let files = self.input.run_files().input("--calibration", [&self.calibration]);
        files.output("--output", [&self.output]).check(false)?;
        let file = CalibrationFile::read(&self.calibration)?;
        self.check_inputs(&file)?;
        let Systems { trials, inputs, files, .. } = self.input.read()?;
        self.check_models(&file, &files)?;
        write_scores(&self.output, &trials, &file.calibration.apply(&trials, &inputs)?)
    }

    /// Checks that the scores are of the models that the calibration was trained on, as far as both say.
    fn check_models(&self, file: &CalibrationFile, systems: &[System]) -> anyhow::Result<()> {
        let calibration = self.calibration.display().to_string();
        for (place, system) in systems.iter().enumerate() {
            let Some(model) = &system.model else { continue };
            let model = SourceFile { path: model.model.clone(), sha256: model.model_sha256.clone() };
            match file.check_model(&calibration, place, &model) {
                Ok(None) => {}
                Ok(Some(remark)) => warn!("{remark}"),
                Err(error) if self.allow_other_model => warn!("{error}: allowed by --allow-other-model"),
                Err(error) => {
                    let message = format!("--scores {} (--allow-other-model takes it)", system.scores.path);
                    return Err(anyhow::Error::new(error).context(message));
                }
            }
        }
        Ok(())
    }

    /// Refuses other systems or quality measures than the calibration was trained on.
    fn check_inputs(&self, file: &CalibrationFile) -> Result<(), UsageError> {
        let (trained, calibration) = (file.systems.len(), self.calibration.display());
        if self.input.scores.len() != trained {
            let found = self.input.scores.len();
            return Err(UsageError::new(format!(
                "found {found} --scores, expected {trained} as {calibration} was trained on"
            )));
        }
        let given: Vec<String> =
            self.input.quality_measure.iter().map(|arg| arg.measure.to_string()).collect();
        let expected: Vec<String> = file.quality.iter().map(|quality| quality.measure.to_string()).collect();
        let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        if given != expected {
            return Err(UsageError::new(format!(
                "found --quality-measure {}, expected {} as {calibration} was trained on",
                listed(&given),
                listed(&expected)
            )));
        }
        Ok(())
    }
}
