//! Training recordings that turned out not to be usable.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// Names each unusable recording once and stops the run when there are too many. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Recordings of the training set.
    total: usize,
    max_share: f64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    utterances: BTreeSet<u32>,
    crops: u64,
}

impl Unreadable {
    pub(crate) fn new(total: usize, max_share: f64) -> Self {
        Self { total, max_share, seen: Mutex::default() }
    }

    /// Takes note of a crop of utterance number `index` that `error` has prevented.
    ///
    /// # Errors
    /// [`Error::TooManyUnreadable`] where the share of such recordings is now above the limit.
    pub(crate) fn note(&self, index: u32, error: Error) -> Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.crops += 1;
        let is_new = seen.utterances.insert(index);
        let failed = seen.utterances.len();
        drop(seen);
        if failed as f64 > self.max_share * self.total as f64 {
            let (total, limit) = (self.total, self.max_share);
            return Err(Error::TooManyUnreadable { failed, total, limit, last: Box::new(error) });
        }
        if is_new {
            tracing::warn!("{error}: another utterance takes its place in every epoch");
        }
        Ok(())
    }

    /// Recordings that could not be used, and how many crops were replaced for them.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.utterances.len(), seen.crops)
    }
}
