//! The DET curve: miss and false-alarm rates at every threshold, equal scores together.

use rayon::prelude::*;

use super::dcf::{self, DcfParameters, MinDcf};
use super::rocch;
use crate::Error;

/// Error rates at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// Trials with a score of at least this are accepted.
    pub threshold: f64,
    /// Share of target trials rejected.
    pub p_miss: f64,
    /// Share of non-target trials accepted.
    pub p_fa: f64,
}

/// An equal error rate and its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eer {
    /// The rate, 0 to 1.
    pub rate: f64,
    /// The score at which the miss rate overtakes the false-alarm rate: accepting from it upwards, it is at
    /// most the false-alarm rate, accepting only above it, at least.
    pub threshold: f64,
}

/// The scores of both classes, sorted; every measure is read from a walk over them.
#[derive(Debug, Clone)]
pub struct DetCurve {
    target: Vec<f64>,
    nontarget: Vec<f64>,
}

impl DetCurve {
    /// Sorts the scores of target and non-target trials.
    ///
    /// # Errors
    /// A class without trials, for which its error rate is undefined, or a NaN score.
    pub fn new<T: Copy + Into<f64> + Sync>(target: &[T], nontarget: &[T]) -> Result<Self, Error> {
        if target.is_empty() || nontarget.is_empty() {
            return Err(Error::MissingClass { target: target.len(), nontarget: nontarget.len() });
        }
        Ok(Self { target: sorted("target", target)?, nontarget: sorted("non-target", nontarget)? })
    }

    /// Number of target and of non-target trials.
    pub fn counts(&self) -> (usize, usize) {
        (self.target.len(), self.nontarget.len())
    }

    /// The operating points by rising threshold: one for each distinct score (the first accepts every trial),
    /// then "reject all" with threshold `+inf`.
    pub fn points(&self) -> OperatingPoints<'_> {
        OperatingPoints { curve: self, misses: 0, rejected: 0, done: false }
    }

    /// Miss and false-alarm rate when trials with `score >= threshold` are accepted.
    pub fn rates_at(&self, threshold: f64) -> OperatingPoint {
        let misses = self.target.partition_point(|&s| s < threshold);
        let rejected = self.nontarget.partition_point(|&s| s < threshold);
        self.point(threshold, misses, rejected)
    }

    /// The rate at which the curve, its points joined by straight lines, has equal miss and false-alarm rates.
    ///
    /// This is what `brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1)` finds on scikit-learn's `roc_curve`.
    pub fn eer(&self) -> Eer {
        // Counts rather than rates decide on which side a point lies, so that the answer is exact.
        let (n_target, n_nontarget) = (self.target.len(), self.nontarget.len());
        let excess = |misses: usize, rejected: usize| {
            (misses as i128) * (n_nontarget as i128) - ((n_nontarget - rejected) as i128) * (n_target as i128)
        };
        let (mut misses, mut rejected) = (0, 0);
        let mut before = excess(0, 0);
        while let Some((score, next_misses, next_rejected)) = self.next_tie(misses, rejected) {
            let after = excess(next_misses, next_rejected);
            if after > 0 {
                // The trials of this score carry the curve over the diagonal (or it starts on it: share 0).
                let share = -(before as f64) / ((after - before) as f64);
                let gained = (next_misses - misses) as f64;
                let rate = (misses as f64 + share * gained) / n_target as f64;
                return Eer { rate, threshold: score };
            }
            (misses, rejected, before) = (next_misses, next_rejected, after);
        }
        // The last tie rejects all: its excess is n_target * n_nontarget > 0, so the loop has returned.
        Eer { rate: 1.0, threshold: f64::INFINITY }
    }

    /// The equal error rate on the convex hull of the ROC (ROCCH-EER), at most 0.5 and at most [`eer`](Self::eer).
    ///
    /// It is the largest cost that an optimally thresholded system can have over all priors (N. Brümmer,
    /// *Measuring, refining and calibrating speaker and language information extracted from speech*, 2010).
    pub fn rocch_eer(&self) -> f64 {
        rocch::eer(&rocch::hull(self.points()))
    }

    /// The vertices of the ROC's convex hull, by rising threshold, "accept all" and "reject all" included.
    pub fn rocch(&self) -> Vec<OperatingPoint> {
        rocch::hull(self.points())
    }

    /// The least detection cost over all operating points, normalised by the better of accepting and rejecting all.
    pub fn min_dcf(&self, parameters: &DcfParameters) -> MinDcf {
        dcf::minimum(self.points(), parameters)
    }

    /// The lowest score not yet rejected, and the counts once it and its equals are.
    fn next_tie(&self, misses: usize, rejected: usize) -> Option<(f64, usize, usize)> {
        let score = match (self.target.get(misses), self.nontarget.get(rejected)) {
            (Some(&t), Some(&n)) => t.min(n),
            (Some(&t), None) => t,
            (None, Some(&n)) => n,
            (None, None) => return None,
        };
        let run = |scores: &[f64]| scores.iter().take_while(|&&s| s == score).count();
        Some((score, misses + run(&self.target[misses..]), rejected + run(&self.nontarget[rejected..])))
    }

    fn point(&self, threshold: f64, misses: usize, rejected: usize) -> OperatingPoint {
        OperatingPoint {
            threshold,
            p_miss: misses as f64 / self.target.len() as f64,
            p_fa: (self.nontarget.len() - rejected) as f64 / self.nontarget.len() as f64,
        }
    }
}

/// Iterator over a [`DetCurve`]'s operating points.
#[derive(Debug, Clone)]
pub struct OperatingPoints<'a> {
    curve: &'a DetCurve,
    misses: usize,
    rejected: usize,
    done: bool,
}

impl Iterator for OperatingPoints<'_> {
    type Item = OperatingPoint;

    fn next(&mut self) -> Option<OperatingPoint> {
        if self.done {
            return None;
        }
        match self.curve.next_tie(self.misses, self.rejected) {
            Some((score, misses, rejected)) => {
                let point = self.curve.point(score, self.misses, self.rejected);
                (self.misses, self.rejected) = (misses, rejected);
                Some(point)
            }
            None => {
                self.done = true;
                Some(self.curve.point(f64::INFINITY, self.misses, self.rejected))
            }
        }
    }
}

/// The scores ascending, `-0.0` as `0.0`. Equal values are indistinguishable, so an unstable sort will do and
/// the number of threads does not matter.
pub(super) fn sorted<T: Copy + Into<f64> + Sync>(
    class: &'static str,
    scores: &[T],
) -> Result<Vec<f64>, Error> {
    if let Some(index) = scores.iter().position(|&s| s.into().is_nan()) {
        return Err(Error::NanScore { trial: format!("{class} trial {}", index + 1) });
    }
    let mut sorted: Vec<f64> = scores.iter().map(|&s| s.into() + 0.0).collect();
    sorted.par_sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}
