use std::fs::File;
use std::io::{BufRead, BufReader};
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};

use super::input::{Fault, Input};
use super::{Value, binary, text};
use crate::{Error, Result};

/// Longest key that is read. A file without a blank in its first bytes is not an archive.
const LONGEST_KEY: usize = 4096;

/// Reads an archive from its first object to its last, one object in memory at a time.
///
/// An iterator of `(key, value)`. Binary and text objects are told apart by themselves. The first error ends it,
/// because nothing says where the next object starts.
#[derive(Debug)]
pub struct ArkReader<R> {
    path: PathBuf,
    input: Input<R>,
    done: bool,
}

impl ArkReader<BufReader<File>> {
    /// Opens the archive at `path`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
        Ok(Self::new(path, BufReader::with_capacity(1 << 16, file)))
    }
}

impl<R: BufRead> ArkReader<R> {
    /// Reads an archive from any stream; `path` stands for it in messages.
    pub fn new(path: impl AsRef<Path>, stream: R) -> Self {
        Self { path: path.as_ref().to_path_buf(), input: Input::new(stream), done: false }
    }

    fn read_next(&mut self) -> Result<Option<(String, Value)>> {
        let start = self.input.position();
        let place = format!("byte {start}");
        let key = match key(&mut self.input) {
            Ok(Some(key)) => key,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(fault.at(&self.path, &place)),
        };
        let place = format!("utterance `{key}`, byte {}", self.input.position());
        let value = object(&mut self.input).map_err(|fault| fault.at(&self.path, &place))?;
        Ok(Some((key, value)))
    }
}

impl<R: BufRead> Iterator for ArkReader<R> {
    type Item = Result<(String, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.read_next().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl<R: BufRead> FusedIterator for ArkReader<R> {}

/// Reads one object, of either form, at the place where a key has ended or an `scp` line points to.
pub(super) fn object<R: BufRead>(input: &mut Input<R>) -> std::result::Result<Value, Fault> {
    if input.peek()? != Some(0) {
        return text::read(input);
    }
    input.bump();
    match input.next()? {
        Some(b'B') => binary::read(input),
        Some(byte) => {
            Err(Fault::unexpected(format!("byte 0x{byte:02x} after NUL"), "`B` of a binary object"))
        }
        None => Err(Fault::Truncated { what: "`B` of a binary object".to_owned() }),
    }
}

/// The next key without the blank that ends it; `None` at the end of the archive.
fn key<R: BufRead>(input: &mut Input<R>) -> std::result::Result<Option<String>, Fault> {
    while input.peek()?.is_some_and(|byte| byte.is_ascii_whitespace()) {
        input.bump();
    }
    let mut key = Vec::new();
    loop {
        match input.next()? {
            Some(b' ' | b'\t') => break,
            Some(byte) if byte.is_ascii_control() => {
                return Err(Fault::unexpected(
                    format!("byte 0x{byte:02x} in a key"),
                    "an utterance's name and a blank (is this an archive?)",
                ));
            }
            Some(byte) if key.len() < LONGEST_KEY => key.push(byte),
            Some(_) => {
                return Err(Fault::unexpected(
                    format!("no blank in {LONGEST_KEY} bytes"),
                    "an utterance's name and a blank (is this an archive?)",
                ));
            }
            None if key.is_empty() => return Ok(None),
            None => {
                return Err(Fault::Truncated { what: "a blank after a key".to_owned() });
            }
        }
    }
    String::from_utf8(key).map(Some).map_err(|error| {
        Fault::unexpected(
            format!("a key that is not UTF-8 (`{}`)", error.as_bytes().escape_ascii()),
            "an utterance's name (is this an archive?)",
        )
    })
}
