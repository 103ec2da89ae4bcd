//! Numbers of trials, and the error rates that they give at a threshold.

/// The trials with one score.
///
/// Every measure is a function of the ties by rising score, whatever they were made from: trials that count one each, or
/// trials with whole-numbered weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tie {
    /// Their score.
    pub score: f64,
    /// Number (or weight) of the target trials among them.
    pub target: u64,
    /// Number (or weight) of the non-target trials among them.
    pub nontarget: u64,
}

/// Numbers (or weights) of all trials of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) target: u64,
    pub(crate) nontarget: u64,
}

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

impl Totals {
    /// The rates at a threshold below which there are so many trials of each class.
    pub(super) fn point(self, threshold: f64, misses: u64, rejected: u64) -> OperatingPoint {
        OperatingPoint {
            threshold,
            p_miss: misses as f64 / self.target as f64,
            p_fa: (self.nontarget - rejected) as f64 / self.nontarget as f64,
        }
    }
}
