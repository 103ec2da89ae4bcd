//! Systems on the same trials: by how much they differ, and whether by more than chance.

use std::fmt;

use ffsvc_kaldi_io::{Table, Trials};
use serde::{Deserialize, Serialize};

use crate::metrics::{
    Bootstrap, BootstrapOptions, DcfParameters, Definition, Interval, Measures, SpeakerBootstrap,
    SpeakerTrial, evaluate,
};
use crate::trial_speakers::speakers_of_trials;
use crate::{Error, Result, TrialScores};

/// The error rates of two systems on the same trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Trials that all compared systems have scored.
    pub trials: usize,
    /// How many of them are target trials.
    pub target: usize,
    /// EER, and the minDCF at each operating point.
    pub measures: Vec<PairedDifference>,
    /// What intervals and p-values were made from.
    pub bootstrap: Bootstrap,
}

/// One measure of two systems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// What is measured: `EER`, or `minDCF` with its parameters.
    pub measure: String,
    /// The first system's.
    pub first: f64,
    /// The second system's.
    pub second: f64,
    /// Second minus first: negative where the second is better.
    pub difference: f64,
    /// Where the difference lies. `None` where no replicate has both kinds of trials.
    pub interval: Option<Interval>,
    /// How often chance alone makes a difference as large, on either side: 0 to 1.
    pub p_value: Option<f64>,
}

/// Compares the first of several systems with each of the others, on the trials that all of them have scored.
///
/// The speakers are drawn anew for each replicate, as for [intervals](SpeakerBootstrap), and all systems are measured on the
/// same draw. What speakers and recordings do to two systems alike so cancels out, and the interval of the difference is
/// narrower than those of the two error rates suggest. The p-value is twice the smaller share of the replicates in which the
/// difference is at most, or at least, 0, with one replicate added to each (B. Efron and R. Tibshirani, *An introduction to the
/// bootstrap*, 1993, chapters 13 and 16).
///
/// The result has a comparison for each system but the first, in their order. Each system is measured once.
///
/// # Errors
/// The list has no labels; an utterance has no speaker; a class has no trials; a bootstrap option is out of range.
pub fn compare_systems(
    trials: &Trials,
    systems: &[&TrialScores],
    utt2spk: &Table,
    measures: &Measures,
    options: BootstrapOptions,
) -> Result<Vec<Comparison>> {
    let labels = trials.labels.as_deref().unwrap_or_default();
    if labels.len() != trials.len() {
        return Err(Error::Count { what: "labels", found: labels.len(), expected: trials.len() });
    }
    let speakers = speakers_of_trials(trials, utt2spk)?.pairs;
    let is_scored = |at: &usize| systems.iter().all(|scores| scores.get(*at).is_some());
    let scored: Vec<usize> = (0..trials.len()).filter(is_scored).collect();
    let target = scored.iter().filter(|&&at| labels[at]).count();
    let measured = |scores: &&TrialScores| -> Result<Measured> {
        let trial = |&at: &usize| {
            let (enrolment, test) = speakers[at];
            Some(SpeakerTrial { score: scores.get(at)?, enrolment, test, is_target: labels[at] })
        };
        Measured::new(scored.iter().filter_map(trial).collect(), measures, options)
    };
    let Some((first, others)) = systems.split_first() else { return Ok(Vec::new()) };
    let first = measured(first)?;
    let names: Vec<String> =
        std::iter::once("EER".to_owned()).chain(measures.costs().iter().map(name_of_cost)).collect();
    let compared = |second: &&TrialScores| {
        let (measures, bootstrap) = first.beside(&measured(second)?, &names, options);
        Ok(Comparison { trials: scored.len(), target, measures, bootstrap })
    };
    others.iter().map(compared).collect()
}

/// What was measured of one system.
struct Measured {
    /// EER, and the minDCF at each operating point.
    values: Vec<f64>,
    /// The same of each replicate; `None` where it has no target or no non-target trial.
    replicates: Vec<Option<Vec<f64>>>,
    trials: SpeakerBootstrap,
}

impl Measured {
    fn new(trials: Vec<SpeakerTrial>, measures: &Measures, options: BootstrapOptions) -> Result<Self> {
        let scores = |is_target| -> Vec<f64> {
            let of_class = trials.iter().filter(|trial| trial.is_target == is_target);
            of_class.map(|trial| trial.score).collect()
        };
        let found = evaluate(&scores(true), &scores(false), Definition::Tied, measures)?;
        let values = std::iter::once(found.eer).chain(found.min_dcf.iter().map(|dcf| dcf.cost)).collect();
        let trials = SpeakerBootstrap::new(trials);
        Ok(Self { values, replicates: trials.replicates(options, measures)?, trials })
    }

    /// The measures of this system and of another one, which was measured on the same trials with the same options.
    fn beside(
        &self,
        second: &Self,
        names: &[String],
        options: BootstrapOptions,
    ) -> (Vec<PairedDifference>, Bootstrap) {
        let pairs = self.replicates.iter().zip(&second.replicates);
        let replicates: Vec<(&Vec<f64>, &Vec<f64>)> =
            pairs.filter_map(|(first, second)| Some((first.as_ref()?, second.as_ref()?))).collect();
        let bootstrap = self.trials.what_it_was(options, replicates.len());
        let usable = !replicates.is_empty() && bootstrap.speakers >= 2;
        let difference = |(at, name): (usize, &String)| {
            let differences: Vec<f64> =
                replicates.iter().map(|(first, second)| second[at] - first[at]).collect();
            let (first, second) = (self.values[at], second.values[at]);
            PairedDifference {
                measure: name.clone(),
                first,
                second,
                difference: second - first,
                p_value: usable.then(|| p_value(&differences)),
                interval: usable.then(|| options.interval(differences)),
            }
        };
        (names.iter().enumerate().map(difference).collect(), bootstrap)
    }
}

fn name_of_cost(dcf: &DcfParameters) -> String {
    match (dcf.p_target(), dcf.c_miss(), dcf.c_fa()) {
        (p_target, 1.0, 1.0) => format!("minDCF({p_target})"),
        (p_target, c_miss, c_fa) => format!("minDCF({p_target},{c_miss},{c_fa})"),
    }
}

fn p_value(differences: &[f64]) -> f64 {
    let count = |side: fn(&f64) -> bool| differences.iter().filter(|&d| side(d)).count();
    let fewer = count(|d| *d <= 0.0).min(count(|d| *d >= 0.0));
    (2.0 * (fewer + 1) as f64 / (differences.len() + 1) as f64).min(1.0)
}

impl PairedDifference {
    /// Whether the p-value is at most `1 - level`: 0.05 at a confidence of 0.95.
    pub fn is_more_than_chance(&self, level: f64) -> bool {
        self.p_value.is_some_and(|p| p <= 1.0 - level)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trials, target, measures, bootstrap } = self;
        writeln!(
            f,
            "{trials} trials that all systems have scored, {target} of them target trials; {} speakers, {} replicates",
            bootstrap.speakers, bootstrap.options.replicates
        )?;
        let percent = 100.0 * bootstrap.options.level;
        writeln!(
            f,
            "{:<20} {:>9} {:>9} {:>10}  {:<20} {:>7}",
            "",
            "first",
            "second",
            "difference",
            format!("{percent} % interval"),
            "p"
        )?;
        for line in measures {
            // EER in per cent, costs as they are.
            let value = |value: f64| match line.measure.as_str() {
                "EER" => format!("{:.2} %", 100.0 * value),
                _ => format!("{value:.4}"),
            };
            let interval = match line.interval {
                Some(Interval { low, high }) => format!("{} to {}", value(low), value(high)),
                None => "unknown".to_owned(),
            };
            let p = line.p_value.map_or_else(|| "-".to_owned(), |p| format!("{p:.3}"));
            writeln!(
                f,
                "{:<20} {:>9} {:>9} {:>10}  {interval:<20} {p:>7}",
                line.measure,
                value(line.first),
                value(line.second),
                value(line.difference),
            )?;
        }
        for line in measures {
            let verdict = match (line.is_more_than_chance(bootstrap.options.level), line.difference < 0.0) {
                (true, true) => "the second is better by more than chance",
                (true, false) => "the first is better by more than chance",
                (false, _) => "the difference may be chance",
            };
            writeln!(f, "{}: {verdict}", line.measure)?;
        }
        Ok(())
    }
}
