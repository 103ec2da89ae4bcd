use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use ffsvc_atomic_file::AtomicFile;
use hashbrown::HashMap;

use crate::text::{Text, read_bytes};
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

/// Where the label stands in a trial list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrialColumns {
    /// Found out from the whole list; an error where it can be read in two ways.
    #[default]
    Auto,
    /// `label enrolment test`, as VoxCeleb and FFSVC have it.
    LabelFirst,
    /// `enrolment test label`, as Kaldi and the baseline's `scoring.py` have it.
    LabelLast,
    /// `enrolment test`.
    NoLabel,
}

impl FromStr for TrialColumns {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "label-first" => Ok(Self::LabelFirst),
            "label-last" => Ok(Self::LabelLast),
            "no-label" => Ok(Self::NoLabel),
            _ => Err(format!("found {text:?}, expected auto, label-first, label-last or no-label")),
        }
    }
}

/// The words of a label. A list keeps to one of them; a mixture would be two lists pasted together by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vocabulary {
    Digits,
    Words,
}

fn parse_label(word: &str) -> Option<(Vocabulary, bool)> {
    match word {
        "1" => Some((Vocabulary::Digits, true)),
        "0" => Some((Vocabulary::Digits, false)),
        "target" => Some((Vocabulary::Words, true)),
        "nontarget" => Some((Vocabulary::Words, false)),
        _ => None,
    }
}

const LABELS: &str = "a label, 1/0 or target/nontarget throughout";

/// Whether a column can be the label column: all its words are labels of one vocabulary.
#[derive(Default)]
struct LabelColumn {
    vocabulary: Option<Vocabulary>,
    /// The first line on which it cannot, and the word there.
    refuted: Option<(u64, String)>,
}

impl LabelColumn {
    fn see(&mut self, line: u64, word: &str) {
        if self.refuted.is_some() {
            return;
        }
        match parse_label(word) {
            Some((vocabulary, _)) if *self.vocabulary.get_or_insert(vocabulary) == vocabulary => {}
            _ => self.refuted = Some((line, word.to_owned())),
        }
    }
}

impl Trials {
    /// Reads a trial list of three columns (label first or last) or two (no label). Names contain no white space. Empty
    /// lines, a byte order mark and CR LF line ends are passed over.
    ///
    /// # Errors
    /// The file cannot be read; a line is not UTF-8 or has another number of columns; a label is none; with
    /// [`TrialColumns::Auto`], both outer columns consist of labels, so the list can be read in two ways: the error
    /// names `--trial-columns`, with which programs let the user decide.
    pub fn read(path: impl AsRef<Path>, columns: TrialColumns) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(path, read_bytes(path)?, columns)
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
        let path = path.as_ref();
        let Text { text, not_utf8, .. } = Text::decode(bytes);
        if let Some(&line) = not_utf8.first() {
            return Err(Error::parse(path, "bytes that are not UTF-8", "UTF-8 text").at_line(line));
        }
        let columns = match columns {
            TrialColumns::Auto => detect(path, &text)?,
            given => given,
        };
        Self::parse_columns(path, &text, columns)
    }

    fn parse_columns(path: &Path, text: &str, columns: TrialColumns) -> Result<Self> {
        let mut names = Vec::new();
        let mut index: HashMap<&str, u32> = HashMap::new();
        let mut intern = |name| {
            *index.entry(name).or_insert_with(|| {
                names.push(String::from(name));
                // No overflow: a text of at most 4 GiB has fewer names.
                (names.len() - 1) as u32
            })
        };
        let mut pairs = Vec::new();
        let mut labels = Vec::new();
        let mut vocabulary = None;
        for (line, words) in rows(text) {
            let (label, enrolment, test) = match (columns, words) {
                (TrialColumns::NoLabel, [a, b, "", ""]) => (None, a, b),
                (TrialColumns::LabelFirst, [label, a, b, ""]) if !b.is_empty() => (Some(label), a, b),
                (TrialColumns::LabelLast, [a, b, label, ""]) if !label.is_empty() => (Some(label), a, b),
                (TrialColumns::NoLabel, words) => {
                    return Err(wrong_count(path, line, &words, "two columns"));
                }
                (_, words) => return Err(wrong_count(path, line, &words, "three columns")),
            };
            if let Some(word) = label {
                match parse_label(word) {
                    Some((kind, is_target)) if *vocabulary.get_or_insert(kind) == kind => {
                        labels.push(is_target)
                    }
                    _ => return Err(Error::parse(path, format!("{word:?}"), LABELS).at_line(line)),
                }
            }
            pairs.push((intern(enrolment), intern(test)));
        }
        if pairs.is_empty() {
            return Err(Error::parse(path, "no trial", "a trial list, one pair of utterances a line"));
        }
        let labels = (columns != TrialColumns::NoLabel).then_some(labels);
        Ok(Self { names, pairs, labels })
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
                    let found = match name.strip_suffix(".wav") {
                        Some(stem) => find(stem),
                        None => find(&format!("{name}.wav")),
                    };
                    by_suffix += usize::from(found.is_some());
                    found
                })
            })
            .collect();
        Resolved { values, by_suffix }
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

/// The lines that are not empty, with their numbers and up to four words, `""` for those that are not there. A
/// fourth word is one too many, so further ones need not be told apart.
fn rows(text: &str) -> impl Iterator<Item = (u64, [&str; 4])> {
    (1..).zip(text.lines()).filter_map(|(line, content)| {
        let mut words = content.split_ascii_whitespace();
        let first = words.next()?;
        let mut next = || words.next().unwrap_or("");
        Some((line, [first, next(), next(), next()]))
    })
}

fn wrong_count(path: &Path, line: u64, words: &[&str; 4], expected: &'static str) -> Error {
    let found = match words.iter().filter(|word| !word.is_empty()).count() {
        1 => "one column",
        2 => "two columns",
        3 => "three columns",
        _ => "four or more columns",
    };
    Error::parse(path, found, expected).at_line(line)
}

fn detect(path: &Path, text: &str) -> Result<TrialColumns> {
    let (mut first, mut last) = (LabelColumn::default(), LabelColumn::default());
    let mut count = None;
    for (line, words) in rows(text) {
        let here = words.iter().filter(|word| !word.is_empty()).count();
        let expected = *count.get_or_insert(here);
        if !(2..=3).contains(&here) {
            return Err(wrong_count(
                path,
                line,
                &words,
                "two columns (no label) or three (label first or last)",
            ));
        }
        if here != expected {
            let expected = if expected == 2 { "two columns as above" } else { "three columns as above" };
            return Err(wrong_count(path, line, &words, expected));
        }
        if here == 3 {
            first.see(line, words[0]);
            last.see(line, words[2]);
        }
    }
    match (count, first.refuted, last.refuted) {
        (Some(2) | None, ..) => Ok(TrialColumns::NoLabel),
        (_, None, Some(_)) => Ok(TrialColumns::LabelFirst),
        (_, Some(_), None) => Ok(TrialColumns::LabelLast),
        (_, None, None) => Err(Error::invalid(
            path,
            "the first and the last column could both be the label; say which is with \
             --trial-columns label-first or --trial-columns label-last",
        )),
        (_, Some((line, first)), Some((last_line, last))) => Err(Error::parse(
            path,
            format!(
                "{first:?} in the first column (line {line}) and {last:?} in the last (line {last_line})"
            ),
            format!("one of the two to be {LABELS}"),
        )),
    }
}
