//! The right of one process to write a folder or a file.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The longest line that a lock file is expected to hold.
const MAX_HOLDER_BYTES: u64 = 1024;

/// How often a lock file that was just removed by its holder is tried again.
const TRIES: usize = 20;

/// The right to write a folder or a file. It ends when this value is dropped, and with the process.
///
/// ```
/// use ffsvc_atomic_file::{Lock, LockError};
///
/// let experiment = tempfile::tempdir()?;
/// let lock = Lock::folder(experiment.path())?;
/// let error = Lock::folder(experiment.path()).unwrap_err();
/// assert!(matches!(&error, LockError::Held { holder, .. } if holder.contains("process")));
/// drop(lock);
/// assert!(!experiment.path().join(".lock").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock ends when it is dropped"]
pub struct Lock {
    path: PathBuf,
    file: File,
    is_held: bool,
}

/// Why a lock was not given.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    Held {
        /// The folder or file that is wanted.
        of: PathBuf,
        /// Who has it: program, process, computer, since when.
        holder: String,
        /// The lock file.
        lock: PathBuf,
    },
    /// The lock file cannot be made.
    Io {
        /// The lock file.
        lock: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held { of, holder, lock } => write!(
                f,
                "{} is being written by {holder} (its lock is {}): wait for it, or name another place",
                of.display(),
                lock.display()
            ),
            Self::Io { lock, .. } => write!(f, "cannot make the lock file {}", lock.display()),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}

impl Lock {
    /// Locks the folder, which must exist. The lock file is `.lock` inside it.
    ///
    /// # Errors
    /// Another process has the lock, or the lock file cannot be made.
    pub fn folder(folder: impl AsRef<Path>) -> Result<Self, LockError> {
        let folder = folder.as_ref();
        Self::take(folder, folder.join(".lock"))
    }

    /// Locks a file that is about to be written, whose folder must exist. The lock file is `FILE.lock`.
    ///
    /// # Errors
    /// As [`folder`](Self::folder).
    pub fn beside(file: impl AsRef<Path>) -> Result<Self, LockError> {
        let file = file.as_ref();
        let mut lock = file.as_os_str().to_owned();
        lock.push(".lock");
        Self::take(file, lock.into())
    }

    /// Whether the lock keeps others out. It is `false` on a file system that has no locks; the caller may then go
    /// on, with a warning.
    pub fn is_held(&self) -> bool {
        self.is_held
    }

    fn take(of: &Path, path: PathBuf) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { lock: path.clone(), source };
        for _ in 0..TRIES {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed)?;
            let is_held = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => {
                    let (of, holder) = (of.to_path_buf(), holder(&mut file));
                    return Err(LockError::Held { of, holder, lock: path });
                }
                Err(TryLockError::Error(error)) if is_without_locks(&error) => false,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            };
            // The former holder may have removed the file between our opening and locking it. Then another process
            // would make and lock a new one.
            if !is_still(&file, &path) {
                continue;
            }
            file.set_len(0).and_then(|()| file.write_all(description().as_bytes())).map_err(failed)?;
            return Ok(Self { path, file, is_held });
        }
        Err(failed(io::Error::other("the lock file is removed again and again by others")))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked: whoever has the file open meanwhile finds that it is not there any more, and makes another.
        if cfg!(unix) {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

fn is_without_locks(error: &io::Error) -> bool {
    // ENOLCK, ENOSYS, EOPNOTSUPP of Linux: what NFS without a lock daemon, or Lustre without flock, say.
    error.kind() == ErrorKind::Unsupported || matches!(error.raw_os_error(), Some(37 | 38 | 95))
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still(_: &File, _: &Path) -> bool {
    true
}

/// Who wrote the lock file.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(MAX_HOLDER_BYTES).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), holder) if !holder.is_empty() => holder.to_owned(),
        // The other process has the lock and has not written its line yet.
        _ => "another process".to_owned(),
    }
}

/// This process: program, process number, computer, time.
fn description() -> String {
    let program = std::env::current_exe().ok();
    let program = program
        .as_deref()
        .and_then(Path::file_name)
        .map_or("a program".into(), |name| name.to_string_lossy());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let host = host.map_or_else(|_| String::new(), |host| format!(" on {}", host.trim()));
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    format!("{program}, process {}{host}, since {}\n", std::process::id(), utc(since.as_secs()))
}

/// Date and time of seconds since 1970, by the Gregorian calendar in eras of 400 years that begin in March.
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date -u -d @N '+%F %T'
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (1_795_882_776, "2026-11-28 16:19:36 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }

    /// A file that its holder removed is not taken for the lock, although it can be locked.
    #[cfg(unix)]
    #[test]
    fn a_removed_lock_file_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let file = File::create(&path).unwrap();
        assert!(is_still(&file, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_still(&file, &path));
        File::create(&path).unwrap();
        assert!(!is_still(&file, &path));
    }
}
