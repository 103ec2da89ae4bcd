//! Where errors come from: the trials that are most wrong, and the utterances and speakers with most errors.

use std::fmt;

use ffsvc_kaldi_io::{Table, Trials};
use serde::{Deserialize, Serialize};

use crate::trial_speakers::speakers_of_trials;
use crate::{Error, Result, TrialScores};

/// The errors that a threshold makes on a trial list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorAnalysis {
    /// A trial is accepted when its score is at least this.
    pub threshold: f64,
    /// Target trials that are rejected, the lowest score first.
    pub misses: Errors,
    /// Non-target trials that are accepted, the highest score first.
    pub false_alarms: Errors,
    /// Utterances with most errors, whichever side they are on.
    pub utterances: Vec<Erring>,
    /// Speakers with most errors; none without a table of speakers.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub speakers: Vec<Erring>,
}

/// Errors of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// How many there are.
    pub errors: usize,
    /// Of how many trials.
    pub trials: usize,
    /// The worst of them.
    pub worst: Vec<WrongTrial>,
}

/// A trial that is decided wrongly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrongTrial {
    /// Enrolment utterance or model.
    pub enrolment: String,
    /// Test utterance.
    pub test: String,
    /// Its score.
    pub score: f64,
    /// What the tables say of both sides, in the order of the tables; `-` where one says nothing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub described: Vec<Described>,
}

/// What a table says of both sides of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Name of the table.
    pub name: String,
    /// Value of the enrolment utterance.
    pub enrolment: String,
    /// Value of the test utterance.
    pub test: String,
}

/// The errors of the trials that an utterance or speaker takes part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erring {
    /// The utterance or speaker.
    pub name: String,
    /// Its target trials that are rejected.
    pub misses: usize,
    /// Its target trials.
    pub target: usize,
    /// Its non-target trials that are accepted.
    pub false_alarms: usize,
    /// Its non-target trials.
    pub nontarget: usize,
}

/// What is looked at.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ErrorAnalysisOptions {
    /// A trial is accepted when its score is at least this.
    pub threshold: f64,
    /// Length of each list.
    pub top: usize,
    /// Speakers of the utterances.
    pub utt2spk: Option<Table>,
    /// Tables of utterances, with a name each, that describe the worst trials.
    pub tables: Vec<(String, Table)>,
}

impl ErrorAnalysisOptions {
    /// The ten worst of each kind at a threshold.
    pub fn new(threshold: f64) -> Self {
        Self { threshold, top: 10, utt2spk: None, tables: Vec::new() }
    }
}

impl ErrorAnalysis {
    /// Looks for the errors among scored trials.
    ///
    /// # Errors
    /// The list has no labels; an utterance is not in the table of speakers.
    pub fn new(trials: &Trials, scores: &TrialScores, options: &ErrorAnalysisOptions) -> Result<Self> {
        let labels = trials.labels.as_deref().unwrap_or_default();
        if labels.len() != scores.len() {
            return Err(Error::Count { what: "labels", found: labels.len(), expected: scores.len() });
        }
        let wrong = |is_target: bool, score: f64| is_target != (score >= options.threshold);
        let count = |pairs: &[(u32, u32)], names: &[String]| {
            let mut counted = vec![Counted::default(); names.len()];
            for (at, score) in scores.iter() {
                let (enrolment, test) = pairs[at];
                let is_wrong = wrong(labels[at], score);
                counted[enrolment as usize].add(labels[at], is_wrong);
                if test != enrolment {
                    counted[test as usize].add(labels[at], is_wrong);
                }
            }
            most(names, counted, options.top)
        };
        let utterances = count(&trials.pairs, &trials.names);
        let speakers = match &options.utt2spk {
            None => Vec::new(),
            Some(utt2spk) => {
                let speakers = speakers_of_trials(trials, utt2spk)?;
                count(&speakers.pairs, &speakers.names)
            }
        };
        let errors = |is_target: bool| {
            let of_kind = || scores.iter().filter(move |&(at, _)| labels[at] == is_target);
            let mut errors: Vec<(usize, f64)> =
                of_kind().filter(|&(_, score)| wrong(is_target, score)).collect();
            // The furthest from the threshold first; equal ones in the order of the list.
            errors.sort_by(|a, b| if is_target { a.1.total_cmp(&b.1) } else { b.1.total_cmp(&a.1) });
            let worst = errors.iter().take(options.top).map(|&(at, score)| {
                let (enrolment, test) = trials.pairs[at];
                let name = |id: u32| trials.names[id as usize].as_str();
                WrongTrial::new(name(enrolment), name(test), score, &options.tables)
            });
            Errors { errors: errors.len(), trials: of_kind().count(), worst: worst.collect() }
        };
        Ok(Self {
            threshold: options.threshold,
            misses: errors(true),
            false_alarms: errors(false),
            utterances,
            speakers,
        })
    }
}

impl WrongTrial {
    fn new(enrolment: &str, test: &str, score: f64, tables: &[(String, Table)]) -> Self {
        let described = tables.iter().map(|(name, table)| {
            let value = |utterance: &str| table.find(utterance).unwrap_or("-").to_owned();
            Described { name: name.clone(), enrolment: value(enrolment), test: value(test) }
        });
        let described = described.collect();
        Self { enrolment: enrolment.to_owned(), test: test.to_owned(), score, described }
    }
}

/// Trials and errors of an utterance or speaker.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    misses: usize,
    target: usize,
    false_alarms: usize,
    nontarget: usize,
}

impl Counted {
    fn add(&mut self, is_target: bool, is_wrong: bool) {
        let (trials, errors) = match is_target {
            true => (&mut self.target, &mut self.misses),
            false => (&mut self.nontarget, &mut self.false_alarms),
        };
        *trials += 1;
        *errors += usize::from(is_wrong);
    }

    /// The sum of miss rate and false-alarm rate: non-target trials are many, and must not drown the others.
    fn rate(&self) -> f64 {
        let share =
            |errors: usize, trials: usize| if trials == 0 { 0.0 } else { errors as f64 / trials as f64 };
        share(self.misses, self.target) + share(self.false_alarms, self.nontarget)
    }
}

/// Those with the highest rates of errors.
fn most(names: &[String], counted: Vec<Counted>, top: usize) -> Vec<Erring> {
    let mut erring: Vec<(&String, Counted)> = names.iter().zip(counted).collect();
    erring.retain(|(_, counted)| counted.misses + counted.false_alarms > 0);
    erring.sort_by(|a, b| b.1.rate().total_cmp(&a.1.rate()).then_with(|| a.0.cmp(b.0)));
    let first = erring.into_iter().take(top);
    let named = first.map(|(name, Counted { misses, target, false_alarms, nontarget })| Erring {
        name: name.clone(),
        misses,
        target,
        false_alarms,
        nontarget,
    });
    named.collect()
}

impl fmt::Display for ErrorAnalysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threshold, misses, false_alarms, utterances, speakers } = self;
        writeln!(
            f,
            "threshold {threshold:.6}: {} of {} target trials missed, {} of {} non-target trials accepted",
            misses.errors, misses.trials, false_alarms.errors, false_alarms.trials
        )?;
        for (what, errors) in
            [("misses, lowest score first", misses), ("false alarms, highest score first", false_alarms)]
        {
            if errors.worst.is_empty() {
                continue;
            }
            writeln!(f, "\n{what}")?;
            for trial in &errors.worst {
                write!(f, "{:>10.6}  {} {}", trial.score, trial.enrolment, trial.test)?;
                for Described { name, enrolment, test } in &trial.described {
                    write!(f, "  {name} {enrolment}/{test}")?;
                }
                writeln!(f)?;
            }
        }
        for (what, erring) in [("utterance", utterances), ("speaker", speakers)] {
            if erring.is_empty() {
                continue;
            }
            let width = erring.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(what.len());
            writeln!(f, "\n{what:<width$}  {:>16}  {:>18}", "misses", "false alarms")?;
            for Erring { name, misses, target, false_alarms, nontarget } in erring {
                let (misses, false_alarms) =
                    (format!("{misses} of {target}"), format!("{false_alarms} of {nontarget}"));
                writeln!(f, "{name:<width$}  {misses:>16}  {false_alarms:>18}")?;
            }
        }
        Ok(())
    }
}
