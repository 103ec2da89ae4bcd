//! What is no error and still worth a line: zero embeddings, repeated trials, a cohort of the trials' own speakers.

use std::fmt;
use std::path::Path;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{NameList, Trials};
use serde::{Deserialize, Serialize};

/// Names that a remark shows.
const NAMES_SHOWN: usize = 3;

/// Something about a list or a store that a person would want to know, counted. [`Display`](fmt::Display) is a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// What it is about.
    pub kind: RemarkKind,
    /// The list or store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many there are.
    pub count: usize,
    /// The first three names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<String>,
    /// The sentence: the count and the names.
    pub message: String,
}

/// What a [`Remark`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RemarkKind {
    /// Pairs that a trial list has more than once.
    RepeatedPairs,
    /// Trials of an utterance with itself.
    SelfTrials,
    /// Zero embeddings of utterances of the trials.
    ZeroInTrials,
    /// Zero embeddings in a cohort.
    ZeroInCohort,
    /// Zero embeddings in the store whose mean is subtracted.
    ZeroInMean,
    /// Zero embeddings in the training set of a back end, or in the embeddings that it is adapted to.
    ZeroInTraining,
    /// Utterances of the trials in the cohort.
    CohortUtterances,
    /// Speakers of the trials in the cohort.
    CohortSpeakers,
    /// Directions of an LDA in which no speakers differ.
    LdaDimensions,
    /// A PLDA of fewer vectors than dimensions.
    FewVectors,
    /// Training vectors that are equal.
    EqualVectors,
    /// Stores that do not say which model they are of.
    UnknownModel,
    /// Stores of another model, which was allowed.
    OtherModel,
}

impl Remark {
    /// A remark about some names, of which the sentence shows three; nothing if there are none.
    pub(crate) fn about(kind: RemarkKind, names: &NameList, sentence: &str) -> Option<Self> {
        let count = names.total();
        let first = names.first().iter().take(NAMES_SHOWN).cloned().collect();
        let message = format!("{count} {sentence}: {}", names.shown(NAMES_SHOWN));
        (count > 0).then_some(Self { kind, source: None, count, first, message })
    }

    /// A remark without names.
    pub(crate) fn counted(kind: RemarkKind, count: usize, message: String) -> Self {
        Self { kind, source: None, count, first: Vec::new(), message }
    }

    /// Says which file it is about.
    #[must_use]
    pub fn of(self, source: impl fmt::Display) -> Self {
        Self { source: Some(source.to_string()), ..self }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Rows of a store that are zero, ascending.
pub(crate) fn zero_rows(embeddings: &Embeddings) -> Vec<u32> {
    let is_zero = |row: &[f32]| row.iter().all(|&value| value == 0.0);
    let rows = embeddings.iter().zip(0_u32..);
    rows.filter(|((_, row), _)| is_zero(row)).map(|(_, place)| place).collect()
}

/// The remark about the zero embeddings among some rows of a store.
pub(crate) fn of_zeros(
    kind: RemarkKind,
    embeddings: &Embeddings,
    rows: impl IntoIterator<Item = u32>,
) -> Option<Remark> {
    let of = match kind {
        RemarkKind::ZeroInCohort => "of the cohort",
        RemarkKind::ZeroInMean => "in the mean",
        RemarkKind::ZeroInTraining => "of the training set",
        _ => "of the trials",
    };
    let names = rows.into_iter().map(|row| embeddings.keys()[row as usize].as_str()).collect();
    Remark::about(kind, &names, &format!("embeddings {of} are zero"))
}

/// What is remarkable about a trial list in memory, which was read from `list`.
pub fn list_remarks(trials: &Trials, list: impl AsRef<Path>) -> Vec<Remark> {
    let findings = trials.findings();
    of_list(list.as_ref().display(), &findings.self_trials, &findings.repeated, 1)
}

/// What is remarkable about a trial list, of whose pairs one in `one_in` was looked at for repetitions.
pub(crate) fn of_list(
    list: impl fmt::Display,
    self_trials: &NameList,
    repeated: &NameList,
    one_in: u64,
) -> Vec<Remark> {
    let sample = match one_in {
        1 => String::new(),
        one_in => format!(", in a sample of one pair in {one_in}"),
    };
    let selves =
        Remark::about(RemarkKind::SelfTrials, self_trials, "trials compare an utterance with itself");
    let again = format!("trials repeat an earlier one and count again{sample}");
    let again = Remark::about(RemarkKind::RepeatedPairs, repeated, &again);
    selves.into_iter().chain(again).map(|remark| remark.of(&list)).collect()
}
