use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ffsvc_atomic_file::AtomicFile;
use ffsvc_hashing::Sha256;

use crate::list_file::MAX_BYTES;
use crate::name_index::NameIndex;
use crate::text::{BYTE_ORDER_MARK, Text};
use crate::{Error, ListFile, Problem, ProblemKind, Result, find_name};

/// A two-column table: one `key rest of the line` each line, keys unique, in the order of the file.
///
/// `wav.scp`, `utt2spk`, `spk2utt`, `utt2dur`, `spk2gender` are of this form. The key ends at the first space or tab;
/// the value is the rest of the line without the white space around it, so a path may contain spaces.
///
/// The file is read once and kept whole. Entries are offsets into it. The index has no copies of keys. It needs about
/// 30 bytes a line in addition to the file's size.
#[derive(Clone)]
pub struct Table {
    path: PathBuf,
    text: String,
    had_mark: bool,
    entries: Vec<Entry>,
    index: NameIndex,
}

#[derive(Debug, Clone)]
struct Entry {
    key: Range<u32>,
    value: Range<u32>,
    line: u32,
}

impl Entry {
    fn key<'a>(&self, text: &'a str) -> &'a str {
        &text[self.key.start as usize..self.key.end as usize]
    }

    fn value<'a>(&self, text: &'a str) -> &'a str {
        &text[self.value.start as usize..self.value.end as usize]
    }
}

/// What [`Table::scan`] found on a line.
pub(crate) struct Finding<'a> {
    pub(crate) kind: ProblemKind,
    pub(crate) line: u64,
    pub(crate) what: &'a str,
}

impl Table {
    /// Reads a table: a file, a pipe, or with the path `-` standard input, gzipped or not (see [`ListFile`]).
    ///
    /// What does not change the meaning is taken as it is: a byte order mark, CR LF line ends, empty lines, any order of
    /// the keys. [`DataDir::validate`](crate::DataDir::validate) reports these too.
    ///
    /// # Errors
    /// The file cannot be read; a line is not UTF-8 or has no value; a key occurs twice; a carriage return stands
    /// inside a line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let mut list = ListFile::open(path)?;
        let bytes = list.read_all()?;
        Self::parse(list.path(), bytes)
    }

    /// Reads a table from the bytes of a file; `path` is what errors name.
    ///
    /// ```
    /// let table = ffsvc_kaldi_io::Table::parse("wav.scp", b"utt1 a dir/1.wav\nutt2\tb.wav\r\n".to_vec())?;
    /// assert_eq!(table.get("utt1"), Some("a dir/1.wav"));
    /// assert_eq!(table.iter().last(), Some(("utt2", "b.wav")));
    /// # Ok::<(), ffsvc_kaldi_io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read), about the content.
    pub fn parse(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<Self> {
        let path = path.as_ref();
        let mut fatal = None;
        let table = Self::scan(path, bytes, &mut |finding| {
            if finding.kind.is_fatal() && fatal.is_none() {
                fatal = Some(finding.into_problem(path));
            }
        })?;
        match fatal {
            Some(problem) => Err(problem.into()),
            None => Ok(table),
        }
    }

    /// Takes what can be taken from a file and reports everything that is wrong with it, in the order of its lines. Of a
    /// key that occurs twice the first line is kept.
    pub(crate) fn scan(path: &Path, bytes: Vec<u8>, report: &mut dyn FnMut(Finding<'_>)) -> Result<Self> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::invalid(path, "is larger than 4 GiB, which no list of utterances is"));
        }
        let Text { text, had_mark, not_utf8 } = Text::decode(bytes);
        let mut not_utf8 = not_utf8.into_iter().peekable();
        if had_mark {
            report(Finding { kind: ProblemKind::ByteOrderMark, line: 1, what: "" });
        }
        // Lines are counted first: entries and index that grow would be there twice at the peak.
        let mut entries: Vec<Entry> =
            Vec::with_capacity(text.bytes().filter(|&byte| byte == b'\n').count() + 1);
        let mut index = NameIndex::with_capacity(entries.capacity());
        let mut start = 0;
        for (line, raw) in (1_u32..).zip(text.split_inclusive('\n')) {
            let line_start = start;
            start += raw.len();
            let mut finding = |kind, what| report(Finding { kind, line: u64::from(line), what });
            if not_utf8.next_if_eq(&u64::from(line)).is_some() {
                finding(ProblemKind::NotUtf8, "");
                continue;
            }
            let content = raw.strip_suffix('\n').unwrap_or(raw);
            let content = match content.strip_suffix('\r') {
                None => content,
                Some(content) => {
                    finding(ProblemKind::CarriageReturn, "");
                    content
                }
            };
            let trimmed = content.trim_ascii();
            if trimmed.is_empty() {
                finding(ProblemKind::EmptyLine, "");
                continue;
            }
            let key_length =
                trimmed.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(trimmed.len());
            let (key, value) = trimmed.split_at(key_length);
            if trimmed.contains('\r') {
                finding(ProblemKind::StrayCarriageReturn, key);
                continue;
            }
            let value = value.trim_ascii_start();
            if value.is_empty() {
                finding(ProblemKind::NoValue, key);
                continue;
            }
            if entries.last().is_some_and(|last| last.key(&text) > key) {
                finding(ProblemKind::Unsorted, key);
            }
            let place = entries.len() as u32;
            if let Some(first) = index.insert(key, place, |entry| entries[entry as usize].key(&text)) {
                let same = entries[first as usize].value(&text) == value;
                finding(if same { ProblemKind::DuplicateKey } else { ProblemKind::ConflictingKey }, key);
                continue;
            }
            let key_start = line_start + (content.len() - content.trim_ascii_start().len());
            let value_end = key_start + trimmed.len();
            entries.push(Entry {
                key: key_start as u32..(key_start + key_length) as u32,
                value: (value_end - value.len()) as u32..value_end as u32,
                line,
            });
        }
        Ok(Self { path: path.to_path_buf(), text, had_mark, entries, index })
    }

    /// The file that the table was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the text that the table was read from, 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        let mut sha256 = Sha256::new();
        if self.had_mark {
            sha256.update(BYTE_ORDER_MARK);
        }
        sha256.update(&self.text);
        sha256.hex()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.entries.iter().map(|entry| (entry.key(&self.text), entry.value(&self.text)))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.position(key).map(|position| self.entries[position].value(&self.text))
    }

    /// The value of a key, or else that of the key without its suffix `.wav`, or with one (see [`find_name`]).
    pub fn find(&self, key: &str) -> Option<&str> {
        find_name(key, |key| self.get(key)).map(|found| found.value)
    }

    /// The place of a key among the entries, from 0.
    pub fn position(&self, key: &str) -> Option<usize> {
        let found = self.index.find(key, |entry| self.entries[entry as usize].key(&self.text));
        found.map(|entry| entry as usize)
    }

    /// Key and value at a place, from 0.
    pub fn entry(&self, position: usize) -> Option<(&str, &str)> {
        self.entries.get(position).map(|entry| (entry.key(&self.text), entry.value(&self.text)))
    }

    /// The line, counted from 1, on which the entry at a place stands; 0 if there is no such entry.
    pub fn line(&self, position: usize) -> u64 {
        self.entries.get(position).map_or(0, |entry| u64::from(entry.line))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("path", &self.path).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Finding<'_> {
    pub(crate) fn into_problem(self, file: &Path) -> Problem {
        Problem { file: file.into(), line: Some(self.line), kind: self.kind, what: self.what.to_owned() }
    }
}

/// Writes a two-column table that [`Table::read`] reads back as it was, in the order given.
///
/// # Errors
/// - A key is empty, contains white space, or occurs twice in a row.
/// - A value is empty, contains a line break, or begins or ends with white space.
/// - The file cannot be written.
///
/// After an error the target is unchanged.
pub fn write_table<K: AsRef<str>, V: AsRef<str>>(
    path: impl AsRef<Path>,
    rows: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    let path = path.as_ref();
    let mut file = AtomicFile::create(path).map_err(|error| Error::io(path, "create", error))?;
    let mut last: Option<K> = None;
    for (line, (key, value)) in (1..).zip(rows) {
        check_row(key.as_ref(), value.as_ref()).map_err(|(found, expected)| {
            Error::parse(path, format!("{found} to write"), expected).at_line(line)
        })?;
        if last.as_ref().is_some_and(|last| last.as_ref() == key.as_ref()) {
            return Err(Error::invalid(path, format!("the key {} was to be written twice", key.as_ref()))
                .at_line(line));
        }
        writeln!(file, "{} {}", key.as_ref(), value.as_ref())
            .map_err(|error| Error::io(path, "write", error))?;
        last = Some(key);
    }
    file.commit().map_err(|error| Error::io(path, "write", error))
}

/// What is wrong with a row, if it would not be read back as it is.
pub(crate) fn check_row(key: &str, value: &str) -> std::result::Result<(), (String, &'static str)> {
    if key.is_empty() || key.bytes().any(|byte| byte.is_ascii_whitespace()) || key.starts_with('\u{feff}') {
        return Err((format!("the key {key:?}"), "a name without white space"));
    }
    if value.is_empty() || value.trim_ascii() != value || value.contains(['\n', '\r']) {
        return Err((format!("the value {value:?}"), "text on one line without white space around it"));
    }
    Ok(())
}
