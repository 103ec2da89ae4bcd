//! Which rows of a store have been asked for.

use ffsvc_embeddings::Embeddings;

const NOT_ASKED_FOR: u32 = u32::MAX;

/// The rows of a store that trials have needed so far, in the order in which they were asked for. What is prepared of them
/// is kept in that order.
#[derive(Debug)]
pub(super) struct Places<'a> {
    embeddings: &'a Embeddings,
    /// For each row its place, [`NOT_ASKED_FOR`] if it was never asked for.
    places: Vec<u32>,
    /// The rows in the order of their places.
    asked_for: Vec<u32>,
}

impl<'a> Places<'a> {
    pub(super) fn new(embeddings: &'a Embeddings) -> Self {
        Self { embeddings, places: vec![NOT_ASKED_FOR; embeddings.len()], asked_for: Vec::new() }
    }

    pub(super) fn embeddings(&self) -> &'a Embeddings {
        self.embeddings
    }

    /// The place that a row has or will have.
    #[inline]
    pub(super) fn place(&mut self, row: u32) -> u32 {
        let place = &mut self.places[row as usize];
        if *place == NOT_ASKED_FOR {
            *place = self.asked_for.len() as u32;
            self.asked_for.push(row);
        }
        *place
    }

    /// The rows in the order of their places.
    pub(super) fn asked_for(&self) -> &[u32] {
        &self.asked_for
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.asked_for.iter().map(|&row| self.embeddings.keys()[row as usize].clone()).collect()
    }
}
