//! Names and their numbers.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Finds the place of a name among names that are kept elsewhere, such as in the text of a file. It holds four bytes a
/// name and a half.
#[derive(Clone, Default)]
pub(crate) struct NameIndex {
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl NameIndex {
    pub(crate) fn with_capacity(names: usize) -> Self {
        Self { places: HashTable::with_capacity(names), ..Self::default() }
    }

    /// The place of `name`; `name_at` gives the name at a place.
    pub(crate) fn find<'a>(&self, name: &str, name_at: impl Fn(u32) -> &'a str) -> Option<u32> {
        self.places.find(self.hasher.hash_one(name), |&place| name_at(place) == name).copied()
    }

    /// Adds a name at `place`, unless it is there: then its place is returned. The names at the places so far are asked
    /// for, not that at `place`.
    pub(crate) fn insert<'a>(
        &mut self,
        name: &str,
        place: u32,
        name_at: impl Fn(u32) -> &'a str,
    ) -> Option<u32> {
        let Self { places, hasher } = self;
        let hash = hasher.hash_one(name);
        if let Some(&found) = places.find(hash, |&place| name_at(place) == name) {
            return Some(found);
        }
        places.insert_unique(hash, place, |&place| hasher.hash_one(name_at(place)));
        None
    }
}

/// Names, each once, numbered from 0 in the order in which they were added.
///
/// ```
/// use ffsvc_kaldi_io::Names;
/// let mut names = Names::new();
/// assert_eq!([names.number("b"), names.number("a"), names.number("b")], [0, 1, 0]);
/// assert_eq!(names.find("a"), Some(1));
/// assert_eq!(names.as_slice(), ["b", "a"]);
/// ```
#[derive(Clone, Default)]
pub struct Names {
    names: Vec<String>,
    index: NameIndex,
}

impl Names {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// No names, with room for so many.
    pub fn with_capacity(names: usize) -> Self {
        Self { names: Vec::with_capacity(names), index: NameIndex::with_capacity(names) }
    }

    /// The number of a name, which is added if it is new.
    pub fn number(&mut self, name: &str) -> u32 {
        // No overflow: four thousand million names do not fit into memory beside all else.
        let new = self.names.len() as u32;
        let found = self.index.insert(name, new, |number| &self.names[number as usize]);
        found.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            new
        })
    }

    /// Adds a name; `false` if it is there already.
    pub fn insert(&mut self, name: String) -> bool {
        let found = self.index.insert(&name, self.names.len() as u32, |number| &self.names[number as usize]);
        if found.is_none() {
            self.names.push(name);
        }
        found.is_none()
    }

    /// The number of a name.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.index.find(name, |number| &self.names[number as usize])
    }

    /// All names in the order of their numbers.
    pub fn as_slice(&self) -> &[String] {
        &self.names
    }

    /// All names in the order of their numbers, without the index.
    pub fn into_vec(self) -> Vec<String> {
        self.names
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Names").field(&self.names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_the_index_grows() {
        let mut names = Names::new();
        for n in 0..10_000 {
            assert_eq!(names.number(&format!("name-{n}")), n);
        }
        assert!((0..10_000).all(|n| names.find(&format!("name-{n}")) == Some(n)));
        assert_eq!(names.find("name-10000"), None);
        assert!(!names.insert("name-7".to_owned()) && names.insert("new".to_owned()));
        assert_eq!((names.as_slice().len(), names.number("new")), (10_001, 10_000));
    }
}
