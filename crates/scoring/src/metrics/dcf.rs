//! The detection cost function: at the best threshold, and at the one that calibrated scores should have.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Interval;
use super::operating_point::{OperatingPoint, Tie, Totals};
use crate::Error;

/// Prior and costs of the detection cost function
/// `C_miss P_target p_miss + C_fa (1 - P_target) p_fa`.
///
/// The FFSVC2022 challenge ranks by `P_target = 0.01`, `C_miss = C_fa = 1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DcfParameters {
    p_target: f64,
    c_miss: f64,
    c_fa: f64,
}

impl DcfParameters {
    /// Checks and keeps the three numbers.
    ///
    /// # Errors
    /// A prior outside (0, 1), or a cost that is not a positive finite number.
    pub fn new(p_target: f64, c_miss: f64, c_fa: f64) -> Result<Self, Error> {
        if !(p_target > 0.0 && p_target < 1.0) {
            return Err(Error::Option {
                name: "P_target",
                value: p_target,
                expected: "between 0 and 1, exclusive",
            });
        }
        for (name, value) in [("C_miss", c_miss), ("C_fa", c_fa)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::Option { name, value, expected: "positive" });
            }
        }
        Ok(Self { p_target, c_miss, c_fa })
    }

    /// Prior probability of a target trial.
    pub fn p_target(&self) -> f64 {
        self.p_target
    }

    /// Cost of a rejected target.
    pub fn c_miss(&self) -> f64 {
        self.c_miss
    }

    /// Cost of an accepted non-target.
    pub fn c_fa(&self) -> f64 {
        self.c_fa
    }

    /// Cost of the better of "accept all" and "reject all": `min(C_miss P, C_fa (1 - P))`.
    pub fn normaliser(&self) -> f64 {
        (self.c_miss * self.p_target).min(self.c_fa * (1.0 - self.p_target))
    }

    /// The threshold of least expected cost for scores that are natural logarithms of likelihood ratios:
    /// `ln(C_fa (1 - P) / (C_miss P))`.
    pub fn bayes_threshold(&self) -> f64 {
        (self.c_fa * (1.0 - self.p_target) / (self.c_miss * self.p_target)).ln()
    }

    /// Cost at a pair of error rates, before normalisation. The order of the factors is the baseline's,
    /// so that equal costs compare alike.
    pub fn cost(&self, p_miss: f64, p_fa: f64) -> f64 {
        self.c_miss * p_miss * self.p_target + self.c_fa * p_fa * (1.0 - self.p_target)
    }
}

impl Default for DcfParameters {
    /// The challenge's: prior 0.01, both costs 1.
    fn default() -> Self {
        Self { p_target: 0.01, c_miss: 1.0, c_fa: 1.0 }
    }
}

impl FromStr for DcfParameters {
    type Err = String;

    /// Reads `P_target,C_miss,C_fa`, as `0.01,1,1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("found {text:?}, expected P_target,C_miss,C_fa such as 0.01,1,1");
        let numbers: Vec<f64> = text
            .split(',')
            .map(|number| number.trim().parse().map_err(|_| expected()))
            .collect::<Result<_, _>>()?;
        let [p_target, c_miss, c_fa] = numbers[..] else { return Err(expected()) };
        Self::new(p_target, c_miss, c_fa).map_err(|error| error.to_string())
    }
}

/// A normalised detection cost and where it is met.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DetectionCost {
    /// Prior and costs.
    #[serde(flatten)]
    pub parameters: DcfParameters,
    /// Normalised cost. A minimum is at most 1, except for a missing class under the baseline's definition.
    pub cost: f64,
    /// Its confidence interval, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<Interval>,
    /// Threshold of the operating point. Of a minimum, `+inf` when rejecting every trial is cheapest, and among points
    /// of equal cost the lowest.
    #[serde(with = "crate::non_finite")]
    pub threshold: f64,
    /// Miss rate at that point.
    pub p_miss: f64,
    /// False-alarm rate at that point.
    pub p_fa: f64,
}

impl DetectionCost {
    fn at(point: OperatingPoint, parameters: &DcfParameters) -> Self {
        Self {
            parameters: *parameters,
            cost: parameters.cost(point.p_miss, point.p_fa) / parameters.normaliser(),
            interval: None,
            threshold: point.threshold,
            p_miss: point.p_miss,
            p_fa: point.p_fa,
        }
    }
}

/// The first point of least cost. A NaN rate (a class without trials) never wins.
pub(super) fn minimum(
    points: impl Iterator<Item = OperatingPoint>,
    parameters: &DcfParameters,
) -> DetectionCost {
    let (mut cost, mut at) = (f64::INFINITY, None);
    for point in points {
        let here = parameters.cost(point.p_miss, point.p_fa);
        if here < cost {
            (cost, at) = (here, Some(point));
        }
    }
    // Every curve starts with "accept all", whose rates are 0 and 1, so `at` is always set.
    let at = at.unwrap_or(OperatingPoint { threshold: f64::NEG_INFINITY, p_miss: 0.0, p_fa: 1.0 });
    DetectionCost::at(at, parameters)
}

/// The cost at the [Bayes threshold](DcfParameters::bayes_threshold): what the decisions cost if the scores are taken
/// for log-likelihood ratios.
pub(super) fn actual(
    ties: impl Iterator<Item = Tie>,
    totals: Totals,
    parameters: &DcfParameters,
) -> DetectionCost {
    let threshold = parameters.bayes_threshold();
    let (mut misses, mut rejected) = (0, 0);
    for tie in ties.take_while(|tie| tie.score < threshold) {
        misses += tie.target;
        rejected += tie.nontarget;
    }
    DetectionCost::at(totals.point(threshold, misses, rejected), parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        for bad in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(DcfParameters::new(bad, 1.0, 1.0).is_err());
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(DcfParameters::new(0.01, bad, 1.0).is_err());
            assert!(DcfParameters::new(0.01, 1.0, bad).is_err());
        }
        let p = DcfParameters::new(0.9, 1.0, 2.0).unwrap();
        assert!((p.normaliser() - 0.2).abs() < 1e-15);
        assert!((p.bayes_threshold() - (0.2_f64 / 0.9).ln()).abs() < 1e-15);
    }

    #[test]
    fn parameters_are_read_from_text() {
        assert_eq!("0.01, 1,10".parse(), DcfParameters::new(0.01, 1.0, 10.0).map_err(|e| e.to_string()));
        for bad in ["", "0.01", "0.01,1", "0.01,1,1,1", "a,1,1", "2,1,1"] {
            assert!(bad.parse::<DcfParameters>().is_err(), "{bad}");
        }
    }
}
