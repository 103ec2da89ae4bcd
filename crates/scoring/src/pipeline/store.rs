//! A store of embeddings with its name.

use std::path::Path;

use ffsvc_embeddings::Embeddings;

use crate::Result;
use crate::domains::Domains;
use crate::remark::{Remark, RemarkKind, of_zeros, zero_rows};

/// Embeddings, as they are or processed, and which of them were zero in the file.
#[derive(Debug)]
pub(super) struct Store {
    name: String,
    embeddings: Embeddings,
    /// Rows, ascending.
    zeros: Vec<u32>,
    /// The place of each row's domain, where there are domains.
    domains: Vec<u32>,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let embeddings = Embeddings::read(path)?;
        let zeros = zero_rows(&embeddings);
        Ok(Self { name: path.display().to_string(), embeddings, zeros, domains: Vec::new() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn embeddings(&self) -> &Embeddings {
        &self.embeddings
    }

    /// Finds the domain of each utterance.
    pub(super) fn find_domains(&mut self, domains: &Domains) -> Result<()> {
        self.domains = domains.of(&self.embeddings)?;
        Ok(())
    }

    /// The place of each row's domain, where there are domains.
    pub(super) fn domains(&self) -> &[u32] {
        &self.domains
    }

    /// The same utterances after some processing.
    pub(super) fn process(&self, process: impl FnOnce(&Embeddings) -> Result<Embeddings>) -> Result<Self> {
        let embeddings = process(&self.embeddings)?;
        Ok(Self {
            name: self.name.clone(),
            embeddings,
            zeros: self.zeros.clone(),
            domains: self.domains.clone(),
        })
    }

    /// The remark about its zero embeddings: about all of them, or of those rows that were used.
    pub(super) fn zeros(&self, kind: RemarkKind, used: Option<&[u32]>) -> Option<Remark> {
        let zeros: Vec<u32> = match used {
            None => self.zeros.clone(),
            Some(used) => used.iter().copied().filter(|row| self.zeros.binary_search(row).is_ok()).collect(),
        };
        of_zeros(kind, &self.embeddings, zeros).map(|remark| remark.of(&self.name))
    }
}
