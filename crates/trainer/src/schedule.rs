//! The learning rate as a function of the optimiser step.

use ffsvc_ranges::{Checklist, Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::margin::MarginScheduleConfig;
use crate::optimizer::OptimizerConfig;

/// Section `[schedule]`: how the learning rate moves from `optimizer.learning_rate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Linear warm-up from 0, in epochs (fractions are allowed). Default 2, the baseline's. `one-cycle`: the rising part,
    /// half a cosine from 1/25 of the base rate.
    pub warmup_epochs: f64,
    /// What follows (or, for multi-step and exponential, multiplies) the warm-up. Default `multi-step`.
    pub kind: ScheduleKind,
    /// `multi-step`: epochs after which the rate is multiplied by `gamma`. Default 15, 30, 40: the baseline's.
    pub milestones: Vec<usize>,
    /// `multi-step`: the factor. Default 0.1.
    pub gamma: f64,
    /// `cosine`, `exponential`, `one-cycle`: the rate at the end of training. Default 1e-5.
    pub final_learning_rate: f64,
    /// `[schedule.margin]`: the head's margin over time. Absent (default): `head.margin` throughout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<MarginScheduleConfig>,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            warmup_epochs: 2.0,
            kind: ScheduleKind::MultiStep,
            milestones: vec![15, 30, 40],
            gamma: 0.1,
            final_learning_rate: 1e-5,
            margin: None,
        }
    }
}

impl ScheduleConfig {
    /// Range of every length in epochs.
    pub const EPOCHS: Range<f64> = crate::margin::EPOCHS;
    /// Range of each of [`milestones`](Self::milestones).
    pub const MILESTONE: Range<usize> = Range::of(0, 1_000_000);
    /// Range of [`gamma`](Self::gamma).
    pub const GAMMA: Range<f64> = Range::above(0.0).at_most(1000.0);
    /// Range of [`final_learning_rate`](Self::final_learning_rate).
    pub const FINAL_LEARNING_RATE: Range<f64> = OptimizerConfig::LEARNING_RATE;

    /// Adds every number, with its range, to the section `schedule`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("warmup_epochs", self.warmup_epochs, Self::EPOCHS);
        section.numbers("milestones", &self.milestones, Self::MILESTONE);
        section.number("gamma", self.gamma, Self::GAMMA);
        section.number("final_learning_rate", self.final_learning_rate, Self::FINAL_LEARNING_RATE);
        if let Some(margin) = &self.margin {
            margin.add_numbers(&mut section.section("margin"));
        }
    }
}

/// The shape of the learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same rate throughout.
    Constant,
    /// Times `gamma` after each milestone epoch (PyTorch `MultiStepLR`, stepped per epoch).
    MultiStep,
    /// Half a cosine from the base rate to `final_learning_rate` (Loshchilov & Hutter, 2017, one cycle).
    Cosine,
    /// A geometric decay over the whole run, warm-up included, from the base rate to `final_learning_rate`. It is
    /// WeSpeaker's `ExponentialDecrease` with `warm_from_zero`. WeSpeaker's warm-up is a step behind, so its first step
    /// does nothing.
    Exponential,
    /// Up and down in half cosines: from 1/25 of the base rate to the base rate during warm-up, and down to
    /// `final_learning_rate` at the end. See Smith & Topin, 2018. PyTorch's `OneCycleLR` has the share of the warm-up
    /// as `pct_start`.
    OneCycle,
}

impl ScheduleKind {
    /// Whether the rate of a step depends on how long the run will be.
    pub fn looks_ahead(self) -> bool {
        matches!(self, Self::Cosine | Self::Exponential | Self::OneCycle)
    }
}

/// How much lower than its highest the first rate of a cycle is (PyTorch's `div_factor`).
const CYCLE_START_DIVISOR: f64 = 25.0;

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
    /// A number that is out of its range.
    pub fn new(config: &ScheduleConfig, base: f64, steps_per_epoch: usize, epochs: usize) -> Result<Self> {
        let mut checklist = Checklist::default();
        checklist.section("optimizer").number("learning_rate", base, OptimizerConfig::LEARNING_RATE);
        config.add_numbers(&mut checklist.section("schedule"));
        Error::of_all(checklist.faults().cloned().map(Error::from).collect())?;
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
            ScheduleKind::Cosine => half_cosine(self.base, last, progress),
            ScheduleKind::Exponential => {
                self.base * (last / self.base).powf(step as f64 / self.total_steps.max(1) as f64)
            }
            ScheduleKind::OneCycle => {
                let peak = (warmup_steps - 1.0).max(0.0);
                let step = step as f64;
                return if step < peak {
                    half_cosine(self.base / CYCLE_START_DIVISOR, self.base, step / peak)
                } else {
                    let span = (self.total_steps as f64 - 1.0 - peak).max(1.0);
                    half_cosine(self.base, last, ((step - peak) / span).min(1.0))
                };
            }
        };
        rate * warmup.min(1.0)
    }
}

/// From `start` to `end` as `progress` goes from 0 to 1.
fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
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
            margin: None,
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
    fn cosine_runs_from_the_base_to_the_final_rate() {
        let schedule = schedule(ScheduleKind::Cosine, 1.0);
        assert!((schedule.learning_rate(10) - 0.1).abs() < 1e-12);
        assert!((schedule.learning_rate(79) - 1e-4).abs() < 1e-12);
        let rates: Vec<f64> = (10..80).map(|step| schedule.learning_rate(step)).collect();
        assert!(rates.windows(2).all(|pair| pair[1] < pair[0]));
    }

    /// Values of WeSpeaker's own class: ExponentialDecrease(num_epochs 8, epoch_iter 10, 0.1 -> 1e-4, warm_up_epoch 2,
    /// warm_from_zero). In its warm-up the factor is `step / 20`, here `(step + 1) / 20`.
    #[test]
    fn exponential_is_wespeakers() {
        let schedule = schedule(ScheduleKind::Exponential, 2.0);
        let expected = [
            (1, 0.004_586_379_676_948_899, 2.0 / 1.0),
            (5, 0.016_234_540_789_405_283, 6.0 / 5.0),
            (19, 0.018_417_200_041_545_973, 20.0 / 19.0),
            (20, 0.017_782_794_100_389_23, 1.0),
            (40, 0.003_162_277_660_168_38, 1.0),
            (79, 0.000_109_018_449_238_512_77, 1.0),
        ];
        for (step, theirs, warmup) in expected {
            assert!((schedule.learning_rate(step) - theirs * warmup).abs() < 1e-12, "step {step}");
        }
    }

    /// Values of PyTorch's own class: OneCycleLR(max_lr 0.1, total_steps 80, pct_start 0.25, final_div_factor 40,
    /// cycle_momentum False).
    #[test]
    fn one_cycle_is_pytorchs() {
        let schedule = schedule(ScheduleKind::OneCycle, 2.0);
        let expected = [
            (0, 0.004),
            (1, 0.004_654_657_436_669_332),
            (10, 0.055_963_808_582_671_956),
            (18, 0.099_345_342_563_330_68),
            (19, 0.1),
            (20, 0.099_931_545_260_990_96),
            (40, 0.072_726_825_461_990_37),
            (78, 0.000_168_454_739_009_037_03),
            (79, 0.000_1),
        ];
        for (step, theirs) in expected {
            assert!((schedule.learning_rate(step) - theirs).abs() < 1e-12, "step {step}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let config = ScheduleConfig { warmup_epochs: -1.0, ..Default::default() };
        let error = Schedule::new(&config, 0.1, 10, 8).unwrap_err();
        assert!(error.to_string().contains("schedule.warmup_epochs = -1"));
        assert!(Schedule::new(&ScheduleConfig::default(), f64::NAN, 10, 8).is_err());
    }
}
