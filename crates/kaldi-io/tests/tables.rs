//! Two-column tables: what is read, what is refused, with which line, and that hostile bytes do no harm.

use ffsvc_kaldi_io::{Error, Table, WavSource, read_wav_list, write_table};
use proptest::prelude::*;

fn parse(text: impl AsRef<[u8]>) -> Result<Table, Error> {
    Table::parse("t", text.as_ref().to_vec())
}

fn refusal(text: impl AsRef<[u8]>) -> (Option<u64>, String) {
    let error = parse(text).unwrap_err();
    (error.line(), error.to_string())
}

#[test]
fn the_value_is_the_rest_of_the_line() {
    let table = parse("u1 a b/c  d.wav \nu2\t\tx\n  u3 y").unwrap();
    let rows: Vec<_> = table.iter().collect();
    assert_eq!(rows, [("u1", "a b/c  d.wav"), ("u2", "x"), ("u3", "y")]);
    assert_eq!((table.position("u3"), table.line(2), table.get("u4")), (Some(2), 3, None));
}

#[test]
fn harmless_blemishes_are_read_as_meant() {
    let table = parse("\u{feff}b 1\r\n\r\n   \na 2\r\n").unwrap();
    assert_eq!(table.iter().collect::<Vec<_>>(), [("b", "1"), ("a", "2")]);
    assert_eq!(table.line(1), 4);
}

#[test]
fn what_cannot_be_relied_on_is_refused_with_its_line() {
    assert_eq!(refusal("a 1\n\nb\nc\n"), (Some(3), "t:3: key without a value: b".into()));
    assert_eq!(refusal("a 1\nb 2\na 1\n"), (Some(3), "t:3: duplicate line: a".into()));
    assert_eq!(refusal("a 1\na 2\n"), (Some(2), "t:2: duplicate key with another value: a".into()));
    assert_eq!(refusal(b"a 1\nb \xff\n"), (Some(2), "t:2: not UTF-8".into()));
    assert_eq!(refusal("a 1\rb 2\r").0, Some(1), "line ends of an old Mac");
}

#[test]
fn missing_files_are_named() {
    let error = Table::read("no/such/wav.scp").unwrap_err();
    assert!(error.to_string().starts_with("no/such/wav.scp: cannot open: "), "{error}");
}

#[test]
fn writing_refuses_what_would_be_read_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    write_table(&path, [("a", "x y"), ("b", "z")]).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a x y\nb z\n");
    for bad in [("", "x"), ("a b", "x"), ("a", ""), ("a", " x"), ("a", "x\ny"), ("\u{feff}a", "x")] {
        assert!(write_table(&path, [bad]).is_err(), "{bad:?}");
    }
    assert!(write_table(&path, [("a", "x"), ("a", "y")]).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a x y\nb z\n", "a refused table changes nothing");
}

#[test]
fn wav_lists_are_one_path_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("musan");
    let read = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        read_wav_list(&path)
    };
    let files = read(b"\xef\xbb\xbfnoise/free sound/1.wav\r\n\nb.wav").unwrap();
    assert_eq!(files, ["noise/free sound/1.wav", "b.wav"].map(std::path::PathBuf::from));
    assert_eq!(read(b"a.wav\nsox b.wav - |\n").unwrap_err().line(), Some(2));
    assert_eq!(read(b"a.wav\n\xff\n").unwrap_err().line(), Some(2));
    assert_eq!(read(b"a.wav\rb.wav\r").unwrap_err().line(), Some(1));
    assert!(read(b"\n\n").is_err());
}

#[test]
fn commands_are_told_from_paths() {
    assert_eq!(WavSource::parse(" flac -c -d -s a.flac | "), WavSource::Pipe("flac -c -d -s a.flac".into()));
    assert_eq!(WavSource::parse("a|b.wav"), WavSource::File("a|b.wav".into()));
}

/// What `LC_ALL=C sort -c` and a look at the rows would find, written a second time in the plainest way.
fn reference(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.trim_matches([' ', '\t', '\r', '\x0c']);
        if line.is_empty() {
            continue;
        }
        let (key, value) = line.split_once([' ', '\t', '\x0c', '\r'])?;
        if line.contains('\r') || rows.iter().any(|(other, _)| other == key) {
            return None;
        }
        rows.push((key.into(), value.trim_start_matches([' ', '\t', '\x0c']).into()));
    }
    Some(rows)
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(bytes);
    }

    #[test]
    fn agrees_with_the_plain_reading(text in "[ab\u{e9} \t\r\n\u{feff}\x0c]{0,40}") {
        let ours = parse(&text).ok().map(|table| {
            table.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Vec<_>>()
        });
        prop_assert_eq!(ours, reference(&text));
    }

    #[test]
    fn what_is_written_is_read_back(
        rows in proptest::collection::btree_map("[a-z\u{e4}0-9._-]{1,8}", "[!-~\u{e4}]([ -~\u{e4}]{0,10}[!-~])?", 0..20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        write_table(&path, &rows).unwrap();
        let table = Table::read(&path).unwrap();
        let back: Vec<_> = table.iter().collect();
        let rows: Vec<_> = rows.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        prop_assert_eq!(back, rows);
    }
}
