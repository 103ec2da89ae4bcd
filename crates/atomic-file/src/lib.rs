#![doc = include_str!("../README.md")]

mod lock;
mod target;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use lock::{Lock, LockError};
pub use target::{Identity, Target, absolute, check_folder};

const BUFFER_BYTES: usize = 1 << 16;

/// The reader of standard output has gone (`| head`). A write to standard output fails with an [`io::Error`] of
/// kind `BrokenPipe` that holds this value, so that it can be told from a broken pipe elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StdoutClosed;

impl std::fmt::Display for StdoutClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reader of standard output has gone")
    }
}

impl std::error::Error for StdoutClosed {}

/// A file under construction; it takes the target's name on [`commit`](Self::commit).
///
/// A target that is no regular file is written to directly; see the table at the [top](crate).
#[derive(Debug)]
pub struct AtomicFile {
    writer: Writer,
    target: PathBuf,
}

#[derive(Debug)]
enum Writer {
    /// A temporary file, and the regular file that it replaces.
    Replace(BufWriter<NamedTempFile>, PathBuf),
    Direct(Direct),
}

#[derive(Debug)]
struct Direct {
    /// `None` only while it is dropped.
    writer: Option<BufWriter<Special>>,
    is_stdout: bool,
}

/// What is written to directly, opened with the first byte that leaves the buffer: opening a FIFO waits for its reader.
#[derive(Debug)]
struct Special {
    target: Target,
    file: Option<File>,
}

impl AtomicFile {
    /// Starts a file that will become `target`. The folder of `target` must exist. A FIFO is opened, and its reader waited for,
    /// when the first buffer is full or on [`commit`](Self::commit): a run that fails before waits for nobody.
    ///
    /// # Errors
    /// The folder is missing or cannot be written to; `target` is a folder; a device or pipe cannot be opened.
    pub fn create(target: impl AsRef<Path>) -> io::Result<Self> {
        let resolved = Target::of(target.as_ref())?;
        let writer = match resolved {
            Target::File(file) => Writer::replace(file)?,
            target => {
                if target.is_stdout() {
                    // What was printed before comes first.
                    io::stdout().flush()?;
                }
                let file = match target.may_wait() {
                    true => target.check_writable().map(|()| None)?,
                    false => Some(target.open()?),
                };
                let is_stdout = target.is_stdout();
                let writer = BufWriter::with_capacity(BUFFER_BYTES, Special { target, file });
                let direct = Direct { writer: Some(writer), is_stdout };
                Writer::Direct(direct)
            }
        };
        Ok(Self { writer, target: target.as_ref().to_path_buf() })
    }

    /// Like [`create`](Self::create), for writers that seek or that count offsets from the start of the file.
    ///
    /// # Errors
    /// As [`create`](Self::create); also `target` is a device, a pipe or an open descriptor.
    pub fn create_regular(target: impl AsRef<Path>) -> io::Result<Self> {
        let file = Target::of(target.as_ref())?.require_regular()?;
        Ok(Self { writer: Writer::replace(file)?, target: target.as_ref().to_path_buf() })
    }

    /// The path that the file was created with.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Removes the old file that this one will replace, if there is one. Symbolic links stay. Nothing happens to
    /// what is written to directly.
    ///
    /// # Errors
    /// The old file cannot be removed.
    pub fn remove_old(&self) -> io::Result<()> {
        match &self.writer {
            Writer::Replace(_, file) => match std::fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Writer::Direct(_) => Ok(()),
        }
    }

    /// Flushes, syncs and renames the file over its target, then syncs the folder. What is written to directly is
    /// flushed.
    ///
    /// # Errors
    /// The disk is full or the rename is not permitted; a regular target is then as it was. The reader of a pipe has
    /// gone.
    pub fn commit(mut self) -> io::Result<()> {
        self.flush()?;
        match self.writer {
            Writer::Direct(_) => Ok(()),
            Writer::Replace(writer, file) => {
                let temporary = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
                temporary.as_file().sync_all()?;
                temporary.persist(&file).map_err(|e| e.error)?;
                sync_folder(folder_of(&file));
                Ok(())
            }
        }
    }
}

impl Writer {
    fn replace(file: PathBuf) -> io::Result<Self> {
        let temporary = temporary_in(folder_of(&file))?;
        Ok(Self::Replace(BufWriter::with_capacity(BUFFER_BYTES, temporary), file))
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Replace(writer, _) => writer,
            Self::Direct(direct) => direct,
        }
    }
}

impl Direct {
    fn with<T>(&mut self, write: impl FnOnce(&mut BufWriter<Special>) -> io::Result<T>) -> io::Result<T> {
        let Some(writer) = &mut self.writer else { return Err(ErrorKind::NotConnected.into()) };
        match write(writer) {
            Err(error) if self.is_stdout && error.kind() == ErrorKind::BrokenPipe => {
                Err(io::Error::new(ErrorKind::BrokenPipe, StdoutClosed))
            }
            result => result,
        }
    }
}

impl Special {
    fn opened(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.target.open()?,
        };
        Ok(self.file.insert(file))
    }
}

impl Write for Special {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.opened()?.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.opened()?.flush()
    }
}

impl Write for Direct {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.with(|writer| writer.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|writer| writer.flush())
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // A dropped `BufWriter` would write what was never committed.
            let _ = writer.into_parts();
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.as_write().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_write().flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        match &mut self.writer {
            Writer::Replace(writer, _) => writer.seek(pos),
            Writer::Direct(_) => Err(io::Error::new(
                ErrorKind::NotSeekable,
                "not a regular file: it cannot be written at an offset",
            )),
        }
    }
}

/// Writes `bytes` to `target`, completely or not at all.
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::commit`].
pub fn write(target: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = AtomicFile::create(target)?;
    file.write_all(bytes.as_ref())?;
    file.commit()
}

fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmp-");
    // tempfile's default is owner-only; data files follow the user's umask like any other program's.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename inside `folder` durable. Some file systems cannot sync a folder; the rename itself
/// has already happened, so that is not an error.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
