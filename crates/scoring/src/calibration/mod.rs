//! Calibration and fusion: scores to log-likelihood ratios.
//!
//! A score says which of two trials is the likelier target; a log-likelihood ratio says how likely, so that a threshold follows from
//! prior and costs alone ([`bayes_threshold`](crate::metrics::DcfParameters)). [`Calibration`] is the map from one to the other:
//!
//! * linear, `llr = offset + sum of weight * score + sum of weight * quality measure`, by logistic regression
//!   ([`fit_logistic`]); with several systems' scores it is their fusion;
//! * or any rising map, of one system's scores, by pool-adjacent-violators.
//!
//! What a calibration or fusion is worth is seen on speakers that it was not trained on only: [`cross_validate`].
//!
//! ```
//! use ffsvc_kaldi_io::{TrialColumns, Trials};
//! use ffsvc_scoring::TrialScores;
//! use ffsvc_scoring::calibration::{Inputs, LogisticOptions, Method, train};
//!
//! let list = b"1 a b\n1 a c\n1 a d\n0 a e\n0 a f\n0 a g\n".to_vec();
//! let trials = Trials::parse("trials", list, TrialColumns::Auto)?;
//! let scores = TrialScores::new(&trials, vec![0.9, 0.7, 0.3, 0.4, 0.1, 0.0], Vec::new())?;
//! let inputs = Inputs { systems: vec![scores], quality: Vec::new() };
//! let options = LogisticOptions { prior: 0.5, ridge: 0.0 };
//! let calibration = train(&trials, &inputs, Method::Logistic(options))?;
//! let llr = calibration.apply(&trials, &inputs)?;
//! assert!(llr.get(0).unwrap_or_default() > 0.0 && llr.get(5).unwrap_or_default() < 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file;
mod folds;
mod logistic;
mod quality;
mod utterance_quality;

pub use file::{CalibrationFile, QualityInput, System, TrainedOn};
pub use folds::{Folds, MAX_FOLDS, Split};
pub use logistic::{LogisticFit, LogisticOptions, fit_logistic};
pub use quality::QualityMeasure;
pub use utterance_quality::{cohort_means, embedding_lengths};

use ffsvc_kaldi_io::Trials;
use serde::{Deserialize, Serialize};

use crate::{Error, Pav, Result, TrialScores};
use logistic::check_finite;

/// What a calibration is made from and applied to: scores and quality measures of one trial list.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// The scores of each system.
    pub systems: Vec<TrialScores>,
    /// The values of each quality measure, one for each trial.
    pub quality: Vec<Vec<f64>>,
}

/// How a calibration is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Method {
    /// A weighted sum by logistic regression.
    Logistic(LogisticOptions),
    /// The rising map of least cost at every prior, by pool-adjacent-violators.
    Pav,
}

/// A map from scores to log-likelihood ratios (natural logarithm).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "map", deny_unknown_fields)]
pub enum Calibration {
    /// A weighted sum.
    Linear {
        /// A weight for each system's scores.
        weights: Vec<f64>,
        /// A weight for each quality measure.
        quality_weights: Vec<f64>,
        /// What is added.
        offset: f64,
    },
    /// Straight lines between knots; level beyond the first and the last.
    Pav {
        /// Scores, rising.
        scores: Vec<f64>,
        /// The log-likelihood ratio at each, not falling.
        llrs: Vec<f64>,
    },
}

impl Inputs {
    /// Places of the trials that have a score of every system.
    fn complete(&self, trials: &Trials) -> Result<Vec<usize>> {
        let expected = trials.pairs.len();
        for system in &self.systems {
            if system.len() != expected {
                return Err(Error::Count { what: "scores", found: system.len(), expected });
            }
        }
        for measure in &self.quality {
            if measure.len() != expected {
                return Err(Error::Count { what: "quality measures", found: measure.len(), expected });
            }
        }
        let scored = |&place: &usize| self.systems.iter().all(|system| system.get(place).is_some());
        Ok((0..expected).filter(scored).collect())
    }

    /// The values of all inputs at some trials, a list for each input.
    fn at(&self, places: &[usize]) -> Vec<Vec<f64>> {
        let of_system = |system: &TrialScores| {
            places.iter().map(|&place| system.get(place).unwrap_or(f64::NAN)).collect()
        };
        let of_measure = |measure: &Vec<f64>| places.iter().map(|&place| measure[place]).collect();
        self.systems.iter().map(of_system).chain(self.quality.iter().map(of_measure)).collect()
    }
}

/// Trains a calibration on all trials that have a score of every system.
///
/// # Errors
/// The trials have no labels, or one class is missing; the inputs are of another list; as [`fit_logistic`]; PAV of several
/// inputs.
pub fn train(trials: &Trials, inputs: &Inputs, method: Method) -> Result<Calibration> {
    let places = inputs.complete(trials)?;
    train_on(trials, inputs, &places, method)
}

fn train_on(trials: &Trials, inputs: &Inputs, places: &[usize], method: Method) -> Result<Calibration> {
    let unlabelled = || Error::Uncalibratable("the trials have no labels to calibrate from".to_owned());
    let labels = trials.labels.as_ref().ok_or_else(unlabelled)?;
    let labels: Vec<bool> = places.iter().map(|&place| labels[place]).collect();
    let values = inputs.at(places);
    match method {
        Method::Logistic(options) => {
            let mut fit = fit_logistic(&values, &labels, options)?;
            let quality_weights = fit.weights.split_off(inputs.systems.len());
            Ok(Calibration::Linear { weights: fit.weights, quality_weights, offset: fit.offset })
        }
        Method::Pav => match &values[..] {
            [scores] => {
                check_finite(0, scores)?;
                rising(scores, &labels)
            }
            _ => Err(Error::Uncalibratable(format!(
                "PAV calibrates one system's scores without quality measures, found {} inputs",
                values.len()
            ))),
        },
    }
}

/// The map of [`Pav`], with a knot at both ends of each pool. A pool of one class alone, whose ratio would be infinite, counts half a
/// trial of the other class: decisions with finite costs stay possible.
fn rising(scores: &[f64], labels: &[bool]) -> Result<Calibration> {
    let of_class =
        |class| scores.iter().zip(labels).filter(move |&(_, &label)| label == class).map(|(&s, _)| s);
    let (target, nontarget): (Vec<f64>, Vec<f64>) = (of_class(true).collect(), of_class(false).collect());
    let pav = Pav::fit(&target, &nontarget)?;
    let (targets, nontargets) = (target.len() as f64, nontarget.len() as f64);
    let (mut knots, mut llrs) = (Vec::new(), Vec::new());
    for pool in pav.pools() {
        let at_least_half = |count: u64| (count as f64).max(0.5);
        let llr =
            (at_least_half(pool.target) / targets).ln() - (at_least_half(pool.nontarget) / nontargets).ln();
        // Half a trial may turn the order of a small pool and its neighbour.
        let llr = llrs.last().map_or(llr, |&below: &f64| llr.max(below));
        for score in [pool.low, pool.high] {
            if knots.last() != Some(&score) {
                knots.push(score);
                llrs.push(llr);
            }
        }
    }
    Ok(Calibration::Pav { scores: knots, llrs })
}

impl Calibration {
    /// The log-likelihood ratios of a trial list. A trial without a score of one of the systems is skipped.
    ///
    /// # Errors
    /// Another number of systems or quality measures than it was trained on; inputs of another list.
    pub fn apply(&self, trials: &Trials, inputs: &Inputs) -> Result<TrialScores> {
        let (systems, measures) = match self {
            Self::Linear { weights, quality_weights, .. } => (weights.len(), quality_weights.len()),
            Self::Pav { .. } => (1, 0),
        };
        for (what, found, expected) in
            [("systems", inputs.systems.len(), systems), ("quality measures", inputs.quality.len(), measures)]
        {
            if found != expected {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(Error::CalibrationInput { what, found, expected });
            }
        }
        let places = inputs.complete(trials)?;
        let mut values = vec![f64::NAN; trials.pairs.len()];
        for &place in &places {
            values[place] = self.llr(inputs, place);
        }
        let skipped = (0..values.len()).filter(|place| places.binary_search(place).is_err()).collect();
        TrialScores::new(trials, values, skipped)
    }

    fn llr(&self, inputs: &Inputs, place: usize) -> f64 {
        let score = |system: &TrialScores| system.get(place).unwrap_or(f64::NAN);
        match self {
            Self::Linear { weights, quality_weights, offset } => {
                let systems = inputs.systems.iter().map(score);
                let measures = inputs.quality.iter().map(|measure| measure[place]);
                let weights = weights.iter().chain(quality_weights);
                offset
                    + weights.zip(systems.chain(measures)).map(|(weight, value)| weight * value).sum::<f64>()
            }
            Self::Pav { scores, llrs } => interpolate(scores, llrs, score(&inputs.systems[0])),
        }
    }
}

fn interpolate(knots: &[f64], values: &[f64], at: f64) -> f64 {
    let above = knots.partition_point(|&knot| knot <= at);
    match (above.checked_sub(1), knots.get(above)) {
        (None, _) => values[0],
        (Some(below), None) => values[below],
        (Some(below), Some(&next)) => {
            let share = (at - knots[below]) / (next - knots[below]);
            values[below] + share * (values[above] - values[below])
        }
    }
}

/// The log-likelihood ratio of every trial by a calibration that was trained on trials which share no fold with it.
///
/// # Errors
/// As [`train`]; naming the split, because a class may be missing in it.
pub fn cross_validate(
    trials: &Trials,
    inputs: &Inputs,
    method: Method,
    folds: &Folds,
) -> Result<TrialScores> {
    let mut complete = vec![false; trials.pairs.len()];
    for place in inputs.complete(trials)? {
        complete[place] = true;
    }
    let usable = |places: Vec<usize>| -> Vec<usize> {
        places.into_iter().filter(|&place| complete.get(place) == Some(&true)).collect()
    };
    let mut values = vec![f64::NAN; trials.pairs.len()];
    for split in folds.splits() {
        let held_out = usable(split.held_out);
        if held_out.is_empty() {
            continue;
        }
        let calibration = train_on(trials, inputs, &usable(split.train), method).map_err(|error| {
            Error::Uncalibratable(format!("without one part of the trials: {error}; try fewer folds"))
        })?;
        for place in held_out {
            values[place] = calibration.llr(inputs, place);
        }
    }
    let skipped = (0..values.len()).filter(|&place| !complete[place]).collect();
    TrialScores::new(trials, values, skipped)
}
