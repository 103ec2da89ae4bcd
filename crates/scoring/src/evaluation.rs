//! The error rates of a scored trial list, as a whole and by condition.

use ffsvc_kaldi_io::{Table, Trials};

use crate::conditions::{By, Group, Groups};
use crate::metrics::{
    BootstrapOptions, Definition, Measures, Metrics, SpeakerBootstrap, SpeakerTrial, evaluate,
};
use crate::report::{Condition, SourceFile};
use crate::trial_speakers::speakers_of_trials;
use crate::{Error, Result, TrialScores};

/// A condition with fewer trials of a class than this has no error rates. By Doddington's rule of 30, a rate with at
/// least 30 errors is known to 30 % of itself, with 90 % confidence (G. Doddington et al., *The NIST speaker
/// recognition evaluation*, 2000). With fewer than 30 trials there is no such rate at all.
pub const MIN_TRIALS: usize = 30;

/// How scores are judged: the measures, the confidence intervals, the break-downs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EvaluationOptions {
    /// Which definition the error rates follow.
    pub definition: Definition,
    /// What is measured.
    pub measures: Measures,
    /// Confidence intervals; they need `utt2spk`.
    pub bootstrap: Option<BootstrapOptions>,
    /// Speakers of the utterances, and the file that they were read from.
    pub utt2spk: Option<(Table, SourceFile)>,
    /// Break-downs, each with its table and the file that it was read from.
    pub by: Vec<(By, Table, SourceFile)>,
    /// Conditions with fewer trials of a class than this get no error rates.
    pub min_trials: usize,
}

impl EvaluationOptions {
    /// Error rates by a definition, without intervals or break-downs.
    pub fn new(definition: Definition, measures: Measures) -> Self {
        let (bootstrap, utt2spk, by) = Default::default();
        Self { definition, measures, bootstrap, utt2spk, by, min_trials: MIN_TRIALS }
    }

    /// Whether trials have to be kept with their scores.
    pub fn needs_trials(&self) -> bool {
        self.bootstrap.is_some() || !self.by.is_empty()
    }
}

/// Labelled scores and how they are to be judged.
#[derive(Debug)]
pub struct Evaluation<'a> {
    scores: &'a TrialScores,
    labels: &'a [bool],
    definition: Definition,
    measures: &'a Measures,
    bootstrap: Option<(BootstrapOptions, Vec<(u32, u32)>)>,
}

impl<'a> Evaluation<'a> {
    /// As the options say.
    ///
    /// # Errors
    /// Another number of labels than of scores; an utterance has no speaker, or there is no table of speakers.
    pub fn by_options(
        options: &'a EvaluationOptions,
        trials: &Trials,
        scores: &'a TrialScores,
        labels: &'a [bool],
    ) -> Result<Self> {
        let evaluation = Self::new(scores, labels, options.definition, &options.measures)?;
        match (options.bootstrap, &options.utt2spk) {
            (None, _) => Ok(evaluation),
            (Some(bootstrap), Some((utt2spk, _))) => evaluation.with_bootstrap(bootstrap, trials, utt2spk),
            (Some(_), None) => Err(Error::IntervalsWithoutSpeakers),
        }
    }

    /// Error rates by a definition, without intervals.
    ///
    /// # Errors
    /// Another number of labels than of scores.
    pub fn new(
        scores: &'a TrialScores,
        labels: &'a [bool],
        definition: Definition,
        measures: &'a Measures,
    ) -> Result<Self> {
        if labels.len() != scores.len() {
            return Err(Error::Count { what: "labels", found: labels.len(), expected: scores.len() });
        }
        Ok(Self { scores, labels, definition, measures, bootstrap: None })
    }

    /// Adds confidence intervals over the speakers that `utt2spk` names. The definition must be [`Definition::Tied`]: the
    /// baseline's knows no weights.
    ///
    /// # Errors
    /// An utterance has no speaker.
    pub fn with_bootstrap(
        mut self,
        options: BootstrapOptions,
        trials: &Trials,
        utt2spk: &Table,
    ) -> Result<Self> {
        let pairs = speakers_of_trials(trials, utt2spk)?.pairs;
        self.bootstrap = Some((options, pairs));
        Ok(self)
    }

    /// The error rates over all scored trials.
    ///
    /// # Errors
    /// As [`evaluate`]; a bootstrap option out of range.
    pub fn all(&self) -> Result<Metrics> {
        self.of(self.scores.iter())
    }

    /// The error rates of each condition that has at least `min_trials` scored trials of either class.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn by_condition(&self, groups: &Groups, min_trials: usize) -> Result<Vec<Condition>> {
        let condition = |group: &Group| {
            let (target, nontarget) = self.count(group);
            let enough = target.min(nontarget) >= min_trials.max(1);
            let metrics = enough.then(|| self.of(self.scored(group))).transpose()?;
            Ok(Condition { value: group.value.clone(), target, nontarget, metrics })
        };
        groups.groups.iter().map(condition).collect()
    }

    /// How many conditions have at least `min_trials` scored trials of either class.
    pub(crate) fn measurable(&self, groups: &Groups, min_trials: usize) -> usize {
        let smaller = |group: &Group| {
            let (target, nontarget) = self.count(group);
            target.min(nontarget)
        };
        groups.groups.iter().filter(|group| smaller(group) >= min_trials.max(1)).count()
    }

    fn scored(&self, group: &Group) -> impl Iterator<Item = (usize, f64)> + Clone {
        group.trials.iter().filter_map(|&place| Some((place, self.scores.get(place)?)))
    }

    /// Scored target and non-target trials of a condition.
    fn count(&self, group: &Group) -> (usize, usize) {
        let target = self.scored(group).filter(|&(place, _)| self.labels[place]).count();
        (target, self.scored(group).count() - target)
    }

    fn of(&self, scored: impl Iterator<Item = (usize, f64)> + Clone) -> Result<Metrics> {
        let (mut target, mut nontarget) = (Vec::new(), Vec::new());
        for (place, score) in scored.clone() {
            if self.labels[place] { target.push(score) } else { nontarget.push(score) }
        }
        let mut metrics = evaluate(&target, &nontarget, self.definition, self.measures)?;
        if let Some((options, speakers)) = &self.bootstrap {
            let trial = |(place, score)| {
                let (enrolment, test) = speakers[place];
                SpeakerTrial { score, enrolment, test, is_target: self.labels[place] }
            };
            let bootstrap = SpeakerBootstrap::new(scored.map(trial).collect());
            bootstrap.apply(*options, self.measures, &mut metrics)?;
        }
        Ok(metrics)
    }
}
