//! The learning rate as a function of the optimiser step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Section `[schedule]`: how the learning rate moves from `optimizer.learning_rate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Linear warm-up from 0, in epochs (fractions are allowed). Default 2, the baseline's.
    pub warmup_epochs: f64,
    /// What follows (or, for multi-step, multiplies) the warm-up. Default `multi-step`.
    pub kind: ScheduleKind,
    /// `multi-step`: epochs after which the rate is multiplied by `gamma`. Default 15, 30, 40: the baseline's.
    pub milestones: Vec<usize>,
    /// `multi-step`: the factor. Default 0.1.
    pub gamma: f64,
    /// `cosine`, `exponential`: the rate at the end of training. Default 1e-5.
    pub final_learning_rate: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            warmup_epochs: 2.0,
            kind: ScheduleKind::MultiStep,
            milestones: vec![15, 30, 40],
            gamma: 0.1,
            final_learning_rate: 1e-5,
        }
    }
}

/// The shape of the learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same rate throughout.
    Constant,
    /// Times `gamma` after each milestone epoch (PyTorch `MultiStepLR`, stepped per epoch).
    MultiStep,
    /// Half a cosine from the base rate to `final_learning_rate` (Loshchilov & Hutter, 2017, one cycle).
    Cosine,
    /// A geometric decay from the base rate to `final_learning_rate` (WeSpeaker's `ExponentialDecrease`).
    Exponential,
}

impl ScheduleKind {
    /// Whether the rate of a step depends on how long the run will be.
    pub fn looks_ahead(self) -> bool {
        matches!(self, Self::Cosine | Self::Exponential)
    }
}

/// The learning rate of every step of a run.
#[derive(Debug, Clone)]
pub struct Schedule {
    config: ScheduleConfig,
    base: f64,
    steps_per_epoch: usize,
    total_steps: usize,
}

impl Schedule {
    /// A schedule for `epochs` epochs of `steps_per_epoch` steps that starts from `base`.
    ///
    /// # Errors
    /// A negative or non-finite rate, factor or warm-up.
    pub fn new(config: &ScheduleConfig, base: f64, steps_per_epoch: usize, epochs: usize) -> Result<Self> {
        let positive = |key, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(Error::Config { key, found: value.to_string(), expected: "a positive number".into() })
            }
        };
        positive("optimizer.learning_rate", base)?;
        positive("schedule.gamma", config.gamma)?;
        positive("schedule.final_learning_rate", config.final_learning_rate)?;
        if !(config.warmup_epochs.is_finite() && config.warmup_epochs >= 0.0) {
            return Err(Error::Config {
                key: "schedule.warmup_epochs",
                found: config.warmup_epochs.to_string(),
                expected: "zero or a positive number of epochs".into(),
            });
        }
        Ok(Self { config: config.clone(), base, steps_per_epoch, total_steps: steps_per_epoch * epochs })
    }

    /// The learning rate of `step`, counted from 0 over the whole run.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let epoch = step / self.steps_per_epoch.max(1);
        let warmup_steps = self.config.warmup_epochs * self.steps_per_epoch as f64;
        let warmup = if (step as f64) < warmup_steps { (step + 1) as f64 / warmup_steps } else { 1.0 };
        let progress = {
            let after = (step as f64 - warmup_steps).max(0.0);
            let span = (self.total_steps as f64 - 1.0 - warmup_steps).max(1.0);
            (after / span).min(1.0)
        };
        let last = self.config.final_learning_rate;
        let rate = match self.config.kind {
            ScheduleKind::Constant => self.base,
            ScheduleKind::MultiStep => {
                let passed = self.config.milestones.iter().filter(|&&milestone| epoch >= milestone).count();
                self.base * self.config.gamma.powi(passed as i32)
            }
            ScheduleKind::Cosine => {
                last + (self.base - last) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            ScheduleKind::Exponential => self.base * (last / self.base).powf(progress),
        };
        rate * warmup.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind, warmup_epochs: f64) -> Schedule {
        let config = ScheduleConfig {
            kind,
            warmup_epochs,
            milestones: vec![3, 5],
            gamma: 0.1,
            final_learning_rate: 1e-4,
        };
        Schedule::new(&config, 0.1, 10, 8).unwrap()
    }

    #[test]
    fn warm_up_is_linear_per_step_and_ends_at_the_base_rate() {
        let schedule = schedule(ScheduleKind::MultiStep, 2.0);
        for step in 0..20 {
            let expected = 0.1 * (step + 1) as f64 / 20.0;
            assert!((schedule.learning_rate(step) - expected).abs() < 1e-15, "step {step}");
        }
        assert_eq!(schedule.learning_rate(20), 0.1);
    }

    #[test]
    fn multi_step_drops_at_the_first_step_of_the_milestone_epoch() {
        let schedule = schedule(ScheduleKind::MultiStep, 0.0);
        assert_eq!(schedule.learning_rate(29), 0.1);
        assert!((schedule.learning_rate(30) - 0.01).abs() < 1e-12);
        assert!((schedule.learning_rate(79) - 0.001).abs() < 1e-12);
    }

    #[test]
    fn cosine_and_exponential_run_from_the_base_to_the_final_rate() {
        for kind in [ScheduleKind::Cosine, ScheduleKind::Exponential] {
            let schedule = schedule(kind, 1.0);
            assert!((schedule.learning_rate(10) - 0.1).abs() < 1e-12);
            assert!((schedule.learning_rate(79) - 1e-4).abs() < 1e-12);
            let rates: Vec<f64> = (10..80).map(|step| schedule.learning_rate(step)).collect();
            assert!(rates.windows(2).all(|pair| pair[1] < pair[0]));
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let config = ScheduleConfig { warmup_epochs: -1.0, ..Default::default() };
        let error = Schedule::new(&config, 0.1, 10, 8).unwrap_err();
        assert!(error.to_string().contains("schedule.warmup_epochs is -1"));
        assert!(Schedule::new(&ScheduleConfig::default(), f64::NAN, 10, 8).is_err());
    }
}
