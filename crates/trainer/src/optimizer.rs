//! Optimisers: Burn's, with PyTorch's conventions.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use ffsvc_ranges::{Checklist, Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layer_name::LayerName;
use crate::network::Network;

/// Section `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// `adam` (default, as in the baseline's train.py), `adam-w` or `sgd` (its train_dist.py).
    pub kind: OptimizerKind,
    /// Base learning rate. Default 1e-4.
    pub learning_rate: f64,
    /// Layers with learning rates of their own; the last entry that a parameter is in counts. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<LayerRate>,
    /// L2 penalty added to the gradient, for Adam too (PyTorch `weight_decay`); for `adam-w` the decoupled decay. Default
    /// 2e-5.
    pub weight_decay: f32,
    /// What decays: `all` (default, as in the baseline) or `weights`, which spares biases and BatchNorm.
    pub weight_decay_on: WeightDecayOn,
    /// `sgd`: momentum factor, without dampening. Default 0.9.
    pub momentum: f64,
    /// `sgd`: Nesterov momentum. Default false.
    pub nesterov: bool,
    /// `adam`, `adam-w`: decay of the first moment. Default 0.9.
    pub beta_1: f32,
    /// `adam`, `adam-w`: decay of the second moment. Default 0.999.
    pub beta_2: f32,
    /// `adam`, `adam-w`: added to the root of the second moment. Default 1e-8 (PyTorch's; Burn's own default is 1e-5).
    pub epsilon: f32,
    /// Longest gradient: that of all parameters together is shortened to this length (PyTorch `clip_grad_norm_`).
    /// Default 0: as long as it is.
    pub clip_norm: f64,
    /// Largest component of the gradient, either sign (PyTorch `clip_grad_value_`); before `clip_norm`. Default 0: as
    /// large as it is.
    pub clip_value: f32,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            learning_rate: 1e-4,
            rates: Vec::new(),
            weight_decay: 2e-5,
            weight_decay_on: WeightDecayOn::All,
            momentum: 0.9,
            nesterov: false,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip_norm: 0.0,
            clip_value: 0.0,
        }
    }
}

/// An entry of `optimizer.rates`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LayerRate {
    /// Which.
    pub layer: LayerName,
    /// Its learning rate is the schedule's times this.
    pub factor: f64,
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam (Kingma & Ba, 2015) with L2 regularisation, not decoupled decay.
    Adam,
    /// Adam with decoupled weight decay (Loshchilov & Hutter, 2019).
    AdamW,
}

/// Which parameters weight decay applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WeightDecayOn {
    /// All of them.
    All,
    /// Those of two dimensions and more: no biases, and not the scale and shift of BatchNorm.
    Weights,
}

impl OptimizerConfig {
    /// Range of [`learning_rate`](Self::learning_rate).
    pub const LEARNING_RATE: Range<f64> = Range::above(0.0);
    /// Range of the factors of [`rates`](Self::rates).
    pub const FACTOR: Range<f64> = Range::above(0.0);
    /// Range of [`weight_decay`](Self::weight_decay).
    pub const WEIGHT_DECAY: Range<f32> = Range::at_least(0.0).below(1.0);
    /// Range of [`momentum`](Self::momentum).
    pub const MOMENTUM: Range<f64> = Range::at_least(0.0).below(1.0);
    /// Range of [`beta_1`](Self::beta_1) and [`beta_2`](Self::beta_2).
    pub const BETA: Range<f32> = Range::at_least(0.0).below(1.0);
    /// Range of [`epsilon`](Self::epsilon).
    pub const EPSILON: Range<f32> = Range::above(0.0).at_most(1.0);
    /// Range of [`clip_norm`](Self::clip_norm).
    pub const CLIP_NORM: Range<f64> = Range::of(0.0, 1e9);
    /// Range of [`clip_value`](Self::clip_value).
    pub const CLIP_VALUE: Range<f32> = Range::of(0.0, 1e9);

    /// Adds every number, with its range, to the section `optimizer`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("learning_rate", self.learning_rate, Self::LEARNING_RATE);
        for rate in &self.rates {
            section.section("rates").number("factor", rate.factor, Self::FACTOR);
        }
        section.number("weight_decay", self.weight_decay, Self::WEIGHT_DECAY);
        section.number("momentum", self.momentum, Self::MOMENTUM);
        section.number("beta_1", self.beta_1, Self::BETA);
        section.number("beta_2", self.beta_2, Self::BETA);
        section.number("epsilon", self.epsilon, Self::EPSILON);
        section.number("clip_norm", self.clip_norm, Self::CLIP_NORM);
        section.number("clip_value", self.clip_value, Self::CLIP_VALUE);
    }

    /// Checks that settings agree with each other.
    ///
    /// # Errors
    /// Nesterov momentum without momentum.
    pub fn check_consistency(&self) -> Result<()> {
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::Config {
                key: "optimizer.nesterov",
                found: "true with momentum 0".into(),
                expected: "a momentum above 0".into(),
            });
        }
        Ok(())
    }

    /// Checks every number and [`check_consistency`](Self::check_consistency).
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<()> {
        let mut checklist = Checklist::default();
        self.add_numbers(&mut checklist.section("optimizer"));
        Error::of_all(checklist.faults().cloned().map(Error::from).collect())?;
        self.check_consistency()
    }

    /// Burn's optimiser of `network` with these settings and no state yet.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn init(&self, network: &Network) -> Result<ModuleOptimizer> {
        self.check()?;
        let spared = match self.weight_decay_on {
            WeightDecayOn::All => Vec::new(),
            WeightDecayOn::Weights => network.vector_ids(),
        };
        let group = ParamGroup::from_ids(spared);
        let decay = (self.weight_decay > 0.0).then(|| WeightDecayConfig::new(self.weight_decay));
        Ok(match self.kind {
            OptimizerKind::Sgd => {
                // Burn's momentum dampens by 0.1 unless told otherwise; PyTorch's does not.
                let momentum = (self.momentum > 0.0).then(|| {
                    MomentumConfig::new()
                        .with_momentum(self.momentum)
                        .with_dampening(0.0)
                        .with_nesterov(self.nesterov)
                });
                let plain = SgdConfig::new().with_momentum(momentum);
                let decaying = plain.clone().with_weight_decay(decay);
                decaying.init().with_group(group, plain.build(), None)
            }
            OptimizerKind::Adam => {
                let plain = AdamConfig::new()
                    .with_beta_1(self.beta_1)
                    .with_beta_2(self.beta_2)
                    .with_epsilon(self.epsilon);
                let decaying = plain.clone().with_weight_decay(decay);
                decaying.init().with_group(group, plain.build(), None)
            }
            OptimizerKind::AdamW => {
                let plain = AdamWConfig::new()
                    .with_beta_1(self.beta_1)
                    .with_beta_2(self.beta_2)
                    .with_epsilon(self.epsilon)
                    .with_weight_decay(0.0);
                let decaying = plain.clone().with_weight_decay(self.weight_decay);
                decaying.init().with_group(group, plain.build(), None)
            }
        })
    }

    /// Numbers that the optimiser keeps for each parameter.
    pub(crate) fn moments(&self) -> usize {
        match self.kind {
            OptimizerKind::Sgd => usize::from(self.momentum > 0.0),
            OptimizerKind::Adam | OptimizerKind::AdamW => 2,
        }
    }
}
