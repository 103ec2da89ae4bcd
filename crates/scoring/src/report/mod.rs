//! What a scoring run found, and what it was made from.

mod source_file;
mod table;

use std::path::Path;

use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::Error as FileError;
use serde::{Deserialize, Serialize};

pub use self::source_file::SourceFile;
use crate::conditions::Sides;
use crate::metrics::Metrics;
use crate::remark::Remark;
use crate::{EnrolAverage, Result, ScoreNorm, TrialScores};

/// The result of a scoring run. Its JSON form is the fields' names; its [`Display`](std::fmt::Display) form is a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of its fields, as of everything that programs print as JSON.
    #[serde(default)]
    pub schema: u32,
    /// Program and version that made it.
    pub program: String,
    /// The trial list.
    pub trials: SourceFile,
    /// Where the scores came from.
    pub scores: ScoreSource,
    /// The model that the embeddings came from, as far as the stores say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<Provenance>,
    /// How they were normalised, if they were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub normalisation: Option<Normalisation>,
    /// Whether trials without a score were skipped rather than refused.
    pub skip_missing: bool,
    /// How many trials there were of each kind.
    pub counts: Counts,
    /// The error rates; `None` for a trial list without labels.
    pub metrics: Option<Metrics>,
    /// The table of speakers that intervals and tables of speakers were read with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub utt2spk: Option<SourceFile>,
    /// The error rates by condition.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<BreakDown>,
    /// What was remarkable about the lists and the stores.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub remarks: Vec<Remark>,
}

impl Report {
    /// The version of the fields that are written.
    pub const SCHEMA: u32 = 1;

    /// Writes the report as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut json =
            serde_json::to_vec_pretty(self).map_err(|error| FileError::invalid(path, error.to_string()))?;
        json.push(b'\n');
        ffsvc_atomic_file::write(path, json).map_err(|error| FileError::io(path, "write", error))?;
        Ok(())
    }
}

/// Error rates by condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakDown {
    /// What the conditions differ in.
    pub name: String,
    /// What of both sides of a trial makes its condition.
    pub sides: Sides,
    /// The edges of the intervals that its numbers fall into, if every value is not a condition of its own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub edges: Vec<f64>,
    /// The table that tells.
    pub table: SourceFile,
    /// Trials in no condition because an utterance has no value in the table.
    pub without_value: usize,
    /// Conditions with fewer trials of a class than this have no error rates.
    pub min_trials: usize,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// What would measure more of its conditions, where at least half of these have too few trials.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alternatives: Vec<Alternative>,
}

/// The same table by other sides of the trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// What of both sides of a trial makes its condition.
    pub sides: Sides,
    /// Number of conditions.
    pub conditions: usize,
    /// How many of them have enough trials.
    pub measurable: usize,
}

impl BreakDown {
    /// Number of conditions that have too few trials for error rates.
    pub fn without_metrics(&self) -> usize {
        self.conditions.iter().filter(|condition| condition.metrics.is_none()).count()
    }

    /// Whether at least half of the conditions have too few trials for error rates.
    pub fn is_mostly_too_small(&self) -> bool {
        2 * self.without_metrics() >= self.conditions.len()
    }

    /// Leaves the alternatives of which a larger share can be measured than of the conditions, the best first.
    pub(crate) fn keep_better_alternatives(&mut self) {
        let share = |measurable: usize, of: usize| measurable as f64 / of.max(1) as f64;
        let now = share(self.conditions.len() - self.without_metrics(), self.conditions.len());
        let of = |other: &Alternative| share(other.measurable, other.conditions);
        self.alternatives.retain(|other| of(other) > now);
        self.alternatives.sort_by(|a, b| of(b).total_cmp(&of(a)));
    }
}

/// The error rates of the trials of one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The value, pair of values, relation or difference.
    pub value: String,
    /// Scored target trials.
    pub target: usize,
    /// Scored non-target trials.
    pub nontarget: usize,
    /// The error rates; `None` if there are too few trials.
    pub metrics: Option<Metrics>,
}

/// Where scores came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ScoreSource {
    /// Cosines of embeddings.
    Cosine(EmbeddingSource),
    /// Log-likelihood ratios of embeddings by the PLDA of a back end.
    Plda(EmbeddingSource),
    /// A score file.
    File(SourceFile),
}

/// The embeddings that were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingSource {
    /// Store of the test utterances' embeddings.
    pub embeddings: String,
    /// Store of the enrolment utterances' embeddings, if it is another one.
    pub enrol_embeddings: Option<String>,
    /// Store whose mean embedding was subtracted from all.
    pub mean_subtracted: Option<String>,
    /// What else was done to them before.
    #[serde(flatten)]
    pub preparation: Preparation,
}

/// What embeddings go through before they are compared, besides the subtraction of one mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preparation {
    /// The back end that processed them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backend: Option<SourceFile>,
    /// Store whose mean embedding was subtracted from the enrolment side, in place of the other mean.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enrol_mean_subtracted: Option<String>,
    /// Domains of the utterances: what was subtracted is the mean of each one's domain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub utt2domain: Option<SourceFile>,
    /// Examples by which the means, and perhaps the cohorts, of the domains were chosen.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub domains: Vec<DomainSource>,
    /// Utterances of the enrolled speakers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enrolment: Option<SourceFile>,
    /// What was averaged over them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enrol_average: Option<EnrolAverage>,
}

/// A domain, and how many utterances of the stores are of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSource {
    /// Its name.
    pub name: String,
    /// Store of its examples.
    pub examples: String,
    /// Utterances of the enrolment side's store.
    pub enrolment: usize,
    /// Utterances of the test side's store.
    pub test: usize,
}

/// How scores were normalised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalisation {
    /// The kind.
    pub norm: ScoreNorm,
    /// Store of the cohort's embeddings.
    pub cohort: String,
    /// Table by which they were averaged, a member for each speaker.
    pub cohort_utt2spk: Option<SourceFile>,
    /// Members of the cohort.
    pub size: usize,
    /// How many of an utterance's scores with it count, the highest.
    pub top: usize,
}

/// Numbers of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Trials in the list.
    pub trials: usize,
    /// Scored target trials; `None` for a list without labels.
    pub target: Option<usize>,
    /// Scored non-target trials; `None` for a list without labels.
    pub nontarget: Option<usize>,
    /// Trials without a score.
    pub skipped: usize,
    /// Utterance names that were found only by adding or removing a `.wav` suffix.
    pub matched_by_suffix: usize,
    /// Lines of a score file that belong to no trial.
    pub surplus_scores: usize,
}

impl Counts {
    /// Counts trials and skipped trials; with labels, both classes among the scored ones.
    pub fn of(scores: &TrialScores, labels: Option<&[bool]>) -> Self {
        let of_class = |class| {
            labels.map(|labels| scores.iter().filter(|&(at, _)| labels.get(at) == Some(&class)).count())
        };
        Self {
            trials: scores.len(),
            target: of_class(true),
            nontarget: of_class(false),
            skipped: scores.skipped().len(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{DcfParameters, Definition, Measures, evaluate};

    fn report(definition: Definition, target: &[f64], nontarget: &[f64]) -> Report {
        let metrics = evaluate(target, nontarget, definition, &Measures::new(&[DcfParameters::default()]));
        Report {
            schema: Report::SCHEMA,
            program: "test".to_owned(),
            trials: SourceFile { path: "trials".to_owned(), sha256: "ab".repeat(32) },
            scores: ScoreSource::Cosine(EmbeddingSource {
                embeddings: "e.scp".to_owned(),
                enrol_embeddings: None,
                mean_subtracted: Some("m.scp".to_owned()),
                preparation: Preparation::default(),
            }),
            model: None,
            normalisation: Some(Normalisation {
                norm: ScoreNorm::AsNorm,
                cohort: "c.scp".to_owned(),
                cohort_utt2spk: Some(SourceFile { path: "u".to_owned(), sha256: "cd".repeat(32) }),
                size: 400,
                top: 300,
            }),
            skip_missing: false,
            counts: Counts { trials: 4, target: Some(2), nontarget: Some(2), ..Counts::default() },
            metrics: metrics.ok(),
            utt2spk: None,
            conditions: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn json_is_read_back_also_with_infinite_and_undefined_numbers() {
        let rejects_all = report(Definition::Tied, &[0.0, 1.0], &[2.0, 3.0]);
        let json = serde_json::to_string(&rejects_all).unwrap();
        assert!(json.contains(r#""threshold":"inf""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), rejects_all);

        // As older versions wrote it for one class by the baseline's definition.
        let mut one_class = report(Definition::Compat, &[0.0, 1.0], &[0.5]);
        one_class.metrics.as_mut().unwrap().eer = f64::NAN;
        let json = serde_json::to_string(&one_class).unwrap();
        assert!(json.contains(r#""eer":"nan""#), "{json}");
        let read: Report = serde_json::from_str(&json).unwrap();
        assert!(read.metrics.unwrap().eer.is_nan());
    }

    #[test]
    fn files_are_identified_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            SourceFile::identify(&path).unwrap().sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_table_shows_rates_in_per_cent() {
        let table = report(Definition::Tied, &[0.5, 1.0], &[0.75, 0.0]).to_string();
        assert!(table.contains("4 trials: 2 target, 2 non-target\n"), "{table}");
        assert!(table.contains("EER            50.000 %      0.750000\n"), "{table}");
        assert!(table.contains("minus the mean of m.scp"), "{table}");
        assert!(table.contains("normalised   AS-norm, top 300 of 400 speakers of c.scp\n"), "{table}");
    }
}
