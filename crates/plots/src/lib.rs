#![doc = include_str!("../README.md")]

mod calibration;
mod canvas;
mod chart;
mod condition_bars;
mod det;
mod histogram;
mod legend;
mod prior;
mod probit;
mod steps;
mod stroke;
mod sweep;

pub use calibration::{CalibrationPlot, CalibrationSystem};
pub use canvas::{Error, Picture, Result, check_ending, svg, write};
pub use condition_bars::{Bar, ConditionBars, ConditionSystem};
pub use det::{DetPlot, DetSystem};
pub use histogram::HistogramPlot;
pub use prior::{PriorPlot, PriorSystem};
pub use steps::{StepCurve, StepsPlot};
pub use sweep::{SweepCurve, SweepPanel, SweepPlot};
