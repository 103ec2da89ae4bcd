//! Trial lists: as a whole in memory, and in blocks.

mod columns;
mod findings;
mod grid;
mod make;
mod reader;
mod relation;

use std::io::{Read, Write};
use std::path::Path;

use ffsvc_atomic_file::AtomicFile;

pub use self::columns::{Trial, TrialColumns, TrialLayout};
use self::findings::Contradiction;
pub use self::findings::TrialFindings;
pub use self::make::{Condition, MadeTrials, Nontargets, TrialOptions};
pub use self::reader::{TrialBlock, TrialReader};
pub use self::relation::Relation;
use crate::{Error, Names, Resolved, Result, find_names};

/// A list of verification trials: pairs of utterances, enrolment first, and whether each is a target pair.
///
/// Two lists are equal when they have the same trials in the same order.
#[derive(Debug, Clone, Default)]
pub struct Trials {
    /// The names of the utterances, each once, in the order of their first appearance.
    pub names: Vec<String>,
    /// Enrolment and test of each trial as indices into [`names`](Self::names), in the order of the file.
    pub pairs: Vec<(u32, u32)>,
    /// For each pair whether both utterances are of one speaker; `None` for a list without labels.
    pub labels: Option<Vec<bool>>,
    sha256: Option<String>,
    findings: TrialFindings,
}

impl PartialEq for Trials {
    fn eq(&self, other: &Self) -> bool {
        (&self.names, &self.pairs, &self.labels) == (&other.names, &other.pairs, &other.labels)
    }
}

impl Eq for Trials {}

impl Trials {
    /// Trials of these names, as they are.
    pub fn new(names: Vec<String>, pairs: Vec<(u32, u32)>, labels: Option<Vec<bool>>) -> Self {
        Self { names, pairs, labels, ..Self::default() }
    }

    /// Reads a trial list of three columns (label first or last) or two (no label) into memory. It reads a file, a
    /// pipe, or standard input with the path `-`, gzipped or not (see [`ListFile`](crate::ListFile)). Names contain no
    /// white space. Empty lines, a byte order mark and CR LF line ends are ignored.
    ///
    /// # Errors
    /// - The file cannot be read.
    /// - A line is not UTF-8 or has another number of columns, or a label is not one.
    /// - A pair of utterances is listed as a target and as a non-target.
    /// - With [`TrialColumns::Auto`], both outer columns consist of labels, so the list can be read in two ways.
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
        let (mut names, mut lines) = (Names::new(), Lines::default());
        let (mut pairs, mut labels) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block()? {
            block.for_each_line(&layout, |line, trial| {
                lines.note(pairs.len(), line);
                pairs.push((names.number(trial.enrolment), names.number(trial.test)));
                labels.extend(trial.is_target);
            })?;
        }
        let mut trials = Self::new(names.into_vec(), pairs, layout.has_labels().then_some(labels));
        trials.sha256 = Some(reader.sha256());
        trials.findings = findings::look(&trials).map_err(|Contradiction { first, second }| {
            let (enrolment, test) = trials.pairs[second];
            let name = |id: u32| &trials.names[id as usize];
            let [first, second] = [first, second].map(|place| lines.line(place));
            let found = format!("{} {} as a target and as a non-target", name(enrolment), name(test));
            let expected = format!("one label for the pair, as in line {first}");
            Error::parse(reader.path(), found, expected).at_line(second)
        })?;
        Ok(trials)
    }

    /// SHA-256 of the text that the list was read from, 64 hexadecimal digits; `None` for trials made in memory.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// What was noticed while the list was read; nothing for trials made in memory.
    pub fn findings(&self) -> &TrialFindings {
        &self.findings
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

    /// Looks every name up among known utterances, with or without its suffix `.wav` (see [`find_names`]).
    pub fn resolve<T>(&self, find: impl Fn(&str) -> Option<T>) -> Resolved<T> {
        find_names(&self.names, find)
    }
}

/// The lines of trials: those of trials whose line does not follow that of the trial before.
#[derive(Default)]
struct Lines {
    /// Trial and line.
    jumps: Vec<(usize, u64)>,
}

impl Lines {
    fn note(&mut self, trial: usize, line: u64) {
        let follows = self.jumps.last().is_some_and(|&(first, at)| at + (trial - first) as u64 == line);
        if !follows {
            self.jumps.push((trial, line));
        }
    }

    fn line(&self, trial: usize) -> u64 {
        let after = self.jumps.partition_point(|&(first, _)| first <= trial);
        // The first trial is a jump.
        let (first, line) = self.jumps[after - 1];
        line + (trial - first) as u64
    }
}
