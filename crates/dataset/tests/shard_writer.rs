//! Shards: what is in them, and that neither threads nor failures change it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use ffsvc_audio::{AudioFile, ReadOptions, SampleFormat, wav_bytes, write_wav};
use ffsvc_dataset::ShardWriter;
use ffsvc_kaldi_io::{DataDir, OpenOptions};
use tempfile::TempDir;

/// Entries of a tar file, in their order.
fn entries(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o644, 0));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), content)
    });
    entries.collect()
}

fn ramp(from: usize, count: usize) -> Vec<f32> {
    (from..from + count).map(|n| n as f32 / 32_768.0).collect()
}

/// A data directory with a recording of each kind, and a folder for shards.
fn workplace() -> (TempDir, DataDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("d")).unwrap();
    // Three channels and 24 bits: the bytes must stay as they are.
    let mut wide =
        b"RIFF\x2d\0\0\0WAVEfmt \x10\0\0\0\x01\0\x03\0\x40\x1f\0\0\xc0\x19\x01\0\x09\0\x18\0data\x09\0\0\0"
            .to_vec();
    wide.extend_from_slice(&[0, 0, 1, 0, 0, 2, 0, 0, 3, 0]);
    fs::write(at("wide.bin"), &wide).unwrap();
    write_wav(at("a.wav"), &ramp(0, 900), 8000, SampleFormat::Pcm16).unwrap();
    // AU is no format of WeSpeaker's.
    let mut au = b".snd\0\0\0\x18\0\0\0\x06\0\0\0\x03\0\0\x1f\x40\0\0\0\x01".to_vec();
    au.extend_from_slice(&[0, 1, 0, 2, 0, 3]);
    fs::write(at("b.au"), au).unwrap();
    let mut ark = b"x ".to_vec();
    ark.extend(wav_bytes(&ramp(5, 70), 16_000, SampleFormat::Float32).unwrap());
    fs::write(at("wav.ark"), ark).unwrap();
    let name = |name: &str| at(name).display().to_string();
    let long = format!("deep/{}/u.v", "x".repeat(120));
    let wav = [
        ("a1".to_owned(), name("a.wav")),
        ("a2".to_owned(), name("b.au")),
        ("a3".to_owned(), format!("{}:2", name("wav.ark"))),
        ("a4".to_owned(), format!("cat {} |", name("a.wav"))),
        (long, name("wide.bin")),
    ];
    let wav_scp: String = wav.iter().map(|(id, path)| format!("{id} {path}\n")).collect();
    let utt2spk: String = wav.iter().map(|(id, _)| format!("{id} {}\n", &id[..1])).collect();
    fs::write(at("d/wav.scp"), wav_scp).unwrap();
    fs::write(at("d/utt2spk"), utt2spk).unwrap();
    let dir = DataDir::open_with(at("d"), OpenOptions { allow_pipes: true }).unwrap();
    let out = at("out");
    fs::create_dir(&out).unwrap();
    (folder, dir, out)
}

#[test]
fn whole_recordings_keep_their_bytes_and_the_others_become_wav() {
    let (folder, dir, out) = workplace();
    let writer = ShardWriter::new(&dir, &out, 2, 3).unwrap();
    let places = writer.write(|_, error| panic_at(error)).unwrap().unwrap();
    let paths: Vec<PathBuf> = writer.paths().collect();
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["shards_000000000.tar", "shards_000000001.tar", "shards_000000002.tar"]);
    let all: Vec<(String, Vec<u8>)> = paths.iter().flat_map(|path| entries(path)).collect();
    assert!(all.chunks(2).all(|pair| {
        let [key, recording] = [&pair[0].0, &pair[1].0].map(|name| name.rsplit_once('.').unwrap().0);
        pair[0].0.ends_with(".spk") && key == recording && pair[0].1 == key.as_bytes()[..1]
    }));
    let all: HashMap<&str, &Vec<u8>> = all.iter().map(|(name, content)| (name.as_str(), content)).collect();
    let long = dir.utterances().last().unwrap().id.to_owned();
    assert_eq!(*all["a1.wav"], fs::read(folder.path().join("a.wav")).unwrap());
    assert_eq!(*all["a3.wav"], wav_bytes(&ramp(5, 70), 16_000, SampleFormat::Float32).unwrap());
    assert_eq!(*all["a4.wav"], wav_bytes(&ramp(0, 900), 8000, SampleFormat::Pcm16).unwrap());
    assert_eq!(*all["a2.wav"], wav_bytes(&ramp(1, 3), 8000, SampleFormat::Pcm16).unwrap());
    assert_eq!(*all[format!("{long}.wav").as_str()], fs::read(folder.path().join("wide.bin")).unwrap());
    // The places are what audio is read from.
    assert_eq!(places.len(), 5);
    for (id, place) in places {
        let samples = AudioFile::open(&place).unwrap().read(&ReadOptions::default()).unwrap().samples;
        let name = format!("{id}.wav");
        let file = AudioFile::from_bytes(&name, all[name.as_str()].clone()).unwrap();
        assert_eq!(samples, { file }.read(&ReadOptions::default()).unwrap().samples, "{place}");
    }
}

fn panic_at(error: Option<ffsvc_dataset::ReadError>) -> bool {
    error.is_none_or(|error| panic!("{error}"))
}

#[test]
fn a_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let (folder, dir, _) = workplace();
    let shards = |seed: u64, threads: usize| -> Vec<Vec<u8>> {
        let out = folder.path().join(format!("out-{seed}-{threads}"));
        fs::create_dir(&out).unwrap();
        let writer = ShardWriter::new(&dir, &out, 2, seed).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| writer.write(|_, error| panic_at(error))).unwrap().unwrap();
        writer.paths().map(|path| fs::read(path).unwrap()).collect()
    };
    let first = shards(1, 1);
    assert_eq!(first, shards(1, 3));
    assert!((2..6).any(|seed| shards(seed, 2) != first), "another seed is another order");
}

#[test]
fn a_recording_that_cannot_be_read_is_left_out_or_ends_it() {
    let (folder, dir, out) = workplace();
    fs::remove_file(folder.path().join("b.au")).unwrap();
    let writer = ShardWriter::new(&dir, &out, 2, 3).unwrap();
    assert!(writer.write(|_, error| error.is_none()).unwrap().is_none());
    // The shard that it is in is not there.
    assert_eq!(writer.paths().filter(|path| path.exists()).count(), 2);
    let failed = std::sync::Mutex::new(BTreeMap::new());
    let done = |id: &str, error: Option<ffsvc_dataset::ReadError>| {
        error.map(|error| failed.lock().unwrap().insert(id.to_owned(), error.to_string()));
        true
    };
    let places = writer.write(done).unwrap().unwrap();
    assert_eq!(places.len(), 4);
    let failed = failed.into_inner().unwrap();
    assert!(failed["a2"].contains("b.au") && failed.len() == 1, "{failed:?}");
    let names: Vec<String> = writer.paths().flat_map(|path| entries(&path)).map(|entry| entry.0).collect();
    assert!(names.len() == 8 && !names.iter().any(|name| name.starts_with("a2")), "{names:?}");
}

#[test]
fn what_no_shard_can_hold_is_named_before_anything_is_written() {
    let (folder, dir, out) = workplace();
    let at = |name: &str| folder.path().join(name);
    let refused = |out: &Path| {
        let dir = DataDir::open(at("e")).unwrap();
        ShardWriter::new(&dir, out, 2, 3).unwrap_err().to_string()
    };
    fs::create_dir(at("e")).unwrap();
    fs::write(at("e/wav.scp"), "a//b a.wav\n").unwrap();
    assert!(refused(&out).contains("utterance a//b: found no speaker"));
    fs::write(at("e/utt2spk"), "a//b a\n").unwrap();
    assert!(refused(&out).contains("utterance a//b: found a name that no entry of a tar file can have"));
    // The archive itself would be written over.
    let same = ShardWriter::new(&dir, folder.path(), 2, 3).unwrap_err().to_string();
    assert!(
        same.contains("wav.ark: found recordings that are to be read, in the folder to write to"),
        "{same}"
    );
}
