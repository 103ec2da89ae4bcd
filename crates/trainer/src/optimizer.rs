//! Optimisers: Burn's, with PyTorch's conventions.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, ModuleOptimizer, SgdConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Section `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// `adam` (default, as in the baseline's train.py) or `sgd` (its train_dist.py).
    pub kind: OptimizerKind,
    /// Base learning rate. Default 1e-4.
    pub learning_rate: f64,
    /// L2 penalty added to the gradient, for Adam too (PyTorch `weight_decay`). Default 2e-5.
    pub weight_decay: f32,
    /// `sgd`: momentum factor, without dampening. Default 0.9.
    pub momentum: f64,
    /// `sgd`: Nesterov momentum. Default false.
    pub nesterov: bool,
    /// `adam`: decay of the first moment. Default 0.9.
    pub beta_1: f32,
    /// `adam`: decay of the second moment. Default 0.999.
    pub beta_2: f32,
    /// `adam`: added to the root of the second moment. Default 1e-8 (PyTorch's; Burn's own default is 1e-5).
    pub epsilon: f32,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            learning_rate: 1e-4,
            weight_decay: 2e-5,
            momentum: 0.9,
            nesterov: false,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
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
}

impl OptimizerConfig {
    /// Burn's optimiser with these settings and no state yet.
    ///
    /// # Errors
    /// A factor outside its range.
    pub fn init(&self) -> Result<ModuleOptimizer> {
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
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::Config {
                key: "optimizer.nesterov",
                found: "true with momentum 0".into(),
                expected: "a momentum above 0".into(),
            });
        }
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
                SgdConfig::new().with_weight_decay(decay).with_momentum(momentum).init()
            }
            OptimizerKind::Adam => AdamConfig::new()
                .with_beta_1(self.beta_1)
                .with_beta_2(self.beta_2)
                .with_epsilon(self.epsilon)
                .with_weight_decay(decay)
                .init(),
        })
    }
}
