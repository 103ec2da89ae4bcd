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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &str = r#"{"event":"start","step":0,"steps_per_epoch":2,"epochs":2,"utterances":8,"step_utterances":4,"speakers":2,"parameters":9,"version":"0"}
{"event":"step","step":1,"epoch":1,"loss":3.0,"accuracy":0.25,"learning_rate":0.1,"utterances_per_s":4.0,"data_wait":0.5}
{"event":"step","step":2,"epoch":1,"loss":1.0,"accuracy":0.75,"learning_rate":0.2,"utterances_per_s":2.0,"data_wait":0.0}
{"event":"validation","epoch":1,"step":2,"eer":0.1,"min_dcf":0.5}
{"event":"step","step":3,"epoch":2,"loss":0.5,"accuracy":1.0,"learning_rate":0.3,"margin":0.2,"utterances_per_s":4.0,"data_wait":0.0}
{"event":"step","step":4,"epo"#;

    #[test]
    fn epochs_have_their_means() {
        let log = TrainingLog::parse("train.jsonl", LOG.as_bytes()).unwrap();
        assert_eq!((log.events.len(), log.validations().count()), (5, 1));
        let epochs = log.epochs();
        let [first, second] = &epochs[..] else { panic!("{epochs:?}") };
        assert_eq!((first.epoch, first.step, first.learning_rate), (1, 2, 0.2));
        assert_eq!((first.means.loss(), first.means.accuracy()), (Some(2.0), Some(0.5)));
        // 8 utterances in 1 and 2 seconds; half of the first second was spent waiting.
        assert_eq!(
            (first.means.utterances_per_s(), first.means.data_wait()),
            (Some(8.0 / 3.0), Some(0.5 / 3.0))
        );
        assert_eq!(first.validation.as_ref().map(|result| result.eer), Some(0.1));
        assert_eq!((second.epoch, second.margin, second.means.steps()), (2, Some(0.2), 1));
        assert_eq!(second.validation, None);
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        let broken = LOG.replace("\"loss\":1.0", "\"loss\":x");
        let error = TrainingLog::parse("train.jsonl", broken.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("train.jsonl: line 3: found no event"), "{error}");
        let error = TrainingLog::parse("train.jsonl", b"").unwrap_err().to_string();
        assert!(error.contains("found no event, expected the log"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_events_or_an_error(bytes: Vec<u8>, at in 0..LOG.len()) {
            let _ = TrainingLog::parse("a", &bytes);
            let mut log = LOG.as_bytes().to_vec();
            log.splice(at..at, bytes);
            if let Ok(log) = TrainingLog::parse("a", &log) {
                log.epochs();
            }
        }
    }
}
