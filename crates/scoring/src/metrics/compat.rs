//! The FFSVC2022 baseline's DET curve, EER and minDCF (`tools/utils.py`), odd cases included.

use super::dcf::{self, DcfParameters, DetectionCost};
use super::det::{Eer, sorted};
use super::operating_point::OperatingPoint;
use crate::Error;

/// How far below the lowest score the baseline places its "accept all" threshold.
const BELOW_LOWEST: f64 = 0.001;

/// The baseline's curve: `n + 1` points for `n` trials.
///
/// The baseline sorts `[targets, non-targets]` stably, so in a tie the targets come first; merging the two sorted
/// classes in that order gives the same sequence.
#[derive(Debug, Clone)]
pub struct CompatCurve {
    target: Vec<f64>,
    nontarget: Vec<f64>,
}

impl CompatCurve {
    /// Sorts the scores of target and non-target trials. One class may be empty: its rate is then NaN.
    ///
    /// # Errors
    /// No trial at all (the baseline stops with an `IndexError`), or a NaN score.
    pub fn new<T: Copy + Into<f64> + Sync>(target: &[T], nontarget: &[T]) -> Result<Self, Error> {
        if target.is_empty() && nontarget.is_empty() {
            return Err(Error::MissingClass { target: 0, nontarget: 0 });
        }
        Ok(Self { target: sorted("target", target)?, nontarget: sorted("non-target", nontarget)? })
    }

    /// `compute_det_curve`: the point below every score, then one for each score. Thresholds mean `score > threshold`.
    pub fn points(&self) -> CompatPoints<'_> {
        CompatPoints { curve: self, misses: 0, rejected: 0, started: false }
    }

    /// `compute_eer`: the mean of both rates at the first point where they differ least. NaN if a class is empty.
    pub fn eer(&self) -> Eer {
        let mut least = f64::INFINITY;
        let mut eer = Eer { rate: f64::NAN, threshold: f64::NAN };
        for point in self.points() {
            let difference = (point.p_miss - point.p_fa).abs();
            // numpy's argmin takes the first NaN for the minimum.
            let nan = difference.is_nan();
            if nan || difference < least {
                least = difference;
                eer = Eer { rate: (point.p_miss + point.p_fa) / 2.0, threshold: point.threshold };
            }
            if nan {
                break;
            }
        }
        eer
    }

    /// `ComputeMinDcf`: the first point of least cost, normalised by `min(C_miss P, C_fa (1 - P))`.
    pub fn min_dcf(&self, parameters: &DcfParameters) -> DetectionCost {
        dcf::minimum(self.points(), parameters)
    }
}

/// Iterator over a [`CompatCurve`]'s operating points.
#[derive(Debug, Clone)]
pub struct CompatPoints<'a> {
    curve: &'a CompatCurve,
    misses: usize,
    rejected: usize,
    started: bool,
}

impl Iterator for CompatPoints<'_> {
    type Item = OperatingPoint;

    fn next(&mut self) -> Option<OperatingPoint> {
        let CompatCurve { target, nontarget } = self.curve;
        let (score, of_target) = match (target.get(self.misses), nontarget.get(self.rejected)) {
            (Some(&t), Some(&n)) => (t.min(n), t <= n),
            (Some(&t), None) => (t, true),
            (None, Some(&n)) => (n, false),
            (None, None) => return None,
        };
        if !self.started {
            self.started = true;
            // Written as constants by the baseline, hence defined even for an empty class.
            return Some(OperatingPoint { threshold: score - BELOW_LOWEST, p_miss: 0.0, p_fa: 1.0 });
        }
        if of_target {
            self.misses += 1;
        } else {
            self.rejected += 1;
        }
        Some(OperatingPoint {
            threshold: score,
            p_miss: self.misses as f64 / target.len() as f64,
            p_fa: (nontarget.len() - self.rejected) as f64 / nontarget.len() as f64,
        })
    }
}
