//! Names and their numbers.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Names that are looked up together: so many that the memory accesses of one overlap with those of others.
const TOGETHER: usize = 64;
/// No place.
const NOWHERE: u32 = u32::MAX;

/// Finds the place of a name among names that are kept elsewhere, such as in the text of a file. It holds eight bytes a
/// name and a half.
#[derive(Clone, Default)]
pub(crate) struct NameIndex {
    places: HashTable<Entry>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy)]
struct Entry {
    place: u32,
    /// Bits of the hash that the table itself does not compare: two names that share them are nearly always one.
    hash: u32,
}

impl Entry {
    fn new(place: u32, hash: u64) -> Self {
        Self { place, hash: (hash >> 24) as u32 }
    }

    fn may_be(&self, hash: u64) -> bool {
        self.hash == (hash >> 24) as u32
    }
}

impl NameIndex {
    pub(crate) fn with_capacity(names: usize) -> Self {
        Self { places: HashTable::with_capacity(names), ..Self::default() }
    }

    /// The place of `name`; `name_at` gives the name at a place.
    pub(crate) fn find<'a>(&self, name: &str, name_at: impl Fn(u32) -> &'a str) -> Option<u32> {
        self.find_hashed(self.hasher.hash_one(name), name, name_at)
    }

    fn find_hashed<'a>(&self, hash: u64, name: &str, name_at: impl Fn(u32) -> &'a str) -> Option<u32> {
        let is_it = |entry: &Entry| entry.may_be(hash) && name_at(entry.place) == name;
        self.places.find(hash, is_it).map(|entry| entry.place)
    }

    /// As [`find`](Self::find), of many names, in their order behind what is in `found`. Each memory access depends on the one
    /// before: hash, entry, name. So each is made for many names before the next.
    pub(crate) fn find_all<'a>(
        &self,
        names: &[&str],
        name_at: impl Fn(u32) -> &'a str,
        found: &mut Vec<Option<u32>>,
    ) {
        for names in names.chunks(TOGETHER) {
            let (mut hashes, mut places) = ([0; TOGETHER], [NOWHERE; TOGETHER]);
            for (hash, name) in hashes.iter_mut().zip(names) {
                *hash = self.hasher.hash_one(*name);
            }
            for (place, &hash) in places.iter_mut().zip(&hashes[..names.len()]) {
                *place =
                    self.places.find(hash, |entry| entry.may_be(hash)).map_or(NOWHERE, |entry| entry.place);
            }
            let candidates = places.iter().zip(&hashes).zip(names);
            found.extend(candidates.map(|((&place, &hash), &name)| match place {
                NOWHERE => None,
                place if name_at(place) == name => Some(place),
                // Another name with the same bits.
                _ => self.find_hashed(hash, name, &name_at),
            }));
        }
    }

    /// Adds a name at `place`, unless it is there: then its place is returned. The names at the places so far are asked
    /// for, not that at `place`.
    pub(crate) fn insert<'a>(
        &mut self,
        name: &str,
        place: u32,
        name_at: impl Fn(u32) -> &'a str,
    ) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        let found = self.find_hashed(hash, name, &name_at);
        if found.is_none() {
            let Self { places, hasher } = self;
            places
                .insert_unique(hash, Entry::new(place, hash), |entry| hasher.hash_one(name_at(entry.place)));
        }
        found
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

    /// The numbers of many names, in their order behind what is in `found`: faster than one by one.
    pub fn find_all(&self, names: &[&str], found: &mut Vec<Option<u32>>) {
        self.index.find_all(names, |number| &self.names[number as usize], found);
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
        let asked: Vec<String> = (0..20_001).step_by(7).map(|n| format!("name-{n}")).collect();
        let mut found = vec![Some(5)];
        names.find_all(&asked.iter().map(String::as_str).collect::<Vec<_>>(), &mut found);
        let expected = asked.iter().map(|name| names.find(name));
        assert!(found.into_iter().eq([Some(5)].into_iter().chain(expected)));
        assert!(!names.insert("name-7".to_owned()) && names.insert("new".to_owned()));
        assert_eq!((names.as_slice().len(), names.number("new")), (10_001, 10_000));
    }
}
