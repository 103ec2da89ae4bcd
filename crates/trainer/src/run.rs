//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use ffsvc_models::ModelInfo;
use serde::Serialize;

use crate::augmentation::{Augmentation, class_names};
use crate::batch::{Batch, Extent, Loader};
use crate::checkpoint::{ExperimentDir, Progress};
use crate::config::ExperimentConfig;
use crate::data_set::BatchMaker;
use crate::error::{Error, Result};
use crate::event::{Event, EventLog, Observer};
use crate::network::Network;
use crate::random::{Purpose, stream_seed};
use crate::schedule::Schedule;
use crate::validation::{Validation, ValidationResult};

/// Where a run takes its first weights from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// New weights from the seed.
    Fresh,
    /// The newest checkpoint of the experiment folder.
    Resume,
    /// The weights of another model: a fine-tune.
    From {
        /// A `model.safetensors`.
        model: PathBuf,
        /// Take its head too; its speakers must be the training set's, in the same order.
        with_head: bool,
    },
}

/// What a run ended with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Steps done in all.
    pub step: usize,
    /// True when the run was asked to stop before its last step; resume continues it.
    pub interrupted: bool,
    /// Every validation.
    pub validations: Vec<ValidationResult>,
    /// The model after the last step, where the run is complete.
    pub final_model: Option<PathBuf>,
    /// The model with the lowest validation EER, where there was a validation.
    pub best_model: Option<PathBuf>,
}

/// A run that is ready for its next step.
pub struct Run {
    config: ExperimentConfig,
    dir: ExperimentDir,
    device: Device,
    network: Network,
    optimizer: ModuleOptimizer,
    schedule: Schedule,
    maker: Arc<BatchMaker>,
    /// Names of the head's rows.
    classes: Vec<String>,
    validation: Option<Validation>,
    progress: Progress,
    log: EventLog,
}

impl Run {
    /// Reads the data, makes or loads the network, and opens the experiment folder.
    ///
    /// `device` is where the tensors live; gradients are turned on here.
    ///
    /// # Errors
    /// Anything wrong in the configuration or the data, a folder that already holds another run, a
    /// checkpoint of a different run.
    pub fn prepare(
        config: &ExperimentConfig,
        dir: impl AsRef<Path>,
        beginning: &Beginning,
        device: &Device,
    ) -> Result<Self> {
        config.check()?;
        let maker = BatchMaker::open(config)?;
        let (set, num_mels, seed) = (maker.set(), maker.num_mels(), config.train.seed);
        let sounds = maker.augmentation().map_or(&[][..], Augmentation::sounds);
        let fingerprint = format!("{:016x}", set.fingerprint(sounds));
        let classes = class_names(&config.augment, &set.speakers);
        let num_utterances = set.utterances.len();
        if maker.num_frames() < config.model.min_frames() {
            return Err(Error::Config {
                key: "train.max_frames",
                found: maker.num_frames().to_string(),
                expected: format!("at least the model's {} frames", config.model.min_frames()),
            });
        }
        let plan = crate::sampler::EpochPlan::new(num_utterances, config.train.batch_size, seed, 0);
        let steps_per_epoch = plan.num_batches();
        let schedule = Schedule::new(
            &config.schedule,
            config.optimizer.learning_rate,
            steps_per_epoch,
            config.train.epochs,
        )?;
        let validation = config
            .validation
            .as_ref()
            .map(|section| Validation::open(section, config.data.open_options()))
            .transpose()?;
        let optimizer = config.optimizer.init()?;
        let dir = ExperimentDir::create(dir.as_ref())?;
        let device = device.clone().autodiff();

        let fresh_progress = Progress {
            step: 0,
            steps_per_epoch,
            data_fingerprint: fingerprint.clone(),
            config: config.to_toml()?,
            validations: Vec::new(),
        };
        if *beginning != Beginning::Resume && !dir.list()?.is_empty() {
            return Err(Error::WouldOverwrite { path: dir.path().to_path_buf() });
        }
        let (network, optimizer, progress) = match beginning {
            Beginning::Resume => {
                let (network, optimizer, progress) =
                    dir.resume(config, &fingerprint, steps_per_epoch, optimizer, &device)?;
                if let (Some(best), Some((_, newest))) = (progress.best(), dir.list()?.pop())
                    && best.step == progress.step
                {
                    // The killed run may not have come to it.
                    dir.publish(&newest, &dir.best_model())?;
                }
                (network, optimizer, Progress { config: config.to_toml()?, ..progress })
            }
            Beginning::Fresh => {
                device.seed(stream_seed(seed, Purpose::Initialisation, 0, "network"));
                let model = config.model.init(num_mels, &device)?;
                let head = config.head.init(config.model.embedding_size(), classes.len(), &device);
                (Network { model, head }, optimizer, fresh_progress)
            }
            Beginning::From { model, with_head } => {
                let network = fine_tune_network(config, model, *with_head, &classes, &device)?;
                (network, optimizer, fresh_progress)
            }
        };
        if progress.step == 0 {
            let info = model_info(config, &progress, &classes);
            ffsvc_models::save_model(dir.initial_model(), &network.model, Some(&network.head), &info)?;
        }
        ffsvc_atomic_file::write(dir.config(), config.to_toml()?)
            .map_err(|source| Error::Io { path: dir.config(), source })?;
        let log = EventLog::open(&dir.log(), progress.step)?;
        Ok(Self {
            config: config.clone(),
            dir,
            device,
            network,
            optimizer,
            schedule,
            maker: Arc::new(maker),
            classes,
            validation,
            progress,
            log,
        })
    }

    /// Optimiser steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.progress.steps_per_epoch * self.config.train.epochs
    }

    /// The network as it stands.
    pub fn network(&self) -> &Network {
        &self.network
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
                &self.network,
                &self.config.features,
                &read,
                &self.device,
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
        let set = self.maker.set();
        let start = Event::Start {
            step: self.progress.step,
            steps_per_epoch,
            epochs: self.config.train.epochs,
            utterances: set.utterances.len(),
            speakers: self.classes.len(),
            parameters: self.network.num_trainable(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        self.tell(&start, observer)?;
        let mut loader = Loader::start(
            Arc::clone(&self.maker),
            Extent { first_step: self.progress.step, last_step: total_steps, steps_per_epoch },
            self.config.train.batch_size,
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
            let batch = loader.next_batch()?;
            let waited = begun.elapsed().as_secs_f64();
            let learnt = self.step(batch)?;
            let seconds = begun.elapsed().as_secs_f64();
            let step = self.progress.step;
            let event = Event::Step {
                step,
                epoch: (step - 1) / steps_per_epoch + 1,
                loss: learnt.loss,
                accuracy: learnt.correct as f64 / learnt.utterances as f64,
                learning_rate: learnt.learning_rate,
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

    fn step(&mut self, batch: Batch) -> Result<Learnt> {
        let step = self.progress.step;
        let epoch = step / self.progress.steps_per_epoch;
        let learning_rate = self.schedule.learning_rate(step);
        let utterances = batch.labels.len();
        // Dropout masks depend on the step alone, so that a resumed run draws the same.
        self.device.seed(stream_seed(self.config.train.seed, Purpose::Dropout, step, ""));
        let shape = [utterances, batch.num_mels, batch.num_frames];
        let features = Tensor::<3>::from_data(TensorData::new(batch.features, shape), &self.device);
        let labels =
            Tensor::<1, Int>::from_data(TensorData::new(batch.labels.clone(), [utterances]), &self.device);
        let output = self.network.forward(features, labels);
        let loss = output.loss.clone().into_scalar::<f32>();
        if !loss.is_finite() {
            let set = self.maker.set();
            return Err(Error::NonFiniteLoss {
                loss,
                epoch: epoch + 1,
                step: step + 1,
                learning_rate,
                utterances: batch.members.iter().map(|&i| set.utterances[i as usize].id.clone()).collect(),
            });
        }
        let best = output.cosines_or_scores.inner().argmax(1).into_data();
        let correct = best.iter::<i64>().zip(&batch.labels).filter(|(guess, label)| guess == *label).count();
        let gradients = GradientsParams::from_grads(output.loss.backward(), &self.network);
        self.network = self.optimizer.step(learning_rate, self.network.clone(), gradients);
        self.progress.step += 1;
        Ok(Learnt { loss, correct, utterances, learning_rate })
    }

    fn end_epoch(&mut self, epoch: usize, observer: &mut dyn Observer) -> Result<()> {
        if let Some((failed @ 1.., attempted)) = self.maker.augmentation().map(Augmentation::failures) {
            tracing::warn!("so far {failed} of {attempted} crops went without a sound that cannot be read");
        }
        if let (failed @ 1.., crops) = self.maker.unreadable() {
            let total = self.maker.set().utterances.len();
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
        let info = model_info(&self.config, &self.progress, &self.classes);
        let keep = self.config.train.keep;
        let path = self.dir.save(&self.network, &self.optimizer, &info, &self.progress, keep)?;
        self.tell(&Event::Checkpoint { step: self.progress.step, path: path.clone() }, observer)?;
        Ok(path)
    }

    fn finish(mut self, interrupted: bool, observer: &mut dyn Observer) -> Result<Outcome> {
        let mut final_model = None;
        if !interrupted && let Some((_, newest)) = self.dir.list()?.pop() {
            self.dir.publish(&newest, &self.dir.final_model())?;
            final_model = Some(self.dir.final_model());
        }
        self.tell(&Event::End { step: self.progress.step, interrupted }, observer)?;
        let best_model = self.dir.best_model();
        Ok(Outcome {
            step: self.progress.step,
            interrupted,
            final_model,
            best_model: best_model.is_file().then_some(best_model),
            validations: self.progress.validations,
        })
    }

    fn tell(&mut self, event: &Event, observer: &mut dyn Observer) -> Result<()> {
        self.log.write(event)?;
        observer.event(event);
        Ok(())
    }
}

/// The description that travels with the weights.
fn model_info(config: &ExperimentConfig, progress: &Progress, speakers: &[String]) -> ModelInfo {
    ModelInfo {
        model: config.model.clone(),
        head: Some(config.head.clone()),
        front_end: config.features.clone(),
        speakers: speakers.to_vec(),
        config_toml: progress.config.clone(),
        training: serde_json::json!({
            "step": progress.step,
            "epoch": progress.step / progress.steps_per_epoch,
            "validation": progress.validations.last(),
        }),
        compat_lowpass: config.data.compat_lowpass,
        program_version: env!("CARGO_PKG_VERSION").into(),
    }
}

struct Learnt {
    loss: f32,
    correct: usize,
    utterances: usize,
    learning_rate: f64,
}

fn fine_tune_network(
    config: &ExperimentConfig,
    path: &Path,
    with_head: bool,
    speakers: &[String],
    device: &Device,
) -> Result<Network> {
    let (model, head, info) = ffsvc_models::load_model(path, device)?;
    let differs = |what: &str, found: String, expected: String| Error::DataSet {
        what: format!("{}: {what}", path.display()),
        found,
        expected,
    };
    if info.model != config.model {
        return Err(differs("[model]", format!("{:?}", info.model), format!("{:?}", config.model)));
    }
    if info.front_end != config.features {
        return Err(differs("[features]", format!("{:?}", info.front_end), format!("{:?}", config.features)));
    }
    let head = if with_head {
        let head = head.ok_or_else(|| differs("head", "none".into(), "one, or a start without it".into()))?;
        if info.head.as_ref() != Some(&config.head) {
            return Err(differs("[head]", format!("{:?}", info.head), format!("{:?}", config.head)));
        }
        if info.speakers != speakers {
            let first = info.speakers.iter().zip(speakers).find(|(a, b)| a != b);
            let found = match first {
                Some((theirs, ours)) => format!("speaker {theirs} where the data have {ours}"),
                None => format!("{} speakers", info.speakers.len()),
            };
            return Err(differs(
                "head",
                found,
                format!("the {} speakers of the training data", speakers.len()),
            ));
        }
        head
    } else {
        device.seed(stream_seed(config.train.seed, Purpose::Initialisation, 0, "head"));
        config.head.init(config.model.embedding_size(), speakers.len(), device)
    };
    Ok(Network { model, head })
}
