use std::path::PathBuf;

/// What can stop a training run or keep it from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is outside what it may be.
    #[error("{key} = {found}, expected {expected}")]
    Config {
        /// `section.key`.
        key: &'static str,
        /// The value given.
        found: String,
        /// What would be accepted.
        expected: String,
    },
    /// A number of the configuration that is out of its range.
    #[error(transparent)]
    Range(#[from] ffsvc_ranges::OutOfRange),
    /// Several things are wrong with the configuration.
    #[error("{} settings are wrong:{}", faults.len(), faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Settings {
        /// What is wrong with each.
        faults: Vec<Error>,
    },
    /// Files or folders that the configuration names are not there.
    #[error("not there: {}", paths.iter().map(|(key, path)| format!("{key} = {}", path.display())).collect::<Vec<_>>().join(", "))]
    NoSuchInput {
        /// Each key with its path.
        paths: Vec<(&'static str, PathBuf)>,
    },
    /// A device broke off: a lost connection, exhausted memory.
    #[error("{device} failed: {cause}; the last checkpoint is complete")]
    Device {
        /// The device.
        device: String,
        /// What it said.
        cause: String,
    },
    /// A device computes something else than the processor.
    #[error(
        "device {number} of the run does not compute what the processor does: loss {found:.4} instead of {expected:.4} in the first batch, \
         gradients that differ by {gradients:.1} % of their length, most in {layer}; another driver or device may help, and \
         train.check_device = false trains all the same"
    )]
    WrongDevice {
        /// Which of the run's devices, from 1.
        number: usize,
        /// Its loss.
        found: f64,
        /// The processor's loss.
        expected: f64,
        /// Length of the difference of the gradients, in per cent of the length of the processor's.
        gradients: f64,
        /// The parameter whose gradient differs most.
        layer: String,
    },
    /// A data directory or list could not be read or is wrong.
    #[error(transparent)]
    Data(#[from] ffsvc_kaldi_io::Error),
    /// The training data, their augmentation or the front end.
    #[error(transparent)]
    Dataset(#[from] ffsvc_dataset::Error),
    /// The data are readable but cannot be trained on.
    #[error("{what}: found {found}; expected {expected}")]
    DataSet {
        /// Which data.
        what: String,
        /// What is there.
        found: String,
        /// What training needs.
        expected: String,
    },
    /// A model file or a model configuration is wrong.
    #[error(transparent)]
    Model(#[from] ffsvc_models::Error),
    /// The network cannot be used for validation.
    #[error("validation")]
    Validation(#[source] ffsvc_extraction::Error),
    /// A validation recording could not be embedded.
    #[error("validation: utterance {utterance}")]
    ValidationUtterance {
        /// Utterance id.
        utterance: String,
        /// Why.
        #[source]
        source: ffsvc_extraction::Error,
    },
    /// The teacher, or the model that a fine-tune starts from, cannot embed recordings.
    #[error("no embeddings of training recordings")]
    Embedding(#[source] ffsvc_extraction::Error),
    /// A whole training recording could not be embedded, for the teacher or for the speakers' centres.
    #[error("training utterance {utterance}")]
    TrainingUtterance {
        /// Utterance id.
        utterance: String,
        /// Why.
        #[source]
        source: ffsvc_extraction::Error,
    },
    /// Validation scores could not be measured.
    #[error("validation")]
    Scoring(#[source] ffsvc_scoring::Error),
    /// The loss is NaN or infinite.
    #[error(
        "the loss is {loss} at epoch {epoch}, step {step} (learning rate {learning_rate:.3e}); the batch was: {}. \
         Lower optimizer.learning_rate or look at these recordings; the last checkpoint is intact",
        utterances.join(" ")
    )]
    NonFiniteLoss {
        /// NaN or an infinity.
        loss: f32,
        /// Epoch, from 1.
        epoch: usize,
        /// Optimiser step, from 1.
        step: usize,
        /// The learning rate of that step.
        learning_rate: f64,
        /// The utterances of the batch.
        utterances: Vec<String>,
    },
    /// `train.anchor` is set in a run that starts from no model.
    #[error("train.anchor = {anchor} in a run from random weights, expected 0")]
    AnchorWithoutModel {
        /// Its value.
        anchor: f64,
    },
    /// The experiment folder holds something that this run would destroy.
    #[error("{path}: already holds the checkpoints of a run")]
    WouldOverwrite {
        /// The experiment folder.
        path: PathBuf,
    },
    /// Another process writes the experiment folder.
    #[error(transparent)]
    Locked(#[from] ffsvc_atomic_file::LockError),
    /// There is nothing to resume from.
    #[error("{path}: no complete checkpoint to resume from (looked for step-*/state/progress.json)")]
    NothingToResume {
        /// The folder of checkpoints.
        path: PathBuf,
    },
    /// The run that a checkpoint belongs to is not the run that is asked for.
    #[error("{path}: was written by a run that differs in {}", differences.join("; "))]
    ResumeMismatch {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, each as `key: then -> now`.
        differences: Vec<String>,
    },
    /// A model has another network or front end than the configuration.
    #[error(
        "{path}: [{section}] of the configuration is not the model's, which has {}; leave the section out to take the model's, \
         or write\n{toml}",
        differences.join("; ")
    )]
    OtherSection {
        /// The model.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// What differs, each as `key: configuration -> model`.
        differences: Vec<String>,
        /// The model's section.
        toml: String,
    },
    /// A model's head has other speakers than the training data.
    #[error(
        "{path}: its head has other speakers than the training data: {} that the data lack{}, {} that it lacks{}",
        missing.len(), first_ten(missing), surplus.len(), first_ten(surplus)
    )]
    OtherSpeakers {
        /// The model.
        path: PathBuf,
        /// Speakers of the head that the training data lack.
        missing: Vec<String>,
        /// Speakers of the training data that the head lacks.
        surplus: Vec<String>,
    },
    /// A model whose head is wanted has none.
    #[error("{path}: has no classification head")]
    NoHead {
        /// The model.
        path: PathBuf,
    },
    /// A checkpoint's state cannot be read.
    #[error("{path}: {reason}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Nothing, the fault, or all of them in one error.
    pub(crate) fn of_all(mut faults: Vec<Self>) -> Result<()> {
        match faults.len() {
            0 => Ok(()),
            1 => Err(faults.swap_remove(0)),
            _ => Err(Self::Settings { faults }),
        }
    }
}

/// ` (a, b, ...)`, ten names at most.
fn first_ten(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > 10 { ", ..." } else { "" };
    format!(" ({}{more})", names[..names.len().min(10)].join(", "))
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) trait IoContext<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.into(), source })
    }
}
