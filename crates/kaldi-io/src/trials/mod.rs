//! Trial lists: as a whole in memory, and in blocks.

mod columns;
mod reader;

use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::path::Path;

use ffsvc_atomic_file::AtomicFile;
use hashbrown::{DefaultHashBuilder, HashTable};

pub use self::columns::{Trial, TrialColumns, TrialLayout};
pub use self::reader::{TrialBlock, TrialReader};
use crate::{Error, Result};

/// A list of verification trials: pairs of utterances, enrolment first, and whether each is a target pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trials {
    /// The names of the utterances, each once, in the order of their first appearance.
    pub names: Vec<String>,
    /// Enrolment and test of each trial as indices into [`names`](Self::names), in the order of the file.
    pub pairs: Vec<(u32, u32)>,
    /// For each pair whether both utterances are of one speaker; `None` for a list without labels.
    pub labels: Option<Vec<bool>>,
}

impl Trials {
    /// Reads a trial list of three columns (label first or last) or two (no label) into memory. Names contain no white space.
    /// Empty lines, a byte order mark and CR LF line ends are passed over.
    ///
    /// # Errors
    /// The file cannot be read; a line is not UTF-8 or has another number of columns; a label is none; with
    /// [`TrialColumns::Auto`], both outer columns consist of labels, so the list can be read in two ways: the error
    /// names `--trial-columns`, with which programs let the user decide.
    pub fn read(path: impl AsRef<Path>, columns: TrialColumns) -> Result<Self> {
        Self::collect(TrialReader::open(path, columns)?)
    }

    /// Reads a trial list from the bytes of a file; `path` is what errors name.
    ///
    /// ```
    /// use ffsvc_kaldi_io::{TrialColumns, Trials};
    /// let trials = Trials::parse("trials", b"1 a b\n0 a c\n".to_vec(), TrialColumns::Auto)?;
    /// assert_eq!(trials.names, ["a", "b", "c"]);
    /// assert_eq!(trials.pairs, [(0, 1), (0, 2)]);
    /// assert_eq!(trials.labels, Some(vec![true, false]));
    /// # Ok::<(), ffsvc_kaldi_io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read), about the content.
    pub fn parse(path: impl AsRef<Path>, bytes: Vec<u8>, columns: TrialColumns) -> Result<Self> {
        Self::collect(TrialReader::new(path, bytes.as_slice(), columns)?)
    }

    fn collect(mut reader: TrialReader<impl Read>) -> Result<Self> {
        let layout = reader.layout().clone();
        let (mut names, mut index) = (Vec::<String>::new(), HashTable::<u32>::new());
        let hasher = DefaultHashBuilder::default();
        let mut intern = |name: &str| {
            let hash = hasher.hash_one(name);
            if let Some(&id) = index.find(hash, |&id| names[id as usize] == name) {
                return id;
            }
            // No overflow: four thousand million names do not fit into memory beside all else.
            let id = names.len() as u32;
            names.push(name.to_owned());
            index.insert_unique(hash, id, |&id| hasher.hash_one(names[id as usize].as_str()));
            id
        };
        let (mut pairs, mut labels) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block()? {
            block.for_each(&layout, |trial| {
                pairs.push((intern(trial.enrolment), intern(trial.test)));
                labels.extend(trial.is_target);
            })?;
        }
        Ok(Self { names, pairs, labels: layout.has_labels().then_some(labels) })
    }

    /// Number of trials.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no trial.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Numbers of target and non-target trials, if there are labels.
    pub fn counts(&self) -> Option<(usize, usize)> {
        let labels = self.labels.as_ref()?;
        let targets = labels.iter().filter(|&&is_target| is_target).count();
        Some((targets, labels.len() - targets))
    }

    /// Writes the list: `label enrolment test` with labels `1` and `0` (the order of the baseline), or
    /// `enrolment test` if there are no labels.
    ///
    /// # Errors
    /// The parts do not fit together (an index beyond the names, another number of labels than pairs), a name is
    /// empty or contains white space, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let is_bad = |name: &&String| {
            name.is_empty()
                || name.bytes().any(|byte| byte.is_ascii_whitespace())
                || name.starts_with('\u{feff}')
        };
        if let Some(name) = self.names.iter().find(is_bad) {
            let found = format!("the name {name:?} to write");
            return Err(Error::parse(path, found, "a name without white space"));
        }
        if let Some(labels) = self.labels.as_ref().filter(|labels| labels.len() != self.pairs.len()) {
            let message = format!("{} trials with {} labels were to be written", self.len(), labels.len());
            return Err(Error::invalid(path, message));
        }
        let mut file = AtomicFile::create(path).map_err(|error| Error::io(path, "create", error))?;
        for (trial, &(enrolment, test)) in self.pairs.iter().enumerate() {
            let name = |index: u32| {
                self.names.get(index as usize).ok_or_else(|| {
                    Error::invalid(
                        path,
                        format!("trial {trial} refers to name {index} of {}", self.names.len()),
                    )
                })
            };
            let (enrolment, test) = (name(enrolment)?, name(test)?);
            match self.labels.as_ref().map(|labels| labels[trial]) {
                Some(is_target) => writeln!(file, "{} {enrolment} {test}", u8::from(is_target)),
                None => writeln!(file, "{enrolment} {test}"),
            }
            .map_err(|error| Error::io(path, "write", error))?;
        }
        file.commit().map_err(|error| Error::io(path, "write", error))
    }

    /// Looks every name up among known utterances. Where a name is not known as it is, it is looked up without its
    /// suffix `.wav`, or with one: the lists of FFSVC2022 have the suffix and its data directories do not.
    ///
    /// ```
    /// # use ffsvc_kaldi_io::{TrialColumns, Trials};
    /// let trials = Trials::parse("trials", b"1 a.wav b.wav\n".to_vec(), TrialColumns::Auto)?;
    /// let known = ["b", "a"];
    /// let found = trials.resolve(|name| known.iter().position(|&utt| utt == name));
    /// assert_eq!(found.values, [Some(1), Some(0)]);
    /// assert_eq!(found.by_suffix, 2);
    /// # Ok::<(), ffsvc_kaldi_io::Error>(())
    /// ```
    pub fn resolve<T>(&self, find: impl Fn(&str) -> Option<T>) -> Resolved<T> {
        let mut by_suffix = 0;
        let values = self
            .names
            .iter()
            .map(|name| {
                find(name).or_else(|| {
                    let found = other_form(name, &find);
                    by_suffix += usize::from(found.is_some());
                    found
                })
            })
            .collect();
        Resolved { values, by_suffix }
    }
}

/// What `find` has for the other form of a name: without its suffix `.wav`, or with one.
///
/// ```
/// assert_eq!(ffsvc_kaldi_io::other_form("a.wav", |name| (name == "a").then_some(1)), Some(1));
/// assert_eq!(ffsvc_kaldi_io::other_form("a", |name| (name == "a.wav").then_some(2)), Some(2));
/// ```
pub fn other_form<T>(name: &str, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    match name.strip_suffix(".wav") {
        Some(stem) => find(stem),
        None => find(&format!("{name}.wav")),
    }
}

/// What [`Trials::resolve`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<T> {
    /// For each name of the trials what was found, `None` if the name is unknown.
    pub values: Vec<Option<T>>,
    /// How many names were found only without, or only with, a `.wav` suffix: worth a warning.
    pub by_suffix: usize,
}

impl<T> Resolved<T> {
    /// Indices of the names that were not found.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        self.values.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(index, _)| index)
    }
}
