use std::path::{Path, PathBuf};
use std::str::FromStr;

use memchr::{memchr, memchr2};

use crate::{Error, Result};

/// Where the label stands in a trial list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrialColumns {
    /// Found out from the list, from as much of it as is needed; an error where it can be read in two ways.
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

/// One line of a trial list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial<'a> {
    /// Name of the enrolment utterance.
    pub enrolment: &'a str,
    /// Name of the test utterance.
    pub test: &'a str,
    /// Whether both are of one speaker; `None` in a list without labels.
    pub is_target: Option<bool>,
}

/// How the lines of one trial list are read: which columns it has, and which words are its labels.
#[derive(Debug, Clone)]
pub struct TrialLayout {
    path: PathBuf,
    columns: TrialColumns,
    vocabulary: Option<Vocabulary>,
    /// Of a layout that was found out: line and word that keep the other outer column from being the labels.
    other: Option<(u64, String)>,
    found_out: bool,
}

impl TrialLayout {
    /// Whether there are labels.
    pub fn has_labels(&self) -> bool {
        self.columns != TrialColumns::NoLabel
    }

    pub(super) fn trial<'a>(&self, line: u64, words: [&'a str; 4]) -> Result<Trial<'a>> {
        let (label, enrolment, test) = match (self.columns, words) {
            (TrialColumns::NoLabel, [a, b, "", ""]) if !b.is_empty() => (None, a, b),
            (TrialColumns::LabelFirst, [label, a, b, ""]) if !b.is_empty() => (Some(label), a, b),
            (TrialColumns::LabelLast, [a, b, label, ""]) if !label.is_empty() => (Some(label), a, b),
            _ => return Err(self.wrong_count(line, words)),
        };
        let is_target = match label.map(|word| (word, parse_label(word))) {
            None => None,
            Some((_, Some((vocabulary, is_target)))) if Some(vocabulary) == self.vocabulary => {
                Some(is_target)
            }
            Some((word, _)) => return Err(self.wrong_label(line, word)),
        };
        Ok(Trial { enrolment, test, is_target })
    }

    fn wrong_count(&self, line: u64, words: [&str; 4]) -> Error {
        let two = self.columns == TrialColumns::NoLabel;
        let expected = match (self.found_out, count(&words)) {
            (true, 2 | 3) if two => "two columns as above",
            (true, 2 | 3) => "three columns as above",
            (true, _) => EITHER_COUNT,
            (false, _) if two => "two columns",
            (false, _) => "three columns",
        };
        wrong_count(&self.path, line, &words, expected)
    }

    fn wrong_label(&self, line: u64, word: &str) -> Error {
        match &self.other {
            None => Error::parse(&self.path, format!("{word:?}"), LABELS).at_line(line),
            Some(other) => {
                let this = (line, word.to_owned());
                let first_is_label = self.columns == TrialColumns::LabelFirst;
                let (first, last) = if first_is_label { (&this, other) } else { (other, &this) };
                no_label_column(&self.path, first, last)
            }
        }
    }
}

const EITHER_COUNT: &str = "two columns (no label) or three (label first or last)";

/// Finds a list's layout out, line by line.
pub(super) struct Detection {
    path: PathBuf,
    columns: TrialColumns,
    lines: u64,
    first: LabelColumn,
    last: LabelColumn,
}

impl Detection {
    pub(super) fn new(path: &Path, columns: TrialColumns) -> Self {
        let (first, last) = (LabelColumn::default(), LabelColumn::default());
        Self { path: path.to_path_buf(), columns, lines: 0, first, last }
    }

    /// The layout, as soon as it is known.
    pub(super) fn see(&mut self, line: u64, words: [&str; 4]) -> Result<Option<TrialLayout>> {
        self.lines += 1;
        let layout = |columns, vocabulary, other| TrialLayout {
            path: self.path.clone(),
            columns,
            vocabulary,
            other,
            found_out: self.columns == TrialColumns::Auto,
        };
        let label = match self.columns {
            TrialColumns::Auto => None,
            TrialColumns::NoLabel => Some(""),
            TrialColumns::LabelFirst => Some(words[0]),
            TrialColumns::LabelLast => Some(words[2]),
        };
        if let Some(label) = label {
            let vocabulary = parse_label(label).map(|(vocabulary, _)| vocabulary);
            return Ok(Some(layout(self.columns, vocabulary, None)));
        }
        match count(&words) {
            2 if self.lines == 1 => return Ok(Some(layout(TrialColumns::NoLabel, None, None))),
            3 => {}
            2 => return Err(wrong_count(&self.path, line, &words, "three columns as above")),
            _ => return Err(wrong_count(&self.path, line, &words, EITHER_COUNT)),
        }
        self.first.see(line, words[0]);
        self.last.see(line, words[2]);
        match (&self.first.refuted, &self.last.refuted) {
            (None, None) => Ok(None),
            (None, Some(last)) => {
                Ok(Some(layout(TrialColumns::LabelFirst, self.first.vocabulary, Some(last.clone()))))
            }
            (Some(first), None) => {
                Ok(Some(layout(TrialColumns::LabelLast, self.last.vocabulary, Some(first.clone()))))
            }
            (Some(first), Some(last)) => Err(no_label_column(&self.path, first, last)),
        }
    }

    /// Why there is no layout although there are no more lines.
    pub(super) fn fail(&self) -> Error {
        if self.lines == 0 {
            return Error::parse(&self.path, "no trial", "a trial list, one pair of utterances a line");
        }
        Error::ambiguous_columns(&self.path)
    }
}

/// Whether a column can be the label column: all its words are labels of one vocabulary.
#[derive(Default)]
struct LabelColumn {
    vocabulary: Option<Vocabulary>,
    /// The first line on which it cannot, and the word there.
    refuted: Option<(u64, String)>,
}

impl LabelColumn {
    fn see(&mut self, line: u64, word: &str) {
        match parse_label(word) {
            Some((vocabulary, _)) if *self.vocabulary.get_or_insert(vocabulary) == vocabulary => {}
            _ => self.refuted = Some((line, word.to_owned())),
        }
    }
}

fn no_label_column(path: &Path, (line, first): &(u64, String), (last_line, last): &(u64, String)) -> Error {
    Error::parse(
        path,
        format!("{first:?} in the first column (line {line}) and {last:?} in the last (line {last_line})"),
        format!("one of the two to be {LABELS}"),
    )
}

fn count(words: &[&str; 4]) -> usize {
    words.iter().filter(|word| !word.is_empty()).count()
}

fn wrong_count(path: &Path, line: u64, words: &[&str; 4], expected: &'static str) -> Error {
    let found = match count(words) {
        1 => "one column",
        2 => "two columns",
        3 => "three columns",
        _ => "four or more columns",
    };
    Error::parse(path, found, expected).at_line(line)
}

/// The lines of a text that are not empty, with their numbers and up to four words, `""` for those that are not there. A
/// fourth word is one too many, so further ones need not be told apart.
pub(super) struct Rows<'a> {
    rest: &'a str,
    line: u64,
    /// Whether words are parted by nothing but blanks and tabs.
    plain: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(text: &'a str, first_line: u64) -> Self {
        let plain = memchr2(b'\r', b'\x0c', text.as_bytes()).is_none();
        Self { rest: text, line: first_line, plain }
    }

    fn words(&self, line: &'a str) -> [&'a str; 4] {
        let mut words = [""; 4];
        let (bytes, mut at) = (line.as_bytes(), 0);
        for word in &mut words {
            while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
            let rest = &bytes[at..];
            let end = match self.plain {
                true => memchr2(b' ', b'\t', rest),
                false => rest.iter().position(u8::is_ascii_whitespace),
            };
            let end = at + end.unwrap_or(rest.len());
            *word = &line[at..end];
            at = end;
        }
        words
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = (u64, [&'a str; 4]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest.as_bytes());
            let (content, rest) = match end {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, ""),
            };
            self.rest = rest;
            self.line += 1;
            let words = self.words(content);
            if !words[0].is_empty() {
                return Some((self.line - 1, words));
            }
        }
        None
    }
}
