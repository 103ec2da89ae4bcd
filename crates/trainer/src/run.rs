//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ffsvc_atomic_file::Lock;
use ffsvc_dataset::{Augmentation, BatchRange, DataLoader};
use ffsvc_models::{ModelInfo, Precision, with_causes};
use serde::Serialize;

use crate::checkpoint::ExperimentDir;
use crate::config::ExperimentConfig;
use crate::error::{Error, Result};
use crate::event::{Event, EventLog, Observer};
use crate::init_from::InitFrom;
use crate::learner::{Learner, StepContext};
use crate::network::{Network, first_device};
use crate::progress::Progress;
use crate::setup::Setup;
use crate::step_reports::StepReports;
use crate::teacher;
use crate::validation::ValidationResult;

/// Crops whose plans are in the log.
const PLANS_SHOWN: usize = 5;

/// What a run ended with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Steps done in all.
    pub step: usize,
    /// True when the run was asked to stop before its last step; resume continues it.
    pub interrupted: bool,
    /// Mean loss of the last epoch, as far as this process trained it.
    pub loss: Option<f64>,
    /// Share of that epoch's crops whose own class had the best score, margin left out.
    pub accuracy: Option<f64>,
    /// Every validation.
    pub validations: Vec<ValidationResult>,
    /// The model after the last step, where the run is complete.
    pub final_model: Option<PathBuf>,
    /// The model with the lowest validation EER, where there was a validation.
    pub best_model: Option<PathBuf>,
    /// The averaged weights after the last step, with `train.ema`.
    pub average_model: Option<PathBuf>,
}

/// A run that is ready for its next step.
pub struct Run {
    config: ExperimentConfig,
    dir: ExperimentDir,
    /// Keeps other runs out of the folder.
    _lock: Lock,
    devices: Vec<Device>,
    setup: Setup,
    learner: Learner,
    progress: Progress,
    reports: StepReports,
    log: EventLog,
    /// Of odd training recordings.
    has_warned: bool,
}

impl Run {
    /// Reads the data, makes or loads the network, and opens the experiment folder.
    ///
    /// `devices` is where the tensors live; gradients are turned on here. The first has the weights; all share the batches
    /// of each step, `train.accumulate` being a multiple of their number. How many there are changes no number but by
    /// rounding.
    ///
    /// # Errors
    /// Anything wrong in the configuration or the data, a folder that already holds another run or
    /// that another process writes, a checkpoint of a different run.
    pub fn prepare(
        config: &ExperimentConfig,
        dir: impl AsRef<Path>,
        init: &InitFrom,
        devices: &[Device],
    ) -> Result<Self> {
        let dir = dir.as_ref();
        let kept = (*init == InitFrom::Checkpoint).then(|| ExperimentDir::open(dir)).transpose()?;
        let teacher = teacher::model_file(config, init, kept.map(|dir| dir.teacher_model()))?;
        let setup = Setup::new(config, teacher.as_deref())?;
        let dir = ExperimentDir::create(dir)?;
        let lock = Lock::folder(dir.path())?;
        if !lock.is_held() {
            tracing::warn!(
                "{}: its file system has no locks; see to it that no second run writes there",
                dir.path().display()
            );
        }
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        if *init != InitFrom::Checkpoint {
            ExperimentDir::check_new(dir.path())?;
        }
        let (mut learner, progress) = if *init == InitFrom::Checkpoint {
            let (learner, progress) =
                dir.resume(config, &setup.fingerprints, setup.steps_per_epoch, &devices)?;
            if let (Some(best), Some((_, newest))) = (progress.best(), dir.list()?.pop())
                && best.step == progress.step
            {
                // The killed run may not have come to it.
                dir.publish(&newest, &dir.best_model())?;
            }
            (learner, Progress { config: config.to_toml()?, ..progress })
        } else {
            let learner = setup.initial_learner(config, init, &devices)?;
            let progress = Progress {
                step: 0,
                steps_per_epoch: setup.steps_per_epoch,
                fingerprints: setup.fingerprints.clone(),
                config: config.to_toml()?,
                validations: Vec::new(),
            };
            let info = model_info(config, &progress, &setup.classes);
            let Network { model, head } = &learner.network;
            ffsvc_models::save_model(dir.initial_model(), model, Some(head), &info)?;
            (learner, progress)
        };
        setup.check_devices(config, &learner.network, &devices)?;
        learner.teacher = setup.teacher(config, teacher.as_deref(), &devices)?;
        if let (Some(of_learner), Some(path)) = (&mut learner.teacher, &teacher) {
            dir.keep_teacher(of_learner, path, config, setup.maker.set())?;
        }
        ffsvc_atomic_file::write(dir.config(), config.to_toml()?)
            .map_err(|source| Error::Io { path: dir.config(), source })?;
        let log = EventLog::open(&dir.log(), &progress)?;
        let processor = Device::flex();
        if config.train.precision != Precision::F32 && devices.contains(&processor) {
            tracing::warn!(
                "train.precision = \"bf16\" is for accelerators: on the processor it is slower than \"f32\""
            );
        }
        let reports =
            StepReports::new(setup.steps_per_epoch, devices.iter().any(|device| *device != processor));
        Ok(Self {
            config: config.clone(),
            dir,
            _lock: lock,
            devices,
            setup,
            learner,
            progress,
            reports,
            log,
            has_warned: false,
        })
    }

    /// Optimiser steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.progress.steps_per_epoch * self.config.train.epochs
    }

    /// The network as it stands.
    pub fn network(&self) -> &Network {
        &self.learner.network
    }

    /// Measures the network on the validation trials as it stands, for example before any training. `None` without
    /// `[validation]`, and where `stop` became true meanwhile.
    ///
    /// # Errors
    /// As the measurement of an epoch.
    pub fn validate(&self, stop: &AtomicBool) -> Result<Option<ValidationResult>> {
        let Self { config, learner, .. } = self;
        let Some(validation) = &self.setup.validation else { return Ok(None) };
        let read = config.data.read_options(config.features.sample_rate)?;
        let step = self.progress.step;
        let at = (step / self.progress.steps_per_epoch, step);
        let device = first_device(&self.devices)?;
        validation.measure(&learner.network, &config.features, &read, device, at, stop)
    }

    /// Trains to the end, or until `stop` becomes true: then the step under way is finished and a checkpoint written.
    ///
    /// # Errors
    /// Data that cannot be read, a loss that is not finite, a disk that is full. Checkpoints written before
    /// remain complete.
    pub fn train(mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let steps_per_epoch = self.progress.steps_per_epoch;
        let total_steps = self.total_steps();
        let start = Event::Start {
            step: self.progress.step,
            steps_per_epoch,
            epochs: self.config.train.epochs,
            utterances: self.setup.maker.set().utterances.len(),
            step_utterances: self.setup.sampler.batch_size() * self.config.train.accumulate,
            speakers: self.setup.classes.len(),
            parameters: self.learner.network.num_trainable(),
            version: env!("CARGO_PKG_VERSION").into(),
            best_eer: self.progress.best().map(|best| best.eer),
        };
        self.emit(&start, observer)?;
        self.emit_crop_plans(observer)?;
        // A run that was killed, stopped or refused during a validation has it still to do.
        self.validate_if_due(stop, observer)?;
        let accumulate = self.config.train.accumulate;
        let mut loader = DataLoader::start(
            Arc::clone(&self.setup.maker),
            Arc::clone(&self.setup.sampler),
            BatchRange {
                first: self.progress.step * accumulate,
                last: total_steps * accumulate,
                per_epoch: steps_per_epoch * accumulate,
                first_epoch_only: self.config.train.overfit_steps > 0,
            },
            self.config.train.workers,
            self.config.train.prefetch,
        )?;
        while self.progress.step < total_steps && !stop.load(Ordering::SeqCst) {
            let batches = self.reports.wait_for(|| {
                (0..accumulate).map(|_| loader.next_batch()).collect::<ffsvc_dataset::Result<Vec<_>>>()
            })?;
            let context = self.step_context();
            let output = self.learner.train_step(batches, context)?;
            self.progress.step += 1;
            let event = self.reports.add(context, output, self.setup.maker.set())?;
            self.emit_some(event, observer)?;

            let step = self.progress.step;
            let epoch_ended = step.is_multiple_of(steps_per_epoch);
            let every = self.config.train.checkpoint_steps;
            if epoch_ended {
                self.end_epoch(stop, observer)?;
            } else if every > 0 && step.is_multiple_of(every) {
                self.checkpoint(observer)?;
            }
        }
        // Stopped before the last step, or during the validation after it.
        let unfinished = self.progress.step < total_steps || self.is_validation_due();
        let interrupted = unfinished && stop.load(Ordering::SeqCst);
        if interrupted {
            self.checkpoint(observer)?;
        }
        self.finish(interrupted, observer)
    }

    /// At the start of a run with augmentation, what it does to the first crops.
    fn emit_crop_plans(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let maker = &self.setup.maker;
        let is_augmented = maker.augmentation().is_some() || maker.view_frames().next().is_some();
        if self.progress.step > 0 || !is_augmented {
            return Ok(());
        }
        let first = self.setup.sampler.plan(0);
        let draws = first.batch(0).iter().take(PLANS_SHOWN);
        let plans = draws.map(|&draw| maker.plan(0, draw)).collect();
        self.emit(&Event::CropPlans { step: 0, plans }, observer)
    }

    /// What the schedules say about the next step.
    fn step_context(&self) -> StepContext {
        let step = self.progress.step;
        StepContext {
            step,
            epoch: step / self.progress.steps_per_epoch,
            learning_rate: self.setup.schedule.learning_rate(step),
            margin: self.setup.margin.as_ref().map(|schedule| schedule.margin(step)),
        }
    }

    /// Once: after the first epoch, or at the end of a shorter run.
    fn warn_of_odd_recordings(&mut self) {
        if !std::mem::replace(&mut self.has_warned, true) {
            for line in self.setup.maker.notices() {
                tracing::warn!("of the recordings used so far, {line}");
            }
        }
    }

    fn end_epoch(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<()> {
        if let Some((failed @ 1.., attempted)) = self.setup.maker.augmentation().map(Augmentation::failures) {
            tracing::warn!("so far {failed} of {attempted} crops went without a sound that cannot be read");
        }
        self.warn_of_odd_recordings();
        if let (failed @ 1.., crops) = self.setup.maker.unreadable() {
            let total = self.setup.maker.set().utterances.len();
            tracing::warn!("so far {failed} of {total} recordings could not be used: {crops} crops replaced");
        }
        let event = self.reports.finish(self.setup.maker.set())?;
        self.emit_some(event, observer)?;
        self.emit_some(self.reports.epoch(), observer)?;
        self.checkpoint(observer)?;
        self.validate_if_due(stop, observer)
    }

    /// At the end of an epoch that `[validation]` asks for: measures the network, whose checkpoint is written, and adds the
    /// result to the checkpoint. A validation that fails is reported, and training goes on.
    fn validate_if_due(&mut self, stop: &AtomicBool, observer: &mut dyn Observer) -> Result<()> {
        let step = self.progress.step;
        if !self.is_validation_due() {
            return Ok(());
        }
        match self.validate(stop) {
            Ok(Some(result)) => {
                self.progress.validations.push(result.clone());
                self.emit(&Event::Validation(result), observer)?;
                let Some((_, checkpoint)) = self.dir.list()?.pop().filter(|(newest, _)| *newest == step)
                else {
                    return Ok(());
                };
                let info = model_info(&self.config, &self.progress, &self.setup.classes);
                self.dir.update(&checkpoint, &self.learner, &info, &self.progress)?;
                if self.progress.best().map(|best| best.step) == Some(step) {
                    self.dir.publish(&checkpoint, &self.dir.best_model())?;
                }
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                let epoch = step / self.progress.steps_per_epoch;
                let reason = with_causes(&error);
                tracing::warn!(
                    "the validation after epoch {epoch} failed: {reason}. Its checkpoint is complete; training goes on, and \
                     best.safetensors stays as it is"
                );
                self.emit(&Event::ValidationFailed { epoch, step, reason }, observer)
            }
        }
    }

    /// Whether the network is at the end of an epoch after which it is measured, and has not been yet.
    fn is_validation_due(&self) -> bool {
        let Some(validation) = &self.config.validation else { return false };
        let Progress { step, steps_per_epoch, validations, .. } = &self.progress;
        let epoch = step / steps_per_epoch;
        let last = epoch == self.config.train.epochs;
        *step > 0
            && step.is_multiple_of(*steps_per_epoch)
            && (last || epoch.is_multiple_of(validation.every_epochs))
            && validations.iter().all(|known| known.step != *step)
    }

    fn checkpoint(&mut self, observer: &mut dyn Observer) -> Result<PathBuf> {
        // Weights of a step whose loss is not finite are not written.
        let event = self.reports.finish(self.setup.maker.set())?;
        self.emit_some(event, observer)?;
        let info = model_info(&self.config, &self.progress, &self.setup.classes);
        let path = self.dir.save(&self.learner, &info, &self.progress, self.config.train.keep)?;
        self.emit(&Event::Checkpoint { step: self.progress.step, path: path.clone() }, observer)?;
        Ok(path)
    }

    fn finish(mut self, interrupted: bool, observer: &mut dyn Observer) -> Result<Outcome> {
        self.warn_of_odd_recordings();
        let mut final_model = None;
        if !interrupted && let Some((_, newest)) = self.dir.list()?.pop() {
            self.dir.publish(&newest, &self.dir.final_model())?;
            self.dir.publish_average(&newest)?;
            final_model = Some(self.dir.final_model());
        }
        self.emit(&Event::End { step: self.progress.step, interrupted }, observer)?;
        let existing = |path: PathBuf| path.is_file().then_some(path);
        let (loss, accuracy) = (self.reports.means().loss(), self.reports.means().accuracy());
        Ok(Outcome {
            step: self.progress.step,
            interrupted,
            loss,
            accuracy,
            final_model,
            best_model: existing(self.dir.best_model()),
            average_model: existing(self.dir.average_model()),
            validations: self.progress.validations,
        })
    }

    fn emit_some(&mut self, event: Option<Event>, observer: &mut dyn Observer) -> Result<()> {
        event.map_or(Ok(()), |event| self.emit(&event, observer))
    }

    fn emit(&mut self, event: &Event, observer: &mut dyn Observer) -> Result<()> {
        self.log.write(event)?;
        observer.event(event);
        Ok(())
    }
}

/// The description that travels with the weights.
fn model_info(config: &ExperimentConfig, progress: &Progress, speakers: &[String]) -> ModelInfo {
    let mut info = ModelInfo::new(config.model.clone(), config.features.clone());
    info.head = config.head.has_classes().then(|| config.head.config.clone());
    info.speakers = speakers.to_vec();
    info.config_toml.clone_from(&progress.config);
    info.training = serde_json::json!({
        "step": progress.step,
        "epoch": progress.step / progress.steps_per_epoch,
        "validation": progress.validations.last(),
    });
    info.compat_lowpass = config.data.compat_lowpass;
    info
}
