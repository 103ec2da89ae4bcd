//! One way to open a list: a file, a pipe or standard input, gzipped or not.

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ffsvc_hashing::Sha256;
use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

/// Offsets into a table are 32 bits wide; a list of utterances of more than 4 GiB is something else by mistake.
pub(crate) const MAX_BYTES: u64 = u32::MAX as u64;

/// How many times its size a gzipped list may unpack to. Names and paths shrink ten- to fiftyfold.
const MOST_EXPANSION: u64 = 256;
/// What a gzipped list of any size may unpack to.
const LEAST_LIMIT: u64 = 64 << 20;

/// The bytes by which compressed files are told: as many as the longest mark has.
const MARK_BYTES: usize = 6;

/// Marks of compressed files that are not read, with the program that unpacks them.
const REFUSED: [(&[u8], &str, &str); 4] = [
    (b"\xfd7zXZ\0", "a file compressed by xz", "xz -dc"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd", "zstd -dc"),
    (b"BZh", "a file compressed by bzip2", "bzip2 -dc"),
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
];

/// Whether standard input has been opened as a list.
static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// A list that is being read: the text of a file, of a pipe, or of standard input, which the path `-` means. A gzipped
/// list is unpacked; its first bytes tell, not its name.
///
/// A list is read once, from its start to its end, so a pipe serves as well as a file. What was read can be
/// [hashed](Self::hashed) on the way.
///
/// ```
/// use ffsvc_kaldi_io::ListFile;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("list");
/// std::fs::write(&path, "ann-1\nbob-1\n")?;
/// let mut list = ListFile::open(&path)?.hashed();
/// assert_eq!(list.read_all()?, b"ann-1\nbob-1\n");
/// assert_eq!(list.sha256().map(|sha256| sha256.len()), Some(64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ListFile {
    path: PathBuf,
    source: Source,
    /// Of a regular file that is not compressed.
    size: Option<u64>,
    sha256: Option<Sha256>,
}

#[derive(Debug)]
enum Source {
    Plain(Start),
    Gzip { decoder: Box<MultiGzDecoder<BufReader<Counted>>>, unpacked: u64 },
}

/// The bytes that were looked at, and the rest.
type Start = Chain<Cursor<Vec<u8>>, Input>;

#[derive(Debug)]
enum Input {
    File(File),
    Stdin(io::Stdin),
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buf),
            Self::Stdin(stdin) => stdin.read(buf),
        }
    }
}

/// Counts the compressed bytes.
#[derive(Debug)]
struct Counted {
    inner: Start,
    count: u64,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.count += read as u64;
        Ok(read)
    }
}

impl ListFile {
    /// Opens the list at `path`; `-` is standard input, which can be opened once in a process.
    ///
    /// # Errors
    /// The file cannot be opened or its first bytes cannot be read; it is compressed by another program than gzip;
    /// standard input was opened before.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path == Path::new("-") {
            let path = PathBuf::from("standard input");
            if STDIN_TAKEN.swap(true, Ordering::SeqCst) {
                let message =
                    "is asked for twice (`-`), but can be read only once: put one of the lists into a file";
                return Err(Error::invalid(path, message));
            }
            return Self::identify(path, Input::Stdin(io::stdin()), None);
        }
        let file = File::open(path).map_err(|error| Error::io(path, "open", error))?;
        let size = file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
        Self::identify(path.to_path_buf(), Input::File(file), size)
    }

    /// Looks at the first bytes.
    fn identify(path: PathBuf, mut input: Input, size: Option<u64>) -> Result<Self> {
        let mut start = Vec::with_capacity(MARK_BYTES);
        let read = (&mut input).take(MARK_BYTES as u64).read_to_end(&mut start);
        read.map_err(|error| Error::io(&path, "read", error))?;
        if let Some((_, found, unpack)) = REFUSED.iter().find(|(mark, ..)| start.starts_with(mark)) {
            let expected = format!("text or gzip: unpack it first ({unpack} FILE | ... -)");
            return Err(Error::parse(path, *found, expected));
        }
        let is_gzip = start.starts_with(b"\x1f\x8b");
        let start = Cursor::new(start).chain(input);
        if !is_gzip {
            return Ok(Self { path, source: Source::Plain(start), size, sha256: None });
        }
        let packed = BufReader::with_capacity(1 << 16, Counted { inner: start, count: 0 });
        let decoder = Box::new(MultiGzDecoder::new(packed));
        Ok(Self { path, source: Source::Gzip { decoder, unpacked: 0 }, size: None, sha256: None })
    }

    /// Hashes what is read from here on.
    #[must_use]
    pub fn hashed(self) -> Self {
        Self { sha256: Some(Sha256::new()), ..self }
    }

    /// SHA-256 of what has been read, 64 hexadecimal digits; of a gzipped list, of the unpacked text. `None` if the list
    /// is not [hashed](Self::hashed).
    pub fn sha256(&self) -> Option<String> {
        self.sha256.as_ref().map(Sha256::hex)
    }

    /// The file's path, or `standard input`: what errors name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// The list cannot be read or unpacked, or has more than 4 GiB.
    pub fn read_all(&mut self) -> Result<Vec<u8>> {
        let too_large =
            |path: &Path| Error::invalid(path, "is larger than 4 GiB, which no list of utterances is");
        if self.size.is_some_and(|size| size > MAX_BYTES) {
            return Err(too_large(&self.path));
        }
        // One byte more, so that the end is found without the buffer growing.
        let mut bytes = Vec::with_capacity(self.size.map_or(0, |size| size as usize + 1));
        let read = self.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::io(&self.path, "read", error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(too_large(&self.path));
        }
        Ok(bytes)
    }
}

impl Read for ListFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf)?;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&buf[..read]);
        }
        Ok(read)
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (decoder, unpacked) = match self {
            Self::Plain(input) => return input.read(buf),
            Self::Gzip { decoder, unpacked } => (decoder, unpacked),
        };
        // Never `InvalidData`, which readers of text take for bytes that are not UTF-8.
        let read = decoder.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(format!("the gzipped data are damaged or cut short ({error})")),
        })?;
        *unpacked += read as u64;
        let packed = decoder.get_ref().get_ref().count;
        if *unpacked > LEAST_LIMIT.max(packed.saturating_mul(MOST_EXPANSION)) {
            let message =
                format!("it unpacks to more than {MOST_EXPANSION} times its size, which no list does");
            return Err(io::Error::other(message));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let read = ListFile::open(file.path()).and_then(|mut list| list.read_all());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn gzip_is_unpacked_and_text_is_not() {
        let text: Vec<u8> = (0..100_000).flat_map(|n| format!("utt-{n} a.wav\n").into_bytes()).collect();
        for plain in [b"".as_slice(), b"a", b"abcde", b"abcdef\n", &text] {
            assert_eq!(read(plain).unwrap(), plain);
            assert_eq!(read(&gzip(plain)).unwrap(), plain);
        }
        // Two members, as `cat a.gz b.gz` makes them.
        assert_eq!(read(&[gzip(b"a 1\n"), gzip(b"b 2\n")].concat()).unwrap(), b"a 1\nb 2\n");
    }

    #[test]
    fn the_hash_is_that_of_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let hash = |bytes: &[u8]| {
            let path = folder.path().join("list");
            std::fs::write(&path, bytes).unwrap();
            let mut list = ListFile::open(&path).unwrap().hashed();
            list.read_all().unwrap();
            list.sha256().unwrap()
        };
        let plain = hash(b"abc");
        assert_eq!(plain, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hash(&gzip(b"abc")), plain);
    }

    #[test]
    fn damaged_and_hostile_files_are_errors() {
        let mut short = gzip(&b"a line of text\n".repeat(1000));
        short.truncate(short.len() / 2);
        assert!(read(&short).unwrap_err().contains("damaged or cut short"));
        assert!(read(b"\x1f\x8b").unwrap_err().contains("damaged or cut short"));
        let bomb = gzip(&vec![b'a'; 80 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert!(read(&bomb).unwrap_err().contains("unpacks to more than 256 times"));
        for (mark, name, unpack) in REFUSED {
            let error = read(&[mark, b"..."].concat()).unwrap_err();
            assert!(error.contains(name) && error.contains(unpack), "{error}");
        }
        assert!(ListFile::open("/no/such/list").unwrap_err().to_string().contains("cannot open"));
    }
}
