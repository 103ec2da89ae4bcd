//! Checkpoints, to resume a killed run.
//!
//! A checkpoint is a folder `step-00000940/`. It has `model.safetensors` (network, head, configuration) and `state/`
//! (optimiser, counters). On request it also has `ema.safetensors` (the same with averaged weights). It is written
//! under a temporary name and renamed when everything in it is on disk, so a folder with the final name is complete.
//! Learning rate, shuffling, crops and dropout are functions of the step and the seed. There is no generator or
//! schedule state to save.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::{Bytes, Device};
use ffsvc_dataset::TrainingSet;
use ffsvc_models::{Head, ModelInfo, NoHead};

use crate::config::ExperimentConfig;
use crate::error::{Error, IoContext, Result};
use crate::flat_toml;
use crate::learner::Learner;
use crate::network::{Network, first_device};
use crate::progress::{Fingerprints, Progress, read_progress, write_progress};
use crate::teacher::Teacher;

const MODEL: &str = "model.safetensors";
const AVERAGE: &str = "ema.safetensors";
const PROGRESS: &str = "state/progress.json";
const OPTIMIZER: &str = "state/optimizer.burnpack";

/// The folder of one experiment.
#[derive(Debug, Clone)]
pub struct ExperimentDir {
    path: PathBuf,
}

impl ExperimentDir {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let dir = Self { path: path.into() };
        fs::create_dir_all(dir.checkpoints()).at(dir.checkpoints())?;
        Ok(dir)
    }

    /// Checks that a new run can begin in the folder `path`, which may be missing.
    ///
    /// # Errors
    /// It holds the checkpoints of a run.
    pub fn check_new(path: impl Into<PathBuf>) -> Result<()> {
        let dir = Self { path: path.into() };
        if dir.checkpoints().is_dir() && !dir.list()?.is_empty() {
            return Err(Error::WouldOverwrite { path: dir.path });
        }
        Ok(())
    }

    /// Opens a folder that is there already.
    ///
    /// # Errors
    /// It has no checkpoints.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let dir = Self { path: path.into() };
        if dir.checkpoints().is_dir() {
            Ok(dir)
        } else {
            Err(Error::NothingToResume { path: dir.checkpoints() })
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of `step-*` checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// One JSON object a line: start, steps, validations, checkpoints.
    pub fn log(&self) -> PathBuf {
        self.path.join("train.jsonl")
    }

    /// The model before the first step: what training has to be better than.
    pub fn initial_model(&self) -> PathBuf {
        self.path.join("initial.safetensors")
    }

    /// The model with the lowest validation EER.
    pub fn best_model(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The model after the last step.
    pub fn final_model(&self) -> PathBuf {
        self.path.join("final.safetensors")
    }

    /// The averaged weights after the last step.
    pub fn average_model(&self) -> PathBuf {
        self.path.join(AVERAGE)
    }

    /// A copy of the teacher, with `[teacher]`.
    pub fn teacher_model(&self) -> PathBuf {
        self.path.join("teacher.safetensors")
    }

    /// The teacher's embeddings of whole training recordings, with `teacher.target = "utterance"`.
    pub fn teacher_targets(&self) -> PathBuf {
        self.path.join("teacher-targets.safetensors")
    }

    /// Copies the teacher's model file `from` into the folder, so that the run can be resumed without that file. If the
    /// teacher needs its embeddings of whole recordings, computes or reads them.
    ///
    /// # Errors
    /// A file cannot be read or written; a recording cannot be read.
    pub(crate) fn keep_teacher(
        &self,
        teacher: &mut Teacher,
        from: &Path,
        config: &ExperimentConfig,
        set: &TrainingSet,
    ) -> Result<()> {
        let resumed = from == self.teacher_model();
        if teacher.wants_targets() {
            if resumed && self.teacher_targets().is_file() {
                teacher.read_targets(set, &self.teacher_targets())?;
            } else {
                let read = config.data.read_options(config.features.sample_rate)?;
                tracing::info!("the teacher embeds {} whole recordings", set.utterances.len());
                teacher.embed(set, 0..set.utterances.len() as u32, &read)?;
                teacher.save_targets(set, &self.teacher_targets())?;
            }
        }
        if resumed { Ok(()) } else { copy(from, &self.teacher_model()) }
    }

    /// The model of a checkpoint.
    pub fn model_of(checkpoint: &Path) -> PathBuf {
        checkpoint.join(MODEL)
    }

    /// Complete checkpoints with their steps, oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<(usize, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.checkpoints()).at(self.checkpoints())? {
            let path = entry.at(self.checkpoints())?.path();
            let step = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_prefix("step-"))
                .and_then(|digits| digits.parse().ok());
            if let Some(step) = step
                && path.join(PROGRESS).is_file()
            {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Writes a checkpoint and removes the oldest beyond `keep`. A checkpoint of the same step that is already there
    /// stays as it is.
    ///
    /// # Errors
    /// The disk is full or not writable; older checkpoints are untouched then.
    pub(crate) fn save(
        &self,
        learner: &Learner,
        info: &ModelInfo,
        progress: &Progress,
        keep: usize,
    ) -> Result<PathBuf> {
        self.remove_unfinished()?;
        let name = format!("step-{:08}", progress.step);
        let path = self.checkpoints().join(&name);
        if path.join(PROGRESS).is_file() {
            // An interrupt at the end of an epoch asks for the same step again.
            return Ok(path);
        }
        let unfinished = self.checkpoints().join(format!(".unfinished-{name}"));
        fs::create_dir_all(unfinished.join("state")).at(&unfinished)?;
        save_models(&unfinished, learner, info)?;
        let record = learner.optimizer.into_bytes().map_err(|error| Error::State {
            path: unfinished.join(OPTIMIZER),
            reason: format!("the optimiser's state cannot be serialised: {error}"),
        })?;
        ffsvc_atomic_file::write(unfinished.join(OPTIMIZER), &record[..]).at(unfinished.join(OPTIMIZER))?;
        write_progress(&unfinished.join(PROGRESS), progress)?;

        fs::rename(&unfinished, &path).at(&path)?;
        if let Ok(folder) = fs::File::open(self.checkpoints()) {
            // Makes the rename durable where the file system can; it has already happened.
            let _ = folder.sync_all();
        }
        let all = self.list()?;
        for (_, old) in all.iter().take(all.len().saturating_sub(keep.max(1))) {
            // The completeness mark goes first, so that a kill in the middle leaves no half checkpoint behind.
            fs::remove_file(old.join(PROGRESS)).at(old)?;
            fs::remove_dir_all(old).at(old)?;
        }
        Ok(path)
    }

    /// Puts a new description and new validations into `checkpoint`, whose weights are those of `learner`. It is complete at
    /// every moment.
    ///
    /// # Errors
    /// The disk is full or not writable.
    pub(crate) fn update(
        &self,
        checkpoint: &Path,
        learner: &Learner,
        info: &ModelInfo,
        progress: &Progress,
    ) -> Result<()> {
        save_models(checkpoint, learner, info)?;
        // Last: a run that is killed before it is resumed at the validation.
        write_progress(&checkpoint.join(PROGRESS), progress)
    }

    /// What a killed run left of a checkpoint that it was writing or removing.
    fn remove_unfinished(&self) -> Result<()> {
        for entry in fs::read_dir(self.checkpoints()).at(self.checkpoints())? {
            let path = entry.at(self.checkpoints())?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let half_removed = name.starts_with("step-") && !path.join(PROGRESS).is_file();
            if name.starts_with(".unfinished-") || half_removed {
                fs::remove_dir_all(&path).at(&path)?;
            }
        }
        Ok(())
    }

    /// Copies a checkpoint's model to `target`, atomically.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn publish(&self, checkpoint: &Path, target: &Path) -> Result<()> {
        copy(&checkpoint.join(MODEL), target)
    }

    /// Copies a checkpoint's averaged weights, if it has any, to [`average_model`](Self::average_model).
    ///
    /// # Errors
    /// The copy cannot be written.
    pub(crate) fn publish_average(&self, checkpoint: &Path) -> Result<()> {
        let average = checkpoint.join(AVERAGE);
        if average.is_file() { copy(&average, &self.average_model()) } else { Ok(()) }
    }

    /// The newest complete checkpoint, checked to belong to the run that `config` and the data describe.
    ///
    /// # Errors
    /// No checkpoint, unreadable state, or another run's.
    pub(crate) fn resume(
        &self,
        config: &ExperimentConfig,
        fingerprints: &Fingerprints,
        steps_per_epoch: usize,
        devices: &[Device],
    ) -> Result<(Learner, Progress)> {
        let Some((_, path)) = self.list()?.pop() else {
            return Err(Error::NothingToResume { path: self.checkpoints() });
        };
        let progress = read_progress(&path.join(PROGRESS))?;
        let then: ExperimentConfig = toml::from_str(&progress.config).map_err(|error| Error::State {
            path: path.join(PROGRESS),
            reason: format!("its configuration cannot be read: {error}"),
        })?;
        let mut differences = config.differences(&then)?;
        differences.extend(fingerprints.differences(&progress.fingerprints, config, &then));
        if progress.steps_per_epoch != steps_per_epoch {
            differences.push(format!("steps per epoch: {} -> {steps_per_epoch}", progress.steps_per_epoch));
        }
        let kind = then.schedule.kind;
        if config.train.epochs != then.train.epochs && kind.looks_ahead() {
            differences.push(format!(
                "the learning rates of schedule.kind = {} depend on the length of a run: only one with constant or \
                 multi-step can go on for more epochs; a new run from its model starts a new schedule",
                flat_toml::to_value(&kind)?
            ));
        }
        if !differences.is_empty() {
            return Err(Error::ResumeMismatch { path, differences });
        }
        let device = first_device(devices)?;
        let network = load_network(&path.join(MODEL), config, device)?;
        let bytes = fs::read(path.join(OPTIMIZER)).at(path.join(OPTIMIZER))?;
        let optimizer = config.optimizer.init(&network)?.from_bytes(Bytes::from_bytes_vec(bytes));
        let optimizer = optimizer.map_err(|error| Error::State {
            path: path.join(OPTIMIZER),
            reason: format!("the optimiser's state cannot be read: {error}"),
        })?;
        let mut learner = Learner::new(config, network, optimizer, devices)?;
        if let Some(average) = &mut learner.average {
            average.set(load_network(&path.join(AVERAGE), config, device)?)?;
        }
        if config.train.anchor > 0.0 {
            learner.anchor_to(&load_network(&self.initial_model(), config, device)?);
        }
        Ok((learner, progress))
    }
}

fn save_models(folder: &Path, learner: &Learner, info: &ModelInfo) -> Result<()> {
    let Network { model, head } = &learner.network;
    ffsvc_models::save_model(folder.join(MODEL), model, Some(head), info)?;
    if let Some(average) = &learner.average {
        let Network { model, head } = average.network();
        ffsvc_models::save_model(folder.join(AVERAGE), model, Some(head), info)?;
    }
    Ok(())
}

fn load_network(path: &Path, config: &ExperimentConfig, device: &Device) -> Result<Network> {
    let (model, head, _) = ffsvc_models::load_model(path, device)?;
    let head = head.or_else(|| (!config.head.has_classes()).then_some(Head::NoHead(NoHead)));
    let head = head.ok_or_else(|| Error::NoHead { path: path.to_path_buf() })?;
    Ok(Network { model, head })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    fs::File::open(from).and_then(|mut file| file.read_to_end(&mut bytes)).at(from)?;
    ffsvc_atomic_file::write(to, bytes).at(to)
}
