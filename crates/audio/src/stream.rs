//! The bytes of a file, or of a buffer, under one type.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symphonia::core::io::MediaSource;

use crate::Limits;
use crate::archive;
use crate::error::{Cause, Fallible, Result};

/// The bytes of a file or, for a name `ARCHIVE:OFFSET`, of the recording in the archive. They may be audio or not.
///
/// # Errors
/// The file cannot be read, there is no recording at the place, or a pipe gives more than [`Limits::max_bytes`].
pub fn recording_bytes(path: impl AsRef<Path>, limits: Limits) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let read = || {
        let mut bytes = Vec::new();
        Stream::open(path, &limits)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|cause: Cause| cause.at(path))
}

/// A seekable source of known length. Clones share it, and its position.
#[derive(Clone)]
pub(crate) struct Stream {
    source: Arc<Mutex<Box<dyn MediaSource>>>,
    len: u64,
}

impl Stream {
    /// Opens a file, or the recording of an archive. What is not a regular file (a named pipe, `/dev/stdin`) is read into memory
    /// first.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Fallible<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::in_archive(path, error),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Cause::Folder);
        }
        if metadata.is_file() {
            return Ok(Self::new(Box::new(file), metadata.len()));
        }
        Self::from_reader(file, limits)
    }

    /// The recording that a name without a file means; `missing` if it means none.
    fn in_archive(path: &Path, missing: io::Error) -> Fallible<Self> {
        if let Some(range) = archive::range(path) {
            return Err(Cause::ArchiveRange { range: range.to_owned() });
        }
        let Some((archive, offset)) = archive::place(path) else { return Err(missing.into()) };
        let (source, len) = archive::open(&archive, offset)?;
        Ok(Self::new(source, len))
    }

    /// Reads into memory what has no length.
    pub(crate) fn from_reader(reader: impl Read, limits: &Limits) -> Fallible<Self> {
        let mut bytes = Vec::new();
        reader.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limits.max_bytes {
            return Err(Cause::TooManyBytes { limit: limits.max_bytes });
        }
        Ok(Self::from_bytes(bytes))
    }

    pub(crate) fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        let len = bytes.as_ref().len() as u64;
        Self::new(Box::new(Cursor::new(bytes)), len)
    }

    pub(crate) fn new(source: Box<dyn MediaSource>, len: u64) -> Self {
        Self { source: Arc::new(Mutex::new(source)), len }
    }

    /// Length in bytes when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    fn source(&self) -> MutexGuard<'_, Box<dyn MediaSource>> {
        // A decoder that panicked leaves nothing worse than a position behind.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.source().read(bytes)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.source().read_exact(bytes)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source().seek(to)
    }
}

impl MediaSource for Stream {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}
