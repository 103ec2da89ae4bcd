//! Bytes of a list file to text whose faulty lines are known.

use std::path::Path;

use crate::{Error, ListFile, Result};

pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A list file as text.
pub(crate) struct Text {
    /// The content without its byte order mark. Lines that are not UTF-8 are blank.
    pub(crate) text: String,
    /// Whether the file began with a byte order mark.
    pub(crate) had_mark: bool,
    /// Lines that are not UTF-8, counted from 1, ascending.
    pub(crate) not_utf8: Vec<u64>,
}

impl Text {
    /// Decodes a file's bytes; never fails, see the fields.
    pub(crate) fn decode(bytes: Vec<u8>) -> Self {
        let mut not_utf8 = Vec::new();
        let mut text = String::from_utf8(bytes).unwrap_or_else(|error| {
            let mut bytes = error.into_bytes();
            for (line, content) in (1..).zip(bytes.split_mut(|&byte| byte == b'\n')) {
                if std::str::from_utf8(content).is_err() {
                    content.fill(b' ');
                    not_utf8.push(line);
                }
            }
            // Every line is valid now, so nothing is lost here.
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let had_mark = text.starts_with(BYTE_ORDER_MARK);
        if had_mark {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Self { text, had_mark, not_utf8 }
    }

    /// Reads a file in which every line must be UTF-8.
    pub(crate) fn read_strict(path: &Path) -> Result<String> {
        let mut list = ListFile::open(path)?;
        let text = Self::decode(list.read_all()?);
        match text.not_utf8.first() {
            None => Ok(text.text),
            Some(&line) => {
                Err(Error::parse(list.path(), "bytes that are not UTF-8", "UTF-8 text").at_line(line))
            }
        }
    }
}
