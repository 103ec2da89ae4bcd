//! What a run tells the outside while it works: to a person through an [`Observer`], to programs as JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ffsvc_dataset::CropPlan;
use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::progress::Progress;
use crate::validation::ValidationResult;

/// Something that happened. One line of `train.jsonl` each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run starts or goes on.
    Start {
        /// Steps done before.
        step: usize,
        /// Steps of an epoch.
        steps_per_epoch: usize,
        /// Epochs of the whole run.
        epochs: usize,
        /// Training utterances.
        utterances: usize,
        /// Utterances of an optimiser step.
        #[serde(default)]
        step_utterances: usize,
        /// Classes of the head: training speakers, those that other speeds make, and the reserve.
        speakers: usize,
        /// Trainable numbers, with the head.
        parameters: usize,
        /// Version of this program.
        version: String,
        /// The lowest EER of the validations before, where there were any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        best_eer: Option<f64>,
    },
    /// What augmentation does to the first crops of the run: examples, so that the log shows what was trained on.
    CropPlans {
        /// Steps done before.
        step: usize,
        /// The crops, in the order of the first batch.
        plans: Vec<CropPlan>,
    },
    /// A batch was learnt from.
    Step {
        /// Steps done, this one included.
        step: usize,
        /// Epoch, from 1.
        epoch: usize,
        /// Mean loss of the batch: the head's and the teacher's together.
        loss: f32,
        /// The teacher's part of it, weighted, where there is a teacher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        teacher_loss: Option<f32>,
        /// Share of the batch whose own speaker has the best score, margin left out, where the head has classes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accuracy: Option<f64>,
        /// Learning rate of the step.
        learning_rate: f64,
        /// The head's margin, where a schedule moves it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        margin: Option<f64>,
        /// Utterances per second of this step.
        utterances_per_s: f64,
        /// Share of the step's time spent waiting for data.
        data_wait: f64,
    },
    /// The last step of an epoch was done. The numbers are means over the epoch's steps, as far as this process trained it.
    Epoch {
        /// Epochs done.
        epoch: usize,
        /// Steps done.
        step: usize,
        /// Steps that the means are of.
        steps: usize,
        /// Mean loss.
        loss: f64,
        /// Mean of the teacher's part of it, where there is a teacher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        teacher_loss: Option<f64>,
        /// Share of the epoch's crops whose own speaker has the best score, where the head has classes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accuracy: Option<f64>,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// The head's margin at the last step, where a schedule moves it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        margin: Option<f64>,
        /// Utterances per second of the steps.
        utterances_per_s: f64,
        /// Share of the steps' time spent waiting for data.
        data_wait: f64,
        /// Seconds that the steps took.
        seconds: f64,
    },
    /// The network was measured on the validation trials.
    Validation(ValidationResult),
    /// A validation at the end of an epoch failed. The checkpoint was written before it, and training goes on.
    ValidationFailed {
        /// Epochs done.
        epoch: usize,
        /// Steps done.
        step: usize,
        /// Why.
        reason: String,
    },
    /// A checkpoint is complete on disk.
    Checkpoint {
        /// Steps done.
        step: usize,
        /// Its folder.
        path: PathBuf,
    },
    /// The run is over.
    End {
        /// Steps done.
        step: usize,
        /// True when the run was asked to stop before its last step.
        interrupted: bool,
    },
}

impl Event {
    /// Whether a run that goes on from `progress` has it behind it.
    fn is_part_of(&self, progress: &Progress) -> bool {
        match self {
            Self::Start { step, .. }
            | Self::CropPlans { step, .. }
            | Self::Step { step, .. }
            | Self::Epoch { step, .. }
            | Self::Checkpoint { step, .. }
            | Self::End { step, .. } => *step <= progress.step,
            Self::Validation(result) => progress.validations.iter().any(|known| known.step == result.step),
            Self::ValidationFailed { step, .. } => *step < progress.step,
        }
    }
}

/// Sees every event of a run as it happens.
pub trait Observer {
    /// Called from the training thread; what takes long here delays the next step.
    fn event(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// Appends events to `train.jsonl`.
#[derive(Debug)]
pub(crate) struct EventLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventLog {
    /// Opens the log of a run that is as far as `progress`. Resume truncates train.jsonl to the checkpoint: lines about
    /// later steps and validations, which will be done again, and a half-written last line are removed.
    pub(crate) fn open(path: &Path, progress: &Progress) -> Result<Self> {
        let mut kept = Vec::new();
        if path.is_file() {
            for line in std::fs::read(path).at(path)?.split(|&byte| byte == b'\n') {
                let Ok(event) = serde_json::from_slice::<Event>(line) else { continue };
                if event.is_part_of(progress) {
                    kept.extend_from_slice(line);
                    kept.push(b'\n');
                }
            }
        }
        ffsvc_atomic_file::write(path, kept).at(path)?;
        let file = OpenOptions::new().append(true).open(path).at(path)?;
        Ok(Self { path: path.to_path_buf(), file: BufWriter::new(file) })
    }

    pub(crate) fn write(&mut self, event: &Event) -> Result<()> {
        let line = serde_json::to_string(event)
            .map_err(|error| Error::State { path: self.path.clone(), reason: error.to_string() })?;
        writeln!(self.file, "{line}").and_then(|()| self.file.flush()).at(&self.path)
    }
}
