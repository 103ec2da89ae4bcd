//! What a run has written about itself: `train.jsonl`, read again.

use std::path::Path;

use crate::error::{Error, IoContext, Result};
use crate::event::Event;
use crate::step_means::StepMeans;
use crate::validation::ValidationResult;

/// The events of a run, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingLog {
    /// The events.
    pub events: Vec<Event>,
}

/// An epoch of a [`TrainingLog`].
#[derive(Debug, Clone, PartialEq)]
pub struct EpochSummary {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Its last step so far.
    pub step: usize,
    /// Means over its steps.
    pub means: StepMeans,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Margin of its last step, where a schedule moves it.
    pub margin: Option<f64>,
    /// The validation after it, where there was one.
    pub validation: Option<ValidationResult>,
}

impl TrainingLog {
    /// Reads the log at `path`. The last line may be half written, because the run may go on.
    ///
    /// # Errors
    /// The file cannot be read; a line is no event; there is none.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(path, &std::fs::read(path).at(path)?)
    }

    /// Reads the bytes of the log that lies at `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        let refuse = |reason: String| Error::State { path: path.as_ref().to_path_buf(), reason };
        let mut events = Vec::new();
        let mut lines = bytes.split(|&byte| byte == b'\n').enumerate().peekable();
        while let Some((place, line)) = lines.next() {
            let is_unfinished = lines.peek().is_none();
            match serde_json::from_slice(line) {
                Ok(event) => events.push(event),
                Err(_) if is_unfinished => {}
                Err(error) => {
                    let number = place + 1;
                    return Err(refuse(format!("line {number}: found no event of a run ({error})")));
                }
            }
        }
        if events.is_empty() {
            return Err(refuse("found no event, expected the log of a training run".to_owned()));
        }
        Ok(Self { events })
    }

    /// The epochs, in their order. An epoch that has only just begun is one of them.
    pub fn epochs(&self) -> Vec<EpochSummary> {
        let mut epochs: Vec<EpochSummary> = Vec::new();
        let mut utterances = 0;
        for event in &self.events {
            match event {
                Event::Start { step_utterances, .. } => utterances = *step_utterances,
                Event::Step { epoch, step, learning_rate, margin, .. } => {
                    if epochs.last().is_none_or(|last| last.epoch != *epoch) {
                        epochs.push(EpochSummary {
                            epoch: *epoch,
                            step: *step,
                            means: StepMeans::default(),
                            learning_rate: *learning_rate,
                            margin: *margin,
                            validation: None,
                        });
                    }
                    if let Some(last) = epochs.last_mut() {
                        (last.step, last.learning_rate, last.margin) = (*step, *learning_rate, *margin);
                        last.means.add(event, utterances);
                    }
                }
                Event::Validation(result) => {
                    if let Some(of) = epochs.iter_mut().rfind(|of| of.epoch == result.epoch) {
                        of.validation = Some(result.clone());
                    }
                }
                _ => {}
            }
        }
        epochs
    }

    /// Every validation.
    pub fn validations(&self) -> impl Iterator<Item = &ValidationResult> {
        self.events.iter().filter_map(|event| match event {
            Event::Validation(result) => Some(result),
            _ => None,
        })
    }
}
