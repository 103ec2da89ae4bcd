use std::sync::atomic::{AtomicU8, Ordering};

use ffsvc_kaldi_io::find_name;

use crate::Embeddings;

/// A name with a `.wav` that the store does not have.
const LONGER: u8 = 1;
/// A name without the `.wav` that the store has.
const SHORTER: u8 = 2;

/// Finds the rows of names in a store, with or without their suffix `.wav`. It counts the names that matched by their
/// suffix, each once, however often it is asked for. Any number of threads may use it.
///
/// ```
/// use ffsvc_embeddings::{Embeddings, RowFinder};
/// let store = Embeddings::from_parts(vec!["a".into(), "b.wav".into()], 1, vec![0.5, 1.0])?;
/// let rows = RowFinder::new(&store);
/// assert_eq!(["a", "a.wav", "b", "a.wav", "c"].map(|name| rows.find(name)), [Some(0), Some(0), Some(1), Some(0), None]);
/// assert_eq!(rows.by_suffix(), 2);
/// let mut found = Vec::new();
/// rows.find_all(&["b", "c", "a"], &mut found);
/// assert_eq!(found, [Some(1), None, Some(0)]);
/// # Ok::<(), ffsvc_embeddings::Error>(())
/// ```
#[derive(Debug)]
pub struct RowFinder<'a> {
    store: &'a Embeddings,
    /// Which other forms of each row's name were asked for.
    forms: Vec<AtomicU8>,
}

impl<'a> RowFinder<'a> {
    /// Nothing has been asked for yet.
    pub fn new(store: &'a Embeddings) -> Self {
        Self { store, forms: (0..store.len()).map(|_| AtomicU8::new(0)).collect() }
    }

    /// The store.
    pub fn store(&self) -> &'a Embeddings {
        self.store
    }

    /// The row of a name.
    pub fn find(&self, name: &str) -> Option<u32> {
        let found = find_name(name, |name| self.store.index_of(name))?;
        if found.by_suffix {
            let form = if name.ends_with(".wav") { LONGER } else { SHORTER };
            let forms = &self.forms[found.value];
            // Read first: nearly every time it is there already, and a write would take the cache line from other threads.
            if forms.load(Ordering::Relaxed) & form == 0 {
                forms.fetch_or(form, Ordering::Relaxed);
            }
        }
        u32::try_from(found.value).ok()
    }

    /// The rows of many names, in their order behind what is in `found`: as [`find`](Self::find), and faster.
    pub fn find_all(&self, names: &[&str], found: &mut Vec<Option<u32>>) {
        let begin = found.len();
        self.store.rows_of(names, found);
        for (row, name) in found[begin..].iter_mut().zip(names) {
            if row.is_none() {
                *row = self.find(name);
            }
        }
    }

    /// How many names were found only without, or only with, a `.wav` suffix.
    pub fn by_suffix(&self) -> usize {
        self.forms.iter().map(|forms| forms.load(Ordering::Relaxed).count_ones() as usize).sum()
    }
}
