//! Archives against those of Kaldi's own code (`tests/peers/kaldi_archives.py` wrote the fixtures), and against damage.

mod memory;

use std::path::{Path, PathBuf};

use ffsvc_kaldi_io::{ArkForm, ArkReader, ArkWriter, Matrix, ScpReader, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/archives");
const PLAIN: [&str; 4] = ["floatvector", "doublevector", "floatmatrix", "doublematrix"];
const COMPRESSED: [&str; 3] = ["cm", "cm2", "cm3"];

fn fixture(name: &str) -> PathBuf {
    Path::new(DATA).join(name)
}

fn expected() -> Json {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn all(path: &Path) -> Vec<(String, Value)> {
    ArkReader::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Reads an archive from bytes: what came before the first error, and that error's text.
fn read_bytes(bytes: &[u8]) -> (Vec<(String, Value)>, Option<String>) {
    let mut values = Vec::new();
    for entry in ArkReader::new("x.ark", bytes) {
        match entry {
            Ok(entry) => values.push(entry),
            Err(error) => return (values, Some(error.to_string())),
        }
    }
    (values, None)
}

/// Shape and the bits of the numbers, doubles narrowed where `floats` are wanted.
fn shape_and_bits(value: &Value, floats: bool) -> (Vec<u64>, Vec<u64>) {
    let double = |x: &f64| {
        if floats { u64::from((*x as f32).to_bits()) } else { x.to_bits() }
    };
    let float = |x: &f32| u64::from(x.to_bits());
    match value {
        Value::FloatVector(v) => (vec![v.len() as u64], v.iter().map(float).collect()),
        Value::DoubleVector(v) => (vec![v.len() as u64], v.iter().map(double).collect()),
        Value::FloatMatrix(m) => {
            (vec![m.rows() as u64, m.cols() as u64], m.as_slice().iter().map(float).collect())
        }
        Value::DoubleMatrix(m) => {
            (vec![m.rows() as u64, m.cols() as u64], m.as_slice().iter().map(double).collect())
        }
    }
}

#[test]
fn values_of_kaldis_archives_are_kaldis_bit_for_bit() {
    for (name, file) in expected().as_object().unwrap() {
        let floats = file["kind"].as_str().unwrap().starts_with("Float");
        let values = file["values"].as_object().unwrap();
        let read = all(&fixture(&format!("{name}.ark")));
        let mut table = ScpReader::open(fixture(&format!("{name}.scp"))).unwrap();
        assert_eq!((read.len(), table.len()), (values.len(), values.len()), "{name}");
        for (key, value) in read {
            let numbers = |field: &str| -> Vec<u64> {
                values[&key][field].as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect()
            };
            assert_eq!(shape_and_bits(&value, floats), (numbers("shape"), numbers("bits")), "{name} {key}");
            let found = table.get(&key).unwrap().unwrap();
            assert_eq!(shape_and_bits(&found, floats), shape_and_bits(&value, floats), "{name} {key} by scp");
        }
        assert!(table.get("nobody").unwrap().is_none());
        assert_eq!(table.values().map(Result::unwrap).count(), values.len());
    }
}

#[test]
fn our_archives_and_tables_are_kaldis_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    for name in PLAIN {
        let (ark, scp) = (dir.path().join(format!("{name}.ark")), dir.path().join(format!("{name}.scp")));
        let mut writer = ArkWriter::create(&ark, Some(&scp), ArkForm::Binary).unwrap();
        for (key, value) in all(&fixture(&format!("{name}.ark"))) {
            writer.write(&key, &value).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(std::fs::read(&ark).unwrap(), std::fs::read(fixture(&format!("{name}.ark"))).unwrap());
        let ours = std::fs::read_to_string(&scp).unwrap().replace(&format!("{}/", dir.path().display()), "");
        assert_eq!(ours, std::fs::read_to_string(fixture(&format!("{name}.scp"))).unwrap());
    }
}

#[test]
fn text_is_laid_out_as_kaldis() {
    let dir = tempfile::tempdir().unwrap();
    let ark = dir.path().join("a.ark");
    let mut writer = ArkWriter::create(&ark, None, ArkForm::Text).unwrap();
    writer.write_vector("v", &[1.5_f32, -2.25]).unwrap();
    writer.write_matrix("m", &Matrix::from_vec(2, 2, vec![0.5, 1e-30, 3.5, -4.5]).unwrap()).unwrap();
    writer.write_matrix::<f32>("none", &Matrix::default()).unwrap();
    writer.finish().unwrap();
    let text = std::fs::read_to_string(&ark).unwrap();
    assert_eq!(text, "v  [ 1.5 -2.25 ]\nm  [\n  0.5 1e-30 \n  3.5 -4.5 ]\nnone  [ ]\n");
}

#[test]
fn text_as_other_programs_may_write_it() {
    let (values, error) =
        read_bytes(b"\na\t[1 2]\r\nb [ 1 ; 2 ] \nc [\n 1 inf\n\n nan 4\n]\nd [ ]\ne [ 5e-1 ]");
    assert_eq!(error, None);
    assert_eq!(values[0], ("a".into(), Value::DoubleVector(vec![1.0, 2.0])));
    assert_eq!(values[1].1, Value::DoubleMatrix(Matrix::from_vec(2, 1, vec![1.0, 2.0]).unwrap()));
    assert_eq!(values[2].1.to_string(), "a double matrix of 2 x 2");
    assert_eq!(values[3].1, Value::DoubleVector(vec![]));
    assert_eq!(values[4], ("e".into(), Value::DoubleVector(vec![0.5])));
}

#[test]
fn a_table_may_hold_blanks_and_be_moved_with_its_archive() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("far field");
    std::fs::create_dir(&folder).unwrap();
    let (ark, scp) = (folder.join("my vectors.ark"), folder.join("my vectors.scp"));
    let mut writer = ArkWriter::create(&ark, Some(&scp), ArkForm::Binary).unwrap();
    for key in ["a", "b", "c"] {
        writer
            .write_vector(key, key.as_bytes().iter().map(|&b| f32::from(b)).collect::<Vec<_>>().as_slice())
            .unwrap();
    }
    writer.finish().unwrap();
    let mut table = ScpReader::open(&scp).unwrap();
    assert_eq!(table.get("c").unwrap(), Some(Value::FloatVector(vec![99.0])));
    assert_eq!(table.get("a").unwrap(), Some(Value::FloatVector(vec![97.0])));

    let offset =
        std::fs::read_to_string(&scp).unwrap().lines().nth(1).unwrap().rsplit(':').next().unwrap().to_owned();
    std::fs::write(&scp, format!("b gone/my vectors.ark:{offset}\n")).unwrap();
    assert_eq!(ScpReader::open(&scp).unwrap().get("b").unwrap(), Some(Value::FloatVector(vec![98.0])));
}

#[test]
fn tables_that_cannot_be_followed_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let scp = dir.path().join("a.scp");
    for (text, reason) in [
        ("a x.ark:3\nb x.ark:5[0:10]\n", "a.scp:2: found `x.ark:5[0:10]`, a range of rows"),
        ("a gunzip -c x.gz |\n", "the command `gunzip -c x.gz |`"),
        ("a x.ark:3\na x.ark:4\n", "a"),
        ("a\n", "a.scp:1"),
    ] {
        std::fs::write(&scp, text).unwrap();
        let error = ScpReader::open(&scp).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    std::fs::write(&scp, "a /nowhere/x.ark:3\n").unwrap();
    let error = ScpReader::open(&scp).unwrap().get("a").unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/x.ark: cannot open (utterance `a` lies there)"), "{error}");
    std::fs::write(&scp, format!("a {}/floatvector.ark:1000000\n", DATA)).unwrap();
    let error = ScpReader::open(&scp).unwrap().get("a").unwrap_err().to_string();
    assert!(error.contains("the end of the file (utterance `a`, byte 1000000)"), "{error}");
}

#[test]
fn nothing_appears_before_finish_and_bad_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ark, scp) = (dir.path().join("a.ark"), dir.path().join("a.scp"));
    let mut writer = ArkWriter::create(&ark, Some(&scp), ArkForm::Binary).unwrap();
    writer.write_vector("a", &[1.0_f32]).unwrap();
    for (key, reason) in
        [("a", "was written before"), ("", "one word"), ("a b", "one word"), ("a\0", "one word")]
    {
        let error = writer.write_vector(key, &[1.0_f32]).unwrap_err().to_string();
        assert!(error.contains(reason), "{key:?}: {error}");
    }
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let strange = dir.path().join("a\nb.ark");
    assert!(
        ArkWriter::create(strange, Some(&scp), ArkForm::Binary)
            .unwrap_err()
            .to_string()
            .contains("scp table")
    );
}

#[test]
fn a_header_is_not_believed_before_the_bytes_are_there() {
    let int = |n: i32| [&[4_u8][..], &n.to_le_bytes()].concat();
    let compressed = |token: &str, rows: i32, cols: i32| {
        [format!("k \0B{token} ").as_bytes(), &[0; 8], &rows.to_le_bytes(), &cols.to_le_bytes(), &[0; 40]]
            .concat()
    };
    let large = i32::MAX;
    for bytes in [
        [b"k \0BFV ".as_slice(), &int(large), &[0; 100]].concat(),
        [b"k \0BDV ".as_slice(), &int(large), &[0; 100]].concat(),
        [b"k \0BFM ".as_slice(), &int(large), &int(large), &[0; 100]].concat(),
        [b"k \0BDM ".as_slice(), &int(large), &int(1), &[0; 100]].concat(),
        compressed("CM", large, large),
        compressed("CM", 1, large),
        compressed("CM2", large, large),
        compressed("CM3", large, 4),
    ] {
        let ((values, error), peak) = memory::peak(|| read_bytes(&bytes));
        assert!(values.is_empty());
        let error = error.unwrap();
        assert!(error.contains("the end of the file (utterance `k`, byte 2)"), "{error}");
        assert!(peak < 1 << 16, "{peak} bytes for {}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_not_an_archive_of_vectors_is_explained() {
    let int = |n: i32| [&[4_u8][..], &n.to_le_bytes()].concat();
    for (bytes, reason) in [
        (b"k \0B\x04\x01\0\0\0\x04\x07\0\0\0".to_vec(), "a vector of integers"),
        (b"k \0BGMM ".to_vec(), "an object of type `GMM`"),
        (b"k \0BFV \x08".to_vec(), "an integer of 8 bytes"),
        ([b"k \0BFV ".as_slice(), &int(-1)].concat(), "-1 for the vector's length"),
        ([b"k \0BFM ".as_slice(), &int(0), &int(5)].concat(), "a matrix of 0 x 5"),
        (b"k \0C".to_vec(), "byte 0x43 after NUL"),
        (b"utt /data/a.wav\n".to_vec(), "`/` (utterance `utt`, byte 4), expected `[`"),
        (b"k [ 1 x ]\n".to_vec(), "`x`"),
        (b"k [ 1 2 ] 3\n".to_vec(), "`3` after `]`"),
        (b"k [\n 1 2\n 3 ]\n".to_vec(), "1 numbers in row 2"),
        (b"k [ 1 2".to_vec(), "the end of the file"),
        (b"k\n[ 1 ]".to_vec(), "byte 0x0a in a key"),
        (b"RIFF\x10\0\0\0WAVE".to_vec(), "byte 0x10 in a key (byte 0)"),
        (vec![b'x'; 5000], "no blank in 4096 bytes"),
        (b"\xff\xfe \0B".to_vec(), "not UTF-8"),
        ([b"k [ ".as_slice(), &[b'1'; 5000]].concat(), "over 1024 characters"),
    ] {
        let (_, error) = read_bytes(&bytes);
        let error = error.unwrap();
        assert!(error.starts_with("x.ark: ") && error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn archives_cut_anywhere_give_the_whole_values_before_the_cut() {
    for name in PLAIN.iter().chain(&COMPRESSED) {
        let path = fixture(&format!("{name}.ark"));
        let (bytes, whole) = (std::fs::read(&path).unwrap(), all(&path));
        for cut in 0..bytes.len() {
            let (values, _) = read_bytes(&bytes[..cut]);
            assert!(values.len() < whole.len() && values == whole[..values.len()], "{name} cut at {cut}");
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let float = || any::<f32>().prop_filter("NaN is not equal to itself", |x| !x.is_nan());
    let double = || any::<f64>().prop_filter("NaN is not equal to itself", |x| !x.is_nan());
    prop_oneof![
        prop::collection::vec(float(), 0..20).prop_map(Value::FloatVector),
        prop::collection::vec(double(), 0..20).prop_map(Value::DoubleVector),
        (1..5_usize, 1..5_usize)
            .prop_flat_map(move |(r, c)| (Just(r), Just(c), prop::collection::vec(float(), r * c)))
            .prop_map(|(r, c, data)| Value::FloatMatrix(Matrix::from_vec(r, c, data).unwrap())),
        (1..5_usize, 1..5_usize)
            .prop_flat_map(move |(r, c)| (Just(r), Just(c), prop::collection::vec(double(), r * c)))
            .prop_map(|(r, c, data)| Value::DoubleMatrix(Matrix::from_vec(r, c, data).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(entries in prop::collection::btree_map("[!-~é]{1,12}", value(), 0..6), text: bool) {
        let dir = tempfile::tempdir().unwrap();
        let (ark, scp) = (dir.path().join("a.ark"), dir.path().join("a.scp"));
        let form = if text { ArkForm::Text } else { ArkForm::Binary };
        let mut writer = ArkWriter::create(&ark, Some(&scp), form).unwrap();
        for (key, value) in &entries {
            writer.write(key, value).unwrap();
        }
        writer.finish().unwrap();
        let by_table: Vec<(String, Value)> =
            ScpReader::open(&scp).unwrap().values().map(|e| e.map(|(k, v)| (k.to_owned(), v)).unwrap()).collect();
        prop_assert_eq!(&by_table, &all(&ark));
        prop_assert_eq!(by_table.len(), entries.len());
        for ((key, read), (wrote_key, wrote)) in by_table.iter().zip(&entries) {
            prop_assert_eq!(key, wrote_key);
            if text {
                // Text comes back as doubles of the same value.
                let floats = matches!(wrote, Value::FloatVector(_) | Value::FloatMatrix(_));
                prop_assert_eq!(shape_and_bits(read, floats), shape_and_bits(wrote, floats));
            } else {
                prop_assert_eq!(read, wrote);
            }
        }
    }

    #[test]
    fn damage_is_an_error_or_another_value_and_never_a_panic(
        name in prop::sample::select([PLAIN.as_slice(), COMPRESSED.as_slice()].concat()),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = std::fs::read(fixture(&format!("{name}.ark"))).unwrap();
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let (_, peak) = memory::peak(|| read_bytes(&bytes));
        prop_assert!(peak < 1 << 17);
    }
}
