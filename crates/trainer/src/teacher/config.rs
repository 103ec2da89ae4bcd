//! Section `[teacher]`.

use std::path::PathBuf;

use ffsvc_ranges::{Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Section `[teacher]`: a trained network, in evaluation mode, whose embeddings of clean speech the network under training
/// (the student) learns to give for the same speech in rooms and noise. It needs no labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TeacherConfig {
    /// Model file. Default: the one that the fine-tune starts from (`--init-from`), as it was before the first step. Another
    /// architecture with another front end will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// How student and teacher are compared. Default `cosine`.
    pub loss: TeacherLoss,
    /// Factor of this loss; the head's, where there is a head, has the factor 1. Default 1.
    pub weight: f64,
    /// Share of the crops that the student hears as recorded, too, so that clean embeddings stay where they are. Default 0.3.
    pub clean: f64,
    /// What the teacher hears. Default `crop`.
    pub target: TeacherTarget,
    /// With the loss `neighbours`: what the cosines are divided by. Default 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// How embeddings of the student are compared with those of the teacher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TeacherLoss {
    /// One minus the cosine of the two embeddings of a crop, averaged over the batch.
    #[default]
    Cosine,
    /// The squared difference of the two embeddings, averaged over their numbers and the batch.
    Mse,
    /// The squared difference of the cosines between all pairs of the batch (similarity-preserving distillation, Tung and
    /// Mori, 2019, <https://arxiv.org/abs/1907.09682>, with the error averaged over the pairs). The two embeddings may have
    /// different sizes.
    Similarity,
    /// The Kullback-Leibler divergence between the distributions of teacher and student. A distribution tells which
    /// recordings an embedding is near. It is the softmax of the cosines with the teacher's embeddings, divided by
    /// `temperature`. These are the embeddings of all training recordings (`target = "utterance"`) or of the batch. See
    /// SEED, Fang et al., 2021, <https://arxiv.org/abs/2101.04731>. Recordings of one speaker are near each other, so
    /// the student learns about speakers without labels.
    Neighbours,
}

/// What the teacher hears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TeacherTarget {
    /// The student's crop, from the same sample on, as recorded.
    #[default]
    Crop,
    /// The whole recording. Its embedding is computed once, before the first step, and kept in the experiment folder.
    Utterance,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            model: None,
            loss: TeacherLoss::default(),
            weight: 1.0,
            clean: 0.3,
            target: TeacherTarget::default(),
            temperature: None,
        }
    }
}

impl TeacherConfig {
    /// Range of [`weight`](Self::weight).
    pub const WEIGHT: Range<f64> = Range::above(0.0);
    /// Range of [`clean`](Self::clean).
    pub const CLEAN: Range<f64> = Range::of(0.0, 1.0);
    /// Range of [`temperature`](Self::temperature).
    pub const TEMPERATURE: Range<f64> = Range::above(0.0);

    /// What the cosines of the loss `neighbours` are divided by.
    pub(super) fn temperature_or_default(&self) -> f64 {
        self.temperature.unwrap_or(0.1)
    }

    /// Whether the settings agree with each other.
    ///
    /// # Errors
    /// A temperature for a loss that has none.
    pub fn check_consistency(&self) -> Result<()> {
        match self.temperature {
            Some(temperature) if self.loss != TeacherLoss::Neighbours => Err(Error::Config {
                key: "teacher.temperature",
                found: format!("{temperature} with another loss"),
                expected: "teacher.loss = \"neighbours\", or no temperature".into(),
            }),
            _ => Ok(()),
        }
    }

    /// Adds every number, with its range, to the section `teacher`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("weight", self.weight, Self::WEIGHT);
        section.number("clean", self.clean, Self::CLEAN);
        if let Some(temperature) = self.temperature {
            section.number("temperature", temperature, Self::TEMPERATURE);
        }
    }
}
