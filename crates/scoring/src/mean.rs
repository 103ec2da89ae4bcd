//! The mean embedding of a domain, and which mean is subtracted from an utterance.

use std::collections::HashMap;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{NameList, Table};

use crate::{Error, Result};

/// The mean of all embeddings of a store, of length `dim`; subtract it from the embeddings that are compared (see [`Side::mean`](crate::Side::mean)).
///
/// Embeddings of a domain that a model was not trained on share a common offset, which raises all their cosines.
/// Subtracting the mean of unlabelled in-domain audio removes it: on FFSVC2022 that alone is worth more than a
/// percent of EER. The embeddings enter as they are, not brought to length 1.
///
/// # Errors
/// The store is empty.
pub fn mean_embedding(embeddings: &Embeddings) -> Result<Vec<f64>> {
    if embeddings.is_empty() {
        return Err(Error::EmptyMean);
    }
    Ok(mean(embeddings.dim(), embeddings.iter().map(|(_, embedding)| embedding)))
}

fn mean<'a>(dim: usize, embeddings: impl Iterator<Item = &'a [f32]>) -> Vec<f64> {
    let mut mean = vec![0.0_f64; dim];
    let mut count = 0_usize;
    for embedding in embeddings {
        for (sum, &value) in mean.iter_mut().zip(embedding) {
            *sum += f64::from(value);
        }
        count += 1;
    }
    for sum in &mut mean {
        *sum /= count as f64;
    }
    mean
}

/// What is subtracted from the embeddings of a store: one mean, or the mean of each utterance's domain.
#[derive(Debug, Clone)]
pub struct Centre {
    /// A mean for each domain.
    means: Vec<Vec<f64>>,
    domains: Option<Domains>,
}

#[derive(Debug, Clone)]
struct Domains {
    utt2domain: Table,
    /// The place of each domain's mean.
    places: HashMap<String, usize>,
}

impl Centre {
    /// The mean of all embeddings of a store.
    ///
    /// # Errors
    /// The store is empty.
    pub fn global(embeddings: &Embeddings) -> Result<Self> {
        Ok(Self { means: vec![mean_embedding(embeddings)?], domains: None })
    }

    /// A mean for each domain (device, distance, channel) of the utterances of a store. `utt2domain` names the domain of these
    /// utterances and of those from which the means are subtracted later; more may be in it.
    ///
    /// # Errors
    /// The store is empty, or an utterance has no domain.
    pub fn by_domain(embeddings: &Embeddings, utt2domain: Table) -> Result<Self> {
        if embeddings.is_empty() {
            return Err(Error::EmptyMean);
        }
        let mut places = HashMap::new();
        let mut members: Vec<Vec<&[f32]>> = Vec::new();
        let domains = look_up(embeddings, &utt2domain, Some)?;
        for ((_, embedding), domain) in embeddings.iter().zip(domains) {
            let place = *places.entry(domain.to_owned()).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            members[place].push(embedding);
        }
        let means =
            members.iter().map(|of_domain| mean(embeddings.dim(), of_domain.iter().copied())).collect();
        Ok(Self { means, domains: Some(Domains { utt2domain, places }) })
    }

    /// The number of means.
    pub fn count(&self) -> usize {
        self.means.len()
    }

    /// The mean that belongs to each embedding of a store, in its order.
    ///
    /// # Errors
    /// Another dimension; an utterance has no domain, or one that has no mean.
    pub(crate) fn means(&self, embeddings: &Embeddings) -> Result<Vec<&[f64]>> {
        let (found, expected) = (self.means[0].len(), embeddings.dim());
        if !embeddings.is_empty() && found != expected {
            return Err(Error::Dimension { what: "the means to subtract", found, expected });
        }
        match &self.domains {
            None => Ok(vec![&self.means[0]; embeddings.len()]),
            Some(Domains { utt2domain, places }) => {
                let places = look_up(embeddings, utt2domain, |domain| places.get(domain))?;
                Ok(places.into_iter().map(|&place| self.means[place].as_slice()).collect())
            }
        }
    }

    /// The embeddings less their means.
    ///
    /// # Errors
    /// Another dimension; an utterance has no domain, or one that has no mean.
    pub fn subtract(&self, embeddings: &Embeddings) -> Result<Embeddings> {
        let mut data = Vec::with_capacity(embeddings.data().len());
        for ((_, embedding), mean) in embeddings.iter().zip(self.means(embeddings)?) {
            data.extend(embedding.iter().zip(mean).map(|(&value, mean)| (f64::from(value) - mean) as f32));
        }
        Ok(Embeddings::from_parts(embeddings.keys().to_vec(), embeddings.dim(), data)?)
    }
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
