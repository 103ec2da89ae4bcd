//! Speakers enrolled with several utterances.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{NameList, Table, find_name};

use crate::{Error, Result};

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
    /// All utterances of the models that have an embedding, each once, as the store names them.
    pub members: Vec<String>,
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

    /// The file that the list was read from.
    pub fn path(&self) -> &Path {
        self.models.path()
    }

    /// The models and their utterances, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.models.iter().map(|(model, utterances)| (model, utterances.split_ascii_whitespace()))
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
        let (mut utterances, mut members, mut used) = (HashMap::new(), Vec::new(), HashSet::new());
        let mut missing = NameList::default();
        let mut incomplete = 0;
        for (model, names) in self.iter() {
            let mut sum = vec![0.0_f64; embeddings.dim()];
            let (mut count, before) = (0_u32, missing.total());
            for name in names {
                let Some(found) = find_name(name, |name| embeddings.index_of(name)) else {
                    missing.push(|| name.to_owned());
                    continue;
                };
                let row = found.value;
                if used.insert(row) {
                    members.push(embeddings.keys()[row].clone());
                }
                let embedding = &embeddings.data()[row * embeddings.dim()..][..embeddings.dim()];
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
        Ok(EnrolledEmbeddings { embeddings: averages, utterances, members, incomplete })
    }
}
