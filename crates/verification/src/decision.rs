//! From a score to a decision.

use std::fmt;
use std::path::Path;

use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::{TrialColumns, Trials};
use ffsvc_scoring::calibration::{CalibrationFile, Inputs};
use ffsvc_scoring::metrics::DcfParameters;
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::threshold::{Origin, Threshold};
use ffsvc_scoring::{Remark, TrialScores};
use serde::Serialize;

use crate::error::{Error, Result};

/// How a score becomes a decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
pub enum Rule {
    /// Accept from a score on.
    Threshold(Threshold),
    /// Accept where the log-likelihood ratio is above the threshold that prior and costs give.
    Calibration {
        /// The calibration file.
        file: SourceFile,
        /// Prior of a target trial and costs.
        costs: DcfParameters,
        /// What it was trained on, and the map from score to log-likelihood ratio.
        #[serde(skip)]
        trained: Box<CalibrationFile>,
    },
}

/// What is known of two recordings after they were compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Cosine of the embeddings; `None` where a recording has none.
    pub score: Option<f64>,
    /// Log-likelihood ratio, natural logarithm, where a calibration was given.
    pub log_likelihood_ratio: Option<f64>,
    /// `None` where there is no decision.
    pub same_speaker: Option<bool>,
    /// Why there is none.
    pub no_decision: Option<String>,
}

impl Rule {
    /// The rule of a calibration (`ffsvc-score calibrate`) of cosines, at a prior and costs.
    ///
    /// # Errors
    /// The file cannot be read; it is of several systems or has quality measures, which two recordings do not have.
    pub fn calibration(path: impl AsRef<Path>, costs: DcfParameters) -> Result<Self> {
        let path = path.as_ref();
        let file = CalibrationFile::read(path)?;
        let (systems, measures) = (file.systems.len(), file.quality.len());
        if (systems, measures) != (1, 0) {
            let found = format!("{systems} systems and {measures} quality measures");
            return Err(Error::Calibration { path: path.display().to_string(), found });
        }
        Ok(Self::Calibration { file: SourceFile::identify(path)?, costs, trained: Box::new(file) })
    }

    /// Checks that the rule is for scores of the model file `model`. Returns a remark if its file does not say.
    ///
    /// # Errors
    /// It is for scores of another model.
    pub fn check_model(&self, model: &SourceFile) -> Result<Option<Remark>> {
        Ok(match self {
            Self::Threshold(threshold) => threshold.check_model(model)?,
            Self::Calibration { file, trained, .. } => trained.check_model(&file.path, 0, model)?,
        })
    }

    /// The model that the rule's scores came from and how their recordings were read, as far as its file says.
    pub fn origin(&self) -> Option<&Provenance> {
        match self {
            Self::Threshold(Threshold { origin: Origin::Report { model, .. }, .. }) => model.as_ref(),
            Self::Threshold(_) => None,
            Self::Calibration { trained, .. } => trained.systems.first()?.model.as_ref(),
        }
    }

    /// Whether a score is accepted, and its log-likelihood ratio where the rule has one.
    ///
    /// # Errors
    /// The score is not a number.
    pub fn accepts(&self, score: f64) -> Result<(bool, Option<f64>)> {
        match self {
            Self::Threshold(threshold) => Ok((threshold.accepts(score), None)),
            Self::Calibration { costs, trained, .. } => {
                let trials = Trials::parse("the pair", b"enrolment test\n".to_vec(), TrialColumns::NoLabel)?;
                let scores = TrialScores::new(&trials, vec![score], Vec::new())?;
                let inputs = Inputs { systems: vec![scores], quality: Vec::new() };
                let llrs = trained.calibration.apply(&trials, &inputs)?;
                let llr = llrs.get(0).unwrap_or(f64::NAN);
                Ok((llr >= costs.bayes_threshold(), Some(llr)))
            }
        }
    }
}

impl Decision {
    /// The decision on a score by a rule, unless a recording has none (`undecidable`).
    ///
    /// # Errors
    /// As [`Rule::accepts`].
    pub(crate) fn of(score: Option<f64>, rule: Option<&Rule>, undecidable: Option<String>) -> Result<Self> {
        let (accepted, log_likelihood_ratio) = match score.zip(rule) {
            Some((score, rule)) => {
                let (accepted, llr) = rule.accepts(score)?;
                (Some(accepted), llr)
            }
            None => (None, None),
        };
        let no_rule = || accepted.is_none().then(|| "no threshold was given".to_owned());
        let no_decision = undecidable.or_else(no_rule);
        let same_speaker = accepted.filter(|_| no_decision.is_none());
        Ok(Self { score, log_likelihood_ratio, same_speaker, no_decision })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threshold(threshold) => write!(f, "{:.6} ({})", threshold.value, threshold.origin),
            Self::Calibration { file, costs, .. } => write!(
                f,
                "{:.6} (of the log-likelihood ratio by {}, at P_target {})",
                costs.bayes_threshold(),
                file.path,
                costs.p_target()
            ),
        }
    }
}
