use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};

use ffsvc_hashing::Sha256;
use memchr::{memchr_iter, memrchr};

use super::columns::{Detection, Rows, Trial, TrialColumns, TrialLayout};
use crate::text::BYTE_ORDER_MARK;
use crate::{Error, ListFile, Result};

/// Bytes that are read at a time, and no line may have as many.
const BLOCK_BYTES: usize = 1 << 20;

/// How many blocks are kept while the columns are being found out. Mostly the first line decides; a list in which all names
/// of so many lines look like labels is left to the user.
const UNDECIDED_BLOCKS: usize = 64;

/// Reads a trial list of any length in blocks of whole lines, which can be parsed on several threads.
///
/// ```
/// use ffsvc_kaldi_io::{TrialColumns, TrialReader};
/// let mut reader = TrialReader::new("trials", &b"1 a b\n0 a c\n"[..], TrialColumns::Auto)?;
/// let layout = reader.layout().clone();
/// let mut tests = Vec::new();
/// while let Some(block) = reader.next_block()? {
///     block.for_each(&layout, |trial| tests.push((trial.test.to_owned(), trial.is_target)))?;
/// }
/// assert_eq!(tests, [("b".to_owned(), Some(true)), ("c".to_owned(), Some(false))]);
/// # Ok::<(), ffsvc_kaldi_io::Error>(())
/// ```
#[derive(Debug)]
pub struct TrialReader<R> {
    path: PathBuf,
    source: R,
    layout: TrialLayout,
    /// Blocks that were read to find the layout out.
    seen: VecDeque<TrialBlock>,
    rest: Rest,
}

/// What was read beyond the last block.
#[derive(Debug)]
struct Rest {
    bytes: Vec<u8>,
    next_line: u64,
    ended: bool,
    sha256: Sha256,
}

/// Some whole lines of a trial list.
#[derive(Debug)]
pub struct TrialBlock {
    text: String,
    first_line: u64,
}

impl TrialReader<ListFile> {
    /// Opens a trial list of three columns (label first or last) or two (no label): a file, a pipe, or with the path `-`
    /// standard input, gzipped or not.
    ///
    /// # Errors
    /// As [`new`](Self::new), or the file cannot be opened.
    pub fn open(path: impl AsRef<Path>, columns: TrialColumns) -> Result<Self> {
        let list = ListFile::open(path)?;
        let path = list.path().to_path_buf();
        Self::new(path, list, columns)
    }
}

impl<R: Read> TrialReader<R> {
    /// Reads as much of a list as is needed to know its columns, mostly a line. Names contain no white space. Empty lines, a
    /// byte order mark and CR LF line ends are passed over. `path` is what errors name.
    ///
    /// # Errors
    /// The list cannot be read, is not UTF-8 text or has no trial; with [`TrialColumns::Auto`], both outer columns consist
    /// of labels, so the list can be read in two ways.
    pub fn new(path: impl AsRef<Path>, mut source: R, columns: TrialColumns) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let mut rest = Rest { bytes: Vec::new(), next_line: 1, ended: false, sha256: Sha256::new() };
        let mut seen = VecDeque::new();
        let mut detection = Detection::new(&path, columns);
        while let Some(block) = rest.next_block(&path, &mut source)? {
            let mut layout = None;
            for (line, words) in block.rows() {
                layout = detection.see(line, words)?;
                if layout.is_some() {
                    break;
                }
            }
            seen.push_back(block);
            if let Some(layout) = layout {
                return Ok(Self { path, source, layout, seen, rest });
            }
            if seen.len() == UNDECIDED_BLOCKS {
                break;
            }
        }
        Err(detection.fail())
    }

    /// The file that is read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the lines in all blocks that were read so far, 64 hexadecimal digits: at the end, of the list.
    pub fn sha256(&self) -> String {
        self.rest.sha256.hex()
    }

    /// How the lines are to be read.
    pub fn layout(&self) -> &TrialLayout {
        &self.layout
    }

    /// The next lines; `None` at the end of the list.
    ///
    /// # Errors
    /// The list cannot be read, a line is not UTF-8, or is longer than a megabyte.
    pub fn next_block(&mut self) -> Result<Option<TrialBlock>> {
        match self.seen.pop_front() {
            Some(block) => Ok(Some(block)),
            None => self.rest.next_block(&self.path, &mut self.source),
        }
    }
}

impl Rest {
    fn next_block(&mut self, path: &Path, source: &mut impl Read) -> Result<Option<TrialBlock>> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if !self.ended {
            let missing = BLOCK_BYTES - bytes.len();
            bytes.reserve_exact(missing);
            let read = source.take(missing as u64).read_to_end(&mut bytes);
            self.ended = read.map_err(|error| Error::io(path, "read", error))? < missing;
        }
        if !self.ended {
            let end = memrchr(b'\n', &bytes).ok_or_else(|| {
                let expected = "a trial list, one pair of utterances a line";
                Error::parse(path, "a line of a megabyte or more", expected).at_line(self.next_line)
            })?;
            self.bytes.extend_from_slice(&bytes[end + 1..]);
            bytes.truncate(end + 1);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.sha256.update(&bytes);
        let first_line = self.next_line;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = first_line + memchr_iter(b'\n', valid).count() as u64;
            Error::parse(path, "bytes that are not UTF-8", "UTF-8 text").at_line(line)
        })?;
        self.next_line += memchr_iter(b'\n', text.as_bytes()).count() as u64;
        Ok(Some(TrialBlock { text, first_line }))
    }
}

impl TrialBlock {
    /// The lines as they stand in the file: all blocks together are the file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The trials, one after the other.
    ///
    /// # Errors
    /// A line has another number of columns, or its label is none of this list's.
    pub fn for_each<'a>(&'a self, layout: &TrialLayout, mut take: impl FnMut(Trial<'a>)) -> Result<()> {
        self.for_each_line(layout, |_, trial| take(trial))
    }

    pub(super) fn for_each_line<'a>(
        &'a self,
        layout: &TrialLayout,
        mut take: impl FnMut(u64, Trial<'a>),
    ) -> Result<()> {
        self.rows().try_for_each(|(line, words)| layout.trial(line, words).map(|trial| take(line, trial)))
    }

    fn rows(&self) -> Rows<'_> {
        let mut text = self.text.as_str();
        if self.first_line == 1 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        Rows::new(text, self.first_line)
    }
}
