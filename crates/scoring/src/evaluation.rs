//! The error rates of a scored trial list, as a whole and by condition.

use ffsvc_kaldi_io::{Table, Trials};

use crate::conditions::Groups;
use crate::error::NameList;
use crate::metrics::{
    BootstrapOptions, Definition, Measures, Metrics, SpeakerBootstrap, SpeakerTrial, evaluate,
};
use crate::report::Condition;
use crate::{Error, Result, TrialScores};

/// Fewer trials of a class than this, and a condition has no error rates: by Doddington's rule of 30 a rate is known to
/// 30 % of itself, with 90 % confidence, from 30 errors on (G. Doddington et al., *The NIST speaker recognition evaluation*,
/// 2000); with fewer than 30 trials there is no such rate at all.
pub const MIN_TRIALS: usize = 30;

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
        let mut numbers = std::collections::HashMap::new();
        let speakers = trials.resolve(|name| utt2spk.get(name)).values;
        let mut missing = NameList::default();
        let mut of_name = Vec::with_capacity(speakers.len());
        for (name, speaker) in trials.names.iter().zip(speakers) {
            let Some(speaker) = speaker else {
                missing.push(|| name.clone());
                continue;
            };
            let next = numbers.len() as u32;
            of_name.push(*numbers.entry(speaker).or_insert(next));
        }
        if missing.total() > 0 {
            return Err(Error::MissingSpeakers {
                table: utt2spk.path().display().to_string(),
                utterances: missing,
            });
        }
        let of = |id: u32| of_name[id as usize];
        let pairs = trials.pairs.iter().map(|&(enrolment, test)| (of(enrolment), of(test))).collect();
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
        let condition = |group: &crate::conditions::Group| {
            let scored = || group.trials.iter().filter_map(|&place| Some((place, self.scores.get(place)?)));
            let target = scored().filter(|&(place, _)| self.labels[place]).count();
            let nontarget = scored().count() - target;
            let enough = target.min(nontarget) >= min_trials.max(1);
            let metrics = enough.then(|| self.of(scored())).transpose()?;
            Ok(Condition { value: group.value.clone(), target, nontarget, metrics })
        };
        groups.groups.iter().map(condition).collect()
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
