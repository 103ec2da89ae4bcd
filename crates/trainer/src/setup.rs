//! What a run is made of, from its configuration and data: nothing is written here.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use ffsvc_dataset::{BatchMaker, FurtherView, Purpose, Sampler, Scratch, class_names, stream_seed};
use ffsvc_models::reserved_name;

use crate::centres;
use crate::config::ExperimentConfig;
use crate::device_check;
use crate::error::{Error, Result};
use crate::fine_tune::{self, HeadInit};
use crate::init_from::InitFrom;
use crate::learner::Learner;
use crate::margin::MarginSchedule;
use crate::network::{Network, first_device};
use crate::progress::Fingerprints;
use crate::schedule::Schedule;
use crate::teacher::{self, Teacher};
use crate::train_config::BatchNormMode;
use crate::validation::Validation;

/// The checked parts of a run.
pub(crate) struct Setup {
    pub(crate) maker: Arc<BatchMaker>,
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) schedule: Schedule,
    pub(crate) margin: Option<MarginSchedule>,
    /// Names of the head's classes.
    pub(crate) classes: Vec<String>,
    pub(crate) validation: Option<Validation>,
    pub(crate) fingerprints: Fingerprints,
    pub(crate) steps_per_epoch: usize,
}

impl Setup {
    /// Reads the data directories and checks the whole configuration. `teacher` is the model file of the teacher, if there is
    /// one.
    ///
    /// # Errors
    /// Anything wrong in the configuration or the data.
    pub(crate) fn new(config: &ExperimentConfig, teacher: Option<&Path>) -> Result<Self> {
        config.check()?;
        config.check_inputs()?;
        let (train, seed) = (&config.train, config.train.seed);
        let view = match (&config.teacher, teacher) {
            (Some(section), Some(path)) => teacher::view(section, path)?,
            _ => None,
        };
        let further: Vec<FurtherView> = view.into_iter().collect();
        let maker = BatchMaker::open(&config.crops(&further))?;
        let set = maker.set();
        let validation = Validation::configured(config)?;
        let mut classes = Vec::new();
        if config.head.has_classes() {
            classes = class_names(&config.augment, &set.speakers);
            classes.extend((1..=config.head.reserve).map(reserved_name));
        }
        let sampler = Sampler::new(&config.sampler, set, train.batch_size, train.accumulate, seed)?;
        let fingerprints = Fingerprints {
            training: sampler.fingerprint(set),
            sounds: maker.augmentation().map(|augmentation| augmentation.fingerprint().to_string()),
            validation: validation.as_ref().map(Validation::fingerprint),
        };
        if maker.num_frames() < config.model.min_frames() {
            return Err(Error::Config {
                key: "train.max_frames",
                found: maker.num_frames().to_string(),
                expected: format!("at least the model's {} frames", config.model.min_frames()),
            });
        }
        let mut steps_per_epoch = sampler.num_batches() / train.accumulate;
        if train.overfit_steps > 0 {
            if train.overfit_steps > steps_per_epoch {
                return Err(Error::Config {
                    key: "train.overfit_steps",
                    found: train.overfit_steps.to_string(),
                    expected: format!("at most the {steps_per_epoch} steps of an epoch"),
                });
            }
            steps_per_epoch = train.overfit_steps;
        }
        let rate = config.optimizer.learning_rate;
        let schedule = Schedule::new(&config.schedule, rate, steps_per_epoch, train.epochs)?;
        let margin = match &config.schedule.margin {
            Some(margin) => Some(MarginSchedule::new(margin, &config.head, steps_per_epoch)?),
            None => None,
        };
        let warmup = config.schedule.warmup_epochs;
        if warmup > train.epochs as f64 {
            tracing::warn!(
                "schedule.warmup_epochs = {warmup} is longer than the run of {} epochs: the learning rate never reaches \
                 optimizer.learning_rate",
                train.epochs
            );
        }
        let batches = train.epochs.saturating_mul(steps_per_epoch).saturating_mul(train.accumulate);
        if u32::try_from(batches).is_err() {
            return Err(Error::Config {
                key: "train.epochs",
                found: format!("{}, which makes {batches} batches", train.epochs),
                expected: format!("at most {} batches in all", u32::MAX),
            });
        }
        let (maker, sampler) = (Arc::new(maker), Arc::new(sampler));
        Ok(Self { maker, sampler, schedule, margin, classes, validation, fingerprints, steps_per_epoch })
    }

    /// The teacher of the model file `path` on `devices`, which have gradients.
    ///
    /// # Errors
    /// As [`Teacher::load`].
    pub(crate) fn teacher(
        &self,
        config: &ExperimentConfig,
        path: Option<&Path>,
        devices: &[Device],
    ) -> Result<Option<Teacher>> {
        let (Some(section), Some(path)) = (&config.teacher, path) else { return Ok(None) };
        let frames = self.maker.view_frames().min().unwrap_or(usize::MAX);
        Teacher::load(section, path, config.model.embedding_size(), frames, devices).map(Some)
    }

    /// The learner before the first step, on `devices`, which have gradients.
    ///
    /// # Errors
    /// A model or an optimiser's setting that does not fit; `train.anchor` without a model to be anchored to.
    pub(crate) fn initial_learner(
        &self,
        config: &ExperimentConfig,
        init: &InitFrom,
        devices: &[Device],
    ) -> Result<Learner> {
        let network = self.initial_network(config, init, first_device(devices)?)?;
        let optimizer = config.optimizer.init(&network)?;
        let mut learner = Learner::new(config, network, optimizer, devices)?;
        learner.anchor_to_start();
        Ok(learner)
    }

    /// Compares each accelerator of `devices`, which have gradients, with the processor on the first crops of the
    /// run.
    ///
    /// # Errors
    /// A device that computes something else.
    pub(crate) fn check_devices(
        &self,
        config: &ExperimentConfig,
        network: &Network,
        devices: &[Device],
    ) -> Result<()> {
        let processor = Device::flex();
        let mut accelerators = (1..).zip(devices).filter(|(_, device)| **device != processor).peekable();
        if !config.train.check_device || accelerators.peek().is_none() {
            return Ok(());
        }
        let plan = self.sampler.plan(0);
        let draws = plan.batch(0);
        let draws = &draws[..draws.len().min(device_check::UTTERANCES)];
        let batch = self.maker.make(0, draws, &mut Scratch::default())?;
        device_check::check(&config.model, network, &batch, config.train.precision, accelerators)
    }

    fn initial_network(
        &self,
        config: &ExperimentConfig,
        init: &InitFrom,
        device: &Device,
    ) -> Result<Network> {
        if let InitFrom::Model { path, head } = init {
            let network = fine_tune::load(config, path, *head, &self.classes, device)?;
            if *head != HeadInit::Centres {
                return Ok(network);
            }
            let info = ffsvc_models::load_info(path)?;
            let read = config.data.read_options(config.features.sample_rate)?;
            return centres::place(network, &info, self.maker.set(), &read, device);
        }
        if config.train.batch_norm == BatchNormMode::Frozen {
            return Err(Error::Config {
                key: "train.batch_norm",
                found: "\"frozen\" in a run from random weights, whose statistics are of nothing".into(),
                expected: "\"batch\", or a model to start from".into(),
            });
        }
        if config.train.anchor > 0.0 {
            return Err(Error::AnchorWithoutModel { anchor: config.train.anchor });
        }
        device.seed(stream_seed(config.train.seed, Purpose::Initialisation, 0, "network"));
        let model = config.model.init(self.maker.num_mels(), device)?;
        let head = config.head.init(config.model.embedding_size(), self.classes.len(), device);
        Ok(Network { model, head })
    }
}
