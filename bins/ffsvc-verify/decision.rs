//! The options that turn a score into a decision.

use std::path::{Path, PathBuf};

use ffsvc_cli::{Range, RangeArg, RunFiles, UsageError};
use ffsvc_scoring::metrics::DcfParameters;
use ffsvc_scoring::threshold::{Origin, Point, Threshold};
use ffsvc_verification::{Rule, Verifier};
use tracing::warn;

/// A prior.
const PROBABILITY: Range<f64> = Range::above(0.0).below(1.0);
/// A cost.
const COST: Range<f64> = Range::above(0.0);

/// Options of the commands that decide.
// `requires` alone is not enough: clap drops what an option requires where that conflicts with another option on the line.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("trained_rule").args(["threshold_from", "calibration"]))]
pub(crate) struct DecisionArgs {
    /// Accept from this score on
    #[arg(long, value_name = "SCORE", conflicts_with_all = ["threshold_from", "calibration"], range = Range::<f64>::any())]
    threshold: Option<f64>,

    /// Take the threshold from this report (ffsvc-score --report-out) of trials with the same model
    #[arg(long, value_name = "FILE", conflicts_with = "calibration")]
    threshold_from: Option<PathBuf>,

    /// Operating point of the report: eer, min-dcf:P with the prior P of a target trial, or fa-rate:R with a false-alarm rate
    /// (of ffsvc-score --fa-rate)
    #[arg(long, value_name = "POINT", default_value = "eer", requires = "threshold_from",
          conflicts_with_all = ["threshold", "calibration"])]
    operating_point: Point,

    /// Take the threshold or the calibration although it is of another model
    #[arg(long, requires = "trained_rule", conflicts_with = "threshold")]
    allow_other_model: bool,

    /// Turn the score into a log-likelihood ratio by this calibration (ffsvc-score calibrate), and decide by --p-target
    #[arg(long, value_name = "FILE", requires = "p_target")]
    calibration: Option<PathBuf>,

    /// Prior probability that both recordings are the same person
    #[arg(long, value_name = "P", requires = "calibration", conflicts_with_all = ["threshold", "threshold_from"],
          range = PROBABILITY)]
    p_target: Option<f64>,

    /// Cost of a missed target, with --calibration
    #[arg(long, value_name = "COST", default_value_t = 1.0, requires = "calibration",
          conflicts_with_all = ["threshold", "threshold_from"], range = COST)]
    c_miss: f64,

    /// Cost of a false alarm, with --calibration
    #[arg(long, value_name = "COST", default_value_t = 1.0, requires = "calibration",
          conflicts_with_all = ["threshold", "threshold_from"], range = COST)]
    c_fa: f64,

    /// Say the decision in the exit status: 0 same speaker, 3 different speakers, 4 no decision
    #[arg(long)]
    exit_code: bool,
}

impl DecisionArgs {
    /// Adds the report or the calibration to the files of the run.
    pub(crate) fn of(&self, files: RunFiles) -> RunFiles {
        files.input("--threshold-from", &self.threshold_from).input("--calibration", &self.calibration)
    }

    /// The rule, if one was asked for, for scores with the mean of a store subtracted or not. Call [`check_model`](Self::check_model)
    /// when the model is open.
    pub(crate) fn rule(&self, mean_subtract: Option<&Path>) -> anyhow::Result<Option<Rule>> {
        if let (Some(path), Some(p_target)) = (&self.calibration, self.p_target) {
            let costs = DcfParameters::new(p_target, self.c_miss, self.c_fa)?;
            return Ok(Some(Rule::calibration(path, costs)?));
        }
        let Some(report) = &self.threshold_from else {
            return Ok(self.threshold.map(Threshold::given).map(Rule::Threshold));
        };
        let threshold = Threshold::from_report(report, self.operating_point)?;
        if let Origin::Report { mean_subtracted, .. } = &threshold.origin {
            check_mean(report, mean_subtracted.as_deref(), mean_subtract)?;
        }
        Ok(Some(Rule::Threshold(threshold)))
    }

    /// Checks that a rule is for scores of the model of `verifier`, and warns if it is for recordings with their pauses and
    /// `verifier` leaves them out, or the other way round.
    pub(crate) fn check_model(&self, rule: Option<&Rule>, verifier: &Verifier) -> anyhow::Result<()> {
        let Some(rule) = rule else { return Ok(()) };
        let in_words = |detector: Option<&str>| match detector {
            Some(detector) => format!("the speech of recordings ({detector})"),
            None => "whole recordings".to_owned(),
        };
        if let Some(origin) = rule.origin() {
            let (theirs, ours) = (origin.audio.speech_only.as_deref(), verifier.speech_only());
            if theirs != ours {
                let (theirs, ours) = (in_words(theirs), in_words(ours));
                warn!("the threshold is for scores of {theirs}, and here they are of {ours}");
            }
        }
        match rule.check_model(verifier.model()) {
            Ok(None) => {}
            Ok(Some(remark)) => warn!("{remark}"),
            Err(error) if self.allow_other_model => warn!("{error}: allowed by --allow-other-model"),
            Err(error) => {
                let option = if self.calibration.is_some() { "--calibration" } else { "--threshold-from" };
                let message = format!(
                    "{option}: it holds for the scores of its own model only (--allow-other-model takes it)"
                );
                return Err(anyhow::Error::new(error).context(message));
            }
        }
        Ok(())
    }

    /// Ends the program with the status of a decision, if that was asked for.
    pub(crate) fn exit(&self, same_speaker: Option<bool>) {
        if self.exit_code {
            std::process::exit(match same_speaker {
                Some(true) => 0,
                Some(false) => 3,
                None => 4,
            });
        }
    }
}

/// A threshold is for scores with the same mean subtracted.
fn check_mean(report: &Path, theirs: Option<&str>, ours: Option<&Path>) -> Result<(), UsageError> {
    let report = report.display();
    match (theirs, ours) {
        (None, None) => Ok(()),
        (Some(theirs), Some(ours)) => {
            if Path::new(theirs) != ours {
                warn!(
                    "the threshold is for scores after the mean of {theirs} was subtracted, not that of {}",
                    ours.display()
                );
            }
            Ok(())
        }
        (Some(theirs), None) => Err(UsageError::new(format!(
            "the thresholds of {report} are for scores after the mean of {theirs} was subtracted: give --mean-subtract"
        ))),
        (None, Some(_)) => Err(UsageError::new(format!(
            "the thresholds of {report} are for scores without a mean subtracted: leave out --mean-subtract"
        ))),
    }
}
