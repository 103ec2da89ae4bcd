//! Locks between two processes.
//!
//! This test has no harness: with the variable below set it is the process that holds a lock, else it runs itself.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ffsvc_atomic_file::{Lock, LockError};

const FOLDER: &str = "FFSVC_LOCK_TEST_FOLDER";

fn main() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return hold(Path::new(&folder));
    }
    the_second_process_is_refused();
    println!("the second process is refused ... ok");
    a_killed_process_has_no_lock();
    println!("a killed process has no lock ... ok");
    many_processes_take_turns();
    println!("many processes take turns ... ok");
    a_file_is_locked_beside_it();
    println!("a file is locked beside it ... ok");
}

/// Takes the lock of the folder, or says who has it, and keeps it until standard input ends.
fn hold(folder: &Path) {
    let lock = match Lock::folder(folder) {
        Ok(lock) => lock,
        Err(error) => return println!("{error}"),
    };
    assert!(lock.is_held());
    println!("locked");
    std::io::stdin().lines().for_each(drop);
    drop(lock);
}

fn process(folder: &Path) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().to_owned())
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn the_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (first, line) = process(folder.path());
    assert_eq!(line, "locked");
    let (second, line) = process(folder.path());
    let holder = format!("process {}", first.id());
    assert!(line.contains("is being written by locks-") && line.contains(&holder), "{line}");
    assert!(line.contains(", since 2") && line.contains(".lock"), "{line}");
    end(second);
    // A refused process leaves the lock and its line alone.
    assert!(std::fs::read_to_string(folder.path().join(".lock")).unwrap().contains(&holder));
    end(first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no litter");
    let (third, line) = process(folder.path());
    assert_eq!(line, "locked");
    end(third);
}

fn a_killed_process_has_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, line) = process(folder.path());
    assert_eq!(line, "locked");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(folder.path().join(".lock").exists(), "a killed process cleans nothing up");
    let (second, line) = process(folder.path());
    assert_eq!(line, "locked");
    end(second);
    assert!(!folder.path().join(".lock").exists());
}

/// Threads and their own open files stand for processes: locks are of open files. Whoever has the lock finds nobody else
/// inside, although lock files come and go.
fn many_processes_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let inside = std::sync::atomic::AtomicUsize::new(0);
    let turns = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                use std::sync::atomic::Ordering::SeqCst;
                while turns.load(SeqCst) < 200 {
                    match Lock::folder(folder.path()) {
                        Ok(lock) => {
                            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two have the lock");
                            turns.fetch_add(1, SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, SeqCst);
                            drop(lock);
                        }
                        Err(LockError::Held { .. }) => std::thread::yield_now(),
                        // Lost every race for a file that the others made and removed.
                        Err(LockError::Io { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
}

fn a_file_is_locked_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("dev.ark");
    let lock = Lock::beside(&store).unwrap();
    let error = Lock::beside(&store).unwrap_err();
    assert!(error.to_string().contains("dev.ark.lock"), "{error}");
    assert!(!store.exists());
    drop(lock);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = Lock::beside(folder.path().join("no/such/store")).unwrap_err();
    assert!(matches!(error, LockError::Io { .. }));
    std::io::stdout().flush().unwrap();
}
