//! The DET curve: miss and false-alarm rates at every threshold, equal scores together.

use super::dcf::{self, DcfParameters, DetectionCost};
use super::operating_point::{OperatingPoint, Tie, Totals};
use super::{rocch, sort};
use crate::{Error, Pav};

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

    /// The distinct scores ascending, with the trials that have them.
    pub fn ties(&self) -> Ties<'_> {
        Ties { target: &self.target, nontarget: &self.nontarget }
    }

    /// The operating points by rising threshold: one for each distinct score (the first accepts every trial),
    /// then "reject all" with threshold `+inf`.
    pub fn points(&self) -> OperatingPoints<Ties<'_>> {
        OperatingPoints::new(self.ties(), self.totals())
    }

    /// Miss and false-alarm rate when trials with `score >= threshold` are accepted.
    pub fn rates_at(&self, threshold: f64) -> OperatingPoint {
        let misses = self.target.partition_point(|&s| s < threshold) as u64;
        let rejected = self.nontarget.partition_point(|&s| s < threshold) as u64;
        self.totals().point(threshold, misses, rejected)
    }

    /// The rate at which the curve, its points joined by straight lines, has equal miss and false-alarm rates.
    ///
    /// This is what `brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1)` finds on scikit-learn's `roc_curve`.
    pub fn eer(&self) -> Eer {
        eer(self.ties(), self.totals())
    }

    /// The equal error rate on the convex hull of the ROC (ROCCH-EER), at most 0.5 and at most [`eer`](Self::eer).
    ///
    /// It is the largest cost that an optimally thresholded system can have over all priors (N. Brümmer,
    /// *Measuring, refining and calibrating speaker and language information extracted from speech*, 2010).
    pub fn rocch_eer(&self) -> f64 {
        rocch::eer(&Pav::of_ties(self.ties()))
    }

    /// The vertices of the ROC's convex hull, by rising threshold, "accept all" and "reject all" included.
    pub fn rocch(&self) -> Vec<OperatingPoint> {
        rocch::vertices(&Pav::of_ties(self.ties())).collect()
    }

    /// The least detection cost over all operating points, normalised by the better of accepting and rejecting all.
    pub fn min_dcf(&self, parameters: &DcfParameters) -> DetectionCost {
        dcf::minimum(self.points(), parameters)
    }

    pub(super) fn totals(&self) -> Totals {
        Totals { target: self.target.len() as u64, nontarget: self.nontarget.len() as u64 }
    }
}

/// Iterator over the distinct scores of a [`DetCurve`].
#[derive(Debug, Clone)]
pub struct Ties<'a> {
    target: &'a [f64],
    nontarget: &'a [f64],
}

impl Iterator for Ties<'_> {
    type Item = Tie;

    fn next(&mut self) -> Option<Tie> {
        let score = match (self.target.first(), self.nontarget.first()) {
            (Some(&t), Some(&n)) => t.min(n),
            (Some(&one), None) | (None, Some(&one)) => one,
            (None, None) => return None,
        };
        let take = |scores: &mut &[f64]| {
            let equal = scores.iter().take_while(|&&s| s == score).count();
            *scores = &scores[equal..];
            equal as u64
        };
        Some(Tie { score, target: take(&mut self.target), nontarget: take(&mut self.nontarget) })
    }
}

/// See [`DetCurve::eer`].
pub(super) fn eer(ties: impl Iterator<Item = Tie>, totals: Totals) -> Eer {
    // Counts rather than rates decide on which side a point lies, so that the answer is exact.
    let product = |a: u64, b: u64| i128::from(a) * i128::from(b);
    let excess = |misses: u64, rejected: u64| {
        product(misses, totals.nontarget) - product(totals.nontarget - rejected, totals.target)
    };
    let (mut misses, mut rejected) = (0, 0);
    let mut before = excess(0, 0);
    for tie in ties {
        let after = excess(misses + tie.target, rejected + tie.nontarget);
        if after > 0 {
            // The trials of this score carry the curve over the diagonal (or it starts on it: share 0).
            let share = -(before as f64) / ((after - before) as f64);
            let rate = (misses as f64 + share * tie.target as f64) / totals.target as f64;
            return Eer { rate, threshold: tie.score };
        }
        (misses, rejected, before) = (misses + tie.target, rejected + tie.nontarget, after);
    }
    // The last tie rejects all, where the excess is the product of both totals, so the loop has returned.
    Eer { rate: 1.0, threshold: f64::INFINITY }
}

/// Iterator over operating points by rising threshold.
#[derive(Debug, Clone)]
pub struct OperatingPoints<I> {
    ties: I,
    totals: Totals,
    misses: u64,
    rejected: u64,
    done: bool,
}

impl<I: Iterator<Item = Tie>> OperatingPoints<I> {
    pub(super) fn new(ties: I, totals: Totals) -> Self {
        Self { ties, totals, misses: 0, rejected: 0, done: false }
    }
}

impl<I: Iterator<Item = Tie>> Iterator for OperatingPoints<I> {
    type Item = OperatingPoint;

    fn next(&mut self) -> Option<OperatingPoint> {
        if self.done {
            return None;
        }
        let tie = self.ties.next();
        self.done = tie.is_none();
        let threshold = tie.map_or(f64::INFINITY, |tie| tie.score);
        let point = self.totals.point(threshold, self.misses, self.rejected);
        if let Some(tie) = tie {
            self.misses += tie.target;
            self.rejected += tie.nontarget;
        }
        Some(point)
    }
}

/// The scores ascending, `-0.0` as `0.0`.
pub(super) fn sorted<T: Copy + Into<f64> + Sync>(
    class: &'static str,
    scores: &[T],
) -> Result<Vec<f64>, Error> {
    if let Some(index) = scores.iter().position(|&s| s.into().is_nan()) {
        return Err(Error::NanScore { trial: format!("{class} trial {}", index + 1) });
    }
    Ok(sort::ascending(scores))
}
