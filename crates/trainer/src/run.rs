//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use ffsvc_dataset::{Augmentation, Extent, Loader};
use ffsvc_models::ModelInfo;
use serde::Serialize;

use crate::checkpoint::{ExperimentDir, Progress};
use crate::config::ExperimentConfig;
use crate::error::{Error, Result};
use crate::event::{Event, EventLog, Observer};
use crate::learner::{Learner, Learnt, Moment};
use crate::network::Network;
use crate::setup::{Beginning, Setup, first};
use crate::validation::{Validation, ValidationResult};

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
    devices: Vec<Device>,
    setup: Setup,
    learner: Learner,
    validation: Option<Validation>,
    progress: Progress,
    /// Of the epoch under way.
    tally: Tally,
    log: EventLog,
}

/// Sums over the steps of an epoch.
#[derive(Debug, Default)]
struct Tally {
    steps: usize,
    loss: f64,
    correct: usize,
    utterances: usize,
}

impl Run {
    /// Reads the data, makes or loads the network, and opens the experiment folder.
    ///
    /// `devices` is where the tensors live; gradients are turned on here. The first has the weights; all share the batches
    /// of each step, `train.accumulate` being a multiple of their number. How many there are changes no number but by
    /// rounding.
    ///
    /// # Errors
    /// Anything wrong in the configuration or the data, a folder that already holds another run, a
    /// checkpoint of a different run.
    pub fn prepare(
        config: &ExperimentConfig,
        dir: impl AsRef<Path>,
        beginning: &Beginning,
        devices: &[Device],
    ) -> Result<Self> {
        let setup = Setup::new(config)?;
        let validation = Validation::configured(config)?;
        let dir = ExperimentDir::create(dir.as_ref())?;
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        if *beginning != Beginning::Resume && !dir.list()?.is_empty() {
            return Err(Error::WouldOverwrite { path: dir.path().to_path_buf() });
        }
        let (learner, progress) = if *beginning == Beginning::Resume {
            let (steps, maker) = (setup.steps_per_epoch, Arc::clone(&setup.maker));
            let (learner, progress) = dir.resume(config, &setup.fingerprint, steps, maker, &devices)?;
            if let (Some(best), Some((_, newest))) = (progress.best(), dir.list()?.pop())
                && best.step == progress.step
            {
                // The killed run may not have come to it.
                dir.publish(&newest, &dir.best_model())?;
            }
            (learner, Progress { config: config.to_toml()?, ..progress })
        } else {
            let learner = setup.first_learner(config, beginning, &devices)?;
            let progress = Progress {
                step: 0,
                steps_per_epoch: setup.steps_per_epoch,
                data_fingerprint: setup.fingerprint.clone(),
                config: config.to_toml()?,
                validations: Vec::new(),
            };
            let info = model_info(config, &progress, &setup.classes);
            let Network { model, head } = &learner.network;
            ffsvc_models::save_model(dir.initial_model(), model, Some(head), &info)?;
            (learner, progress)
        };
        ffsvc_atomic_file::write(dir.config(), config.to_toml()?)
            .map_err(|source| Error::Io { path: dir.config(), source })?;
        let log = EventLog::open(&dir.log(), progress.step)?;
        Ok(Self {
            config: config.clone(),
            dir,
            devices,
            setup,
            learner,
            validation,
            progress,
            tally: Tally::default(),
            log,
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

    /// Measures the network on the validation trials as it stands, for example before any training.
    ///
    /// # Errors
    /// As [`Validation::measure`].
    pub fn validate(&self) -> Result<Option<ValidationResult>> {
        let Some(validation) = &self.validation else { return Ok(None) };
        let read = self.config.data.read_options(self.config.features.sample_rate)?;
        let step = self.progress.step;
        validation
            .measure(
                &self.learner.network,
                &self.config.features,
                &read,
                first(&self.devices)?,
                step / self.progress.steps_per_epoch,
                step,
            )
            .map(Some)
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
            speakers: self.setup.classes.len(),
            parameters: self.learner.network.num_trainable(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        self.tell(&start, observer)?;
        let accumulate = self.config.train.accumulate;
        let mut loader = Loader::start(
            Arc::clone(&self.setup.maker),
            Arc::clone(&self.setup.sampler),
            Extent {
                first: self.progress.step * accumulate,
                last: total_steps * accumulate,
                per_epoch: steps_per_epoch * accumulate,
                first_epoch_only: self.config.train.overfit_steps > 0,
            },
            self.config.train.workers,
            self.config.train.prefetch,
        )?;
        let mut interrupted = false;
        while self.progress.step < total_steps {
            if stop.load(Ordering::SeqCst) {
                interrupted = true;
                break;
            }
            let begun = Instant::now();
            let batches =
                (0..accumulate).map(|_| loader.next_batch()).collect::<ffsvc_dataset::Result<Vec<_>>>()?;
            let waited = begun.elapsed().as_secs_f64();
            let moment = self.moment();
            let learnt = self.learner.learn(batches, moment)?;
            self.progress.step += 1;
            let seconds = begun.elapsed().as_secs_f64();
            let step = self.progress.step;
            self.tally.take(moment.step.is_multiple_of(steps_per_epoch), &learnt);
            let event = Event::Step {
                step,
                epoch: moment.epoch + 1,
                loss: learnt.loss,
                accuracy: learnt.correct as f64 / learnt.utterances as f64,
                learning_rate: moment.learning_rate,
                margin: moment.margin,
                utterances_per_s: learnt.utterances as f64 / seconds,
                data_wait: waited / seconds,
            };
            self.tell(&event, observer)?;

            let epoch_ended = step.is_multiple_of(steps_per_epoch);
            let every = self.config.train.checkpoint_steps;
            if epoch_ended {
                self.end_epoch(step / steps_per_epoch, observer)?;
            } else if every > 0 && step.is_multiple_of(every) {
                self.checkpoint(observer)?;
            }
        }
        if interrupted {
            self.checkpoint(observer)?;
        }
        self.finish(interrupted, observer)
    }

    /// What the schedules say about the next step.
    fn moment(&self) -> Moment {
        let step = self.progress.step;
        Moment {
            step,
            epoch: step / self.progress.steps_per_epoch,
            learning_rate: self.setup.schedule.learning_rate(step),
            margin: self.setup.margin.as_ref().map(|schedule| schedule.margin(step)),
        }
    }

    fn end_epoch(&mut self, epoch: usize, observer: &mut dyn Observer) -> Result<()> {
        if let Some((failed @ 1.., attempted)) = self.setup.maker.augmentation().map(Augmentation::failures) {
            tracing::warn!("so far {failed} of {attempted} crops went without a sound that cannot be read");
        }
        if let (failed @ 1.., crops) = self.setup.maker.unreadable() {
            let total = self.setup.maker.set().utterances.len();
            tracing::warn!("so far {failed} of {total} recordings could not be used: {crops} crops replaced");
        }
        let last = epoch == self.config.train.epochs;
        let due =
            self.config.validation.as_ref().is_some_and(|v| last || epoch.is_multiple_of(v.every_epochs));
        let result = if due { self.validate()? } else { None };
        if let Some(result) = &result {
            self.progress.validations.push(result.clone());
            self.tell(&Event::Validation(result.clone()), observer)?;
        }
        let checkpoint = self.checkpoint(observer)?;
        if result.is_some() && self.progress.best().map(|best| best.step) == Some(self.progress.step) {
            self.dir.publish(&checkpoint, &self.dir.best_model())?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, observer: &mut dyn Observer) -> Result<PathBuf> {
        let info = model_info(&self.config, &self.progress, &self.setup.classes);
        let path = self.dir.save(&self.learner, &info, &self.progress, self.config.train.keep)?;
        self.tell(&Event::Checkpoint { step: self.progress.step, path: path.clone() }, observer)?;
        Ok(path)
    }

    fn finish(mut self, interrupted: bool, observer: &mut dyn Observer) -> Result<Outcome> {
        let mut final_model = None;
        if !interrupted && let Some((_, newest)) = self.dir.list()?.pop() {
            self.dir.publish(&newest, &self.dir.final_model())?;
            self.dir.publish_average(&newest)?;
            final_model = Some(self.dir.final_model());
        }
        self.tell(&Event::End { step: self.progress.step, interrupted }, observer)?;
        let existing = |path: PathBuf| path.is_file().then_some(path);
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        Ok(Outcome {
            step: self.progress.step,
            interrupted,
            loss: mean(self.tally.loss, self.tally.steps),
            accuracy: mean(self.tally.correct as f64, self.tally.utterances),
            final_model,
            best_model: existing(self.dir.best_model()),
            average_model: existing(self.dir.average_model()),
            validations: self.progress.validations,
        })
    }

    fn tell(&mut self, event: &Event, observer: &mut dyn Observer) -> Result<()> {
        self.log.write(event)?;
        observer.event(event);
        Ok(())
    }
}

impl Tally {
    fn take(&mut self, first_of_epoch: bool, learnt: &Learnt) {
        if first_of_epoch {
            *self = Self::default();
        }
        self.steps += 1;
        self.loss += f64::from(learnt.loss);
        self.correct += learnt.correct;
        self.utterances += learnt.utterances;
    }
}

/// The description that travels with the weights.
fn model_info(config: &ExperimentConfig, progress: &Progress, speakers: &[String]) -> ModelInfo {
    let mut info = ModelInfo::new(config.model.clone(), config.features.clone());
    info.head = Some(config.head.config.clone());
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
