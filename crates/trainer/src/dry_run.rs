//! What a run would do, and two steps of it to see that it can.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use ffsvc_dataset::{AugmentedShare, Balance, CropPlan, Draw, Scratch, TrainingSet};
use serde::Serialize;

use crate::config::ExperimentConfig;
use crate::error::Result;
use crate::fine_tune::HeadInit;
use crate::init_from::InitFrom;
use crate::learner::StepContext;
use crate::network::Network;
use crate::pace::Pace;
use crate::setup::Setup;
use crate::teacher;
use crate::train_config::Freeze;
use crate::validation::Validation;

/// The most crops that are read to look for odd recordings.
const CROPS_READ: usize = 1000;

/// The plan of a run, from [`DryRun::new`]. Displays as lines of `key<TAB>value`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRun {
    /// Data directories.
    pub data: Vec<DryRunData>,
    /// Training speakers.
    pub speakers: usize,
    /// Utterances of the speaker with the fewest, of the one in the middle, and of the one with the most.
    pub utterances_per_speaker: [usize; 3],
    /// What is drawn equally often.
    pub balance: Balance,
    /// Classes of the head: speakers, the same at other speeds, and the reserve.
    pub classes: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Optimiser steps of an epoch.
    pub steps_per_epoch: usize,
    /// Utterances of a batch.
    pub batch_size: usize,
    /// Batches of an optimiser step.
    pub accumulate: usize,
    /// Devices that share the batches of a step.
    pub devices: usize,
    /// Frames of a crop.
    pub crop_frames: usize,
    /// What is done to how many of the crops, where there is any augmentation.
    pub augmentation: Vec<AugmentedShare>,
    /// What is done to the first crop of the run, view by view, where there is more than one view.
    pub first_crop: Option<CropPlan>,
    /// Layers that are frozen at first.
    pub frozen: Vec<Freeze>,
    /// Crops that were read to look for odd recordings.
    pub crops_read: usize,
    /// What was found: one line a kind, with how many there are and the names of the first three.
    pub notices: Vec<String>,
    /// Optimiser steps of the warm-up.
    pub warmup_steps: usize,
    /// Learning rate of the first step, the highest one, and that of the last step.
    pub learning_rates: [f64; 3],
    /// The head's margin at the first and at the last step, where it has one.
    pub margins: Option<[f64; 2]>,
    /// Trainable numbers, with the head.
    pub parameters: usize,
    /// Bytes of weights, gradients, optimiser state, averages and anchor.
    pub weights_bytes: usize,
    /// Bytes of the batches that are made ahead.
    pub prefetch_bytes: usize,
    /// Validation recordings, where there is a validation.
    pub validation_recordings: Option<usize>,
    /// The first steps.
    pub first_step: FirstStep,
    /// How fast the run learns, by the second step and the workers that make batches.
    pub pace: Pace,
    /// Seconds of the whole run, without validations and checkpoints.
    pub run_seconds: f64,
    /// Seconds of as many epochs over VoxCeleb2's development part.
    pub voxceleb2_seconds: f64,
}

/// A data directory of a [`DryRun`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DryRunData {
    /// The directory.
    pub path: PathBuf,
    /// Its utterances.
    pub utterances: usize,
    /// Its utterances in each batch.
    pub per_batch: usize,
}

/// What came of two steps with one batch on each device. The first one meets memory that nobody has used yet, and makes what the
/// optimiser keeps: the second one is like those of the run, in time and in memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FirstStep {
    /// Mean loss of the first step.
    pub loss: f32,
    /// Seconds to make a batch on one thread.
    pub data_seconds: f64,
    /// Seconds of the second step itself: forward, backward, weights.
    pub step_seconds: f64,
    /// The most memory that the process had, in bytes, where the system says it (Linux).
    pub peak_memory_bytes: Option<u64>,
}

impl DryRun {
    /// Checks the whole configuration and the data, and does two steps with one batch on each of `devices`. Nothing
    /// is written.
    ///
    /// # Errors
    /// What would keep the run from starting or from its first step.
    pub fn new(config: &ExperimentConfig, init: &InitFrom, devices: &[Device]) -> Result<Self> {
        let teacher = teacher::model_file(config, init, None)?;
        let setup = Setup::new(config, teacher.as_deref())?;
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        // Centres would take a forward pass of every recording.
        let init = match init {
            InitFrom::Model { path, head: HeadInit::Centres } => {
                &InitFrom::Model { path: path.clone(), head: HeadInit::New }
            }
            other => other,
        };
        let mut learner = setup.initial_learner(config, init, &devices)?;
        let parameters = learner.network.num_trainable();
        let weights_bytes = weights_bytes(config, &learner.network);
        let (maker, sampler) = (&setup.maker, &setup.sampler);
        learner.teacher = setup.teacher(config, teacher.as_deref(), &devices)?;

        let plan = sampler.plan(0);
        let mut batches = Vec::new();
        let mut scratch = Scratch::default();
        let begun = Instant::now();
        for number in 0..2 * devices.len() {
            batches.push(maker.make(0, plan.batch(number % plan.num_batches()), &mut scratch)?);
        }
        let data_seconds = begun.elapsed().as_secs_f64() / batches.len() as f64;
        let views = batches[0].further.iter().map(|view| &view.features).chain([&batches[0].features]);
        let batch_bytes = views.map(|features| size_of_val(features.as_slice())).sum::<usize>();
        if let Some(teacher) = learner.teacher.as_mut().filter(|teacher| teacher.wants_targets()) {
            let read = config.data.read_options(config.features.sample_rate)?;
            let members: Vec<u32> = batches.iter().flat_map(|batch| batch.members.clone()).collect();
            teacher.embed(maker.set(), members.into_iter(), &read)?;
        }
        let draws = (0..plan.num_batches()).flat_map(|batch| plan.batch(batch)).take(CROPS_READ);
        let draws: Vec<Draw> = draws.copied().collect();
        maker.survey(0, &draws)?;
        let margin_of = |step| setup.margin.as_ref().map(|schedule| schedule.margin(step));
        let learning_rate = setup.schedule.learning_rate(0);
        let context = StepContext { step: 0, epoch: 0, learning_rate, margin: margin_of(0) };
        let second = batches.split_off(devices.len());
        let output = learner.train_step(batches, context)?.read(maker.set())?;
        let begun = Instant::now();
        learner.train_step(second, context)?.read(maker.set())?;
        let step_seconds = begun.elapsed().as_secs_f64();

        let train = &config.train;
        let steps = setup.steps_per_epoch * train.epochs;
        let rates = (0..steps).map(|step| setup.schedule.learning_rate(step));
        let highest = rates.fold(0.0, f64::max);
        let margins = config.head.margin().map(|margin| match &setup.margin {
            Some(schedule) => [schedule.margin(0), schedule.margin(steps - 1)],
            None => [margin; 2],
        });
        // Devices share the batches of a step, and so do the threads that make them.
        let share = |seconds: f64, of: usize| seconds * train.accumulate as f64 / of.max(1) as f64;
        let pace = Pace {
            step_seconds: share(step_seconds, devices.len()).max(share(data_seconds, train.workers)),
            step_utterances: sampler.batch_size() * train.accumulate,
        };
        let set = maker.set();
        let data = set.domains.iter().zip(sampler.quotas()).map(|(domain, per_batch)| DryRunData {
            path: domain.path.clone(),
            utterances: domain.utterances,
            per_batch,
        });
        Ok(Self {
            data: data.collect(),
            speakers: set.speakers.len(),
            utterances_per_speaker: utterance_spread(set),
            balance: config.sampler.balance,
            classes: setup.classes.len(),
            epochs: train.epochs,
            steps_per_epoch: setup.steps_per_epoch,
            batch_size: sampler.batch_size(),
            accumulate: train.accumulate,
            devices: devices.len(),
            crop_frames: maker.num_frames(),
            first_crop: config.teacher.as_ref().map(|_| maker.plan(0, plan.batch(0)[0])),
            augmentation: maker.augmentation().map_or_else(Vec::new, |augmentation| {
                augmentation.shares(&set.utterances, maker.num_mels(), maker.num_frames())
            }),
            frozen: train.freeze.clone(),
            crops_read: draws.len(),
            notices: maker.notices(),
            warmup_steps: (config.schedule.warmup_epochs * setup.steps_per_epoch as f64).ceil() as usize,
            learning_rates: [learning_rate, highest, setup.schedule.learning_rate(steps - 1)],
            margins,
            parameters,
            weights_bytes,
            prefetch_bytes: train.workers * train.prefetch * batch_bytes,
            validation_recordings: setup.validation.as_ref().map(Validation::num_recordings),
            first_step: FirstStep {
                loss: output.loss,
                data_seconds,
                step_seconds,
                peak_memory_bytes: peak_memory(),
            },
            pace,
            run_seconds: pace.seconds(steps),
            voxceleb2_seconds: pace.voxceleb2_seconds(train.epochs),
        })
    }
}

/// Least, median and most utterances of a speaker.
fn utterance_spread(set: &TrainingSet) -> [usize; 3] {
    let mut counts = vec![0; set.speakers.len()];
    for utterance in &set.utterances {
        counts[utterance.label as usize] += 1;
    }
    counts.sort_unstable();
    let at = |index: usize| counts.get(index).copied().unwrap_or(0);
    [at(0), at(counts.len() / 2), at(counts.len().saturating_sub(1))]
}

/// Weights and gradients, what the optimiser keeps, and copies of the weights.
fn weights_bytes(config: &ExperimentConfig, network: &Network) -> usize {
    let copies = 2
        + config.optimizer.moments()
        + usize::from(config.train.ema > 0.0)
        + usize::from(config.train.anchor > 0.0);
    copies * network.num_trainable() * size_of::<f32>()
}

/// `VmHWM` of `/proc/self/status`.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: f64| format!("{:.0} MiB", bytes / 1024.0 / 1024.0);
        for DryRunData { path, utterances, per_batch } in &self.data {
            writeln!(f, "data\t{}: {utterances} utterances, {per_batch} of each batch", path.display())?;
        }
        for notice in &self.notices {
            writeln!(f, "recordings\tin {} crops, {notice}", self.crops_read)?;
        }
        let [least, median, most] = self.utterances_per_speaker;
        writeln!(
            f,
            "speakers\t{}, with {least} to {most} utterances (median {median}), {}",
            self.speakers,
            match self.balance {
                Balance::None => "each utterance drawn equally often",
                Balance::Class => "each speaker drawn equally often",
            }
        )?;
        writeln!(f, "classes\t{}", self.classes)?;
        let steps = self.epochs * self.steps_per_epoch;
        writeln!(f, "steps\t{steps} ({} epochs of {})", self.epochs, self.steps_per_epoch)?;
        let utterances = self.batch_size * self.accumulate;
        writeln!(
            f,
            "utterances a step\t{utterances} ({} batches of {} on {} device{}), crops of {} frames",
            self.accumulate,
            self.batch_size,
            self.devices,
            if self.devices == 1 { "" } else { "s" },
            self.crop_frames
        )?;
        if !self.augmentation.is_empty() {
            let percent =
                |AugmentedShare { what, share }: &AugmentedShare| format!("{what} {:.0} %", 100.0 * share);
            let shares: Vec<String> = self.augmentation.iter().map(percent).collect();
            writeln!(f, "augmentation\t{} of the crops", shares.join(", "))?;
        }
        if let Some(crop) = &self.first_crop {
            write!(f, "{crop}")?;
        }
        if !self.frozen.is_empty() {
            let frozen: Vec<String> = self.frozen.iter().map(ToString::to_string).collect();
            writeln!(f, "frozen\t{}", frozen.join(", "))?;
        }
        let [first, highest, last] = self.learning_rates;
        writeln!(
            f,
            "learning rate\t{first:.2e} at first, {highest:.2e} at most, {last:.2e} at last; {} steps of warm-up",
            self.warmup_steps
        )?;
        if let Some([first, last]) = self.margins {
            writeln!(f, "margin\t{first} at first, {last:.4} at last")?;
        }
        writeln!(f, "parameters\t{}", self.parameters)?;
        let FirstStep { loss, data_seconds, step_seconds, peak_memory_bytes } = &self.first_step;
        let (weights, ahead) = (mib(self.weights_bytes as f64), mib(self.prefetch_bytes as f64));
        write!(f, "memory\t")?;
        if let Some(bytes) = *peak_memory_bytes {
            let run = mib((bytes + self.prefetch_bytes as u64) as f64);
            write!(
                f,
                "{run} of main memory in a run: {} in two steps, {ahead} for batches made ahead; ",
                mib(bytes as f64)
            )?;
        } else {
            write!(f, "{ahead} for batches made ahead; ")?;
        }
        writeln!(f, "{weights} of weights, gradients and optimiser state")?;
        if let Some(recordings) = self.validation_recordings {
            writeln!(f, "validation\t{recordings} recordings")?;
        }
        writeln!(
            f,
            "two batches\tloss {loss:.3} at first; {data_seconds:.2} s to make one on one thread, {step_seconds:.2} s to learn it"
        )?;
        writeln!(f, "time\t{}", self.pace.describe(steps, "", self.epochs))
    }
}
