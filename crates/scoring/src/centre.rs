//! Which mean is subtracted from an utterance.

use std::sync::Arc;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;

use crate::domains::Domains;
use crate::mean::mean_embedding;
use crate::{Error, Result};

/// What is subtracted from the embeddings of a store: one mean, or the mean of each utterance's domain.
#[derive(Debug, Clone)]
pub struct Centre {
    of: Of,
}

#[derive(Debug, Clone)]
enum Of {
    All(Vec<f64>),
    Domains(Arc<Domains>),
}

impl Centre {
    /// The mean of all embeddings of a store.
    ///
    /// # Errors
    /// The store is empty.
    pub fn global(embeddings: &Embeddings) -> Result<Self> {
        Ok(Self { of: Of::All(mean_embedding(embeddings)?) })
    }

    /// A mean for each domain (device, distance, channel) of the utterances of a store. `utt2domain` names the domain of these
    /// utterances and of those from which the means are subtracted later; more may be in it.
    ///
    /// # Errors
    /// The store is empty, or an utterance has no domain.
    pub fn by_domain(embeddings: &Embeddings, utt2domain: Table) -> Result<Self> {
        Ok(Self::of_domains(Arc::new(Domains::of_table(embeddings, utt2domain)?)))
    }

    /// The mean of each utterance's domain.
    pub fn of_domains(domains: Arc<Domains>) -> Self {
        Self { of: Of::Domains(domains) }
    }

    /// The number of means.
    pub fn count(&self) -> usize {
        match &self.of {
            Of::All(_) => 1,
            Of::Domains(domains) => domains.means().len(),
        }
    }

    /// The mean that belongs to each embedding of a store, in its order.
    ///
    /// # Errors
    /// Another dimension; an utterance has no domain, or one that has no mean.
    pub(crate) fn means(&self, embeddings: &Embeddings) -> Result<Vec<&[f64]>> {
        match &self.of {
            Of::All(mean) => {
                let (found, expected) = (mean.len(), embeddings.dim());
                if !embeddings.is_empty() && found != expected {
                    return Err(Error::Dimension { what: "the means to subtract", found, expected });
                }
                Ok(vec![mean; embeddings.len()])
            }
            Of::Domains(domains) => {
                let places = domains.of(embeddings)?;
                Ok(places.into_iter().map(|place| domains.means()[place as usize].as_slice()).collect())
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
