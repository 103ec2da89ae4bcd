//! Optimisers: Burn's, with PyTorch's conventions.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::network::Network;

/// Section `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// `adam` (default, as in the baseline's train.py), `adam-w` or `sgd` (its train_dist.py).
    pub kind: OptimizerKind,
    /// Base learning rate. Default 1e-4.
    pub learning_rate: f64,
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

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "kebab-case")]
pub enum WeightDecayOn {
    /// All of them.
    All,
    /// Those of two dimensions and more: no biases, and not the scale and shift of BatchNorm.
    Weights,
}

impl OptimizerConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first factor outside its range.
    pub fn check(&self) -> Result<()> {
        let within = |key, value: f64, low: f64, high: f64| {
            if value >= low && value < high {
                Ok(())
            } else {
                Err(Error::Config {
                    key,
                    found: value.to_string(),
                    expected: format!("{low} or more and below {high}"),
                })
            }
        };
        within("optimizer.weight_decay", f64::from(self.weight_decay), 0.0, 1.0)?;
        within("optimizer.momentum", self.momentum, 0.0, 1.0)?;
        within("optimizer.beta_1", f64::from(self.beta_1), 0.0, 1.0)?;
        within("optimizer.beta_2", f64::from(self.beta_2), 0.0, 1.0)?;
        within("optimizer.clip_norm", self.clip_norm, 0.0, f64::INFINITY)?;
        within("optimizer.clip_value", f64::from(self.clip_value), 0.0, f64::INFINITY)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::Config {
                key: "optimizer.nesterov",
                found: "true with momentum 0".into(),
                expected: "a momentum above 0".into(),
            });
        }
        Ok(())
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
