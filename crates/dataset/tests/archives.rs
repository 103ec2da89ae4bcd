//! Training from archives with a shuffle buffer: the batches are those of the same order read at each place.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ffsvc_audio::{SampleFormat, wav_bytes};
use ffsvc_augment::AugmentConfig;
use ffsvc_dataset::{
    Batch, BatchMaker, BatchRange, CropConfig, DataConfig, DataLoader, Error, Sampler, SamplerConfig,
    Scratch, ShardWriter,
};
use ffsvc_features::FrontEndConfig;
use ffsvc_kaldi_io::{DataDir, Output};
use tempfile::TempDir;

/// A recording of `samples` samples that no other is like.
fn recording(number: usize, samples: usize) -> Vec<u8> {
    let wave = |n: usize| (n * (number + 3)) as f32 * 0.01;
    let samples: Vec<f32> = (0..samples).map(|n| 0.4 * wave(n).sin()).collect();
    wav_bytes(&samples, 8000, SampleFormat::Pcm16).unwrap()
}

/// A data directory of files: `speakers` with `each` utterances.
fn files(folder: &Path, name: &str, speakers: usize, each: usize) {
    let dir = folder.join(name);
    fs::create_dir_all(&dir).unwrap();
    let (mut wav, mut utt2spk) = (String::new(), String::new());
    for number in 0..speakers * each {
        let path = dir.join(format!("{number}.wav"));
        fs::write(&path, recording(number, 3000 + 100 * number)).unwrap();
        let (speaker, number) = (number / each, number % each);
        wav.push_str(&format!("{name}{speaker:02}-{number:02} {}\n", path.display()));
        utt2spk.push_str(&format!("{name}{speaker:02}-{number:02} {name}{speaker:02}\n"));
    }
    fs::write(dir.join("wav.scp"), wav).unwrap();
    fs::write(dir.join("utt2spk"), utt2spk).unwrap();
}

/// Packs `from` into shards as the data directory `to`.
fn pack(folder: &Path, from: &str, to: &str, per_shard: usize) {
    let (dir, out) = (DataDir::open(folder.join(from)).unwrap(), folder.join(to));
    fs::create_dir_all(&out).unwrap();
    let writer = ShardWriter::new(&dir, &out, per_shard, 1).unwrap();
    let places = writer.write(|_, error| error.is_none()).unwrap().unwrap();
    dir.with_recordings(|utterance| places.get(utterance).cloned(), &Output::new(out)).unwrap();
}

/// Packs `from` into an archive, with a table of segments over it: two of each recording.
fn segments(folder: &Path, from: &str, to: &str) {
    let (dir, out) = (DataDir::open(folder.join(from)).unwrap(), folder.join(to));
    fs::create_dir_all(&out).unwrap();
    let (mut ark, mut tables) = (Vec::new(), [String::new(), String::new(), String::new()]);
    for utterance in dir.utterances() {
        ark.extend_from_slice(format!("{} ", utterance.id).as_bytes());
        let [wav, segments, utt2spk] = &mut tables;
        wav.push_str(&format!("{} {}:{}\n", utterance.id, out.join("wav.ark").display(), ark.len()));
        ark.extend(fs::read(utterance.wav).unwrap());
        for (part, seconds) in [("a", "0.0 0.2"), ("b", "0.15 0.35")] {
            segments.push_str(&format!("{}-{part} {} {seconds}\n", utterance.id, utterance.id));
            utt2spk.push_str(&format!("{}-{part} {}\n", utterance.id, utterance.speaker.unwrap()));
        }
    }
    fs::write(out.join("wav.ark"), ark).unwrap();
    for (name, table) in ["wav.scp", "segments", "utt2spk"].into_iter().zip(tables) {
        fs::write(out.join(name), table).unwrap();
    }
}

const BATCH: usize = 6;

fn open(data: &DataConfig, sampler: &str, augment: &str) -> (Arc<BatchMaker>, Arc<Sampler>) {
    let features: FrontEndConfig = toml::from_str("sample_rate = 8000\nkind = { type = 'fbank' }").unwrap();
    let augment: AugmentConfig = toml::from_str(augment).unwrap();
    let maker = BatchMaker::open(&CropConfig::new(data, &features, &augment, 20, 7)).unwrap();
    let sampler: SamplerConfig = toml::from_str(sampler).unwrap();
    let sampler = Sampler::new(&sampler, maker.set(), BATCH, 1, 7).unwrap();
    (Arc::new(maker), Arc::new(sampler))
}

fn loaded(
    (maker, sampler): &(Arc<BatchMaker>, Arc<Sampler>),
    first: usize,
    last: usize,
    workers: usize,
) -> Vec<Batch> {
    let range = BatchRange { first, last, per_epoch: sampler.num_batches(), first_epoch_only: false };
    let mut loader = DataLoader::start(Arc::clone(maker), Arc::clone(sampler), range, workers, 2).unwrap();
    (first..last).map(|_| loader.next_batch().unwrap()).collect()
}

/// The batches with each recording read at its place.
fn read_at_their_places((maker, sampler): &(Arc<BatchMaker>, Arc<Sampler>), last: usize) -> Vec<Batch> {
    let mut scratch = Scratch::default();
    let batch = |number: usize| {
        let (epoch, index) = ((number / sampler.num_batches()) as u32, number % sampler.num_batches());
        maker.make(epoch, sampler.plan(epoch).batch(index), &mut scratch).unwrap()
    };
    (0..last).map(batch).collect()
}

fn data(train: &str) -> DataConfig {
    toml::from_str(&format!("train = {train}")).unwrap()
}

#[test]
fn batches_are_those_of_the_same_order_with_any_number_of_workers_and_from_any_batch_on() {
    let folder = TempDir::new().unwrap();
    files(folder.path(), "near", 5, 6);
    files(folder.path(), "far", 3, 5);
    pack(folder.path(), "near", "near-tar", 7);
    segments(folder.path(), "far", "far-ark");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let one = format!("'{}'", at("near-tar"));
    let cut = format!("'{}'", at("far-ark"));
    let share = |name: &str, share: f64| format!("{{ path = '{}', share = {share} }}", at(name));
    let two = format!("[{}, {}]", share("near-tar", 0.6), share("far-ark", 0.4));
    // Files of their own beside archives.
    let mixed = format!("[{}, {}]", share("far", 0.5), share("near-tar", 0.5));
    for (train, sampler, augment) in [
        (&one, "shuffle_buffer = 10", ""),
        (&cut, "shuffle_buffer = 1", ""),
        (&one, "shuffle_buffer = 1000\nepoch_utterances = 20", "speed = { probability = 0.7 }"),
        (&two, "shuffle_buffer = 9\nepoch_steps = 13", "speed = { probability = 0.7 }"),
        (&mixed, "shuffle_buffer = 5", "additive = { probability = 0.8, babble = { talkers = [2, 2] } }"),
    ] {
        let opened = open(&data(train), sampler, augment);
        let last = 2 * opened.1.num_batches();
        let expected = read_at_their_places(&opened, last);
        for workers in [1, 2, 5] {
            assert!(loaded(&opened, 0, last, workers) == expected, "{train} {sampler} {workers}");
        }
        for first in [1, last / 2, last - 1] {
            assert!(loaded(&opened, first, last, 2) == expected[first..], "{train} {sampler} from {first}");
        }
    }
}

#[test]
fn a_recording_that_is_damaged_is_replaced_by_the_same_one() {
    let folder = TempDir::new().unwrap();
    files(folder.path(), "d", 4, 5);
    pack(folder.path(), "d", "tar", 5);
    let shard = folder.path().join("tar/shards_000000001.tar");
    let mut bytes = fs::read(&shard).unwrap();
    // The first recording's file begins behind the speaker's entry and a header.
    assert_eq!(&bytes[1536..1540], b"RIFF");
    bytes[1536..1540].fill(b'x');
    let len = bytes.len();
    // The end of the last one is missing.
    bytes.truncate(len - 2000);
    fs::write(&shard, bytes).unwrap();
    let mut data = data(&format!("'{}'", folder.path().join("tar").display()));
    data.max_failed_share = 0.2;
    let opened = open(&data, "shuffle_buffer = 4", "");
    let expected = read_at_their_places(&opened, 6);
    assert_eq!(opened.0.unreadable().0, 2);
    assert!(loaded(&opened, 0, 6, 3) == expected);
    data.max_failed_share = 0.0;
    let (maker, sampler) = open(&data, "shuffle_buffer = 4", "");
    let range = BatchRange { first: 0, last: 600, per_epoch: sampler.num_batches(), first_epoch_only: false };
    let mut loader = DataLoader::start(maker, sampler, range, 3, 2).unwrap();
    let error = (0..600).find_map(|_| loader.next_batch().err()).unwrap();
    assert!(matches!(error, Error::TooManyUnreadable { failed: 1, .. }), "{error}");
}

#[test]
fn a_loader_that_is_dropped_ends_its_threads() {
    let folder = TempDir::new().unwrap();
    files(folder.path(), "d", 4, 5);
    pack(folder.path(), "d", "tar", 5);
    let data = data(&format!("'{}'", folder.path().join("tar").display()));
    let (maker, sampler) = open(&data, "shuffle_buffer = 4", "");
    let range = BatchRange { first: 0, last: usize::MAX, per_epoch: 3, first_epoch_only: true };
    for taken in 0..4 {
        let mut loader = DataLoader::start(Arc::clone(&maker), Arc::clone(&sampler), range, 3, 1).unwrap();
        for _ in 0..taken {
            loader.next_batch().unwrap();
        }
        drop(loader);
        assert_eq!(Arc::strong_count(&maker), 1);
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused_by_their_key() {
    let folder = TempDir::new().unwrap();
    files(folder.path(), "d", 2, 3);
    pack(folder.path(), "d", "tar", 5);
    let refused = |dir: &str, sampler: &str| {
        let data = data(&format!("'{}'", folder.path().join(dir).display()));
        let (maker, _) = open(&data, "", "");
        let sampler: SamplerConfig = toml::from_str(sampler).unwrap();
        Sampler::new(&sampler, maker.set(), 2, 1, 7).unwrap_err().to_string()
    };
    let files = refused("d", "shuffle_buffer = 8");
    assert!(files.contains("sampler.shuffle_buffer = 8 for files that are no archives"), "{files}");
    assert!(files.contains("ffsvc-data to-shards"), "{files}");
    let class = refused("tar", "shuffle_buffer = 8\nbalance = 'class'");
    assert!(class.contains("sampler.shuffle_buffer = 8 beside sampler.balance = \"class\""), "{class}");
}

/// The order depends on which recordings share an archive. The paths play no part.
#[test]
fn the_fingerprint_is_of_the_archives_too() {
    let folder = TempDir::new().unwrap();
    files(folder.path(), "d", 4, 5);
    pack(folder.path(), "d", "tar", 5);
    pack(folder.path(), "d", "same", 5);
    pack(folder.path(), "d", "other", 6);
    let of = |dir: &str, sampler: &str| {
        let data = data(&format!("'{}'", folder.path().join(dir).display()));
        let (maker, sampler) = open(&data, sampler, "");
        (sampler.fingerprint(maker.set()), maker.set().fingerprint())
    };
    let (buffered, plain) = of("tar", "shuffle_buffer = 4");
    assert_eq!(of("tar", ""), (plain.clone(), plain.clone()));
    assert_eq!(of("other", "").0, plain);
    assert_eq!(of("same", "shuffle_buffer = 4").0, buffered);
    assert_ne!(of("other", "shuffle_buffer = 4").0, buffered);
    assert_ne!(buffered, plain);
}
