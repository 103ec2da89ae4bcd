//! Score files: `enrolment test score`, and FFSVC's `scores.txt` with nothing but scores.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use ffsvc_atomic_file::{AtomicFile, Target};
use ffsvc_embeddings::{Provenance, ProvenanceFile};
use ffsvc_hashing::Sha256;
use ffsvc_kaldi_io::{Error as FileError, ListFile, Match, NameList, Trials, find_name};

use crate::report::SourceFile;
use crate::trial_scores::{TrialScores, names};
use crate::{Error, Result};

/// Longest line that is accepted. Two names and a number need far less. A file that is no text must not be read into
/// memory as one line.
const MAX_LINE_BYTES: u64 = 1 << 16;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The scores that a file holds for a trial list.
#[derive(Debug, Clone, PartialEq)]
pub struct FileScores {
    /// One score for each trial of the list.
    pub scores: TrialScores,
    /// Lines whose pair of names is not in the trial list.
    pub surplus: usize,
    /// Utterance names that were found only by adding or removing a `.wav` suffix.
    pub matched_by_suffix: usize,
    /// The file, identified by what was read.
    pub file: SourceFile,
    /// The model that the embeddings came from, where the file beside the scores says so.
    pub model: Option<Provenance>,
}

/// Writes `enrolment test score`, a line for each scored trial in the order of the list. Scores have as many digits as an
/// `f32` needs to be read back exactly.
///
/// # Errors
/// The file cannot be written, or `scores` are of another list.
pub fn write(path: impl AsRef<Path>, trials: &Trials, scores: &TrialScores) -> Result<()> {
    let mut writer = ScoreWriter::create(path)?;
    writer.write_list(trials, scores)?;
    writer.commit()
}

/// Writes the FFSVC submission's `scores.txt`: one score a line, in the order of the trial list.
///
/// # Errors
/// A trial has no score (the lines carry no names, so none can be left out), or the file cannot be written.
pub fn write_ffsvc(path: impl AsRef<Path>, trials: &Trials, scores: &TrialScores) -> Result<()> {
    let mut writer = ScoreWriter::create_ffsvc(path)?;
    writer.write_list(trials, scores)?;
    writer.commit()
}

/// A score file that grows block by block and appears when it is complete.
#[derive(Debug)]
pub struct ScoreWriter {
    path: PathBuf,
    file: AtomicFile,
    has_names: bool,
    sha256: Sha256,
    model: Option<Provenance>,
}

impl ScoreWriter {
    /// A file of lines `enrolment test score`, for the scored trials.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::with_names(path.as_ref(), true)
    }

    /// A file of scores alone, one for each trial: the FFSVC submission's `scores.txt`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create_ffsvc(path: impl AsRef<Path>) -> Result<Self> {
        Self::with_names(path.as_ref(), false)
    }

    fn with_names(path: &Path, has_names: bool) -> Result<Self> {
        let file = AtomicFile::create(path).map_err(|error| FileError::io(path, "create", error))?;
        Ok(Self { path: path.to_path_buf(), file, has_names, sha256: Sha256::new(), model: None })
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The scores are of embeddings of this model: [`commit`](Self::commit) says so in a file beside them,
    /// `NAME.provenance.json`.
    pub fn of_model(&mut self, model: Option<&Provenance>) {
        self.model = model.cloned();
    }

    pub(crate) fn has_names(&self) -> bool {
        self.has_names
    }

    /// Writes the scores of a list in memory.
    ///
    /// # Errors
    /// `scores` are of another list; a trial has no score, and the lines carry no names; the file cannot be written.
    pub fn write_list(&mut self, trials: &Trials, scores: &TrialScores) -> Result<()> {
        let (found, expected) = (scores.len(), trials.pairs.len());
        if found != expected {
            return Err(Error::Count { what: "scores", found, expected });
        }
        if !self.has_names && !scores.skipped().is_empty() {
            return Err(Error::SkippedTrials { skipped: scores.skipped().len(), of: found });
        }
        let mut line = Vec::new();
        for (place, score) in scores.iter() {
            let (enrolment, test) = names(trials, place);
            line.clear();
            // A vector can always be written to.
            let _ = match self.has_names {
                true => writeln!(line, "{enrolment} {test} {}", score as f32),
                false => writeln!(line, "{}", score as f32),
            };
            self.write(&line)?;
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, lines: &[u8]) -> Result<()> {
        self.sha256.update(lines);
        self.file.write_all(lines).map_err(|error| FileError::io(&self.path, "write", error).into())
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be replaced.
    pub fn commit(self) -> Result<()> {
        self.file.commit().map_err(|error| FileError::io(&self.path, "write", error))?;
        match (provenance_file(&self.path), &self.model) {
            (Some(file), Some(model)) => file.write(self.sha256.hex(), model)?,
            (Some(file), None) => file.remove()?,
            (None, _) => {}
        }
        Ok(())
    }
}

/// `dev.scores` has `dev.scores.provenance.json` beside it: a score file is text that every toolkit reads, and has no place for
/// its model. `None` where `scores` is no regular file.
fn provenance_file(scores: &Path) -> Option<ProvenanceFile> {
    let Ok(Target::File(scores)) = Target::of(scores) else { return None };
    let mut name: OsString = scores.into();
    name.push(".provenance.json");
    Some(ProvenanceFile::at(name))
}

/// The model that the file beside a score file names.
fn model_of(file: &SourceFile) -> Result<Option<Provenance>> {
    match provenance_file(Path::new(&file.path)) {
        Some(provenance) => Ok(provenance.read(|| file.sha256.clone())?),
        None => Ok(None),
    }
}

/// Reads the scores of `trials` from a score file of either kind: a file, a pipe, or with the path `-` standard input, gzipped or
/// not.
///
/// * Lines of three words, `enrolment test score` (a fourth word, the label that some toolkits add, is ignored), are matched by
///   names, in whatever order they come. A name that is unknown as it is may match with or without `.wav`.
///   A pair that stands in the trial list twice needs only one line.
/// * Lines of one word are the scores in the order of the trial list.
///
/// # Errors
/// - The file cannot be read, or a line cannot be parsed.
/// - A score is NaN.
/// - Two lines give one pair different scores.
/// - Trials have no score, unless `skip_missing` allows it.
/// - A file without names has more or fewer lines than there are trials.
pub fn read(path: impl AsRef<Path>, trials: &Trials, skip_missing: bool) -> Result<FileScores> {
    let mut lines = Lines::open(path.as_ref())?;
    let mut matching = Matching::new(trials);
    let mut named = None;
    let mut unnamed = Vec::new();
    while lines.advance()? {
        let line = lines.line.as_str();
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        let rest = [words.next(), words.next(), words.next(), words.next()];
        let (pair, score) = match rest {
            [None, ..] => (None, first),
            [Some(second), Some(score), _, None] => (Some((first, second)), score),
            _ => {
                let found = format!("{:?}", line.trim_end());
                return Err(lines.refuse(found, "'enrolment test score', or a score alone"));
            }
        };
        if *named.get_or_insert(pair.is_some()) != pair.is_some() {
            return Err(lines.refuse(format!("{:?}", line.trim_end()), "as many columns as above"));
        }
        let score = match score.parse::<f64>() {
            Ok(score) if !score.is_nan() => score,
            _ => return Err(lines.refuse(format!("{score:?}"), "a score, a number")),
        };
        match pair {
            None => unnamed.push(score),
            Some((enrolment, test)) => {
                if let Err(other) = matching.keep(enrolment, test, score) {
                    let found = format!("the score {score} for '{enrolment} {test}'");
                    return Err(lines.refuse(found, format!("{other} as in an earlier line")));
                }
            }
        }
    }
    match named {
        None => Err(FileError::parse(lines.path(), "no score", "a score file, one trial a line").into()),
        Some(true) => matching.finish(lines.source(), skip_missing),
        Some(false) => {
            if unnamed.len() != trials.pairs.len() {
                let found = format!("{} scores without names", unnamed.len());
                let expected = format!("one for each of {} trials, in their order", trials.pairs.len());
                return Err(FileError::parse(lines.path(), found, expected).into());
            }
            let scores = TrialScores::new(trials, unnamed, Vec::new())?;
            let file = lines.source();
            let model = model_of(&file)?;
            Ok(FileScores { scores, surplus: 0, matched_by_suffix: 0, file, model })
        }
    }
}

/// Lines of a file, one at a time in one buffer.
struct Lines {
    reader: BufReader<ListFile>,
    line: String,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let reader = BufReader::with_capacity(1 << 18, ListFile::open(path)?.hashed());
        Ok(Self { reader, line: String::new(), number: 0 })
    }

    fn path(&self) -> &Path {
        self.reader.get_ref().path()
    }

    /// The file, by what was read of it.
    fn source(&self) -> SourceFile {
        let sha256 = self.reader.get_ref().sha256().unwrap_or_default();
        SourceFile { path: self.path().display().to_string(), sha256 }
    }

    /// Reads the next line; false at the end of the file.
    fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let read = match (&mut self.reader).take(MAX_LINE_BYTES).read_line(&mut self.line) {
            Ok(read) => read as u64,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(self.refuse("bytes that are not UTF-8".to_owned(), "UTF-8 text"));
            }
            Err(error) => return Err(FileError::io(self.path(), "read", error).into()),
        };
        if read == MAX_LINE_BYTES {
            let found = format!("a line of {MAX_LINE_BYTES} bytes or more");
            return Err(self.refuse(found, "'enrolment test score'"));
        }
        if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len_utf8());
        }
        Ok(read > 0)
    }

    fn refuse(&self, found: String, expected: impl Into<Cow<'static, str>>) -> Error {
        FileError::parse(self.path(), found, expected).at_line(self.number).into()
    }
}

/// Finds the trial of a line. A file in the order of the trial list is matched by comparing names; the hash maps are built
/// when the first line is out of order.
struct Matching<'a> {
    trials: &'a Trials,
    /// NaN where there is no score yet.
    values: Vec<f64>,
    next: usize,
    index: Option<Index<'a>>,
    /// Whether a name was found by its suffix only.
    by_suffix: Vec<bool>,
    surplus: usize,
}

struct Index<'a> {
    names: HashMap<&'a str, u32>,
    /// The first trial of each pair.
    pairs: HashMap<(u32, u32), usize>,
}

impl<'a> Index<'a> {
    fn of(trials: &'a Trials) -> Self {
        let names = trials.names.iter().map(String::as_str).zip(0..).collect();
        let mut pairs = HashMap::with_capacity(trials.pairs.len());
        for (place, &pair) in trials.pairs.iter().enumerate() {
            if let Entry::Vacant(vacant) = pairs.entry(pair) {
                vacant.insert(place);
            }
        }
        Self { names, pairs }
    }

    /// The name's number and whether it took a change of suffix to find it.
    fn name(&self, name: &str) -> Option<Match<u32>> {
        find_name(name, |name| self.names.get(name).copied())
    }
}

impl<'a> Matching<'a> {
    fn new(trials: &'a Trials) -> Self {
        Self {
            trials,
            values: vec![f64::NAN; trials.pairs.len()],
            next: 0,
            index: None,
            by_suffix: vec![false; trials.names.len()],
            surplus: 0,
        }
    }

    /// Keeps the score of a pair; fails with the score that it has already, if that is another.
    fn keep(&mut self, enrolment: &str, test: &str, score: f64) -> std::result::Result<(), f64> {
        let place = if self.next < self.values.len() && names(self.trials, self.next) == (enrolment, test) {
            self.next
        } else {
            let index = self.index.get_or_insert_with(|| Index::of(self.trials));
            let found = index.name(enrolment).zip(index.name(test));
            let place = found.and_then(|(a, b)| index.pairs.get(&(a.value, b.value)).copied());
            let (Some(place), Some((a, b))) = (place, found) else {
                self.surplus += 1;
                return Ok(());
            };
            for name in [a, b] {
                self.by_suffix[name.value as usize] |= name.by_suffix;
            }
            place
        };
        self.next = place + 1;
        let kept = &mut self.values[place];
        if !kept.is_nan() && *kept != score {
            return Err(*kept);
        }
        *kept = score;
        Ok(())
    }

    fn finish(mut self, file: SourceFile, skip_missing: bool) -> Result<FileScores> {
        let mut skipped: Vec<usize> =
            (0..self.values.len()).filter(|&place| self.values[place].is_nan()).collect();
        if !skipped.is_empty() {
            // A pair that is listed twice may have its score at the other place.
            let mut known = HashMap::new();
            for (place, &pair) in self.trials.pairs.iter().enumerate() {
                if !self.values[place].is_nan() {
                    known.insert(pair, self.values[place]);
                }
            }
            skipped.retain(|&place| match known.get(&self.trials.pairs[place]) {
                Some(&score) => {
                    self.values[place] = score;
                    false
                }
                None => true,
            });
        }
        if !skipped.is_empty() && !skip_missing {
            let mut missing = NameList::default();
            for &place in &skipped {
                let (enrolment, test) = names(self.trials, place);
                missing.push(|| format!("{enrolment} {test}"));
            }
            let of = self.values.len();
            return Err(Error::MissingScores { path: file.path, of, trials: missing });
        }
        if skipped.len() == self.values.len() {
            return Err(Error::NothingScored { list: file.path, trials: skipped.len() });
        }
        let model = model_of(&file)?;
        Ok(FileScores {
            scores: TrialScores::new(self.trials, self.values, skipped)?,
            surplus: self.surplus,
            matched_by_suffix: self.by_suffix.iter().filter(|&&yes| yes).count(),
            file,
            model,
        })
    }
}
