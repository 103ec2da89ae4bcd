//! Recordings inside Kaldi archives and tar files, named `ARCHIVE:OFFSET`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use symphonia::core::io::MediaSource;

use crate::error::{Cause, Fallible};
use crate::tar_header;

/// Bytes that say what an entry is and how long: the header of a tar file; `AUDIO`, a byte for how many bytes the length has, and
/// at most eight of them; the first bytes of a WAV file.
pub(crate) const HEAD: usize = tar_header::LENGTH;

/// The archive and the offset, in bytes, of a name `wav.ark:1234`.
pub(crate) fn place(path: &Path) -> Option<(PathBuf, u64)> {
    let (archive, offset) = path.to_str()?.rsplit_once(':')?;
    let is_number = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !archive.is_empty()).then(|| Some((archive.into(), offset.parse().ok()?))).flatten()
}

/// The range of a name `wav.ark:1234[0:99]`.
pub(crate) fn range(path: &Path) -> Option<&str> {
    let name = path.to_str()?;
    let at = name.rfind('[').filter(|_| name.ends_with(']'))?;
    place(Path::new(&name[..at])).map(|_| &name[at..])
}

/// Opens the recording at `offset` of an archive; also its length in bytes.
pub(crate) fn open(archive: &Path, offset: u64) -> Fallible<(Box<dyn MediaSource>, u64)> {
    let fault = |reason: String| Cause::Archive { archive: archive.to_path_buf(), offset, reason };
    let mut file = File::open(archive).map_err(|error| fault(error.to_string()))?;
    let len = file.metadata()?.len();
    if offset >= len {
        return Err(fault(format!("it has {len} bytes")));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let (start, part) = extent(&head, offset, len).map_err(fault)?;
    file.seek(SeekFrom::Start(start))?;
    Ok((Box::new(Part { file, start, len: part, position: 0 }), part))
}

/// The first byte and the length of the recording whose entry begins with `head` at `offset` of an archive of `len` bytes.
pub(crate) fn extent(head: &[u8], offset: u64, len: u64) -> Result<(u64, u64), String> {
    let (start, part) = if let Some(size) = tar_header::file_size(head)? {
        (offset.saturating_add(tar_header::LENGTH as u64), size)
    } else if let Some(rest) = head.strip_prefix(b"AUDIO") {
        let digits = rest.first().map_or(0, |&count| usize::from(count));
        let number = rest.get(1..=digits).filter(|number| (1..=8).contains(&number.len()));
        let number = number.ok_or_else(|| format!("the token AUDIO with a length of {digits} bytes"))?;
        let part = number.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        (offset + 6 + digits as u64, part)
    } else if head.starts_with(b"RIFF") {
        let size = head.get(4..8).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // What programs write that do not know the length; see the rules for files.
        if !(4..0x7fff_f000).contains(&size) {
            return Err("a WAV file whose header does not tell its length, so its end is unknown".to_owned());
        }
        (offset, 8 + u64::from(size))
    } else {
        return Err(format!("it is {}, expected a WAV file, the token AUDIO or a tar header", what_is(head)));
    };
    if part > len.saturating_sub(start) {
        let there = len.saturating_sub(start);
        return Err(format!("truncated: {there} of its {part} bytes are there"));
    }
    Ok((start, part))
}

fn what_is(head: &[u8]) -> String {
    let known: [(&[u8], &str); 6] = [
        (b"\0B", "a matrix or a vector"),
        (b"NPY", "a NumPy array"),
        (b"PKL", "a Python pickle"),
        (b"fLaC", "a FLAC file, whose end in an archive only the token AUDIO or a tar header tells"),
        (b"RF64", "an RF64 file"),
        (b"NIST_1A", "a NIST SPHERE file"),
    ];
    match known.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, name)) => (*name).to_owned(),
        None => {
            let hex: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("data that begin with {}", hex.join(" "))
        }
    }
}

/// Bytes of a file as a file of their own.
struct Part {
    file: File,
    start: u64,
    len: u64,
    position: u64,
}

impl Read for Part {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let most = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut bytes[..most])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let in_file = target.and_then(|target| self.start.checked_add(target));
        let (Some(target), Some(in_file)) = (target, in_file) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a seek before the start of a recording",
            ));
        };
        self.file.seek(SeekFrom::Start(in_file))?;
        self.position = target;
        Ok(target)
    }
}

impl MediaSource for Part {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_places_are_told_from_names_of_files() {
        let split = |name: &str| place(Path::new(name)).map(|(path, at)| (path.display().to_string(), at));
        assert_eq!(split("data/wav.ark:1234"), Some(("data/wav.ark".to_owned(), 1234)));
        assert_eq!(split("c:/a b.ark:0"), Some(("c:/a b.ark".to_owned(), 0)));
        for name in ["a.ark", "a.ark:", ":12", "a.ark:1x", "a.ark:-1", "a.ark:99999999999999999999"] {
            assert_eq!(split(name), None, "{name}");
        }
        assert_eq!(range(Path::new("wav.ark:12[0:99]")), Some("[0:99]"));
        assert_eq!(range(Path::new("take [2]")), None);
    }

    #[test]
    fn a_tar_header_tells_where_the_file_is() {
        assert_eq!(extent(&tar_header::of_file(b"00000000310\0"), 1024, 1736), Ok((1536, 200)));
        let fault = |size: &[u8; 12]| extent(&tar_header::of_file(size), 1024, 1735).unwrap_err();
        assert_eq!(fault(b"00000000310\0"), "truncated: 199 of its 200 bytes are there");
    }

    #[test]
    fn the_token_tells_where_the_recording_is() {
        assert_eq!(extent(b"AUDIO\x02\x10\x01RIFF", 5, 400), Ok((13, 272)));
        assert_eq!(extent(b"RIFF\x24\0\0\0WAVE", 5, 400), Ok((5, 44)));
        let fault = |head: &[u8]| extent(head, 5, 20).unwrap_err();
        assert_eq!(fault(b"AUDIO\x01\x10"), "truncated: 8 of its 16 bytes are there");
        assert!(fault(b"AUDIO\x09\x10").contains("9 bytes") && fault(b"AUDIO").contains("0 bytes"));
        assert!(fault(b"\0BFV ").contains("a matrix or a vector"));
        assert!(fault(b"RIFF\xff\xff\xff\xffWAVE").contains("its end is unknown"));
    }

    proptest! {
        #[test]
        fn no_extent_leaves_the_archive(
            head in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..=HEAD),
                any::<[u8; 12]>().prop_map(|size| tar_header::of_file(&size).to_vec()),
                prop::collection::vec(any::<u8>(), 0..9).prop_map(|rest| [b"AUDIO", &rest[..]].concat()),
                prop::collection::vec(any::<u8>(), 0..9).prop_map(|rest| [b"RIFF", &rest[..]].concat()),
            ],
            offset in 0..1_u64 << 40,
            more in 1..1_u64 << 40,
        ) {
            if let Ok((start, part)) = extent(&head, offset, offset + more) {
                prop_assert!(start >= offset && start + part <= offset + more);
            }
        }
    }
}
