//! Domains of recordings: close to the microphone or far from it, a device, a channel. Examples of each are given, without labels.
//! A table says to which one an utterance belongs, or its embedding tells.

use std::collections::HashMap;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{NameList, Table};
use nalgebra::{DMatrix, DVector};

use crate::backend::mean_and_covariance;
use crate::cosine::unit;
use crate::mean::{mean, mean_embedding};
use crate::{Error, Result};

/// Share of the mean variance that is added to the covariance's diagonal when domains are told apart, against the rest of the
/// covariance (regularised discriminant analysis, Friedman, 1989, gamma = 0.1).
const SHRINKAGE: f64 = 0.1;

/// Domains, the mean embedding of each, and how the one of an utterance is found.
#[derive(Debug, Clone)]
pub struct Domains {
    names: Vec<String>,
    /// One for each domain, `[dim]`.
    means: Vec<Vec<f64>>,
    found_by: FoundBy,
}

#[derive(Debug, Clone)]
enum FoundBy {
    /// The table, and each domain's place.
    Table(Table, HashMap<String, u32>),
    Embedding(Discriminant),
}

impl Domains {
    /// Domains by examples: a name and embeddings of each. `utt2domain` names the domain of the utterances that are looked up
    /// later. Without it the embedding tells: linear discriminant analysis of the examples, at length 1, with one covariance for
    /// all domains and equal priors.
    ///
    /// # Errors
    /// A domain without examples or with a name that another has, examples of different dimensions.
    pub fn of_examples(examples: &[(&str, &Embeddings)], utt2domain: Option<Table>) -> Result<Self> {
        let stores: Vec<&Embeddings> = examples.iter().map(|(_, embeddings)| *embeddings).collect();
        let means = stores.iter().map(|store| mean_embedding(store)).collect::<Result<_>>()?;
        let mut places = HashMap::new();
        for (place, (name, embeddings)) in (0..).zip(examples) {
            let (found, expected) = (embeddings.dim(), examples[0].1.dim());
            if found != expected {
                return Err(Error::Dimension { what: "the examples of a domain", found, expected });
            }
            if places.insert((*name).to_owned(), place).is_some() {
                return Err(Error::RepeatedDomain { name: (*name).to_owned() });
            }
        }
        Ok(Self {
            names: examples.iter().map(|(name, _)| (*name).to_owned()).collect(),
            means,
            found_by: match utt2domain {
                Some(table) => FoundBy::Table(table, places),
                None => FoundBy::Embedding(Discriminant::new(&stores)?),
            },
        })
    }

    /// The domains of the utterances of a store by a table, which also names those of the utterances that are looked up later.
    ///
    /// # Errors
    /// The store is empty, or an utterance has no domain.
    pub fn of_table(embeddings: &Embeddings, utt2domain: Table) -> Result<Self> {
        if embeddings.is_empty() {
            return Err(Error::EmptyMean);
        }
        let (mut names, mut places) = (Vec::new(), HashMap::new());
        let mut members: Vec<Vec<&[f32]>> = Vec::new();
        let domains = look_up(embeddings, &utt2domain, Some)?;
        for ((_, embedding), domain) in embeddings.iter().zip(domains) {
            let place = *places.entry(domain.to_owned()).or_insert_with(|| {
                names.push(domain.to_owned());
                members.push(Vec::new());
                (members.len() - 1) as u32
            });
            members[place as usize].push(embedding);
        }
        let of_domain = |members: &Vec<&[f32]>| mean(embeddings.dim(), members.iter().copied());
        let means = members.iter().map(of_domain).collect();
        Ok(Self { names, means, found_by: FoundBy::Table(utt2domain, places) })
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The mean embedding of each, `[dim]`.
    pub fn means(&self) -> &[Vec<f64>] {
        &self.means
    }

    /// Whether the embeddings tell the domains apart, not a table.
    pub fn are_estimated(&self) -> bool {
        matches!(self.found_by, FoundBy::Embedding(_))
    }

    /// The place of each utterance's domain, in the order of the store.
    ///
    /// # Errors
    /// Another dimension; an utterance has no domain in the table, or one of which there are no examples.
    pub fn of(&self, embeddings: &Embeddings) -> Result<Vec<u32>> {
        let (found, expected) = (self.means[0].len(), embeddings.dim());
        if !embeddings.is_empty() && found != expected {
            return Err(Error::Dimension { what: "the means to subtract", found, expected });
        }
        match &self.found_by {
            FoundBy::Table(table, places) => look_up(embeddings, table, |domain| places.get(domain).copied()),
            FoundBy::Embedding(discriminant) => {
                Ok(embeddings.iter().map(|(_, embedding)| discriminant.nearest(embedding)).collect())
            }
        }
    }
}

/// Linear discriminant functions, one for each domain: `weights . x + bias`, of an embedding at length 1.
#[derive(Debug, Clone)]
struct Discriminant {
    functions: Vec<(DVector<f64>, f64)>,
}

impl Discriminant {
    fn new(stores: &[&Embeddings]) -> Result<Self> {
        let dim = stores[0].dim();
        let count: usize = stores.iter().map(|store| store.len()).sum();
        let mut pooled = DMatrix::zeros(dim, dim);
        let mut means = Vec::new();
        for store in stores {
            let rows = store.iter().flat_map(|(_, row)| direction(row));
            let (mean, covariance) = mean_and_covariance(&DMatrix::from_iterator(dim, store.len(), rows));
            pooled += covariance * (store.len() as f64 / count as f64);
            means.push(mean);
        }
        let ridge = SHRINKAGE * pooled.trace() / dim as f64;
        pooled *= 1.0 - SHRINKAGE;
        pooled += DMatrix::identity(dim, dim) * ridge;
        let solver = pooled.cholesky().ok_or(Error::DomainsAlike)?;
        let functions = means
            .into_iter()
            .map(|mean| {
                let weights = solver.solve(&mean);
                let bias = -0.5 * weights.dot(&mean);
                (weights, bias)
            })
            .collect();
        Ok(Self { functions })
    }

    fn nearest(&self, embedding: &[f32]) -> u32 {
        let direction = DVector::from_vec(direction(embedding));
        let values = self.functions.iter().map(|(weights, bias)| weights.dot(&direction) + bias);
        let best = values.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(place, _)| place as u32)
    }
}

/// The embedding at length 1; zeros stay zeros.
fn direction(embedding: &[f32]) -> Vec<f64> {
    let mut row = vec![0.0; embedding.len()];
    unit(embedding, None, &mut row);
    row.into_iter().map(f64::from).collect()
}

/// What `find` makes of the domain of each utterance of a store. Names that differ by a `.wav` suffix match.
fn look_up<'a, T>(
    embeddings: &Embeddings,
    utt2domain: &'a Table,
    find: impl Fn(&'a str) -> Option<T>,
) -> Result<Vec<T>> {
    let mut missing = NameList::default();
    let mut found = Vec::with_capacity(embeddings.len());
    for name in embeddings.keys() {
        let domain = utt2domain.find(name);
        match domain.and_then(&find) {
            Some(value) => found.push(value),
            None => missing.push(|| match domain {
                None => name.clone(),
                Some(domain) => format!("{name} ({domain})"),
            }),
        }
    }
    if missing.total() > 0 {
        return Err(Error::NoDomain {
            utt2domain: utt2domain.path().display().to_string(),
            utterances: missing,
        });
    }
    Ok(found)
}
