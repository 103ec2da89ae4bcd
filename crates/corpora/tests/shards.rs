//! Shards that WeSpeaker's own tool wrote (tests/peers/wespeaker_shards.py).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ffsvc_corpora::{Error, Output, Shards};
use ffsvc_kaldi_io::{DataDir, Table};
use tar::{Builder, Header};
use tempfile::TempDir;

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/shards")
}

/// A list of the peer's shards with absolute paths.
fn peer_list(folder: &TempDir) -> PathBuf {
    let list = fs::read_to_string(peers().join("shard.list")).unwrap();
    let absolute: String = list.lines().map(|name| format!("{}\n", peers().join(name).display())).collect();
    let path = folder.path().join("shard.list");
    fs::write(&path, absolute).unwrap();
    path
}

#[test]
fn the_directory_has_what_wespeaker_reads() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("data");
    let prepared = Shards { list: &peer_list(&folder) }.prepare(&Output::new(&out)).unwrap();
    assert_eq!((prepared.written[0].entries, prepared.speakers), (3, Some(3)));
    assert!(prepared.surplus.is_empty());
    let dir = DataDir::open(&out).unwrap();
    let known = fs::read_to_string(peers().join("shards.txt")).unwrap();
    let known: BTreeMap<&str, &str> =
        known.lines().map(|line| line.rsplit_once(' ').unwrap().0.split_once(' ').unwrap()).collect();
    let found: BTreeMap<&str, &str> =
        dir.utterances().map(|utterance| (utterance.id, utterance.speaker.unwrap())).collect();
    assert_eq!(found, known);
    // The place is that of the header before the recording, also where the name is longer than a header holds.
    for (key, place) in Table::read(out.join("wav.scp")).unwrap().iter() {
        let (shard, offset) = place.rsplit_once(':').unwrap();
        let bytes = fs::read(shard).unwrap();
        let header = Header::from_byte_slice(&bytes[offset.parse().unwrap()..][..512]);
        assert!(header.entry_type().is_file() && header.size().unwrap() > 1000, "{key}");
    }
}

/// A tar file of these entries.
fn shard(folder: &TempDir, name: &str, entries: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.path().join(name);
    let mut tar = Builder::new(fs::File::create(&path).unwrap());
    for (name, content) in entries {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.finish().unwrap();
    path
}

#[test]
fn what_is_no_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("shard.list");
    let prepare = |list: &Path| Shards { list }.prepare(&Output::new(folder.path().join("data")));
    let of = |shards: &[&Path]| {
        let lines: Vec<String> = shards.iter().map(|path| format!("{}\n", path.display())).collect();
        fs::write(&list, lines.concat()).unwrap();
        prepare(&list)
    };
    let refused = |shards: &[&Path], words: &str| {
        let error = of(shards).unwrap_err().to_string();
        assert!(error.contains(words), "{error}, expected {words}");
        assert!(!folder.path().join("data").exists());
    };
    let good = shard(&folder, "good.tar", &[("a.spk", b"ann\n"), ("a.wav", b"RIFF")]);
    let no_speaker = shard(&folder, "1.tar", &[("b.wav", b"RIFF")]);
    let no_recording = shard(&folder, "2.tar", &[("c.spk", b"bob")]);
    let two = shard(&folder, "3.tar", &[("d.spk", b"bob"), ("d.wav", b"RIFF"), ("d.flac", b"fLaC")]);
    let no_name = shard(&folder, "4.tar", &[("e.spk", b" \n"), ("e.wav", b"RIFF")]);
    refused(&[&good, &no_speaker], "b with a recording and without spk");
    refused(&[&no_recording], "c with spk and without a recording");
    refused(&[&two], "d.flac is there twice");
    refused(&[&no_name], "e.spk with no name");
    refused(&[&good, &good], "a is there twice");
    refused(&[&folder.path().join("none.tar")], "none.tar");
    let compressed = folder.path().join("a.tar.gz");
    fs::write(&compressed, b"\x1f\x8b\x08\0\0\0\0\0").unwrap();
    refused(&[&compressed], "a compressed file");
    let text = folder.path().join("text.tar");
    fs::write(&text, "this is no tar file\n".repeat(60)).unwrap();
    refused(&[&text], "text.tar: found");
    // Cut in the middle of the recording.
    let cut = folder.path().join("cut.tar");
    fs::write(&cut, &fs::read(&good).unwrap()[..3 * 512 + 2]).unwrap();
    refused(&[&cut], "a.wav of 4 bytes, which the file ends in");
    for (lines, words) in [("\n", "no path"), ("http://host/a.tar\n", "copy them first"), ("\u{ff}\n", "")] {
        fs::write(&list, lines).unwrap();
        assert!(prepare(&list).unwrap_err().to_string().contains(words));
    }

    let more = shard(
        &folder,
        "5.tar",
        &[("f.spk", b"ann"), ("f.m4a", b"...."), ("f.txt", b"hello"), ("README", b"")],
    );
    let prepared = of(&[&good, &more]).unwrap();
    assert_eq!((prepared.surplus.count, prepared.speakers), (2, Some(1)));
    assert!(matches!(of(&[&good]).unwrap_err(), Error::Tables(_)), "there is a directory");
}

proptest::proptest! {
    /// Whatever a shard holds, it is a directory or an error.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000), at in 0..3000_usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = shard(&folder, "a.tar", &[("a.spk", b"ann\n"), ("a.wav", b"RIFF")]);
        let mut content = fs::read(&path).unwrap();
        let end = content.len().min(at + bytes.len());
        if at < end {
            content[at..end].copy_from_slice(&bytes[..end - at]);
        }
        fs::write(&path, content).unwrap();
        let list = folder.path().join("shard.list");
        fs::write(&list, format!("{}\n", path.display())).unwrap();
        let _ = Shards { list: &list }.prepare(&Output::new(folder.path().join("data")));
    }
}
