//! A threshold for decisions, and where it came from.
//!
//! A score becomes a decision by a threshold, and a threshold is only as good as the trials that it was found on.
//! [`Threshold::from_report`] takes one from the report of a scoring run and keeps which run that was.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ffsvc_embeddings::Provenance;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::metrics::Definition;
use crate::origins::check_same_model;
use crate::remark::Remark;
use crate::report::{Counts, SourceFile};

/// A trial is accepted from this score on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// The score; infinite where rejecting (or accepting) everything was best.
    #[serde(with = "crate::non_finite")]
    pub value: f64,
    /// Whether a score equal to it is accepted: so, except with the baseline's definition ([`Definition::Compat`]).
    pub accepts_equal: bool,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a [`Threshold`] came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a process has one or two of them")]
pub enum Origin {
    /// The user named the number.
    CommandLine,
    /// An operating point of a scoring run.
    Report {
        /// The report.
        report: SourceFile,
        /// The operating point, as `eer`, `min-dcf:0.01` or `fa-rate:0.001`.
        point: String,
        /// The value of the measure there: an error rate, 0 to 1, or a normalised cost.
        measure: f64,
        /// The trial list of the run.
        trials: SourceFile,
        /// Its scored target trials.
        target: Option<usize>,
        /// Its scored non-target trials.
        nontarget: Option<usize>,
        /// Store whose mean embedding was subtracted from all in that run.
        mean_subtracted: Option<String>,
        /// The model whose embeddings were compared in that run, if the report says.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<Provenance>,
    },
}

/// Which operating point of a report. Written `eer`, `min-dcf:P`, P being the prior of a target trial, or `fa-rate:R`, R being a
/// false-alarm rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    /// Where both error rates are equal.
    Eer,
    /// Where the detection cost at this prior is least.
    MinDcf(f64),
    /// The lowest threshold with no more false alarms than this share.
    FaRate(f64),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "eer" {
            return Ok(Self::Eer);
        }
        let number = |kind| {
            let number = text.strip_prefix(kind).and_then(|number| number.parse().ok());
            number.filter(|&number: &f64| number > 0.0 && number < 1.0)
        };
        let point = number("min-dcf:").map(Self::MinDcf).or_else(|| number("fa-rate:").map(Self::FaRate));
        point.ok_or_else(|| {
            format!("found {text:?}, expected eer, or min-dcf:P or fa-rate:R with a number between 0 and 1")
        })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eer => f.write_str("eer"),
            Self::MinDcf(prior) => write!(f, "min-dcf:{prior}"),
            Self::FaRate(rate) => write!(f, "fa-rate:{rate}"),
        }
    }
}

/// The parts of a [`Report`](crate::report::Report) that a threshold needs. Reports of other versions may have more.
#[derive(Deserialize)]
struct Run {
    trials: SourceFile,
    scores: serde_json::Map<String, serde_json::Value>,
    /// Of the scores, by cohorts.
    #[serde(default)]
    normalisation: serde_json::Value,
    counts: Counts,
    metrics: Option<Rates>,
    #[serde(default)]
    model: Option<Provenance>,
}

#[derive(Deserialize)]
struct Rates {
    definition: Definition,
    #[serde(with = "crate::non_finite")]
    eer: f64,
    #[serde(with = "crate::non_finite")]
    eer_threshold: f64,
    min_dcf: Vec<Minimum>,
    #[serde(default)]
    miss_at_fa: Vec<Allowed>,
}

#[derive(Deserialize)]
struct Allowed {
    allowed_p_fa: f64,
    p_miss: f64,
    #[serde(with = "crate::non_finite")]
    threshold: f64,
}

#[derive(Deserialize)]
struct Minimum {
    p_target: f64,
    cost: f64,
    #[serde(with = "crate::non_finite")]
    threshold: f64,
}

/// What the scores of a report may be made from for its thresholds to hold for plain cosines.
const COSINE_KEYS: [&str; 4] = ["kind", "embeddings", "enrol_embeddings", "mean_subtracted"];

impl Threshold {
    /// A threshold that the user named.
    pub fn given(value: f64) -> Self {
        Self { value, accepts_equal: true, origin: Origin::CommandLine }
    }

    /// The threshold at an operating point of the report of a scoring run in `path`, for cosines of embeddings.
    ///
    /// # Errors
    /// - The file cannot be read or is no report.
    /// - Its trials had no labels.
    /// - Its scores are not plain cosines of embeddings (those of a score file may be anything).
    /// - It has no such operating point.
    pub fn from_report(path: impl AsRef<Path>, point: Point) -> Result<Self> {
        let path = path.as_ref();
        let invalid = |message: String| ffsvc_kaldi_io::Error::invalid(path, message);
        let bytes = std::fs::read(path).map_err(|error| ffsvc_kaldi_io::Error::io(path, "read", error))?;
        let run: Run = serde_json::from_slice(&bytes)
            .map_err(|error| invalid(format!("not a report of ffsvc-score: {error}")))?;
        let kind = run.scores.get("kind").and_then(|kind| kind.as_str()).unwrap_or("unknown");
        if kind != "cosine" {
            let message = format!(
                "its scores are of the kind `{kind}`, expected `cosine`: its thresholds hold for scores of that kind only"
            );
            return Err(invalid(message).into());
        }
        let done = |value: &serde_json::Value| !(value.is_null() || value.as_bool() == Some(false));
        let more = run.scores.iter().filter(|(name, _)| !COSINE_KEYS.contains(&name.as_str()));
        let more = more.map(|(name, value)| (name.as_str(), value));
        if let Some((name, _)) =
            more.chain([("normalisation", &run.normalisation)]).find(|(_, value)| done(value))
        {
            let message =
                format!("its scores are not cosines alone (`{name}`): its thresholds do not hold for these");
            return Err(invalid(message).into());
        }
        let Some(rates) = run.metrics else {
            return Err(invalid("its trials have no labels, so it has no thresholds".into()).into());
        };
        let missing = |what: &str, number: f64, known: Vec<f64>, kind: &str| {
            let known: Vec<String> = known.iter().map(f64::to_string).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            invalid(format!("no {what} {number}; it has {known}: measure its trials again with this {kind}"))
        };
        let (value, measure) = match point {
            Point::Eer => (rates.eer_threshold, rates.eer),
            Point::MinDcf(prior) => {
                let found = rates.min_dcf.iter().find(|minimum| minimum.p_target == prior);
                let known = || rates.min_dcf.iter().map(|minimum| minimum.p_target).collect();
                let minimum = found.ok_or_else(|| missing("minDCF at P_target", prior, known(), "prior"))?;
                (minimum.threshold, minimum.cost)
            }
            Point::FaRate(rate) => {
                let found = rates.miss_at_fa.iter().find(|allowed| allowed.allowed_p_fa == rate);
                let known = || rates.miss_at_fa.iter().map(|allowed| allowed.allowed_p_fa).collect();
                let allowed = found.ok_or_else(|| missing("false-alarm rate", rate, known(), "rate"))?;
                (allowed.threshold, allowed.p_miss)
            }
        };
        if value.is_nan() {
            return Err(invalid(format!("its threshold at {point} is not a number")).into());
        }
        let mean = run.scores.get("mean_subtracted").and_then(|mean| mean.as_str());
        Ok(Self {
            value,
            accepts_equal: rates.definition == Definition::Tied,
            origin: Origin::Report {
                report: SourceFile::of_bytes(path, &bytes),
                point: point.to_string(),
                measure,
                trials: run.trials,
                target: run.counts.target,
                nontarget: run.counts.nontarget,
                mean_subtracted: mean.map(str::to_owned),
                model: run.model,
            },
        })
    }

    /// Checks that the threshold is of trials of the model file `model`. Returns a remark if the report does not say which model it is of.
    ///
    /// # Errors
    /// It is of another model.
    pub fn check_model(&self, model: &SourceFile) -> Result<Option<Remark>> {
        let Origin::Report { report, model: known, .. } = &self.origin else { return Ok(None) };
        let what = format!("the threshold of {}", report.path);
        check_same_model(&what, &report.path, known.as_ref(), model)
    }

    /// Whether a trial with this score is accepted.
    pub fn accepts(&self, score: f64) -> bool {
        score > self.value || (self.accepts_equal && score == self.value)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("given on the command line"),
            Self::Report { report, point, measure, trials, target, nontarget, .. } => {
                match point.split_once(':') {
                    Some(("min-dcf", prior)) => write!(f, "minDCF {measure:.5} at P_target {prior}")?,
                    Some((_, rate)) => {
                        write!(f, "{:.3} % misses at the false-alarm rate {rate}", 100.0 * measure)?;
                    }
                    None => write!(f, "EER {:.3} %", 100.0 * measure)?,
                }
                if let (Some(target), Some(nontarget)) = (target, nontarget) {
                    write!(f, " of {target} target and {nontarget} non-target trials")?;
                }
                write!(f, " in {}, from {}", trials.path, report.path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{DcfParameters, Measures, evaluate};
    use crate::report::{Report, ScoreSource};

    const TARGET: [f64; 4] = [0.9, 0.8, 0.7, 0.2];
    const NONTARGET: [f64; 5] = [0.5, 0.3, 0.1, 0.0, -0.2];

    /// A report as `ffsvc-score` writes it, and its file.
    fn report(
        definition: Definition,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> tempfile::NamedTempFile {
        let costs = [DcfParameters::default(), DcfParameters::new(0.5, 1.0, 1.0).unwrap()];
        let measures = Measures::new(&costs).with_miss_at_fa(&[0.2]).unwrap();
        let source = SourceFile { path: "dev/trials".to_owned(), sha256: "ab".repeat(32) };
        let report = Report {
            schema: Report::SCHEMA,
            program: "test".to_owned(),
            trials: source.clone(),
            scores: ScoreSource::File(source),
            model: Some(Provenance::new("m.safetensors", "11")),
            normalisation: None,
            skip_missing: false,
            counts: Counts { trials: 9, target: Some(4), nontarget: Some(5), ..Counts::default() },
            metrics: Some(evaluate(&TARGET, &NONTARGET, definition, &measures).unwrap()),
            utt2spk: None,
            conditions: Vec::new(),
            remarks: Vec::new(),
        };
        let mut json = serde_json::to_value(report).unwrap();
        json["scores"] =
            serde_json::json!({"kind": "cosine", "embeddings": "e.scp", "mean_subtracted": "m.scp"});
        change(&mut json);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json.to_string()).unwrap();
        file
    }

    #[test]
    fn error_rates_at_the_threshold_are_those_of_the_report() {
        let file = report(Definition::Tied, |_| ());
        let rates = |threshold: &Threshold| {
            let misses = TARGET.iter().filter(|&&score| !threshold.accepts(score)).count();
            let false_alarms = NONTARGET.iter().filter(|&&score| threshold.accepts(score)).count();
            (misses, false_alarms)
        };
        // The rates change places (1 of 4 missed, 2 and then 1 of 5 accepted) at the non-target score of 0.3.
        let eer = Threshold::from_report(file.path(), Point::Eer).unwrap();
        assert_eq!((rates(&eer), eer.value), ((1, 2), 0.3));
        let dcf = Threshold::from_report(file.path(), Point::MinDcf(0.01)).unwrap();
        assert_eq!((rates(&dcf), dcf.value), ((1, 0), 0.7));
        // One false alarm of five trials is allowed.
        let rate = Threshold::from_report(file.path(), Point::FaRate(0.2)).unwrap();
        assert_eq!((rates(&rate), rate.value), ((1, 1), 0.5));
        let origin = rate.origin.to_string();
        assert!(origin.starts_with("25.000 % misses at the false-alarm rate 0.2 of 4 target"), "{origin}");
        let origin = dcf.origin.to_string();
        assert!(
            origin.starts_with(
                "minDCF 0.25000 at P_target 0.01 of 4 target and 5 non-target trials in dev/trials, from "
            ),
            "{origin}"
        );
        let Origin::Report { mean_subtracted, .. } = eer.origin else { panic!("{eer:?}") };
        assert_eq!(mean_subtracted.as_deref(), Some("m.scp"));
    }

    #[test]
    fn equal_scores_are_accepted_except_with_the_baselines_definition() {
        for (definition, accepted) in [(Definition::Tied, true), (Definition::Compat, false)] {
            let file = report(definition, |_| ());
            let threshold = Threshold::from_report(file.path(), Point::MinDcf(0.5)).unwrap();
            assert_eq!(threshold.accepts(threshold.value), accepted, "{threshold:?}");
        }
        assert!(Threshold::given(0.5).accepts(0.5) && !Threshold::given(f64::INFINITY).accepts(1.0));
    }

    #[test]
    fn what_does_not_hold_for_cosines_is_refused() {
        type Change = fn(&mut serde_json::Value);
        let cases: [(Change, &str); 6] = [
            (|json| json["scores"]["kind"] = "plda".into(), "kind `plda`"),
            (|json| json["scores"] = serde_json::json!({"kind": "file", "path": "s"}), "kind `file`"),
            (|json| json["scores"]["backend"] = "b.json".into(), "`backend`"),
            (|json| json["normalisation"] = serde_json::json!({"cohort": "c.scp"}), "`normalisation`"),
            (|json| json["metrics"] = serde_json::Value::Null, "no labels"),
            (|json| json["metrics"]["eer_threshold"] = "nan".into(), "not a number"),
        ];
        for (change, expected) in cases {
            let file = report(Definition::Tied, change);
            let error = Threshold::from_report(file.path(), Point::Eer).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let file = report(Definition::Tied, |_| ());
        let error = Threshold::from_report(file.path(), Point::MinDcf(0.05)).unwrap_err().to_string();
        assert!(error.contains("it has 0.01, 0.5"), "{error}");
        let error = Threshold::from_report(file.path(), Point::FaRate(0.1)).unwrap_err().to_string();
        assert!(error.contains("no false-alarm rate 0.1; it has 0.2"), "{error}");
        std::fs::write(file.path(), "{}").unwrap();
        let error = Threshold::from_report(file.path(), Point::Eer).unwrap_err().to_string();
        assert!(error.contains("not a report of ffsvc-score"), "{error}");
    }

    #[test]
    fn a_threshold_is_of_one_model() {
        let model = |path: &str, sha256: &str| SourceFile { path: path.into(), sha256: sha256.into() };
        let file = report(Definition::Tied, |_| ());
        let threshold = Threshold::from_report(file.path(), Point::Eer).unwrap();
        assert_eq!(threshold.check_model(&model("m.safetensors", "11")).unwrap(), None);
        let error = threshold.check_model(&model("n.safetensors", "22")).unwrap_err().to_string();
        assert!(error.contains("of trials of m.safetensors (sha256 11), not of n.safetensors"), "{error}");
        let silent = report(Definition::Tied, |json| json["model"] = serde_json::Value::Null);
        let silent = Threshold::from_report(silent.path(), Point::Eer).unwrap();
        let remark = silent.check_model(&model("m.safetensors", "11")).unwrap().unwrap();
        assert!(remark.to_string().contains("does not say which model"), "{remark}");
        assert_eq!(Threshold::given(0.5).check_model(&model("m.safetensors", "11")).unwrap(), None);
    }

    #[test]
    fn points_are_read_as_they_are_written() {
        for text in ["eer", "min-dcf:0.01", "fa-rate:0.001"] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
        for text in ["", "EER", "min-dcf", "min-dcf:", "min-dcf:1", "min-dcf:0", "min-dcf:nan", "fa-rate:2"] {
            assert!(text.parse::<Point>().is_err(), "{text}");
        }
    }
}
