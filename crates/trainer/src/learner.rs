//! One optimiser step: forward, backward, gradients, weights.

use std::sync::Arc;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use ffsvc_dataset::{Batch, BatchMaker, Purpose, TrainingSet, stream_seed};

use crate::config::ExperimentConfig;
use crate::data_parallel;
use crate::error::{Error, Result};
use crate::gradients::{self, Anchor};
use crate::moving_average::MovingAverage;
use crate::network::Network;
use crate::optimizer::OptimizerConfig;
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
    maker: Arc<BatchMaker>,
    train: TrainConfig,
    clipping: OptimizerConfig,
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
        maker: Arc<BatchMaker>,
        devices: &[Device],
    ) -> Result<Self> {
        check_accumulate(&config.train, devices.len())?;
        check_layers(config, &network)?;
        let frozen = config.train.batch_norm == BatchNormMode::Frozen;
        let network = if frozen { network.with_frozen_statistics() } else { network };
        let average = (config.train.ema > 0.0).then(|| MovingAverage::new(config.train.ema, &network));
        Ok(Self {
            network,
            optimizer,
            average,
            anchor: None,
            teacher: None,
            frozen_for: None,
            devices: devices.to_vec(),
            maker,
            train: config.train.clone(),
            clipping: config.optimizer.clone(),
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

    /// Learns from the batches of one step.
    ///
    /// # Errors
    /// A loss that is not finite; the network is as before then.
    pub(crate) fn train_step(&mut self, batches: Vec<Batch>, context: StepContext) -> Result<StepOutput> {
        self.freeze(context.epoch);
        if let Some(margin) = context.margin {
            self.network.head.set_margin(margin);
        }
        self.network.head.anneal(context.step);

        let number = batches.len();
        let (train, set, teacher) = (&self.train, self.maker.set(), self.teacher.as_ref());
        let forward_backward = |index, batch, network: &Network, device: &Device| {
            // Dropout masks depend on the batch's number alone, so that a resumed run draws the same.
            let batch_number = context.step * train.accumulate + index;
            device.seed(stream_seed(train.seed, Purpose::Dropout, batch_number as u32, ""));
            loss_and_gradients(batch, context, set, network, teacher, device)
        };
        let (outputs, sum) = if let [device] = &self.devices[..] {
            gradients::sum_over(&self.network, batches.into_iter().enumerate(), |index, batch, network| {
                forward_backward(index, batch, network, device)
            })?
        } else {
            data_parallel::scatter(&self.network, batches, &self.devices, forward_backward)?
        };
        let mut output = StepOutput { loss: 0.0, teacher_loss: None, correct: None, utterances: 0 };
        for of_batch in outputs {
            output.loss += of_batch.loss / number as f32;
            if let Some(loss) = of_batch.teacher_loss {
                *output.teacher_loss.get_or_insert(0.0) += loss / number as f32;
            }
            if let Some(correct) = of_batch.correct {
                *output.correct.get_or_insert(0) += correct;
            }
            output.utterances += of_batch.utterances;
        }
        let mut gradients = gradients::mean(&self.network, sum, number);
        if let Some(anchor) = &self.anchor {
            gradients = anchor.add_gradient(&self.network, gradients);
        }
        let gradients = gradients::clip(&self.network, gradients, &self.clipping);
        for (factor, gradients) in gradients::by_rate(&self.network, gradients, &self.clipping) {
            let rate = context.learning_rate * factor;
            self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        }
        if let Some(average) = &mut self.average {
            average.update(&self.network, context.step + 1);
        }
        Ok(output)
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

/// Loss of a batch, and the gradients.
fn loss_and_gradients(
    mut batch: Batch,
    context: StepContext,
    set: &TrainingSet,
    network: &Network,
    teacher: Option<&Teacher>,
    device: &Device,
) -> Result<(StepOutput, GradientsParams)> {
    let utterances = batch.labels.len();
    let shape = [utterances, batch.num_mels, batch.num_frames];
    let features = TensorData::new(std::mem::take(&mut batch.features), shape);
    let features = Tensor::<3>::from_data(features, device);
    let labels = Tensor::<1, Int>::from_data(TensorData::new(batch.labels.clone(), [utterances]), device);
    let embeddings = network.model.forward(features);
    let output = network.head.forward(embeddings.clone(), labels);
    let of_teacher = teacher.map(|teacher| teacher.loss(embeddings, &batch, device));
    let teacher_loss = of_teacher.as_ref().map(|loss| loss.clone().into_scalar::<f32>());
    let has_classes = network.head.num_classes() > 0;
    let whole = match of_teacher {
        Some(of_teacher) if has_classes => output.loss + of_teacher,
        Some(of_teacher) => of_teacher,
        None => output.loss,
    };
    let loss = whole.clone().into_scalar::<f32>();
    if !loss.is_finite() {
        return Err(Error::NonFiniteLoss {
            loss,
            epoch: context.epoch + 1,
            step: context.step + 1,
            learning_rate: context.learning_rate,
            utterances: batch.members.iter().map(|&i| set.utterances[i as usize].id.clone()).collect(),
        });
    }
    let correct = has_classes.then(|| {
        let best = output.cosines_or_scores.inner().argmax(1).into_data();
        best.iter::<i64>().zip(&batch.labels).filter(|(guess, label)| guess == *label).count()
    });
    let gradients = GradientsParams::from_grads(whole.backward(), network);
    Ok((StepOutput { loss, teacher_loss, correct, utterances }, gradients))
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
