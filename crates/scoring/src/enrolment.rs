//! Speakers enrolled with several utterances.

use std::collections::HashMap;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Names, Table, Trials};

use crate::error::NameList;
use crate::{Error, Result, TrialScores};

/// Which utterances each enrolled speaker (a model: what trials name on their enrolment side) has: lines of
/// `model utterance utterance ...`, Kaldi's `spk2utt` form.
#[derive(Debug, Clone)]
pub struct EnrolmentList {
    models: Table,
}

/// Averages of the embeddings of enrolled speakers.
#[derive(Debug, Clone)]
pub struct EnrolledEmbeddings {
    /// One embedding a model, in the order of the list.
    pub embeddings: Embeddings,
    /// Of how many utterances each is the average.
    pub utterances: HashMap<String, u32>,
    /// Models that have no embedding because one of their utterances has none.
    pub incomplete: usize,
}

impl EnrolmentList {
    /// Takes a table of the form `model utterance utterance ...`.
    ///
    /// # Errors
    /// An utterance is there twice in a model: it would count twice.
    pub fn new(models: Table) -> Result<Self> {
        for (position, (model, utterances)) in models.iter().enumerate() {
            let mut sorted: Vec<&str> = utterances.split_ascii_whitespace().collect();
            sorted.sort_unstable();
            if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                let message = format!("utterance {} is there twice in the model {model}", twice[0]);
                let error = ffsvc_kaldi_io::Error::invalid(models.path(), message);
                return Err(error.at_line(models.line(position)).into());
            }
        }
        Ok(Self { models })
    }

    /// Number of models.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there is no model.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The utterances of a model.
    pub fn utterances(&self, model: &str) -> Option<impl Iterator<Item = &str>> {
        self.models.get(model).map(str::split_ascii_whitespace)
    }

    fn refuse_unknown(&self, trials: &Trials) -> Result<()> {
        let mut named = vec![false; trials.names.len()];
        for &(model, _) in &trials.pairs {
            named[model as usize] = true;
        }
        let mut unknown = NameList::default();
        for (name, _) in
            trials.names.iter().zip(named).filter(|&(name, named)| named && self.models.get(name).is_none())
        {
            unknown.push(|| name.clone());
        }
        if unknown.total() > 0 {
            return Err(Error::UnknownModels {
                list: self.models.path().display().to_string(),
                models: unknown,
            });
        }
        Ok(())
    }

    /// The average of the embeddings of each model. With `normalise`, embeddings are brought to length 1 before, so that each
    /// utterance counts for its direction only.
    ///
    /// # Errors
    /// An utterance has no embedding, unless `skip_missing` says to leave its model out.
    pub fn average(
        &self,
        embeddings: &Embeddings,
        normalise: bool,
        skip_missing: bool,
    ) -> Result<EnrolledEmbeddings> {
        let mut averages = Embeddings::new(embeddings.dim());
        let mut utterances = HashMap::new();
        let mut missing = NameList::default();
        let mut incomplete = 0;
        for (model, names) in self.models.iter() {
            let mut sum = vec![0.0_f64; embeddings.dim()];
            let (mut count, before) = (0_u32, missing.total());
            for name in names.split_ascii_whitespace() {
                let Some(embedding) = embeddings.find(name) else {
                    missing.push(|| name.to_owned());
                    continue;
                };
                let norm = embedding.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
                let scale = if normalise && norm > 0.0 { norm.recip() } else { 1.0 };
                for (sum, &value) in sum.iter_mut().zip(embedding) {
                    *sum += scale * f64::from(value);
                }
                count += 1;
            }
            if missing.total() > before {
                incomplete += 1;
                continue;
            }
            let average: Vec<f32> = sum.iter().map(|sum| (sum / f64::from(count)) as f32).collect();
            averages.push(model, &average)?;
            utterances.insert(model.to_owned(), count);
        }
        if missing.total() > 0 && !skip_missing {
            return Err(Error::IncompleteModels {
                list: self.models.path().display().to_string(),
                models: incomplete,
                of: self.len(),
                utterances: missing,
            });
        }
        Ok(EnrolledEmbeddings { embeddings: averages, utterances, incomplete })
    }

    /// A trial for each utterance of the models in place of each trial of the list, so that scores can be averaged.
    ///
    /// # Errors
    /// A trial names a model that is not in the list.
    pub fn expand(&self, trials: &Trials) -> Result<ExpandedTrials> {
        let mut names = Names::new();
        let mut members: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut tests: HashMap<u32, u32> = HashMap::new();
        self.refuse_unknown(trials)?;
        let (mut pairs, mut ends) = (Vec::new(), Vec::with_capacity(trials.pairs.len()));
        for &(model, test) in &trials.pairs {
            let members = members.entry(model).or_insert_with(|| {
                let utterances = self.utterances(&trials.names[model as usize]).into_iter().flatten();
                utterances.map(|utterance| names.number(utterance)).collect()
            });
            let test = *tests.entry(test).or_insert_with(|| names.number(&trials.names[test as usize]));
            pairs.extend(members.iter().map(|&member| (member, test)));
            ends.push(pairs.len());
        }
        Ok(ExpandedTrials { trials: Trials::new(names.into_vec(), pairs, None), ends })
    }
}

/// The trials of single utterances behind the trials of a list.
#[derive(Debug, Clone)]
pub struct ExpandedTrials {
    /// To be scored.
    pub trials: Trials,
    /// Where the utterances of each trial of the list end among [`trials`](Self::trials).
    ends: Vec<usize>,
}

impl ExpandedTrials {
    /// The averages of the scores of each model's utterances: the scores of `trials`, the list that was expanded. A trial of
    /// which one score was skipped is skipped.
    ///
    /// # Errors
    /// `scores` are not those of [`trials`](Self::trials), or `trials` is another list than was expanded.
    pub fn average(&self, trials: &Trials, scores: &TrialScores) -> Result<TrialScores> {
        if scores.len() != self.trials.pairs.len() {
            let (found, expected) = (scores.len(), self.trials.pairs.len());
            return Err(Error::Count { what: "scores", found, expected });
        }
        let mut skipped = Vec::new();
        let mut start = 0;
        let values = self.ends.iter().enumerate().map(|(place, &end)| {
            let of_trial: Option<Vec<f64>> = (start..end).map(|at| scores.get(at)).collect();
            start = end;
            match of_trial {
                Some(of_trial) => of_trial.iter().sum::<f64>() / of_trial.len() as f64,
                None => {
                    skipped.push(place);
                    f64::NAN
                }
            }
        });
        let values = values.collect();
        TrialScores::new(trials, values, skipped)
    }
}
