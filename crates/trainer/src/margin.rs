//! The head's margin as a function of the optimiser step.

use ffsvc_models::HeadConfig;
use ffsvc_ranges::{Checklist, Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Range of a place in a run, in epochs.
pub(crate) const EPOCHS: Range<f64> = Range::of(0.0, 1e6);

/// Section `[schedule.margin]`: the margin moves from `from` to `head.margin`, as WeSpeaker's `MarginScheduler` moves it.
/// Without the section it is `head.margin` throughout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MarginScheduleConfig {
    /// The margin until `begin_epoch`. Default 0.
    #[serde(default)]
    pub from: f64,
    /// It begins to move after this many epochs (fractions are allowed). Default 0. WeSpeaker counts from 1: its
    /// `increase_start_epoch: 20` is 19.
    #[serde(default)]
    pub begin_epoch: f64,
    /// It has arrived after this many epochs. WeSpeaker's `fix_start_epoch: 40` is 39.
    pub end_epoch: f64,
    /// How it moves. Default `exponential`.
    #[serde(default)]
    pub shape: MarginShape,
}

impl MarginScheduleConfig {
    /// Range of [`from`](Self::from).
    pub const FROM: Range<f64> = Range::at_least(0.0).below(std::f64::consts::PI);

    /// Adds every number, with its range, to the section `schedule.margin`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("from", self.from, Self::FROM);
        section.number("begin_epoch", self.begin_epoch, EPOCHS);
        section.number("end_epoch", self.end_epoch, EPOCHS);
    }

    /// Checks that settings agree with each other and with `head`, whose margin it returns.
    ///
    /// # Errors
    /// A head without a margin, an end before the beginning.
    pub fn check_consistency(&self, head: &HeadConfig) -> Result<f64> {
        if self.end_epoch < self.begin_epoch {
            return Err(Error::Config {
                key: "schedule.margin.end_epoch",
                found: self.end_epoch.to_string(),
                expected: format!("schedule.margin.begin_epoch ({}) or more", self.begin_epoch),
            });
        }
        head.margin().ok_or_else(|| Error::Config {
            key: "schedule.margin",
            found: "a schedule for a head without a margin".into(),
            expected: "a head with one: aam-softmax, am-softmax, ...".into(),
        })
    }
}

/// How a margin moves from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MarginShape {
    /// Fast first: the part still to go falls to a thousandth, exponentially. The rest is gone at the end.
    #[default]
    Exponential,
    /// The same change each step.
    Linear,
}

/// The margin of every step of a run.
#[derive(Debug, Clone)]
pub struct MarginSchedule {
    config: MarginScheduleConfig,
    to: f64,
    steps_per_epoch: usize,
}

impl MarginSchedule {
    /// A schedule that ends at the margin of `head`.
    ///
    /// # Errors
    /// A number that is out of its range; what [`MarginScheduleConfig::check_consistency`] refuses.
    pub fn new(config: &MarginScheduleConfig, head: &HeadConfig, steps_per_epoch: usize) -> Result<Self> {
        let mut checklist = Checklist::default();
        config.add_numbers(&mut checklist.section("schedule.margin"));
        Error::of_all(checklist.faults().cloned().map(Error::from).collect())?;
        let to = config.check_consistency(head)?;
        Ok(Self { config: config.clone(), to, steps_per_epoch })
    }

    /// The margin of `step`, counted from 0 over the whole run.
    pub fn margin(&self, step: usize) -> f64 {
        let (step, epoch) = (step as f64, self.steps_per_epoch as f64);
        let (begin, end) = (self.config.begin_epoch * epoch, self.config.end_epoch * epoch);
        if step >= end {
            return self.to;
        }
        if step < begin {
            return self.config.from;
        }
        let progress = (step - begin) / (end - begin);
        let moved = match self.config.shape {
            MarginShape::Linear => progress,
            // WeSpeaker's constants: from 1 to 1e-3, and 1e-6 against a division by 0 that cannot happen.
            MarginShape::Exponential => 1.0 - (progress * (1e-3f64 / (1.0 + 1e-6)).ln()).exp(),
        };
        self.config.from + (self.to - self.config.from) * moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(shape: MarginShape) -> MarginSchedule {
        let config = MarginScheduleConfig { from: 0.0, begin_epoch: 19.0, end_epoch: 39.0, shape };
        MarginSchedule::new(&config, &HeadConfig::default(), 10).unwrap()
    }

    /// Values of WeSpeaker's own class: MarginScheduler(epoch_iter 10, increase_start_epoch 20, fix_start_epoch 40,
    /// 0.0 -> 0.2).
    #[test]
    fn margins_are_wespeakers() {
        let expected = [
            (0, 0.0, 0.0),
            (189, 0.0, 0.0),
            (190, 0.0, 0.0),
            (191, 0.001, 0.006_789_825_168_087_727),
            (240, 0.05, 0.164_434_420_690_613_04),
            (290, 0.1, 0.193_675_447_841_938_55),
            (389, 0.199, 0.199_792_971_772_657_23),
            (390, 0.2, 0.2),
            (1000, 0.2, 0.2),
        ];
        for (step, linear, exponential) in expected {
            assert!((schedule(MarginShape::Linear).margin(step) - linear).abs() < 1e-12, "step {step}");
            assert!(
                (schedule(MarginShape::Exponential).margin(step) - exponential).abs() < 1e-12,
                "step {step}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let config = |text: &str| toml::from_str::<MarginScheduleConfig>(text).unwrap();
        let refused = |text: &str, head: &HeadConfig| {
            MarginSchedule::new(&config(text), head, 10).unwrap_err().to_string()
        };
        let aam = HeadConfig::default();
        assert!(
            refused("end_epoch = 3", &HeadConfig::Softmax(Default::default()))
                .contains("head without a margin")
        );
        assert!(refused("end_epoch = 3\nfrom = -1", &aam).contains("schedule.margin.from = -1"));
        assert!(refused("end_epoch = 3\nbegin_epoch = 4", &aam).contains("schedule.margin.end_epoch = 3"));
        // Begin and end at once: the large margin from the first step.
        assert_eq!(MarginSchedule::new(&config("end_epoch = 0"), &aam, 10).unwrap().margin(0), 0.2);
    }
}
