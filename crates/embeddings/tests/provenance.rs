//! Where embeddings came from: it travels with the store, is never that of another store, and tells models apart.

use std::path::Path;

use ffsvc_embeddings::{AudioReading, Embeddings, Provenance, check_one_model};
use ffsvc_kaldi_io::{ArkForm, ArkWriter};

const FORMS: [&str; 4] = ["a.ark", "b.scp", "c.npz", "d.safetensors"];

fn store(value: f32, provenance: Option<Provenance>) -> Embeddings {
    let mut store = Embeddings::new(2);
    store.push("ann-1", &[value, 0.5]).unwrap();
    store.push("bob-1", &[0.25, value]).unwrap();
    store.push("caf\u{e9}-1", &[0.25, value]).unwrap();
    store.set_provenance(provenance);
    store
}

fn provenance() -> Provenance {
    let mut provenance = Provenance::new("exp/\u{e4}/best.safetensors", "ab".repeat(32));
    provenance.architecture = serde_json::json!({"resnet": {"depth": 34, "channels": 32}});
    provenance.front_end = serde_json::json!({"kind": "log-mel", "num_mel_bins": 80, "dither": 0.1});
    provenance.audio = AudioReading::new("first", true);
    provenance.mean_subtracted = true;
    provenance.program = "ffsvc-extract 0.1.0".to_owned();
    provenance.list_sha256 = Some("cd".repeat(32));
    provenance
}

fn read(path: &Path) -> Option<Provenance> {
    Embeddings::read(path).unwrap().provenance().cloned()
}

#[test]
fn it_travels_with_the_store_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    for name in FORMS {
        let path = folder.path().join(name);
        let with = store(1.5, Some(provenance()));
        with.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(Embeddings::read(&path).unwrap(), with, "{name}");
        assert_eq!(read(&path), Some(provenance()), "{name}");
        with.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}: the same bytes each time");
        // Either file of an archive is the store.
        for half in
            ["ark", "scp"].map(|half| path.with_extension(half)).into_iter().filter(|path| path.exists())
        {
            assert_eq!(read(&half), Some(provenance()));
        }
        // A store that does not say replaces all of one that did.
        store(1.5, None).write(&path).unwrap();
        assert_eq!(read(&path), None, "{name}");
    }
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "no side file of a store without provenance: {left:?}");
}

#[test]
fn a_side_file_speaks_of_its_own_archive_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xvector.scp");
    let side = folder.path().join("xvector.provenance.json");
    store(1.5, Some(provenance())).write(&path).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&side).unwrap()).unwrap();
    assert_eq!(
        (&written["schema"], &written["provenance"]["program"]),
        (&1.into(), &"ffsvc-extract 0.1.0".into())
    );

    // Another order of the rows is the same store; a part of it, or other numbers, are not.
    let table = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = table.lines().rev().collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    assert_eq!(read(&path), Some(provenance()));
    std::fs::write(&path, lines[1..].join("\n")).unwrap();
    assert_eq!(read(&path), None);

    // A program that does not know the side file writes another archive beside it.
    let ark = path.with_extension("ark");
    let mut writer = ArkWriter::create(&ark, Some(&path), ArkForm::Binary).unwrap();
    for (key, vector) in store(2.5, None).iter() {
        writer.write_vector(key, vector).unwrap();
    }
    writer.finish().unwrap();
    assert!(side.exists());
    assert_eq!(read(&path), None);
    for damaged in ["", "{", r#"{"schema": 2}"#, "\0"] {
        std::fs::write(&side, damaged).unwrap();
        assert_eq!(read(&path), None, "{damaged:?}");
    }
}

#[test]
fn a_damaged_provenance_inside_a_store_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["c.npz", "d.safetensors"] {
        let path = folder.path().join(name);
        store(1.5, Some(provenance())).write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        // In npz every character has four bytes.
        let needle: Vec<u8> = match name {
            "c.npz" => "model_sha256".bytes().flat_map(|byte| [byte, 0, 0, 0]).collect(),
            _ => b"model_sha256".to_vec(),
        };
        let place = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
        let mut other = bytes.clone();
        other[place] = b'X';
        std::fs::write(&path, other).unwrap();
        // npz has checksums of its own.
        let error = Embeddings::read(&path).unwrap_err().to_string();
        assert!(error.contains("provenance"), "{error}");
    }
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    let text = r#"{"model":"m","model_sha256":"11","audio":{"channel":"mix","gain":2},"new":1}"#;
    let read: Provenance = serde_json::from_str(text).unwrap();
    let mut expected = Provenance::new("m", "11");
    expected.audio = AudioReading::new("mix", false);
    assert_eq!(read, expected);
}

#[test]
fn stores_of_two_models_are_told_apart() {
    let known = provenance();
    let mut channel = known.clone();
    channel.audio = AudioReading::new("mix", true);
    channel.program = "ffsvc-extract 9.9".to_owned();
    let unknown = check_one_model([
        ("a.npz", Some(&known)),
        ("b.ark", None),
        ("c.npz", Some(&channel)),
        ("d.ark", None),
    ]);
    assert_eq!(unknown.unwrap().to_string(), "b.ark, d.ark");
    assert_eq!(check_one_model::<&str>([]).unwrap().total(), 0);

    let with = |change: fn(&mut Provenance)| {
        let mut other = provenance();
        change(&mut other);
        check_one_model([("a.npz", None), ("b.npz", Some(&known)), ("c.npz", Some(&other))])
            .unwrap_err()
            .to_string()
    };
    let error = with(|other| {
        (other.model, other.model_sha256) = ("campplus.safetensors".to_owned(), "cd".repeat(32))
    });
    for part in [
        "b.npz and c.npz",
        "exp/\u{e4}/best.safetensors (sha256 abababababab)",
        "campplus.safetensors (sha256 cdcdcdcdcdcd)",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(
        with(|other| other.mean_subtracted = false)
            .contains("the subtraction of the model's mean (yes and no)")
    );
    assert!(with(|other| other.audio.low_pass = false).contains("low-pass filter (yes and no)"));
}

#[test]
fn tables_put_together_keep_what_all_of_them_say() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let part = |name: &str, keys: [&str; 2], provenance: Option<Provenance>| {
        let mut store = Embeddings::new(2);
        keys.iter().for_each(|key| store.push(*key, &[key.len() as f32, 0.5]).unwrap());
        store.set_provenance(provenance);
        store.write(at(name)).unwrap();
        std::fs::read_to_string(at(name)).unwrap()
    };
    let first = part("dev.1.scp", ["a", "bb"], Some(provenance()));
    let second = part("dev.2.scp", ["ccc", "dddd"], Some(provenance()));
    std::fs::write(at("dev.scp"), format!("{first}{second}")).unwrap();
    assert_eq!(read(&at("dev.scp")), Some(provenance()));
    // In another order too; but not where a row of an archive is missing.
    let lines: Vec<&str> = second.lines().chain(first.lines()).collect();
    std::fs::write(at("dev.scp"), lines.join("\n")).unwrap();
    assert_eq!(read(&at("dev.scp")), Some(provenance()));
    std::fs::write(at("dev.scp"), lines[1..].join("\n")).unwrap();
    assert_eq!(read(&at("dev.scp")), None);
    // A copy of a table elsewhere is of the same archive.
    std::fs::write(at("copy.scp"), &first).unwrap();
    assert_eq!(read(&at("copy.scp")), Some(provenance()));
    // Shards have lists of their own, and a model may have been copied.
    let mut shard = provenance();
    (shard.list_sha256, shard.model) = (Some("77".repeat(32)), "/elsewhere/best.safetensors".into());
    let other_list = part("dev.2.scp", ["ccc", "dddd"], Some(shard));
    std::fs::write(at("dev.scp"), format!("{first}{other_list}")).unwrap();
    let mut expected = provenance();
    expected.list_sha256 = None;
    assert_eq!(read(&at("dev.scp")), Some(expected));
    // Nor where one says nothing, or something else.
    for other in [None, Some(Provenance::new("other", "ef".repeat(32)))] {
        let second = part("dev.2.scp", ["ccc", "dddd"], other);
        std::fs::write(at("dev.scp"), format!("{first}{second}")).unwrap();
        assert_eq!(read(&at("dev.scp")), None);
    }
}
