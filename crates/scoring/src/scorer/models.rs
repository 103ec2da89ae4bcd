//! Enrolled speakers whose score is the average over their utterances.

use std::sync::Arc;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{NameList, find_name};

use super::places::Places;
use crate::enrolment::EnrolmentList;
use crate::names::{ModelNumbers, Pair};
use crate::{Error, Result};

/// The models of an enrolment list as rows of a store.
#[derive(Debug)]
pub(super) struct Models<'a> {
    numbers: ModelNumbers<'a>,
    models: Vec<Model<'a>>,
}

#[derive(Debug)]
struct Model<'a> {
    name: &'a str,
    rows: Vec<u32>,
    /// Their places, once a trial has asked for them.
    places: Vec<u32>,
}

impl<'a> Models<'a> {
    /// # Errors
    /// Utterances have no embedding, unless `skip_missing` says to leave out their models.
    pub(super) fn new(list: &'a EnrolmentList, store: &Embeddings, skip_missing: bool) -> Result<Self> {
        let (mut models, mut missing) = (Vec::new(), NameList::default());
        for (name, utterances) in list.iter() {
            let mut rows = Vec::new();
            let before = missing.total();
            for utterance in utterances {
                match find_name(utterance, |name| store.index_of(name)) {
                    Some(found) => rows.push(found.value as u32),
                    None => missing.push(|| utterance.to_owned()),
                }
            }
            if missing.total() == before {
                models.push(Model { name, rows, places: Vec::new() });
            }
        }
        if missing.total() > 0 && !skip_missing {
            return Err(Error::IncompleteModels {
                list: list.path().display().to_string(),
                models: list.len() - models.len(),
                of: list.len(),
                utterances: missing,
            });
        }
        let numbers = Arc::new(models.iter().map(|model| model.name).zip(0..).collect());
        Ok(Self { numbers, models })
    }

    /// The numbers of the models, by name.
    pub(super) fn numbers(&self) -> ModelNumbers<'a> {
        Arc::clone(&self.numbers)
    }

    pub(super) fn name(&self, model: u32) -> &str {
        self.models[model as usize].name
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.models.iter().map(|model| model.name.to_owned()).collect()
    }

    /// Asks for the rows of a model.
    pub(super) fn mark(&mut self, model: u32, enrolment: &mut Places<'_>) {
        let Model { rows, places, .. } = &mut self.models[model as usize];
        if places.is_empty() {
            places.extend(rows.iter().map(|&row| enrolment.place(row)));
        }
    }

    /// The average score of each model, `scores` being that of single utterances.
    pub(super) fn average(&self, pairs: &[Pair], scores: impl FnOnce(&[Pair]) -> Vec<f32>) -> Vec<f32> {
        let places = |model: u32| &self.models[model as usize].places;
        let of_utterances: Vec<Pair> = pairs
            .iter()
            .flat_map(|&(model, test)| places(model).iter().map(move |&place| (place, test)))
            .collect();
        let scores = scores(&of_utterances);
        let mut rest = &scores[..];
        let mean = |&(model, _): &Pair| {
            let (of_model, others) = rest.split_at(places(model).len());
            rest = others;
            (of_model.iter().copied().map(f64::from).sum::<f64>() / of_model.len() as f64) as f32
        };
        pairs.iter().map(mean).collect()
    }
}
