//! One optimiser step: forward, backward, gradients, weights.

use std::collections::HashSet;

use burn::module::ParamId;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use ffsvc_dataset::{Batch, Purpose, TrainingSet, stream_seed};
use ffsvc_models::Precision;

use crate::config::ExperimentConfig;
use crate::data_parallel;
use crate::error::{Error, Result};
use crate::gradients::{self, Anchor};
use crate::moving_average::MovingAverage;
use crate::network::Network;
use crate::optimizer::{LayerRate, OptimizerConfig};
use crate::teacher::Teacher;
use crate::train_config::{BatchNormMode, TrainConfig};

/// Network, optimiser and what else changes with every step.
pub(crate) struct Learner {
    pub(crate) network: Network,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) average: Option<MovingAverage>,
    anchor: Option<Anchor>,
    pub(crate) teacher: Option<Teacher>,
    /// Epoch whose layers are frozen at present.
    frozen_for: Option<usize>,
    /// All have gradients; the network is on the first.
    devices: Vec<Device>,
    train: TrainConfig,
    clipping: OptimizerConfig,
    /// Factors of learning rates, and the parameters that have them.
    rates: Vec<(f64, HashSet<ParamId>)>,
}

/// Where in the run a step is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepContext {
    /// Steps done before.
    pub(crate) step: usize,
    /// Epoch, from 0.
    pub(crate) epoch: usize,
    pub(crate) learning_rate: f64,
    /// The head's margin, where it is scheduled.
    pub(crate) margin: Option<f64>,
}

/// What came of a step, on the devices as yet: the program need not wait for it.
#[derive(Debug)]
pub(crate) struct PendingOutput {
    context: StepContext,
    batches: Vec<BatchOutput>,
}

/// What came of one batch.
#[derive(Debug)]
struct BatchOutput {
    /// The loss, then the teacher's part of it and the number of crops whose own class had the best score, where there are
    /// such: all that is read of a batch, in one piece.
    figures: Tensor<1>,
    has_teacher: bool,
    has_classes: bool,
    /// Places of the utterances in the training set.
    members: Vec<u32>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepOutput {
    /// Of head and teacher together.
    pub(crate) loss: f32,
    /// The teacher's part.
    pub(crate) teacher_loss: Option<f32>,
    /// Crops whose own class had the best score, where there are classes.
    pub(crate) correct: Option<usize>,
    pub(crate) utterances: usize,
}

impl Learner {
    /// A learner on `devices`, which have gradients; `network` and what `optimizer` keeps are on the first. The others
    /// take their share of each step's batches.
    ///
    /// # Errors
    /// A layer to be frozen that the network lacks, or nothing left to train; batches that the devices cannot share.
    pub(crate) fn new(
        config: &ExperimentConfig,
        network: Network,
        optimizer: ModuleOptimizer,
        devices: &[Device],
    ) -> Result<Self> {
        check_accumulate(&config.train, devices.len())?;
        check_layers(config, &network)?;
        let frozen = config.train.batch_norm == BatchNormMode::Frozen;
        let network = if frozen { network.with_frozen_statistics() } else { network };
        let ids = |rate: &LayerRate| (rate.factor, network.ids_in(rate.layer.in_model_file()));
        let rates = config.optimizer.rates.iter().map(ids).collect();
        let average = (config.train.ema > 0.0).then(|| MovingAverage::new(config.train.ema, &network));
        Ok(Self {
            network,
            optimizer,
            average,
            anchor: None,
            teacher: None,
            frozen_for: None,
            devices: devices.to_vec(),
            train: config.train.clone(),
            clipping: config.optimizer.clone(),
            rates,
        })
    }

    /// Pulls towards the weights that the network has now, from the next step on, if the configuration says so.
    pub(crate) fn anchor_to_start(&mut self) {
        self.anchor = (self.train.anchor > 0.0).then(|| Anchor::new(self.train.anchor, &self.network));
    }

    /// The same towards the weights that `start` has.
    pub(crate) fn anchor_to(&mut self, start: &Network) {
        self.anchor = (self.train.anchor > 0.0).then(|| Anchor::new(self.train.anchor, start));
    }

    /// Learns from the batches of one step. On an accelerator nothing waits for the step to be done.
    ///
    /// # Errors
    /// A device that fails.
    pub(crate) fn train_step(&mut self, batches: Vec<Batch>, context: StepContext) -> Result<PendingOutput> {
        if self.devices.len() > 1 {
            // Each device has a thread, which must not wait for a pool whose own thread waits for it.
            return self.learn(batches, context);
        }
        // On a thread of the pool. A thread outside of it would hand over each of the step's thousand loops and wait.
        rayon::scope(|_| self.learn(batches, context))
    }

    fn learn(&mut self, batches: Vec<Batch>, context: StepContext) -> Result<PendingOutput> {
        self.freeze(context.epoch);
        if let Some(margin) = context.margin {
            self.network.head.set_margin(margin);
        }
        self.network.head.anneal(context.step);

        let number = batches.len();
        let (train, teacher) = (&self.train, self.teacher.as_ref());
        let forward_backward = |index, batch, network: &Network, device: &Device| {
            // Dropout masks depend on the batch's number alone, so that a resumed run draws the same.
            let batch_number = context.step * train.accumulate + index;
            device.seed(stream_seed(train.seed, Purpose::Dropout, batch_number as u32, ""));
            loss_and_gradients(batch, network, teacher, train.precision, device)
        };
        let (outputs, sum) = if let [device] = &self.devices[..] {
            gradients::sum_over(&self.network, batches.into_iter().enumerate(), |index, batch, network| {
                forward_backward(index, batch, network, device)
            })
        } else {
            data_parallel::scatter(&self.network, batches, &self.devices, forward_backward)?
        };
        let mut gradients = gradients::mean(&self.network, sum, number);
        if let Some(anchor) = &self.anchor {
            gradients = anchor.add_gradient(&self.network, gradients);
        }
        let gradients = gradients::clip(&self.network, gradients, &self.clipping);
        for (factor, gradients) in gradients::by_rate(&self.network, gradients, &self.rates) {
            let rate = context.learning_rate * factor;
            self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        }
        if let Some(average) = &mut self.average {
            average.update(&self.network, context.step + 1);
        }
        Ok(PendingOutput { context, batches: outputs })
    }

    /// Freezes and thaws what the configuration says for `epoch`.
    fn freeze(&mut self, epoch: usize) {
        if self.train.freeze.is_empty() || self.frozen_for == Some(epoch) {
            return;
        }
        let frozen = self.train.frozen(epoch);
        self.network = self.network.clone().with_frozen(&frozen);
        if self.train.batch_norm == BatchNormMode::Frozen {
            self.network = self.network.clone().with_frozen_statistics();
        }
        self.frozen_for = Some(epoch);
    }
}

impl PendingOutput {
    /// Waits for the step and reads what came of it. `set` has the utterances of its batches.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub(crate) fn read(self, set: &TrainingSet) -> Result<StepOutput> {
        let number = self.batches.len() as f32;
        let mut output = StepOutput { loss: 0.0, teacher_loss: None, correct: None, utterances: 0 };
        for batch in self.batches {
            let figures: Vec<f32> = batch.figures.into_data().iter::<f32>().collect();
            let mut figures = figures.into_iter();
            let mut next = || figures.next().unwrap_or(f32::NAN);
            let loss = next();
            if !loss.is_finite() {
                return Err(Error::NonFiniteLoss {
                    loss,
                    epoch: self.context.epoch + 1,
                    step: self.context.step + 1,
                    learning_rate: self.context.learning_rate,
                    utterances: batch
                        .members
                        .iter()
                        .map(|&i| set.utterances[i as usize].id.clone())
                        .collect(),
                });
            }
            output.loss += loss / number;
            if batch.has_teacher {
                *output.teacher_loss.get_or_insert(0.0) += next() / number;
            }
            if batch.has_classes {
                *output.correct.get_or_insert(0) += next() as usize;
            }
            output.utterances += batch.members.len();
        }
        Ok(output)
    }
}

/// The features of `batch`, which are given apart, `[utterances, mels, frames]`, and its labels, `[utterances]`.
pub(crate) fn inputs(features: Vec<f32>, batch: &Batch, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let utterances = batch.labels.len();
    let features = TensorData::new(features, [utterances, batch.num_mels, batch.num_frames]);
    let labels = TensorData::new(batch.labels.clone(), [utterances]);
    (Tensor::from_data(features, device), Tensor::from_data(labels, device))
}

/// Loss of a batch, and the gradients.
fn loss_and_gradients(
    mut batch: Batch,
    network: &Network,
    teacher: Option<&Teacher>,
    precision: Precision,
    device: &Device,
) -> (BatchOutput, GradientsParams) {
    let (features, labels) = inputs(std::mem::take(&mut batch.features), &batch, device);
    let embeddings = precision.scope(|| network.model.forward(features));
    let output = network.head.forward(embeddings.clone(), labels.clone());
    let of_teacher = teacher.map(|teacher| teacher.loss(embeddings, &batch, device));
    let (has_teacher, has_classes) = (of_teacher.is_some(), network.head.num_classes() > 0);
    let mut further = Vec::from_iter(of_teacher.clone().map(Tensor::inner));
    if has_classes {
        let best = output.cosines_or_scores.inner().argmax(1).reshape([batch.labels.len()]);
        further.push(best.equal(labels.inner()).float().sum());
    }
    let loss = match of_teacher {
        Some(of_teacher) if has_classes => output.loss + of_teacher,
        Some(of_teacher) => of_teacher,
        None => output.loss,
    };
    let figures = Tensor::cat([vec![loss.clone().inner()], further].concat(), 0);
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    (BatchOutput { figures, has_teacher, has_classes, members: batch.members }, gradients)
}

/// A step's batches can be dealt out evenly.
fn check_accumulate(train: &TrainConfig, devices: usize) -> Result<()> {
    if devices > 0 && train.accumulate.is_multiple_of(devices) {
        return Ok(());
    }
    Err(Error::Config {
        key: "train.accumulate",
        found: format!("{} on {devices} devices", train.accumulate),
        expected: format!(
            "a multiple of {devices}: the devices share the batches of a step (train.accumulate = {devices} gives each \
             one batch of {})",
            train.batch_size
        ),
    })
}

/// Every layer named in `train.freeze` and `optimizer.rates` exists, and one at least trains in every epoch.
fn check_layers(config: &ExperimentConfig, network: &Network) -> Result<()> {
    for rate in &config.optimizer.rates {
        network.check_layer("optimizer.rates", &rate.layer)?;
    }
    for freeze in &config.train.freeze {
        network.check_layer("train.freeze", &freeze.layer)?;
    }
    let frozen = config.train.frozen(0);
    let covers = |name: &String| frozen.iter().any(|layer| ffsvc_models::is_in_layer(name, layer));
    if network.parameter_names().iter().all(covers) {
        return Err(Error::Config {
            key: "train.freeze",
            found: "every layer".into(),
            expected: "a layer left to train".into(),
        });
    }
    Ok(())
}
