//! Recordings of an archive, one after the other, in long reads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::{HEAD, extent};
use crate::error::{Cause, Fallible, Result};

/// Bytes of a read.
const BLOCK: usize = 4 << 20;
/// The longest recording that is given as bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Reads recordings of a Kaldi archive or a tar file in the order of their places. The file is read in blocks of 4 MiB from its
/// beginning to its end. Only what no recording needs is passed over.
///
/// ```
/// use ffsvc_audio::{ArchiveReader, AudioFile, SampleFormat, write_wav};
/// # let dir = tempfile::tempdir()?;
/// # let at = |name: &str| dir.path().join(name);
/// write_wav(at("a.wav"), &[0.5; 800], 16_000, SampleFormat::Pcm16)?;
/// let wav = std::fs::read(at("a.wav"))?;
/// std::fs::write(at("wav.ark"), [b"a ", &wav[..], b"b ", &wav[..]].concat())?;
///
/// let mut archive = ArchiveReader::open(at("wav.ark"))?;
/// let second = 2 + wav.len() as u64 + 2;
/// for offset in [2, second] {
///     let bytes = archive.recording(offset)?;
///     assert_eq!(AudioFile::from_bytes("a recording", bytes)?.frames(), Some(800));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArchiveReader<R = File> {
    name: PathBuf,
    source: R,
    /// Bytes of the whole archive.
    len: u64,
    /// Bytes that were read last, and where the first of them is.
    block: Vec<u8>,
    start: u64,
    block_size: usize,
    /// The recording that was asked for last. Segments of a recording come one after the other.
    last: Option<(u64, Arc<[u8]>)>,
}

impl ArchiveReader {
    /// Opens an archive.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(Self::new(path, file, len))
        };
        open().map_err(|error: io::Error| Cause::Io(error).at(path))
    }
}

impl<R: Read + Seek> ArchiveReader<R> {
    /// The archive `source` of `len` bytes, at its beginning. `name` stands for the path in errors.
    pub fn new(name: impl AsRef<Path>, source: R, len: u64) -> Self {
        let name = name.as_ref().to_path_buf();
        Self { name, source, len, block: Vec::new(), start: 0, block_size: BLOCK, last: None }
    }

    /// The bytes of the recording at `offset`, without what the archive has around it. Going back in the archive is a seek.
    ///
    /// # Errors
    /// There is no recording at this place, or it has more than 1 GiB; the archive cannot be read.
    pub fn recording(&mut self, offset: u64) -> Result<Arc<[u8]>> {
        if let Some((_, bytes)) = self.last.as_ref().filter(|(place, _)| *place == offset) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = self.read_recording(offset).map_err(|cause| cause.at(&self.name))?;
        self.last = Some((offset, Arc::clone(&bytes)));
        Ok(bytes)
    }

    fn read_recording(&mut self, offset: u64) -> Fallible<Arc<[u8]>> {
        let (archive, whole) = (self.name.clone(), self.len);
        let fault = |reason| Cause::Archive { archive: archive.clone(), offset, reason };
        if offset >= whole {
            return Err(fault(format!("it has {whole} bytes")));
        }
        let head = self.bytes(offset, HEAD.min(usize::try_from(whole - offset).unwrap_or(HEAD)))?;
        let (start, len) = extent(head, offset, whole).map_err(fault)?;
        if len > MOST_BYTES {
            return Err(fault(format!("its {len} bytes are more than {MOST_BYTES}")));
        }
        Ok(self.bytes(start, len as usize)?.into())
    }

    /// `count` bytes from `position` on, which must be there.
    fn bytes(&mut self, position: u64, count: usize) -> io::Result<&[u8]> {
        while self.at(position).is_none_or(|there| there.len() < count) {
            self.read_block(position)?;
        }
        Ok(self.at(position).map_or(&[][..], |there| &there[..count]))
    }

    /// The bytes from `position` on that were read.
    fn at(&self, position: u64) -> Option<&[u8]> {
        self.block.get(usize::try_from(position.checked_sub(self.start)?).ok()?..)
    }

    /// Reads another block behind what was read, and drops the bytes before `position`.
    fn read_block(&mut self, position: u64) -> io::Result<()> {
        let kept = self.at(position).map_or(0, <[u8]>::len);
        if self.at(position).is_none() {
            self.source.seek(SeekFrom::Start(position))?;
        }
        if kept < self.block.len() {
            self.block.drain(..self.block.len() - kept);
            // What a long recording has taken is given back.
            self.block.shrink_to(2 * self.block_size);
        }
        self.start = position;
        let mut filled = kept;
        let left = self.len.saturating_sub(position).saturating_sub(kept as u64);
        self.block.resize(kept + self.block_size.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
        while filled < self.block.len() {
            match self.source.read(&mut self.block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Where the source stands now is not known: the next read begins with a seek.
                    self.block.clear();
                    self.start = u64::MAX;
                    return Err(error);
                }
            }
        }
        self.block.truncate(filled);
        if filled == kept { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// Notes where each read begins, and each seek.
    struct Watched {
        bytes: Cursor<Vec<u8>>,
        reads: Vec<u64>,
        seeks: Vec<u64>,
    }

    impl Read for Watched {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.reads.push(self.bytes.position());
            self.bytes.read(buf)
        }
    }

    impl Seek for Watched {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let position = self.bytes.seek(to)?;
            self.seeks.push(position);
            Ok(position)
        }
    }

    /// An archive of recordings of these lengths, their places and their bytes.
    fn archive(lengths: &[u16]) -> (Vec<u8>, Vec<(u64, Vec<u8>)>) {
        let (mut archive, mut recordings) = (Vec::new(), Vec::new());
        for (number, &length) in lengths.iter().enumerate() {
            archive.extend_from_slice(format!("rec{number} ").as_bytes());
            let place = archive.len() as u64;
            let bytes: Vec<u8> = (0..length).map(|n| (usize::from(n) * 31 + number) as u8).collect();
            archive.extend_from_slice(b"AUDIO\x02");
            archive.extend_from_slice(&length.to_le_bytes());
            archive.extend_from_slice(&bytes);
            recordings.push((place, bytes));
        }
        (archive, recordings)
    }

    fn watched(archive: &[u8], block_size: usize) -> ArchiveReader<Watched> {
        let bytes = Cursor::new(archive.to_vec());
        let source = Watched { bytes, reads: Vec::new(), seeks: Vec::new() };
        ArchiveReader { block_size, ..ArchiveReader::new("a.ark", source, archive.len() as u64) }
    }

    proptest! {
        #[test]
        fn an_archive_is_read_once_from_its_beginning_to_its_end(
            lengths in prop::collection::vec(0_u16..3000, 1..30),
            block_size in 700_usize..5000,
        ) {
            let (archive, recordings) = archive(&lengths);
            let mut reader = watched(&archive, block_size);
            for (place, bytes) in &recordings {
                for _ in 0..2 {
                    prop_assert_eq!(&*reader.recording(*place).unwrap(), &bytes[..]);
                }
            }
            let Watched { reads, seeks, .. } = &reader.source;
            prop_assert!(reads.is_sorted() && seeks.is_sorted(), "{reads:?} {seeks:?}");
            prop_assert!(reads.len() <= archive.len() / block_size + 1, "{} reads", reads.len());
        }

        /// Any places of any bytes, in any order.
        #[test]
        fn what_is_no_recording_is_an_error(
            archive in prop::collection::vec(any::<u8>(), 0..2000),
            places in prop::collection::vec(0_u64..2100, 1..20),
        ) {
            let mut reader = watched(&archive, 600);
            for place in places {
                if let Ok(bytes) = reader.recording(place) {
                    prop_assert!(bytes.len() <= archive.len());
                }
            }
        }
    }

    #[test]
    fn recordings_that_nobody_asks_for_are_passed_over_and_others_are_found_again() {
        let (archive, recordings) = archive(&[3000; 9]);
        let mut reader = watched(&archive, 1024);
        for number in [0, 7, 8, 2] {
            let (place, bytes) = &recordings[number];
            assert_eq!(*reader.recording(*place).unwrap(), bytes[..]);
        }
        assert!(reader.source.reads.len() < 20, "{:?}", reader.source.reads);
        let error = reader.recording(archive.len() as u64).unwrap_err().to_string();
        assert!(error.contains("a.ark: no recording at byte") && error.contains("it has"), "{error}");
    }
}
