//! Embedding stores against files of numpy (1 and 2), safetensors and the baseline
//! (`tests/peers/embedding_stores.py` wrote the fixtures), and against damage.

#[path = "../../kaldi-io/tests/memory/mod.rs"]
mod memory;

use std::path::{Path, PathBuf};

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{ArkForm, ArkWriter, Matrix};
use proptest::prelude::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/embeddings");

fn fixture(name: &str) -> PathBuf {
    Path::new(DATA).join(name)
}

/// The store that every small fixture holds.
fn expected() -> Embeddings {
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let mut store = Embeddings::new(6);
    for key in std::fs::read_to_string(fixture("keys.txt")).unwrap().lines() {
        let bits = json[key].as_array().unwrap().iter().map(|x| u32::try_from(x.as_u64().unwrap()).unwrap());
        store.push(key, &bits.map(f32::from_bits).collect::<Vec<_>>()).unwrap();
    }
    store
}

/// Reads a store from bytes under a name that says the form.
fn read_bytes(extension: &str, bytes: &[u8]) -> Result<Embeddings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x").with_extension(extension);
    std::fs::write(&path, bytes).unwrap();
    Embeddings::read(&path).map_err(|e| e.to_string())
}

const FIXTURES: [&str; 20] = [
    "dict_numpy1.npy",
    "dict_numpy1_protocol2.npy",
    "dict_numpy1_protocol3.npy",
    "dict_numpy1_protocol4.npy",
    "dict_numpy1_protocol5.npy",
    "dict_numpy2.npy",
    "dict_numpy2_protocol2.npy",
    "dict_numpy2_protocol3.npy",
    "dict_numpy2_protocol4.npy",
    "dict_numpy2_protocol5.npy",
    "dict_f64_rows.npy",
    "dict_big_endian.npy",
    "dict_lists.npy",
    "by_utterance.npz",
    "by_utterance_compressed.npz",
    "by_utterance_f64.npz",
    "two_arrays.npz",
    "two_arrays_compressed.npz",
    "matrix.safetensors",
    "by_utterance.safetensors",
];

#[test]
fn files_of_numpy_and_safetensors_hold_what_was_put_in() {
    let expected = expected();
    for name in FIXTURES {
        let store = Embeddings::read(fixture(name)).unwrap();
        if name == "by_utterance.safetensors" {
            // That writer sorts.
            assert_eq!(store.len(), expected.len());
            assert!(expected.iter().all(|(key, vector)| store.get(key) == Some(vector)));
        } else {
            assert_eq!(store, expected, "{name}");
        }
    }
    for name in ["matrix_c.npy", "matrix_fortran.npy", "matrix_f64.npy"] {
        assert_eq!(Embeddings::read_npy(fixture(name), fixture("keys.txt")).unwrap(), expected, "{name}");
    }
}

#[test]
fn the_form_is_known_without_an_extension() {
    for name in FIXTURES {
        let bytes = std::fs::read(fixture(name)).unwrap();
        assert_eq!(read_bytes("store", &bytes).unwrap().len(), 5, "{name}");
    }
    assert_eq!(read_bytes("", b"a [ 1 2 ]\n").unwrap().get("a"), Some([1.0, 2.0].as_slice()));
    assert_eq!(read_bytes("", b"a \0BFV \x04\x01\0\0\0\0\0\x80?").unwrap().get("a"), Some([1.0].as_slice()));
    assert!(read_bytes("", b"a /nowhere/x.ark:2\n").unwrap_err().contains("/nowhere/x.ark"));
    assert!(read_bytes("", b"hello").unwrap_err().contains("a file of unknown form"));
}

fn read_the_baselines_dict(folder: &Path) -> (usize, usize) {
    let dict = Embeddings::read(folder.join("embd_dict.npy")).unwrap();
    assert_eq!(dict, Embeddings::read_npy(folder.join("emb.npy"), folder.join("utts.txt")).unwrap());
    (dict.len(), dict.dim())
}

#[test]
fn the_baselines_dict() {
    assert_eq!(read_the_baselines_dict(Path::new(DATA)), (100, 64));
}

fn the_baselines_dict_of_two_thousand() {
    assert_eq!(read_the_baselines_dict(&ffsvc_test_data::shared("golden/scoring")), (2000, 64));
}

#[test]
fn lookups() {
    let store = expected();
    assert_eq!(store.index_of("δ4"), Some(3));
    assert_eq!(store.get("δ4"), Some(&store.data()[18..24]));
    assert_eq!((store.get("nobody"), store.len(), store.dim()), (None, 5, 6));
    assert_eq!(store.iter().map(|(key, _)| key).collect::<Vec<_>>(), store.keys());
}

#[test]
fn vectors_that_do_not_belong_are_refused_by_name() {
    let mut store = Embeddings::new(0);
    store.push("a", &[1.0, 2.0]).unwrap();
    for (key, vector, reason) in [
        ("b", [1.0].as_slice(), "utterance `b` has 1 dimensions, the store has 2"),
        ("c", &[1.0, f32::NAN], "utterance `c` has NaN in dimension 1"),
        ("d", &[f32::NEG_INFINITY, 0.0], "utterance `d` has -inf in dimension 0"),
        ("a", &[1.0, 2.0], "utterance `a` is there twice"),
        ("e", &[], "utterance `e` has an empty vector"),
        ("", &[1.0, 2.0], "is not the name of an utterance"),
        ("f\n", &[1.0, 2.0], "is not the name of an utterance"),
    ] {
        let error = store.push(key, vector).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!((store.len(), store.data()), (1, [1.0, 2.0].as_slice()));
    assert!(Embeddings::from_parts(vec!["a".into()], 2, vec![0.0; 3]).is_err());
    assert!(Embeddings::from_parts(vec!["a".into(), "a".into()], 1, vec![0.0; 2]).is_err());
    assert!(Embeddings::from_parts(vec!["a".into()], 0, vec![]).is_err());

    let error = read_bytes("ark", b"a [ 1 2 ]\nbob [ 1 nan ]\n").unwrap_err();
    assert!(error.ends_with("x.ark: utterance `bob` has NaN in dimension 1"), "{error}");
    // A double that no float can hold becomes an infinity.
    let error = read_bytes("ark", b"a [ 1e300 ]\n").unwrap_err();
    assert!(error.contains("utterance `a` has inf"), "{error}");
    let error = read_bytes("ark", b"a [ 1 2 ]\nb [ 1 2\n 3 4 ]\n").unwrap_err();
    assert!(error.contains("a double matrix of 2 x 2 for utterance `b`, expected one vector"), "{error}");
}

#[test]
fn a_matrix_of_one_row_is_a_vector() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.ark");
    let mut writer = ArkWriter::create(&path, None, ArkForm::Binary).unwrap();
    writer.write_matrix("a", &Matrix::from_vec(1, 3, vec![1.0_f64, 2.0, 3.0]).unwrap()).unwrap();
    writer.finish().unwrap();
    assert_eq!(Embeddings::read(&path).unwrap().data(), [1.0, 2.0, 3.0]);
}

#[test]
fn forms_that_cannot_be_written_or_read_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for (name, reason) in [("a.npy", ".npz"), ("a.txt", "written as .ark"), ("a", "written as .ark")] {
        assert!(expected().write(dir.path().join(name)).unwrap_err().to_string().contains(reason), "{name}");
    }
    // The store has a key with a blank.
    assert!(expected().write(dir.path().join("a.ark")).unwrap_err().to_string().contains("`spk2-utt 3`"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let matrix = std::fs::read(fixture("matrix_c.npy")).unwrap();
    assert!(read_bytes("npy", &matrix).unwrap_err().contains("together with a list of its keys"));
    let error = Embeddings::read_npy(fixture("matrix_c.npy"), fixture("utts.txt")).unwrap_err().to_string();
    assert!(error.contains("5 rows, but") && error.contains("100 keys"), "{error}");
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn hostile_safetensors_are_errors_in_little_memory() {
    let entry = r#""embeddings":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}"#;
    let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#;
    for (bytes, reason) in [
        (safetensors(&format!("{{{entry}}}"), &[0; 8]), "without `keys`"),
        (safetensors(&format!(r#"{{"__metadata__":{{"keys":"[\"a\"]"}},{entry}}}"#), &[0; 8]), "1 keys"),
        (safetensors(&format!(r#"{{"__metadata__":{{"keys":"a b"}},{entry}}}"#), &[0; 8]), "not a JSON list"),
        (safetensors(huge, &[0; 8]), "not a readable"),
        (safetensors(r#"{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}"#, &[0; 8]), "F32 or F64"),
        (
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[2,1,1],"data_offsets":[0,8]}}"#,
                &[0, 0, 128, 127, 0, 0, 0, 0],
            ),
            "utterance `a` has inf",
        ),
        (u64::MAX.to_le_bytes().to_vec(), "not a readable"),
    ] {
        let (result, peak) = memory::peak(|| read_bytes("safetensors", &bytes));
        let error = result.unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(peak < 1 << 16, "{reason}: {peak} bytes");
    }
}

fn npz(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn hostile_npz_are_errors_in_little_memory() {
    let floats = npy("<f4", "(2,)", &[0; 8]);
    for (bytes, reason) in [
        (npz(&[("a.txt", vec![])]), "the entry `a.txt`"),
        (npz(&[("a.npy", npy("<f4", "(1152921504606846976, 16)", &[0; 8]))]), "cut short"),
        (npz(&[("a.npy", npy("<f4", "(3,)", &[0; 8]))]), "cut short"),
        (npz(&[("a.npy", npy("<i8", "(1,)", &[0; 8]))]), "type `<i8`"),
        (npz(&[("a.npy", npy("|O", "(1,)", &[0; 8]))]), "where numbers belong"),
        (npz(&[("a.npy", npy("<U0", "(1152921504606846976,)", &[]))]), "type `<U0`"),
        (npz(&[("a.npy", npy("<f4", "(2, 2)", &[0; 16]))]), "shape [2, 2]"),
        (
            npz(&[("keys.npy", floats.clone()), ("embeddings.npy", floats.clone())]),
            "numbers where text belongs",
        ),
        (
            npz(&[
                ("keys.npy", npy("<U1", "(1,)", &[97, 0, 0, 0])),
                ("embeddings.npy", npy("<f4", "(2, 1)", &[0; 8])),
            ]),
            "1 keys for 2 embeddings",
        ),
        (
            npz(&[
                ("keys.npy", npy("<U1", "(1,)", &[0, 0, 17, 0])),
                ("embeddings.npy", npy("<f4", "(1, 2)", &[0; 8])),
            ]),
            "not Unicode",
        ),
        (
            npz(&[
                ("keys.npy", npy("<U1", "(0,)", &[])),
                ("embeddings.npy", npy("<f4", "(1152921504606846976, 0)", &[])),
            ]),
            "0 keys for",
        ),
        // 64 MiB of zeros pack into 64 KiB.
        (npz(&[("a.npy", npy("<f4", "(16777216,)", &vec![0; 1 << 26]))]), "unpacks to over 100 times"),
    ] {
        let (result, peak) = memory::peak(|| read_bytes("npz", &bytes));
        let error = result.unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(peak < (1 << 20) + 256 * bytes.len(), "{reason}: {peak} bytes");
    }
}

#[test]
fn files_cut_anywhere_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for name in FIXTURES {
        let path = dir.path().join(name);
        std::fs::write(&path, std::fs::read(fixture(name)).unwrap()).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        for cut in (0..file.metadata().unwrap().len()).rev() {
            file.set_len(cut).unwrap();
            assert!(Embeddings::read(&path).is_err(), "{name} cut at {cut}");
        }
    }
}

fn store() -> impl Strategy<Value = Embeddings> {
    (1..9_usize, prop::collection::btree_set("[!-~é€]{1,10}", 0..7)).prop_flat_map(|(dim, keys)| {
        let finite = any::<f32>().prop_filter("a store holds finite numbers", |x| x.is_finite());
        let data = prop::collection::vec(finite, dim * keys.len());
        data.prop_map(move |data| Embeddings::from_parts(keys.iter().cloned().collect(), dim, data).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read_and_the_same_bytes_each_time(store in store()) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.ark", "b.scp", "c.npz", "d.safetensors"] {
            let path = dir.path().join(name);
            store.write(&path).unwrap();
            let read = Embeddings::read(&path).unwrap();
            prop_assert_eq!((read.keys(), read.data()), (store.keys(), store.data()));
            // Only an archive without a value does not know its dimension.
            prop_assert!(read.dim() == store.dim() || store.is_empty());
            let bytes = std::fs::read(&path).unwrap();
            store.write(&path).unwrap();
            prop_assert_eq!(bytes, std::fs::read(&path).unwrap());
        }
        prop_assert!(dir.path().join("a.scp").exists() && dir.path().join("b.ark").exists());
    }

    #[test]
    fn damage_is_an_error_or_another_store_and_never_a_panic(
        name in prop::sample::select(FIXTURES.as_slice()),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let extension = Path::new(name).extension().unwrap().to_str().unwrap();
        let (_, peak) = memory::peak(|| read_bytes(extension, &bytes));
        prop_assert!(peak < 1 << 21);
    }
}

#[test]
fn safetensors_are_read_in_their_own_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.safetensors");
    let mut store = Embeddings::new(0);
    // Keys of any length: where the floats begin is rounded up.
    for n in 0..50 {
        store.push("x".repeat(n + 1), &[n as f32, 0.5, -1e-30]).unwrap();
    }
    store.write(&path).unwrap();
    assert_eq!(Embeddings::read(&path).unwrap(), store);
    // The library reads what is written here, and would have written it so.
    let bytes = std::fs::read(&path).unwrap();
    let tensors = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor("embeddings").unwrap();
    assert_eq!(tensor.shape(), [50, 3]);
    let keys = serde_json::to_string(store.keys()).unwrap();
    let metadata = std::collections::HashMap::from([("keys".to_owned(), keys)]);
    assert_eq!(::safetensors::serialize([("embeddings", tensor)], Some(metadata)).unwrap(), bytes);

    let large = Embeddings::from_parts(vec!["a".into()], 1 << 20, vec![0.5; 1 << 20]).unwrap();
    large.write(&path).unwrap();
    let (read, peak) = memory::peak(|| Embeddings::read(&path).unwrap());
    assert_eq!(read, large);
    assert!(peak < (4 << 20) + (1 << 17), "{peak} bytes for a store of 4 MiB");

    let doubles = r#"{"embeddings":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},"__metadata__":{"keys":"[\"a\"]"}}"#;
    let numbers: Vec<u8> = [0.5_f64, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(read_bytes("safetensors", &safetensors(doubles, &numbers)).unwrap().data(), [0.5, 2.0]);
    let infinite = r#"{"embeddings":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"keys":"[\"a\"]"}}"#;
    let error = read_bytes("safetensors", &safetensors(infinite, &[0, 0, 128, 127, 0, 0, 0, 0])).unwrap_err();
    assert!(error.contains("utterance `a` has inf"), "{error}");
    assert!(Embeddings::read(folder.path().join("nowhere.safetensors")).is_err());
}

#[test]
fn a_store_needs_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for path in [Path::new("-"), folder.path(), Path::new("/dev/null")] {
        let error = Embeddings::read(path).unwrap_err().to_string();
        assert!(error.contains("expected a file: an embedding store"), "{error}");
    }
    let error = read_bytes("", b"\x1f\x8b\x08\0").unwrap_err();
    assert!(error.contains("a gzipped file") && error.contains("gzip -d"), "{error}");
}

ffsvc_test_data::shared_tests!(the_baselines_dict_of_two_thousand);
