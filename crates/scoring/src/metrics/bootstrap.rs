//! Confidence intervals by resampling speakers.

use rand::SeedableRng;
use rand::distr::{Distribution, Uniform};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::operating_point::{Tie, Totals};
use super::{Measures, Metrics, measure};
use crate::Error;

/// Where a number lies with some confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    #[serde(with = "crate::non_finite")]
    pub low: f64,
    /// Upper end.
    #[serde(with = "crate::non_finite")]
    pub high: f64,
}

/// How confidence intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapOptions {
    /// Number of times that the speakers are drawn anew.
    pub replicates: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Confidence, between 0 and 1: 0.95 leaves out 2.5 % of the replicates at either end.
    pub level: f64,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self { replicates: 1000, seed: 0, level: 0.95 }
    }
}

impl BootstrapOptions {
    fn check(&self) -> Result<(), Error> {
        if self.replicates == 0 {
            return Err(Error::Option {
                name: "the number of bootstrap replicates",
                value: 0.0,
                expected: "at least 1",
            });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            let expected = "between 0 and 1, exclusive";
            return Err(Error::Option { name: "the confidence level", value: self.level, expected });
        }
        Ok(())
    }

    /// The interval of a measure from its values in the replicates, of which there is at least one.
    pub(crate) fn interval(&self, mut values: Vec<f64>) -> Interval {
        values.sort_unstable_by(f64::total_cmp);
        Interval {
            low: quantile(&values, (1.0 - self.level) / 2.0),
            high: quantile(&values, (1.0 + self.level) / 2.0),
        }
    }
}

/// What the intervals of a result were made from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Replicates, seed and level.
    #[serde(flatten)]
    pub options: BootstrapOptions,
    /// Number of speakers that the trials have.
    pub speakers: usize,
    /// Replicates that had no target or no non-target trial and were left out. If that were all, there is no interval.
    pub undefined: usize,
}

/// A scored trial and who speaks in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeakerTrial {
    /// Its score, not NaN.
    pub score: f64,
    /// Number of the enrolment utterance's speaker.
    pub enrolment: u32,
    /// Number of the test utterance's speaker.
    pub test: u32,
    /// Whether it is a target trial.
    pub is_target: bool,
}

/// Trials sorted once, to be weighted again and again.
///
/// The trials of a speaker are not independent. So speakers are drawn, as many as there are, with replacement. A
/// speaker who is drawn `c` times stands for `c` speakers with the same recordings. A trial within one speaker counts
/// `c` times. A trial between two speakers counts the product of their numbers. Trials between two copies of the same
/// speaker do not count, because the list has no score for them. So the interval covers both kinds of variation: who is
/// a target, and who meets whom.
///
/// Resampling speakers rather than trials: M. Bisani and H. Ney, *Bootstrap estimates for confidence intervals in ASR
/// performance evaluation*, 2004; N. Poh, A. Martin and S. Bengio, *Performance generalization in biometric
/// authentication using joint user-specific and sample bootstraps*, 2007. Products for pairs of a population with itself:
/// T. Snijders and S. Borgatti, *Non-parametric standard errors and tests for network statistics*, 1999. The intervals are the
/// replicates' percentiles.
#[derive(Debug, Clone)]
pub struct SpeakerBootstrap {
    /// By rising score; speakers are numbered from 0 without gaps.
    trials: Vec<SpeakerTrial>,
    speakers: usize,
}

impl SpeakerBootstrap {
    /// Sorts the trials, whose scores must not be NaN.
    pub fn new(mut trials: Vec<SpeakerTrial>) -> Self {
        let mut known: Vec<u32> = trials.iter().flat_map(|trial| [trial.enrolment, trial.test]).collect();
        known.par_sort_unstable();
        known.dedup();
        // Every speaker of the trials is among the known ones.
        let place = |speaker: u32| known.partition_point(|&other| other < speaker) as u32;
        trials.par_iter_mut().for_each(|trial| {
            trial.score += 0.0; // -0.0 is 0.0
            (trial.enrolment, trial.test) = (place(trial.enrolment), place(trial.test));
        });
        // Trials of one score are summed, so their order does not matter.
        trials.par_sort_unstable_by(|a, b| a.score.total_cmp(&b.score));
        Self { trials, speakers: known.len() }
    }

    /// Fills in the intervals of all that `metrics` holds, which `measures` asked for.
    ///
    /// Each replicate has a random stream of its own: the result depends on the options and the trials only, not on the
    /// number of threads.
    ///
    /// # Errors
    /// No replicate, or a level outside (0, 1).
    pub fn apply(
        &self,
        options: BootstrapOptions,
        measures: &Measures,
        metrics: &mut Metrics,
    ) -> Result<(), Error> {
        let replicates = self.replicates(options, measures)?;
        let defined: Vec<&Vec<f64>> = replicates.iter().flatten().collect();
        metrics.bootstrap = Some(self.what_it_was(options, defined.len()));
        if defined.is_empty() || self.speakers < 2 {
            return Ok(());
        }
        for (measure, interval) in metrics.intervals_mut().into_iter().enumerate() {
            *interval = Some(options.interval(defined.iter().map(|values| values[measure]).collect()));
        }
        Ok(())
    }

    /// The [values](Metrics::values) of each replicate, in order; `None` where it has no target or no non-target trial. Trials of
    /// the same speakers with other scores have the same speakers drawn in each replicate.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub(crate) fn replicates(
        &self,
        options: BootstrapOptions,
        measures: &Measures,
    ) -> Result<Vec<Option<Vec<f64>>>, Error> {
        options.check()?;
        let replicates = (0..options.replicates as u64).into_par_iter();
        let values = replicates.map_init(Vec::new, |ties, replicate| {
            let totals = self.replicate(options.seed, replicate, ties);
            let defined = totals.target > 0 && totals.nontarget > 0;
            defined.then(|| measure(ties.iter().copied(), totals, measures).values())
        });
        Ok(values.collect())
    }

    /// What intervals of `defined` replicates were made from.
    pub(crate) fn what_it_was(&self, options: BootstrapOptions, defined: usize) -> Bootstrap {
        Bootstrap { options, speakers: self.speakers, undefined: options.replicates - defined }
    }

    /// Draws the speakers, and leaves the trials that count by rising score in `ties`.
    fn replicate(&self, seed: u64, replicate: u64, ties: &mut Vec<Tie>) -> Totals {
        ties.clear();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(replicate);
        let mut drawn = vec![0_u64; self.speakers];
        let Ok(speakers) = Uniform::new(0, self.speakers) else { return Totals::default() };
        for speaker in speakers.sample_iter(&mut rng).take(self.speakers) {
            drawn[speaker] += 1;
        }
        let mut totals = Totals::default();
        for trial in &self.trials {
            let of = |speaker: u32| drawn[speaker as usize];
            let weight = if trial.enrolment == trial.test {
                of(trial.test)
            } else {
                of(trial.enrolment) * of(trial.test)
            };
            if weight == 0 {
                continue;
            }
            let (target, nontarget) = if trial.is_target { (weight, 0) } else { (0, weight) };
            totals.target += target;
            totals.nontarget += nontarget;
            match ties.last_mut() {
                Some(tie) if tie.score == trial.score => {
                    tie.target += target;
                    tie.nontarget += nontarget;
                }
                _ => ties.push(Tie { score: trial.score, target, nontarget }),
            }
        }
        totals
    }
}

/// The quantile of ascending values, interpolated (numpy's default).
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    // Equal values may be infinite.
    if low == high { low } else { low + place.fract() * (high - low) }
}
