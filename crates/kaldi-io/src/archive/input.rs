use std::io::{self, BufRead};

use super::{Matrix, Real};
use crate::Error;

/// Bytes taken from the file at a time: the most that is allocated before they are known to be there.
const CHUNK: usize = 1 << 13;

/// What is wrong with an object, before the reader adds the file, the key and the place.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The system refused to read.
    Io(io::Error),
    /// The file ends inside the object.
    Truncated {
        /// What was being read.
        what: String,
    },
    /// Something else stands there.
    Unexpected {
        /// What stands there.
        found: String,
        /// What belongs there.
        expected: String,
    },
}

impl Fault {
    pub(crate) fn unexpected(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Unexpected { found: found.into(), expected: expected.into() }
    }

    /// The error that the user sees; `place` says where in `path` ("utterance `a`, byte 17").
    pub(crate) fn at(self, path: &std::path::Path, place: &str) -> Error {
        match self {
            Self::Io(error) => Error::io(path, "read", error),
            Self::Truncated { what } => Error::parse(
                path,
                format!("the end of the file ({place})"),
                format!("{what}; the file was cut short: write or copy it again"),
            ),
            Self::Unexpected { found, expected } => {
                Error::parse(path, format!("{found} ({place})"), expected)
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A byte stream that knows its position and never takes memory for bytes that it has not seen.
#[derive(Debug)]
pub(crate) struct Input<R> {
    inner: R,
    position: u64,
}

impl<R: BufRead> Input<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, position: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next byte, which stays; `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.inner.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Consumes the byte that [`peek`](Self::peek) has shown.
    pub(crate) fn bump(&mut self) {
        self.inner.consume(1);
        self.position += 1;
    }

    /// Consumes the next byte; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<u8>, Fault> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.bump();
        }
        Ok(byte)
    }

    pub(crate) fn fill(&mut self, out: &mut [u8], what: &str) -> Result<(), Fault> {
        self.inner.read_exact(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Truncated { what: what.to_owned() },
            _ => Fault::Io(error),
        })?;
        self.position += out.len() as u64;
        Ok(())
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// `len` bytes, in pieces.
    pub(crate) fn bytes(&mut self, len: u64, what: &str) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        self.pieces(len, what, |piece| out.extend_from_slice(piece))?;
        Ok(out)
    }

    /// `count` little-endian numbers, in pieces.
    pub(crate) fn numbers<T: Real>(&mut self, count: u64, what: &str) -> Result<Vec<T>, Fault> {
        let len = count.checked_mul(T::SIZE as u64).ok_or_else(|| {
            Fault::unexpected(format!("{count} numbers announced"), "a size that a file can have")
        })?;
        let mut out = Vec::new();
        self.pieces(len, what, |piece| out.extend(piece.chunks_exact(T::SIZE).map(T::from_le)))?;
        Ok(out)
    }

    /// Feeds `len` bytes to `take`, [`CHUNK`] (a multiple of every number's size) at a time.
    fn pieces(&mut self, len: u64, what: &str, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut buffer = [0; CHUNK];
        let mut left = len;
        while left > 0 {
            let piece = &mut buffer[..left.min(CHUNK as u64) as usize];
            self.fill(piece, what)?;
            take(piece);
            left -= piece.len() as u64;
        }
        Ok(())
    }
}

/// A dimension as Kaldi writes it, a signed number.
pub(super) fn not_negative(value: i32, what: &str) -> Result<u32, Fault> {
    u32::try_from(value)
        .map_err(|_| Fault::unexpected(format!("{value} for {what}"), "a number that is not negative"))
}

/// The matrix of `rows` x `cols` numbers.
pub(super) fn shaped<T>(rows: u32, cols: u32, data: Vec<T>) -> Result<Matrix<T>, Fault> {
    Matrix::from_vec(rows as usize, cols as usize, data).ok_or_else(|| {
        Fault::unexpected(format!("a matrix of {rows} x {cols}"), "both dimensions zero, or none")
    })
}
