//! Isotonic regression of labels on scores: pool-adjacent-violators.

use crate::Result;
use crate::metrics::{DetCurve, Tie};

/// Neighbouring scores that get the same calibrated value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    /// The lowest score in it.
    pub low: f64,
    /// The highest score in it.
    pub high: f64,
    /// Number (or weight) of its target trials.
    pub target: u64,
    /// Number (or weight) of its non-target trials.
    pub nontarget: u64,
}

/// The best calibration that a monotone map of the scores can have on the trials that it is fitted to.
///
/// Scores are grouped into [`Pool`]s by pool-adjacent-violators, so that the share of target trials rises from pool to
/// pool. That is the monotone map of least squared error, and of least cost under every proper scoring rule. See N.
/// Brümmer and J. du Preez, *The PAV algorithm optimizes binary proper scoring rules*, 2013. The pools' boundaries are
/// the vertices of the ROC's convex hull.
///
/// Shares are compared in integers, so the pools are exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Pav {
    pools: Vec<Pool>,
    target: u64,
    nontarget: u64,
}

impl Pav {
    /// Fits the scores of target and non-target trials, O(N log N).
    ///
    /// ```
    /// let pav = ffsvc_scoring::Pav::fit(&[0.9, 0.4], &[0.5, 0.1, 0.0])?;
    /// let shares: Vec<_> = pav.pools().iter().map(|pool| (pool.low, pool.high, pool.target, pool.nontarget)).collect();
    /// assert_eq!(shares, [(0.0, 0.1, 0, 2), (0.4, 0.5, 1, 1), (0.9, 0.9, 1, 0)]);
    /// # Ok::<(), ffsvc_scoring::Error>(())
    /// ```
    ///
    /// # Errors
    /// A class without trials, or a NaN score.
    pub fn fit<T: Copy + Into<f64> + Sync>(target: &[T], nontarget: &[T]) -> Result<Self> {
        Ok(Self::of_ties(DetCurve::new(target, nontarget)?.ties()))
    }

    /// Fits scores that are sorted already, by rising score; of a class that never comes, shares and ratios are undefined.
    pub fn of_ties(ties: impl Iterator<Item = Tie>) -> Self {
        let mut pools: Vec<Pool> = Vec::new();
        let (mut target, mut nontarget) = (0, 0);
        for tie in ties {
            target += tie.target;
            nontarget += tie.nontarget;
            let mut pool =
                Pool { low: tie.score, high: tie.score, target: tie.target, nontarget: tie.nontarget };
            while let Some(&below) = pools.last() {
                // Its share of targets is less than the new pool's, so the order is right.
                let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
                if product(below.target, pool.nontarget) < product(pool.target, below.nontarget) {
                    break;
                }
                pool = Pool {
                    low: below.low,
                    high: pool.high,
                    target: below.target + pool.target,
                    nontarget: below.nontarget + pool.nontarget,
                };
                pools.pop();
            }
            pools.push(pool);
        }
        Self { pools, target, nontarget }
    }

    /// The pools by rising score.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Numbers (or weights) of all target and of all non-target trials.
    pub fn counts(&self) -> (u64, u64) {
        (self.target, self.nontarget)
    }

    /// Natural logarithm of the likelihood ratio of a pool's scores: how often targets have them against how often
    /// non-targets do. Infinite for a pool of one class.
    pub fn log_likelihood_ratio(&self, pool: &Pool) -> f64 {
        let share = |part: u64, all: u64| part as f64 / all as f64;
        (share(pool.target, self.target) / share(pool.nontarget, self.nontarget)).ln()
    }

    /// The Cllr that is left when the calibration is as good as a monotone map can make it, 0 to 1 bit (see
    /// [`Cllr`](crate::metrics::Cllr)).
    pub fn min_cllr(&self) -> f64 {
        let (targets, nontargets) = (self.target as f64, self.nontarget as f64);
        let sum: f64 = self
            .pools
            .iter()
            .filter(|pool| pool.target > 0 && pool.nontarget > 0)
            .map(|pool| {
                let (p_target, p_nontarget) =
                    (pool.target as f64 / targets, pool.nontarget as f64 / nontargets);
                // log2(1 + 1/ratio) for each target, log2(1 + ratio) for each non-target.
                p_target * (p_nontarget / p_target).ln_1p() + p_nontarget * (p_target / p_nontarget).ln_1p()
            })
            .sum();
        sum / (2.0 * std::f64::consts::LN_2)
    }
}
