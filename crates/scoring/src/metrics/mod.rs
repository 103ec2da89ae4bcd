//! Error rates of a verification system: EER, detection costs, Cllr, miss rates at given false-alarm rates, the DET curve
//! that they are read from, and confidence intervals.
//!
//! # Conventions
//! A trial is accepted when `score >= threshold`. The miss rate `p_miss` is the share of target trials that
//! are rejected, the false-alarm rate `p_fa` the share of non-target trials that are accepted. Scores of
//! `-0.0` and `0.0` are equal; infinities are ordinary scores; NaN is an [error](crate::Error::NanScore).
//!
//! # Two definitions
//! [`Definition::Tied`] (the default) is the textbook one. All trials with the same score change sides together, so
//! they make one operating point. The points are joined by straight lines, which is what deciding ties by lot achieves.
//! The EER is where that line meets `p_miss = p_fa`. It depends only on the ranks of the scores: neither the order of
//! the trials nor a monotone map of the scores changes it. minDCF is the lowest cost over the operating points. "Accept
//! all" and "reject all" are among them, so it never exceeds 1.
//!
//! [`Definition::Compat`] is the FFSVC2022 baseline's (`tools/utils.py`: `compute_det_curve`, `compute_eer`,
//! `ComputeMinDcf`). Every score is an operating point of its own, with tied targets before tied non-targets. The EER
//! is the mean of both rates where they differ least. Its thresholds mean `score > threshold`.
//!
//! | scores | `Tied` | minimum of Cllr | FRR at a FAR below 1 | `Compat` |
//! | --- | --- | --- | --- | --- |
//! | separable | EER 0, threshold = lowest target | 0 | 0 | EER 0, threshold = highest non-target |
//! | every target below every non-target | EER 1, ROCCH-EER 0.5, minDCF 1 | 1 | 1 | EER 1, minDCF 1 |
//! | all scores identical | EER 0.5, minDCF 1 | 1 | 1, threshold `+inf` | EER 1, minDCF 1 |
//! | no target, or no non-target trial | error | error | error | error; the baseline itself says EER NaN ([`CompatCurve`]) |
//! | no trial | error | error | error | error |
//!
//! # Scores as log-likelihood ratios
//! EER, minDCF and the minimum of Cllr judge the order of the scores; their thresholds are chosen on the trials that
//! they judge. [`actual`](Metrics::act_dcf) costs (actDCF) and Cllr take the scores for natural logarithms of
//! likelihood ratios, as a calibration makes them. actDCF decides at the [Bayes
//! threshold](DcfParameters::bayes_threshold). For cosines they only tell how far these are from being calibrated. An
//! actDCF is not bounded by 1.
//!
//! Everything here sorts once, O(N log N), and then walks the sorted scores; the convex hull keeps its pools, the rest
//! needs no further memory. A [bootstrap](SpeakerBootstrap) sorts once, too, and weights the sorted trials anew for each
//! replicate.
//!
//! ```
//! use ffsvc_scoring::metrics::{DcfParameters, DetCurve};
//!
//! let curve = DetCurve::new(&[0.9_f32, 0.8, 0.4], &[0.5_f32, 0.1, 0.0, -0.2])?;
//! assert!((curve.eer().rate - 0.25).abs() < 1e-12);
//! let dcf = curve.min_dcf(&DcfParameters::new(0.01, 1.0, 1.0)?);
//! assert!((dcf.cost - 1.0 / 3.0).abs() < 1e-12); // accept from 0.8 up: one of three targets is lost
//! assert_eq!(dcf.threshold, f64::from(0.8_f32));
//! # Ok::<(), ffsvc_scoring::Error>(())
//! ```

mod bootstrap;
mod cllr;
mod compat;
mod dcf;
mod det;
mod miss_at_fa;
mod operating_point;
mod rocch;
mod sort;

pub use bootstrap::{Bootstrap, BootstrapOptions, Interval, SpeakerBootstrap, SpeakerTrial};
pub use cllr::Cllr;
pub(crate) use cllr::softplus;
pub use compat::{CompatCurve, CompatPoints};
pub use dcf::{DcfParameters, DetectionCost};
pub use det::{DetCurve, Eer, OperatingPoints, Ties};
pub use miss_at_fa::MissAtFa;
pub use operating_point::{OperatingPoint, Tie};

use operating_point::Totals;
use serde::{Deserialize, Serialize};

use crate::{Error, Pav};

/// Which definition of the error rates is meant; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Definition {
    /// Equal scores are one operating point, the crossing is interpolated.
    #[default]
    Tied,
    /// The FFSVC2022 baseline's arithmetic.
    Compat,
}

/// What is to be measured besides EER and Cllr.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures {
    costs: Vec<DcfParameters>,
    allowed_p_fa: Vec<f64>,
}

impl Measures {
    /// The detection costs that are measured.
    pub fn costs(&self) -> &[DcfParameters] {
        &self.costs
    }

    /// Detection costs at these priors and costs.
    pub fn new(costs: &[DcfParameters]) -> Self {
        Self { costs: costs.to_vec(), allowed_p_fa: Vec::new() }
    }

    /// Also the miss rates at these false-alarm rates.
    ///
    /// # Errors
    /// A rate outside 0 to 1.
    pub fn with_miss_at_fa(mut self, allowed_p_fa: &[f64]) -> Result<Self, Error> {
        if let Some(&value) = allowed_p_fa.iter().find(|rate| !(0.0..=1.0).contains(*rate)) {
            let (name, expected) = ("a false-alarm rate to report the miss rate at", "between 0 and 1");
            return Err(Error::Option { name, value, expected });
        }
        self.allowed_p_fa = allowed_p_fa.to_vec();
        Ok(self)
    }
}

/// The error rates of one set of scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The definition that the numbers follow.
    pub definition: Definition,
    /// Equal error rate, 0 to 1.
    #[serde(with = "crate::non_finite")]
    pub eer: f64,
    /// Score at which the EER is met.
    #[serde(with = "crate::non_finite")]
    pub eer_threshold: f64,
    /// Confidence interval of the EER, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eer_interval: Option<Interval>,
    /// Equal error rate on the ROC's convex hull, 0 to 0.5; only with [`Definition::Tied`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rocch_eer: Option<f64>,
    /// One minimum for each set of costs asked for, in that order.
    pub min_dcf: Vec<DetectionCost>,
    /// The costs at the Bayes threshold, in the same order; only with [`Definition::Tied`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub act_dcf: Vec<DetectionCost>,
    /// Miss rates at the false-alarm rates asked for; only with [`Definition::Tied`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub miss_at_fa: Vec<MissAtFa>,
    /// Cost of the log-likelihood ratios; only with [`Definition::Tied`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cllr: Option<Cllr>,
    /// What the intervals were made from, if any were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bootstrap: Option<Bootstrap>,
}

impl Metrics {
    /// The measures that can have an interval, in the order of [`intervals_mut`](Self::intervals_mut).
    fn values(&self) -> Vec<f64> {
        let costs = self.min_dcf.iter().chain(&self.act_dcf).map(|dcf| dcf.cost);
        let misses = self.miss_at_fa.iter().map(|point| point.p_miss);
        let cllr = self.cllr.iter().flat_map(|cllr| [cllr.actual, cllr.minimum]);
        [self.eer].into_iter().chain(costs).chain(misses).chain(cllr).collect()
    }

    fn intervals_mut(&mut self) -> Vec<&mut Option<Interval>> {
        let costs = self.min_dcf.iter_mut().chain(&mut self.act_dcf).map(|dcf| &mut dcf.interval);
        let misses = self.miss_at_fa.iter_mut().map(|point| &mut point.interval);
        let cllr =
            self.cllr.iter_mut().flat_map(|cllr| [&mut cllr.actual_interval, &mut cllr.minimum_interval]);
        [&mut self.eer_interval].into_iter().chain(costs).chain(misses).chain(cllr).collect()
    }
}

/// Computes EER, Cllr and whatever else is asked for. By the baseline's definition there are EER and minDCF only.
///
/// # Errors
/// A NaN score; a class without trials.
pub fn evaluate<T: Copy + Into<f64> + Sync>(
    target: &[T],
    nontarget: &[T],
    definition: Definition,
    measures: &Measures,
) -> Result<Metrics, Error> {
    match definition {
        Definition::Tied => {
            let curve = DetCurve::new(target, nontarget)?;
            Ok(measure(curve.ties(), curve.totals(), measures))
        }
        Definition::Compat => {
            let curve = CompatCurve::new(target, nontarget)?;
            if target.is_empty() || nontarget.is_empty() {
                return Err(Error::MissingClass { target: target.len(), nontarget: nontarget.len() });
            }
            let eer = curve.eer();
            Ok(Metrics {
                definition,
                eer: eer.rate,
                eer_threshold: eer.threshold,
                eer_interval: None,
                rocch_eer: None,
                min_dcf: measures.costs.iter().map(|costs| curve.min_dcf(costs)).collect(),
                act_dcf: Vec::new(),
                miss_at_fa: Vec::new(),
                cllr: None,
                bootstrap: None,
            })
        }
    }
}

/// All measures by [`Definition::Tied`] of ties by rising score, whose sums are `totals`, neither of them 0.
fn measure(ties: impl Iterator<Item = Tie> + Clone, totals: Totals, measures: &Measures) -> Metrics {
    let eer = det::eer(ties.clone(), totals);
    let pav = Pav::of_ties(ties.clone());
    let points = || OperatingPoints::new(ties.clone(), totals);
    let costs = measures.costs.iter();
    let rates = measures.allowed_p_fa.iter();
    Metrics {
        definition: Definition::Tied,
        eer: eer.rate,
        eer_threshold: eer.threshold,
        eer_interval: None,
        rocch_eer: Some(rocch::eer(&pav)),
        min_dcf: costs.clone().map(|costs| dcf::minimum(points(), costs)).collect(),
        act_dcf: costs.map(|costs| dcf::actual(ties.clone(), totals, costs)).collect(),
        miss_at_fa: rates.map(|&rate| miss_at_fa::find(points(), rate)).collect(),
        cllr: Some(Cllr {
            actual: cllr::actual(ties.clone(), totals),
            actual_interval: None,
            minimum: pav.min_cllr(),
            minimum_interval: None,
        }),
        bootstrap: None,
    }
}
