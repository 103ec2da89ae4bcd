//! Logistic regression on the cost of log-likelihood ratios at a prior.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::metrics::softplus;
use crate::{Error, Result};

/// Trials whose terms are summed by one thread. A fixed number, so that sums do not depend on how many threads there are.
const CHUNK: usize = 1 << 14;

const MAX_ITERATIONS: usize = 100;

/// Directions of less curvature than this share of the largest are flat: inputs that say the same.
const FLAT: f64 = 1e-10;

/// What a calibration is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticOptions {
    /// Prior probability of a target trial at which the cost is least. 0.5 is Cllr; a lower one makes the calibration
    /// better where the decisions of a low prior are made.
    pub prior: f64,
    /// Penalty, half of this times the sum of the squared weights of standardised inputs. 0 for none; a little (1e-6) gives
    /// an answer where there is no finite one, for separable scores.
    pub ridge: f64,
}

impl Default for LogisticOptions {
    /// The challenge's prior, 0.01, and no penalty.
    fn default() -> Self {
        Self { prior: 0.01, ridge: 0.0 }
    }
}

/// Weights and offset that make a weighted sum of inputs a log-likelihood ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticFit {
    /// A weight for each input.
    pub weights: Vec<f64>,
    /// What is added.
    pub offset: f64,
    /// The cost at the prior, in bits: `(P mean over targets of log2(1 + exp(-(llr + logit P))) + (1 - P) mean over
    /// non-targets of log2(1 + exp(llr + logit P)))`; with `P` = 0.5 it is Cllr.
    pub cost: f64,
}

/// Finds the weights of least cost by Newton's method (iteratively reweighted least squares), the objective of FoCal
/// and BOSARIS (N. Brümmer and J. du Preez, *Application-independent evaluation of speaker detection*, 2006). The cost
/// is convex, so there is one minimum. Trials are summed in a fixed order.
///
/// `inputs` holds a list for each input (a system's score, a quality measure), each of one finite value a trial.
///
/// # Errors
/// - A class without trials.
/// - An option out of range.
/// - An input that is the same for all trials, or a weighted sum of the others.
/// - Scores that separate the classes: their best weights are infinite.
///
/// A `ridge` avoids the last two.
///
/// # Panics
/// The lists are not equally long.
pub fn fit_logistic(inputs: &[Vec<f64>], labels: &[bool], options: LogisticOptions) -> Result<LogisticFit> {
    check(&options)?;
    assert!(inputs.iter().all(|input| input.len() == labels.len()), "a value for each trial");
    let target = labels.iter().filter(|&&label| label).count();
    let nontarget = labels.len() - target;
    if target == 0 || nontarget == 0 {
        return Err(Error::MissingClass { target, nontarget });
    }
    let scales =
        inputs.iter().enumerate().map(|(at, input)| Standard::of(at, input)).collect::<Result<Vec<_>>>()?;
    let problem = Problem {
        inputs,
        scales: &scales,
        labels,
        class_weights: [(1.0 - options.prior) / nontarget as f64, options.prior / target as f64],
        logit: (options.prior / (1.0 - options.prior)).ln(),
        ridge: options.ridge,
    };
    let minimum = problem.minimise()?;
    let weights: Vec<f64> =
        scales.iter().zip(minimum.at.iter()).map(|(scale, w)| w / scale.deviation).collect();
    let shift: f64 = scales.iter().zip(&weights).map(|(scale, weight)| weight * scale.mean).sum();
    let offset = minimum.at[inputs.len()] - shift;
    Ok(LogisticFit { weights, offset, cost: minimum.data_cost / std::f64::consts::LN_2 })
}

fn check(options: &LogisticOptions) -> Result<()> {
    if !(options.prior > 0.0 && options.prior < 1.0) {
        let (name, expected) = ("the prior to calibrate for", "between 0 and 1, exclusive");
        return Err(Error::Option { name, value: options.prior, expected });
    }
    if !(options.ridge >= 0.0 && options.ridge.is_finite()) {
        return Err(Error::Option { name: "the ridge", value: options.ridge, expected: "0 or more" });
    }
    Ok(())
}

/// Refuses an input (counted from 0) that is infinite or no number at some trial.
pub(super) fn check_finite(at: usize, input: &[f64]) -> Result<()> {
    let Some(trial) = input.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    Err(Error::Uncalibratable(format!(
        "input {} of trial {} is {}, expected a finite number to calibrate from",
        at + 1,
        trial + 1,
        input[trial]
    )))
}

/// Mean and standard deviation of an input. The problem is solved for standardised inputs, where it is well conditioned whatever
/// the units.
struct Standard {
    mean: f64,
    deviation: f64,
}

impl Standard {
    fn of(at: usize, input: &[f64]) -> Result<Self> {
        check_finite(at, input)?;
        let count = input.len() as f64;
        let mean = input.iter().sum::<f64>() / count;
        let variance = input.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt();
        if deviation <= 1e-12 * mean.abs() || deviation == 0.0 {
            return Err(Error::Uncalibratable(format!(
                "input {} is {mean} for all trials, which says nothing about any: leave it out",
                at + 1
            )));
        }
        Ok(Self { mean, deviation })
    }
}

struct Problem<'a> {
    inputs: &'a [Vec<f64>],
    scales: &'a [Standard],
    labels: &'a [bool],
    /// Of a non-target and of a target trial.
    class_weights: [f64; 2],
    logit: f64,
    ridge: f64,
}

struct Minimum {
    at: DVector<f64>,
    /// Without the penalty, in nats.
    data_cost: f64,
}

/// Cost, gradient and curvature at a point, or their share of some trials.
struct Expansion {
    cost: f64,
    gradient: DVector<f64>,
    hessian: DMatrix<f64>,
    least_target: f64,
    greatest_nontarget: f64,
}

impl Problem<'_> {
    fn minimise(&self) -> Result<Minimum> {
        let mut at = DVector::zeros(self.inputs.len() + 1);
        let mut here = self.expand(&at);
        for _ in 0..MAX_ITERATIONS {
            if self.ridge == 0.0 && here.least_target > here.greatest_nontarget {
                return Err(no_minimum("the scores separate target from non-target trials"));
            }
            let step = self.step(&here)?;
            // Twice the decrease that the quadratic model promises. When it is as small as this, Newton's method doubles
            // the number of right digits with a step, while rounding hides whether the cost still falls.
            let decrease = -here.gradient.dot(&step);
            if decrease <= 1e-10 * here.cost {
                at += step;
                at += self.step(&self.expand(&at))?;
                return Ok(Minimum { data_cost: self.expand(&at).cost - self.penalty(&at), at });
            }
            let mut share = 1.0;
            loop {
                let next = &at + share * &step;
                let there = self.expand(&next);
                if there.cost <= here.cost - 1e-4 * share * decrease {
                    (at, here) = (next, there);
                    break;
                }
                share /= 2.0;
                if share < 1e-10 {
                    return Err(no_minimum("the cost does not fall where it should"));
                }
            }
        }
        Err(no_minimum("the cost falls without end"))
    }

    fn step(&self, here: &Expansion) -> Result<DVector<f64>> {
        let (values, vectors) = crate::backend::eigen(&here.hessian);
        let least = values[values.len() - 1];
        if least.is_nan() || least <= FLAT * values[0] {
            return Err(no_minimum(
                "an input is a weighted sum of others, or the scores all but separate the classes",
            ));
        }
        let turned = vectors.transpose() * &here.gradient;
        Ok(-(vectors * turned.component_div(&values)))
    }

    fn penalty(&self, at: &DVector<f64>) -> f64 {
        0.5 * self.ridge * at.rows(0, self.inputs.len()).norm_squared()
    }

    fn expand(&self, at: &DVector<f64>) -> Expansion {
        let size = at.len();
        let chunks: Vec<Expansion> = (0..self.labels.len().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| self.expand_chunk(at, chunk * CHUNK))
            .collect();
        let mut sum = Expansion::nothing(size);
        for chunk in chunks {
            sum.cost += chunk.cost;
            sum.gradient += chunk.gradient;
            sum.hessian += chunk.hessian;
            sum.least_target = sum.least_target.min(chunk.least_target);
            sum.greatest_nontarget = sum.greatest_nontarget.max(chunk.greatest_nontarget);
        }
        sum.cost += self.penalty(at);
        for weight in 0..self.inputs.len() {
            sum.gradient[weight] += self.ridge * at[weight];
            sum.hessian[(weight, weight)] += self.ridge;
        }
        sum
    }

    fn expand_chunk(&self, at: &DVector<f64>, start: usize) -> Expansion {
        let size = at.len();
        let (mut gradient, mut hessian) = (vec![0.0; size], vec![0.0; size * size]);
        let mut sum = Expansion::nothing(size);
        let mut values = vec![1.0; size];
        for trial in start..self.labels.len().min(start + CHUNK) {
            for (value, (input, scale)) in values.iter_mut().zip(self.inputs.iter().zip(self.scales)) {
                *value = (input[trial] - scale.mean) / scale.deviation;
            }
            let label = self.labels[trial];
            let weight = self.class_weights[usize::from(label)];
            let llr: f64 = at.as_slice().iter().zip(&values).map(|(weight, value)| weight * value).sum();
            let posterior_logit = llr + self.logit;
            // The cost of a target is ln(1 + exp(-x)), of a non-target ln(1 + exp(x)).
            let against = if label { -posterior_logit } else { posterior_logit };
            sum.cost += weight * softplus(against);
            let error = logistic(against);
            let (slope, curvature) =
                (if label { -weight * error } else { weight * error }, weight * error * (1.0 - error));
            for (row, &value) in values.iter().enumerate() {
                gradient[row] += slope * value;
                for (column, &other) in values.iter().enumerate() {
                    hessian[row * size + column] += curvature * value * other;
                }
            }
            if label {
                sum.least_target = sum.least_target.min(llr);
            } else {
                sum.greatest_nontarget = sum.greatest_nontarget.max(llr);
            }
        }
        sum.gradient = DVector::from_vec(gradient);
        sum.hessian = DMatrix::from_vec(size, size, hessian);
        sum
    }
}

impl Expansion {
    fn nothing(size: usize) -> Self {
        Self {
            cost: 0.0,
            gradient: DVector::zeros(size),
            hessian: DMatrix::zeros(size, size),
            least_target: f64::INFINITY,
            greatest_nontarget: f64::NEG_INFINITY,
        }
    }
}

fn no_minimum(why: &str) -> Error {
    Error::Uncalibratable(format!(
        "no finite calibration has the least cost: {why}; use more trials or fewer inputs, or a small penalty (--ridge 1e-6)"
    ))
}

fn logistic(x: f64) -> f64 {
    if x >= 0.0 { (1.0 + (-x).exp()).recip() } else { x.exp() / (1.0 + x.exp()) }
}
