use std::fmt;

use ffsvc_kaldi_io::{Names, find_name};

use crate::{Error, Provenance, Result};

/// What errors of a store in memory name in place of a file.
const IN_MEMORY: &str = "embeddings";

/// Embeddings of utterances: unique keys, and one row each of a row-major matrix `[utterances, dim]`.
///
/// An utterance is found by its key in constant time; the index holds row numbers, no copies of keys.
#[derive(Clone, Default)]
pub struct Embeddings {
    keys: Names,
    dim: usize,
    data: Vec<f32>,
    provenance: Option<Provenance>,
}

impl Embeddings {
    /// An empty store for vectors of `dim` numbers. With `dim` 0 the first vector decides.
    pub fn new(dim: usize) -> Self {
        Self { dim, ..Self::default() }
    }

    /// A store of these keys and rows: `data` is `[keys.len(), dim]`, row-major.
    ///
    /// # Errors
    /// The length of `data` is not `keys.len() * dim`, or as [`push`](Self::push).
    pub fn from_parts(keys: Vec<String>, dim: usize, data: Vec<f32>) -> Result<Self> {
        Self::checked(keys, dim, data).map_err(|message| Error::invalid(IN_MEMORY, message))
    }

    pub(crate) fn checked(
        keys: Vec<String>,
        dim: usize,
        data: Vec<f32>,
    ) -> std::result::Result<Self, String> {
        if keys.len().checked_mul(dim) != Some(data.len()) || (dim == 0 && !keys.is_empty()) {
            return Err(format!("{} numbers are not {} vectors of {dim}", data.len(), keys.len()));
        }
        let mut store = Self { keys: Names::with_capacity(keys.len()), ..Self::new(dim) };
        for (key, vector) in keys.into_iter().zip(data.chunks_exact(dim.max(1))) {
            check(&key, vector)?;
            store.add_key(key)?;
        }
        store.data = data;
        Ok(store)
    }

    /// Adds an utterance.
    ///
    /// # Errors
    /// The vector has another dimension than the store or none, or holds a NaN or an infinity; the key is empty, has
    /// control characters, or is there already.
    pub fn push(&mut self, key: impl Into<String>, vector: &[f32]) -> Result<()> {
        self.add(key.into(), vector).map_err(|message| Error::invalid(IN_MEMORY, message))
    }

    /// As [`push`](Self::push), for readers, which know the file to blame.
    pub(crate) fn add(&mut self, key: String, vector: &[f32]) -> std::result::Result<(), String> {
        check(&key, vector)?;
        let dim = if self.dim == 0 { vector.len() } else { self.dim };
        if vector.len() != dim {
            return Err(format!("utterance `{key}` has {} dimensions, the store has {dim}", vector.len()));
        }
        self.add_key(key)?;
        self.dim = dim;
        self.data.extend_from_slice(vector);
        Ok(())
    }

    fn add_key(&mut self, key: String) -> std::result::Result<(), String> {
        match self.index_of(&key) {
            Some(_) => Err(format!("utterance `{key}` is there twice")),
            None => {
                self.keys.insert(key);
                Ok(())
            }
        }
    }

    /// Where the embeddings came from; `None` if the store does not say.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Says where the embeddings came from. It is written with the store.
    pub fn set_provenance(&mut self, provenance: Option<Provenance>) {
        self.provenance = provenance;
    }

    /// The utterances, in the order of the rows.
    pub fn keys(&self) -> &[String] {
        self.keys.as_slice()
    }

    /// The numbers in a vector; 0 in an empty store that does not know yet.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All vectors, `[utterances, dim]`, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The keys and all vectors, without a copy.
    pub fn into_parts(self) -> (Vec<String>, Vec<f32>) {
        (self.keys.into_vec(), self.data)
    }

    /// The number of utterances.
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    /// Whether there is no utterance.
    pub fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// The row of an utterance.
    pub fn index_of(&self, key: &str) -> Option<usize> {
        self.keys.find(key).map(|row| row as usize)
    }

    /// The rows of many utterances, in their order behind what is in `found`.
    pub(crate) fn rows_of(&self, keys: &[&str], found: &mut Vec<Option<u32>>) {
        self.keys.find_all(keys, found);
    }

    /// The vector of an utterance.
    pub fn get(&self, key: &str) -> Option<&[f32]> {
        self.data().get(self.index_of(key)? * self.dim..)?.get(..self.dim)
    }

    /// The vector of an utterance, or else that of its name without the suffix `.wav`, or with one (see [`find_name`]).
    pub fn find(&self, key: &str) -> Option<&[f32]> {
        find_name(key, |key| self.get(key)).map(|found| found.value)
    }

    /// Utterances and their vectors, in the order of the rows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.keys().iter().map(String::as_str).zip(self.data().chunks_exact(self.dim.max(1)))
    }
}

impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings").field("len", &self.len()).field("dim", &self.dim).finish_non_exhaustive()
    }
}

/// Two stores are equal when they hold the same vectors for the same utterances in the same order, wherever they came
/// from.
impl PartialEq for Embeddings {
    fn eq(&self, other: &Self) -> bool {
        self.dim == other.dim && self.keys() == other.keys() && self.data() == other.data()
    }
}

fn check(key: &str, vector: &[f32]) -> std::result::Result<(), String> {
    if key.is_empty() || key.contains(char::is_control) {
        return Err(format!("`{}` is not the name of an utterance", key.escape_debug()));
    }
    if vector.is_empty() {
        return Err(format!("utterance `{key}` has an empty vector"));
    }
    match vector.iter().position(|x| !x.is_finite()) {
        Some(place) => Err(format!("utterance `{key}` has {} in dimension {place}", vector[place])),
        None => Ok(()),
    }
}
