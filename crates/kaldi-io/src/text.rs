//! Bytes of a list file to text whose faulty lines are known.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{Error, Result};

/// Offsets into a table are 32 bits wide; a list of utterances of more than 4 GiB is something else by mistake.
const MAX_BYTES: u64 = u32::MAX as u64;

const BYTE_ORDER_MARK: &str = "\u{feff}";

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
        let text = Self::decode(read_bytes(path)?);
        match text.not_utf8.first() {
            None => Ok(text.text),
            Some(&line) => Err(Error::parse(path, "bytes that are not UTF-8", "UTF-8 text").at_line(line)),
        }
    }
}

/// Reads a whole list file, within the limit on its size.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| Error::io(path, "open", error))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let too_large = || Error::invalid(path, "is larger than 4 GiB, which no list of utterances is");
    if size > MAX_BYTES {
        return Err(too_large());
    }
    // A pipe has no size beforehand, and a file may still grow.
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Error::io(path, "read", error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}
