//! What is written where: regular files, links, devices, FIFOs, sockets, open descriptors.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use ffsvc_atomic_file::{AtomicFile, Identity, Target, absolute, check_folder, write};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A null device in `folder`, where the user may make one. Any other user cannot harm the machine's own.
fn null_device(folder: &Path) -> PathBuf {
    let path = folder.join("null");
    let made = Command::new("mknod").arg(&path).args(["c", "1", "3"]).output();
    if made.is_ok_and(|output| output.status.success()) { path } else { "/dev/null".into() }
}

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn dropping_without_commit_leaves_the_target_and_no_litter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    write(&path, "old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn permissions_follow_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (ours, std) = (dir.path().join("ours"), dir.path().join("std"));
    write(&ours, "x").unwrap();
    fs::write(&std, "x").unwrap();
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&std));
}

#[test]
fn a_device_is_written_to_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let device = null_device(dir.path());
    let before = fs::metadata(&device).unwrap();
    write(&device, "x").unwrap();
    let link = dir.path().join("link");
    symlink(&device, &link).unwrap();
    write(&link, "x").unwrap();
    let after = fs::symlink_metadata(&device).unwrap();
    assert!(after.file_type().is_char_device());
    assert_eq!(before.ino(), after.ino());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(Target::of(&link).unwrap().identity().unwrap(), None, "two outputs may go to a device");
}

#[test]
fn a_full_device_is_an_error() {
    if Path::new("/dev/full").exists() {
        let mut file = AtomicFile::create("/dev/full").unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(file.commit().unwrap_err().kind(), ErrorKind::StorageFull);
    }
}

#[test]
fn a_fifos_reader_gets_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = fifo(dir.path());
    Target::of(&fifo).unwrap().check_writable().unwrap();
    let text = "line\n".repeat(50_000);
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read_to_string(fifo).unwrap()
    });
    write(&fifo, &text).unwrap();
    assert_eq!(reader.join().unwrap(), text);
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    assert_eq!(names(dir.path()), ["fifo"]);
}

#[test]
fn a_run_that_fails_waits_for_no_reader() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = fifo(dir.path());
    // Nobody reads: opening would never return.
    let mut file = AtomicFile::create(&fifo).unwrap();
    file.write_all(b"never committed").unwrap();
    drop(file);
    assert_eq!(names(dir.path()), ["fifo"]);
}

#[test]
fn a_fifos_reader_that_leaves_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = fifo(dir.path());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || File::open(fifo).unwrap().read_exact(&mut [0; 10]).unwrap()
    });
    let mut file = AtomicFile::create(&fifo).unwrap();
    let mut writes = || -> std::io::Result<()> {
        loop {
            file.write_all(&[7; 1 << 16])?;
        }
    };
    let error = writes().unwrap_err();
    reader.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(error.get_ref().is_none(), "only standard output's reader is excused");
}

#[test]
fn a_socket_gets_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    write(&path, "scores").unwrap();
    assert_eq!(reader.join().unwrap(), "scores");
}

#[test]
fn links_stay_and_their_target_is_replaced_in_its_own_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    fs::write(there.join("old"), "old").unwrap();
    symlink("../there/old", here.join("link")).unwrap();
    symlink("link", here.join("twice")).unwrap();
    symlink("../there/new", here.join("dangling")).unwrap();
    let before = fs::metadata(there.join("old")).unwrap().ino();

    let mut file = AtomicFile::create(here.join("twice")).unwrap();
    file.write_all(b"half").unwrap();
    file.flush().unwrap();
    assert_eq!(fs::read_to_string(there.join("old")).unwrap(), "old");
    assert_eq!(names(&here), ["dangling", "link", "twice"], "the temporary file is beside the target");
    drop(file);

    write(here.join("twice"), "replaced").unwrap();
    write(here.join("dangling"), "made").unwrap();
    assert_ne!(fs::metadata(there.join("old")).unwrap().ino(), before, "not overwritten in place");
    assert_eq!(fs::read_to_string(there.join("old")).unwrap(), "replaced");
    assert_eq!(fs::read_to_string(there.join("new")).unwrap(), "made");
    for link in ["link", "twice", "dangling"] {
        assert!(fs::symlink_metadata(here.join(link)).unwrap().is_symlink(), "{link}");
    }
    assert_eq!(names(&there), ["new", "old"]);

    let file = AtomicFile::create(here.join("link")).unwrap();
    file.remove_old().unwrap();
    file.remove_old().unwrap();
    assert_eq!(names(&there).len(), 2, "the old file is gone, the temporary one is there");
    assert!(fs::symlink_metadata(here.join("link")).unwrap().is_symlink());
    drop(file);

    symlink("b", here.join("a")).unwrap();
    symlink("a", here.join("b")).unwrap();
    assert!(AtomicFile::create(here.join("a")).unwrap_err().to_string().contains("links"));
}

#[test]
fn an_open_descriptor_is_written_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = File::options().create(true).truncate(true).write(true).open(&path).unwrap();
    file.write_all(b"first\n").unwrap();
    let number = file.as_raw_fd();
    let pid = std::process::id();
    let link = dir.path().join("link");
    symlink(format!("/proc/self/fd/{number}"), &link).unwrap();
    let folder = dir.path().join("folder");
    symlink("/proc/self/fd", &folder).unwrap();
    let ways: Vec<PathBuf> = [
        format!("/proc/self/fd/{number}"),
        format!("/dev/fd/{number}"),
        format!("/proc/{pid}/fd/{number}"),
        link.to_str().unwrap().to_owned(),
        format!("{}/{number}", folder.display()),
    ]
    .map(PathBuf::from)
    .into();
    for (n, way) in ways.iter().enumerate() {
        write(way, format!("{n}\n")).unwrap();
    }
    file.write_all(b"last\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "first\n0\n1\n2\n3\n4\nlast\n");
    assert_eq!(names(dir.path()), ["folder", "link", "log"]);

    let mut dropped = AtomicFile::create(&ways[0]).unwrap();
    dropped.write_all(b"never committed").unwrap();
    drop(dropped);
    assert_eq!(file.stream_position().unwrap(), 21);

    let reading = File::open(&path).unwrap();
    let error = write(format!("/proc/self/fd/{}", reading.as_raw_fd()), "x").unwrap_err();
    assert!(error.to_string().contains("reading only"), "{error}");
    let error = write("/proc/self/fd/987654", "x").unwrap_err();
    assert!(error.to_string().contains("987654 is not open"), "{error}");
}

#[test]
fn formats_with_offsets_need_a_regular_file() {
    let dir = tempfile::tempdir().unwrap();
    let device = null_device(dir.path());
    for (path, what) in
        [(device, "a device"), (fifo(dir.path()), "a FIFO"), ("/dev/stdout".into(), "standard output")]
    {
        let error = AtomicFile::create_regular(&path).unwrap_err();
        assert!(
            error.to_string().contains(&format!("this is {what}, and the format needs a regular file")),
            "{error}"
        );
    }
    fs::write(dir.path().join("real"), "").unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    for name in ["real", "link", "new"] {
        let mut file = AtomicFile::create_regular(dir.path().join(name)).unwrap();
        file.write_all(b"0123").unwrap();
        file.seek(std::io::SeekFrom::Start(1)).unwrap();
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "0x23");
    }
}

#[test]
fn a_folder_is_no_target_and_a_missing_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(AtomicFile::create(dir.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
    let missing = Target::of(&dir.path().join("no/such")).unwrap();
    assert_eq!(missing.check_writable().unwrap_err().kind(), ErrorKind::NotFound);
    Target::of(&dir.path().join("new")).unwrap().check_writable().unwrap();
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn one_file_has_one_identity() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("a"), "").unwrap();
    fs::hard_link(at("a"), at("hard")).unwrap();
    symlink("a", at("soft")).unwrap();
    symlink("folder", at("other")).unwrap();
    symlink("folder/new", at("dangling")).unwrap();
    let identity = |path: &Path| Target::of(path).unwrap().identity().unwrap().unwrap();
    for (one, other) in [
        ("a", "hard"),
        ("a", "soft"),
        ("a", "folder/../a"),
        ("folder/new", "other/new"),
        ("folder/new", "dangling"),
    ] {
        assert_eq!(identity(&at(one)), identity(&at(other)), "{one} {other}");
    }
    assert_ne!(identity(&at("a")), identity(&at("b")));
    assert_ne!(identity(&at("folder/new")), identity(&at("new")));
    let open = File::open(at("a")).unwrap();
    let descriptor = PathBuf::from(format!("/dev/fd/{}", open.as_raw_fd()));
    assert_eq!(identity(&descriptor), identity(&at("a")));
}

#[test]
fn folders_that_do_not_exist_yet_can_be_told_apart_and_tried() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("a")).unwrap();
    fs::write(at("file"), "").unwrap();
    symlink("a", at("link")).unwrap();
    let identity = |name: &str| Identity::of_folder(&at(name)).unwrap();
    assert_eq!(identity("a"), identity("link"));
    assert_eq!(identity("a/new/x"), identity("link/new/x"));
    assert_ne!(identity("a/new/x"), identity("a/new/y"));
    assert_eq!(absolute(&at("link/new")).unwrap(), at("a").canonicalize().unwrap().join("new"));
    check_folder(&at("a/b/c")).unwrap();
    assert_eq!(names(&at("a")), [""; 0]);
    for name in ["file", "file/sub"] {
        let error = check_folder(&at(name)).unwrap_err();
        assert!(error.to_string().contains("file is not a folder"), "{error}");
    }
}
