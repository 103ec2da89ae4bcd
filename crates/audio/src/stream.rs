//! The bytes of a file, or of a buffer, under one type.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;

use crate::error::{Cause, Fallible};

/// The most that is read from something that has no length, such as a pipe.
const MAX_PIPE_BYTES: u64 = 1 << 30;

/// A seekable source of known length.
pub(crate) struct Stream {
    source: Box<dyn MediaSource>,
    len: u64,
}

impl Stream {
    /// Opens a file. What is not a regular file (a named pipe, `/dev/stdin`) is read into memory first.
    pub(crate) fn open(path: &Path) -> Fallible<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Cause::Folder);
        }
        if metadata.is_file() {
            return Ok(Self { source: Box::new(file), len: metadata.len() });
        }
        let mut bytes = Vec::new();
        (&mut file).take(MAX_PIPE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_PIPE_BYTES {
            let message = format!("not a regular file, and longer than {MAX_PIPE_BYTES} bytes");
            return Err(Cause::Io(io::Error::new(io::ErrorKind::FileTooLarge, message)));
        }
        Ok(Self::from_bytes(bytes))
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len() as u64, source: Box::new(Cursor::new(bytes)) }
    }

    #[cfg(test)]
    pub(crate) fn from_source(source: Box<dyn MediaSource>) -> Self {
        let len = source.byte_len().unwrap_or(0);
        Self { source, len }
    }

    /// Length in bytes when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }

    pub(crate) fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.source.read_exact(bytes)
    }

    pub(crate) fn into_source(self) -> Box<dyn MediaSource> {
        self.source
    }
}
