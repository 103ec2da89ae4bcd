//! What a path leads to, and how it is written.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::{folder_of, temporary_in};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// What an output path leads to, once symbolic links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A regular file, or a name that no file has yet. It is replaced.
    File(PathBuf),
    /// A device, a FIFO or a socket. It is written to.
    Special(PathBuf, FileType),
    /// A descriptor that this process has open, by its number. It is written to where it stands.
    Descriptor(u32),
}

/// Which file or folder something is: two paths with one identity are one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// A file that exists, by device and file number: hard links are one file.
    Existing {
        /// Number of the file system.
        device: u64,
        /// Number of the file in it.
        file: u64,
    },
    /// A file that does not exist yet, by its absolute path.
    Absent(PathBuf),
    /// An open descriptor that leads to a device or a socket, by its number.
    Descriptor(u32),
}

impl Identity {
    /// The identity of a folder, which need not exist.
    ///
    /// # Errors
    /// A folder above it may not be searched.
    pub fn of_folder(folder: &Path) -> io::Result<Self> {
        match fs::metadata(folder) {
            Ok(metadata) => existing(&metadata).map_or_else(|| absolute(folder).map(Self::Absent), Ok),
            Err(_) => absolute(folder).map(Self::Absent),
        }
    }
}

/// Whether the folder can be made, if it does not exist, and files in it.
///
/// # Errors
/// It is a file, or it or the nearest folder above it that exists cannot be written to.
pub fn check_folder(folder: &Path) -> io::Result<()> {
    let mut ancestors =
        folder.ancestors().map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    let nearest = ancestors.find(|path| fs::symlink_metadata(path).is_ok());
    match nearest {
        Some(nearest) if !nearest.is_dir() => {
            Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is not a folder", nearest.display())))
        }
        Some(nearest) => temporary_in(nearest).map(drop),
        None => Err(ErrorKind::NotFound.into()),
    }
}

/// The absolute path without links, also of a file or folder that does not exist yet.
///
/// # Errors
/// A folder above it may not be searched.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for ancestor in path.ancestors() {
        match ancestor.canonicalize() {
            Ok(known) => {
                let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { known } else { known.join(rest) });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

impl Target {
    /// Follows `path` to what it names. Nothing is opened or created.
    ///
    /// # Errors
    /// `path` is a folder, its links go in a circle, or a folder on the way may not be searched.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_path_buf();
        for _ in 0..MAX_LINKS {
            if let Some(number) = descriptor(&path) {
                return Ok(Self::Descriptor(number));
            }
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::File(path)),
                Err(error) => return Err(error),
            };
            if kind.is_symlink() {
                path = folder_of(&path).join(fs::read_link(&path)?);
            } else if kind.is_dir() {
                return Err(io::Error::new(ErrorKind::IsADirectory, "this is a folder, expected a file"));
            } else if kind.is_file() {
                return Ok(Self::File(path));
            } else {
                return Ok(Self::Special(path, kind));
            }
        }
        Err(io::Error::other("too many symbolic links, or links in a circle"))
    }

    /// Whether it is this process' standard output.
    pub fn is_stdout(&self) -> bool {
        *self == Self::Descriptor(1)
    }

    /// The regular file's path, for formats that cannot be written to a pipe.
    ///
    /// # Errors
    /// It is anything else.
    pub fn require_regular(self) -> io::Result<PathBuf> {
        let found = match self {
            Self::File(path) => return Ok(path),
            Self::Descriptor(1) => "standard output".to_owned(),
            Self::Descriptor(number) => format!("the open descriptor {number}"),
            Self::Special(_, kind) if is_fifo(kind) => "a FIFO".to_owned(),
            Self::Special(_, kind) if is_socket(kind) => "a socket".to_owned(),
            Self::Special(..) => "a device".to_owned(),
        };
        Err(io::Error::new(
            ErrorKind::NotSeekable,
            format!("this is {found}, and the format needs a regular file: it is written at offsets"),
        ))
    }

    /// Whether the target could be written now. A regular target's folder is tried with a file that disappears at
    /// once; nothing else is opened, so a FIFO's reader notices nothing.
    ///
    /// # Errors
    /// The folder does not exist or cannot be written to; the descriptor is closed or is for reading only; the device
    /// or FIFO may not be written by this user.
    pub fn check_writable(&self) -> io::Result<()> {
        match self {
            Self::File(path) => temporary_in(folder_of(path)).map(drop),
            Self::Special(path, kind) if is_fifo(*kind) || is_socket(*kind) => {
                // Opening would wait for a reader, or be taken for the connection.
                fs::metadata(path).map(drop)
            }
            Self::Special(path, _) => File::options().write(true).open(path).map(drop),
            Self::Descriptor(number) => borrow(*number).and_then(|file| require_writable(*number, &file)),
        }
    }

    /// Which file it is. A device or a socket has no identity: several outputs may go there at once.
    ///
    /// # Errors
    /// The descriptor is not open, or a folder may not be searched.
    pub fn identity(&self) -> io::Result<Option<Identity>> {
        let is_shared = |metadata: &fs::Metadata| {
            let kind = metadata.file_type();
            !kind.is_file() && !is_fifo(kind)
        };
        match self {
            Self::Descriptor(number) => {
                let metadata = borrow(*number)?.metadata()?;
                let by_number = Identity::Descriptor(*number);
                Ok(Some(if is_shared(&metadata) {
                    by_number
                } else {
                    existing(&metadata).unwrap_or(by_number)
                }))
            }
            Self::Special(path, _) | Self::File(path) => match fs::metadata(path) {
                Ok(metadata) if is_shared(&metadata) => Ok(None),
                Ok(metadata) if existing(&metadata).is_some() => Ok(existing(&metadata)),
                _ => absolute(path).map(Identity::Absent).map(Some),
            },
        }
    }

    /// Whether opening it waits for a process at its other end.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(self, Self::Special(_, kind) if is_fifo(*kind))
    }

    /// Opens what is written to directly.
    pub(crate) fn open(&self) -> io::Result<File> {
        match self {
            Self::File(path) => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{} is a regular file: it is replaced, not opened", path.display()),
            )),
            Self::Descriptor(number) => {
                let file = borrow(*number)?;
                require_writable(*number, &file)?;
                Ok(file)
            }
            #[cfg(unix)]
            Self::Special(path, kind) if is_socket(*kind) => {
                let socket = std::os::unix::net::UnixStream::connect(path)?;
                Ok(File::from(std::os::fd::OwnedFd::from(socket)))
            }
            Self::Special(path, _) => File::options().write(true).open(path),
        }
    }
}

/// The number of the open descriptor that a path stands for.
#[cfg(unix)]
fn descriptor(path: &Path) -> Option<u32> {
    let by_name = |folder: &str| path.strip_prefix(folder).ok()?.to_str()?.parse().ok();
    match path.to_str() {
        Some("/dev/stdin") => return Some(0),
        Some("/dev/stdout") => return Some(1),
        Some("/dev/stderr") => return Some(2),
        _ => {}
    }
    if let Some(number) = by_name("/dev/fd").or_else(|| by_name("/proc/self/fd")) {
        return Some(number);
    }
    // The same folder by another way: a link to it, or /proc with this process' number.
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = folder_of(path).canonicalize().ok()?;
    let ours = Path::new("/proc").join(std::process::id().to_string());
    let is_ours = folder == Path::new("/dev/fd")
        || folder == ours.join("fd")
        || (folder.starts_with(ours.join("task")) && folder.ends_with("fd"));
    is_ours.then_some(number)
}

#[cfg(not(unix))]
fn descriptor(_: &Path) -> Option<u32> {
    None
}

/// A second handle of an open descriptor, with the same position and flags.
#[cfg(unix)]
fn borrow(number: u32) -> io::Result<File> {
    use std::os::fd::{BorrowedFd, RawFd};
    let closed = |error: io::Error| {
        io::Error::new(error.kind(), format!("the descriptor {number} is not open in this process ({error})"))
    };
    let raw = RawFd::try_from(number).map_err(|_| closed(ErrorKind::InvalidInput.into()))?;
    // SAFETY: the number is not -1, and the borrow lasts for the one call that duplicates it; the system refuses a
    // number that is not open.
    let handle = unsafe { BorrowedFd::borrow_raw(raw) };
    handle.try_clone_to_owned().map(File::from).map_err(closed)
}

#[cfg(not(unix))]
fn borrow(_: u32) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

/// The system refuses even an empty write to a descriptor that is open for reading only.
fn require_writable(number: u32, mut file: &File) -> io::Result<()> {
    use std::io::Write;
    const EBADF: i32 = 9;
    match file.write(&[]) {
        Err(error) if error.raw_os_error() == Some(EBADF) => Err(io::Error::new(
            ErrorKind::PermissionDenied,
            format!("the descriptor {number} is open for reading only"),
        )),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn existing(metadata: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some(Identity::Existing { device: metadata.dev(), file: metadata.ino() })
}

#[cfg(not(unix))]
fn existing(_: &fs::Metadata) -> Option<Identity> {
    None
}

#[cfg(unix)]
fn is_fifo(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_fifo()
}

#[cfg(unix)]
fn is_socket(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_socket()
}

#[cfg(not(unix))]
fn is_fifo(_: FileType) -> bool {
    false
}

#[cfg(not(unix))]
fn is_socket(_: FileType) -> bool {
    false
}
