//! Section `[train]`: the length of a run, its batches, and what trains.

use ffsvc_models::Precision;
use ffsvc_ranges::{Range, Section};
use serde::{Deserialize, Serialize};

use crate::layer_name::LayerName;

/// Section `[train]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the data. Default 50.
    pub epochs: usize,
    /// Utterances of a batch. Default 128.
    pub batch_size: usize,
    /// Batches of an optimiser step: the gradient is the mean over them, as if they were one batch, but for the statistics
    /// of BatchNorm. Default 1; with several devices, one for each.
    pub accumulate: usize,
    /// Frames of a training crop. Default 200: two seconds.
    pub max_frames: usize,
    /// The one seed of the run. Default 0.
    pub seed: u64,
    /// Threads that read and prepare batches; the numbers do not depend on it. Default 2.
    pub workers: usize,
    /// Batches that each worker prepares ahead. Default 4.
    pub prefetch: usize,
    /// A checkpoint after this many steps, besides the one at every epoch's end. 0 (default): only those.
    pub checkpoint_steps: usize,
    /// Checkpoints kept, newest first; the best is kept beside them. Default 3.
    pub keep: usize,
    /// Layers that do not train at first. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// What convolutions compute in: `f32` (default), or `bf16` for accelerators that are faster with it. Weights, statistics,
    /// linear layers, head and loss stay `f32`.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// What BatchNorm does in training. Default `batch`.
    #[serde(skip_serializing_if = "is_batch")]
    pub batch_norm: BatchNormMode,
    /// Strength of the pull towards the weights that a fine-tune starts from: `anchor / 2 * |w - w_start|^2` is added to
    /// the loss, for the network without its head (L2-SP, Li et al., 2018, <https://arxiv.org/abs/1802.01483>). Default 0.
    pub anchor: f64,
    /// Keeps an exponential average of the weights with this decay, in `ema.safetensors`: 0.999 averages over the last
    /// thousand steps or so. In the first steps the decay is `(1 + step) / (10 + step)` where that is less. Default 0: none.
    pub ema: f64,
    /// Before the first step on an accelerator, compares loss and gradients of eight crops with the processor's, and ends
    /// the run if they differ by more than rounding. Default true.
    pub check_device: bool,
    /// Trains on this many steps' batches of the first epoch again and again, to see whether the model can learn them by
    /// heart; an epoch is one pass over them. Default 0: on all.
    pub overfit_steps: usize,
}

/// What BatchNorm layers do in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormMode {
    /// They normalise by the statistics of the batch and keep a running average of them.
    #[default]
    Batch,
    /// They normalise by the running statistics of the model that the run starts from, which stay as they are; scales and
    /// shifts train. For a fine-tune with few, small batches of other speech.
    Frozen,
}

fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

fn is_batch(mode: &BatchNormMode) -> bool {
    *mode == BatchNormMode::Batch
}

/// An entry of `train.freeze`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Which.
    pub layer: LayerName,
    /// Epochs until it trains. Absent: it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
}

impl std::fmt::Display for Freeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.layer)?;
        match self.epochs {
            Some(epochs) => write!(f, " for {epochs} epochs")?,
            None => f.write_str(" always")?,
        }
        if self.layer.is_head_of_network() {
            f.write_str(" (a layer of the network, not the classifier of [head])")?;
        }
        Ok(())
    }
}

impl TrainConfig {
    /// Range of [`epochs`](Self::epochs).
    pub const EPOCHS: Range<usize> = Range::of(1, 1_000_000);
    /// Range of [`batch_size`](Self::batch_size).
    pub const BATCH_SIZE: Range<usize> = Range::of(1, 65_536);
    /// Range of [`accumulate`](Self::accumulate).
    pub const ACCUMULATE: Range<usize> = Range::of(1, 65_536);
    /// Range of [`max_frames`](Self::max_frames).
    pub const MAX_FRAMES: Range<usize> = Range::of(1, 1_000_000);
    /// Range of [`seed`](Self::seed).
    pub const SEED: Range<u64> = Range::of(0, u64::MAX);
    /// Range of [`workers`](Self::workers) and [`prefetch`](Self::prefetch).
    pub const WORKERS: Range<usize> = Range::of(1, 1024);
    /// Range of [`checkpoint_steps`](Self::checkpoint_steps) and [`overfit_steps`](Self::overfit_steps).
    pub const STEPS: Range<usize> = Range::of(0, 1_000_000_000);
    /// Range of [`keep`](Self::keep).
    pub const KEEP: Range<usize> = Range::of(1, 1_000_000);
    /// Range of the epochs of [`freeze`](Self::freeze).
    pub const FREEZE_EPOCHS: Range<usize> = Range::of(0, 1_000_000);
    /// Range of [`anchor`](Self::anchor).
    pub const ANCHOR: Range<f64> = Range::of(0.0, 1e6);
    /// Range of [`ema`](Self::ema).
    pub const EMA: Range<f64> = Range::at_least(0.0).below(1.0);

    /// Adds every number, with its range, to the section `train`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("epochs", self.epochs, Self::EPOCHS);
        section.number("batch_size", self.batch_size, Self::BATCH_SIZE);
        section.number("accumulate", self.accumulate, Self::ACCUMULATE);
        section.number("max_frames", self.max_frames, Self::MAX_FRAMES);
        section.number("seed", self.seed, Self::SEED);
        section.number("workers", self.workers, Self::WORKERS);
        section.number("prefetch", self.prefetch, Self::WORKERS);
        section.number("checkpoint_steps", self.checkpoint_steps, Self::STEPS);
        section.number("keep", self.keep, Self::KEEP);
        for freeze in &self.freeze {
            if let Some(epochs) = freeze.epochs {
                section.section("freeze").number("epochs", epochs, Self::FREEZE_EPOCHS);
            }
        }
        section.number("anchor", self.anchor, Self::ANCHOR);
        section.number("ema", self.ema, Self::EMA);
        section.number("overfit_steps", self.overfit_steps, Self::STEPS);
    }

    /// One batch for each of several devices, where [`accumulate`](Self::accumulate) was left at one batch a step.
    pub fn share_among(&mut self, devices: usize) {
        if self.accumulate == 1 {
            self.accumulate = devices.max(1);
        }
    }

    /// The layers that are frozen in `epoch`, from 0, as model files name them.
    pub fn frozen(&self, epoch: usize) -> Vec<&str> {
        let holds = |freeze: &&Freeze| freeze.epochs.is_none_or(|epochs| epoch < epochs);
        self.freeze.iter().filter(holds).map(|freeze| freeze.layer.in_model_file()).collect()
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch_size: 128,
            accumulate: 1,
            max_frames: 200,
            seed: 0,
            workers: 2,
            prefetch: 4,
            checkpoint_steps: 0,
            keep: 3,
            freeze: Vec::new(),
            precision: Precision::default(),
            batch_norm: BatchNormMode::default(),
            anchor: 0.0,
            ema: 0.0,
            check_device: true,
            overfit_steps: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_get_a_batch_each_unless_told_otherwise() {
        let shared = |accumulate: usize, devices: usize| {
            let mut train = TrainConfig { accumulate, ..TrainConfig::default() };
            train.share_among(devices);
            train.accumulate
        };
        assert_eq!([shared(1, 1), shared(1, 3), shared(4, 2), shared(4, 3)], [1, 3, 4, 4]);
    }
}
