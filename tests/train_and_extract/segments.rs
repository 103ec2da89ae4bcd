//! The same speech as files, as segments of longer recordings, inside an archive and in tar shards: every program hears the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ffsvc_audio::{AudioFile, ReadOptions, SampleFormat, write_wav};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{DataDir, Output, Selection};
use ffsvc_synth::{Speaker, Vowel, sustained_vowel};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use tempfile::TempDir;

use crate::programs::{final_model, program, trained, weights, workplace};

const RATE: f64 = 16_000.0;

/// Runs a program in the folder; its standard output.
fn run(folder: &TempDir, name: &str, words: &str) -> String {
    let assert = program(name).current_dir(folder).args(words.split_whitespace()).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Copies a data directory of files to one whose utterances are segments of a recording for each speaker.
fn as_segments(folder: &TempDir, from: &str, to: &str) {
    let at = |name: String| folder.path().join(name);
    let dir = DataDir::open(at(from.into())).unwrap();
    let everyone = Selection::Speakers(dir.speakers().to_vec());
    dir.subset(&everyone, &Output::new(at(to.into()))).unwrap();
    let (mut wav, mut segments) = (String::new(), String::new());
    for speaker in dir.speakers() {
        // Half a second of something else before the first utterance.
        let mut samples = vec![0.25; 8000];
        for utterance in dir.utterances().filter(|utterance| utterance.speaker == Some(speaker)) {
            let first = samples.len();
            let mut file = AudioFile::open(folder.path().join(utterance.wav)).unwrap();
            samples.extend(file.read(&ReadOptions::default()).unwrap().samples);
            let [start, end] = [first, samples.len()].map(|sample| (sample as f64 + 0.5) / RATE);
            segments.push_str(&format!("{} call-{speaker} {start} {end}\n", utterance.id));
        }
        let path = format!("{to}/call-{speaker}.wav");
        write_wav(at(path.clone()), &samples, 16_000, SampleFormat::Pcm16).unwrap();
        wav.push_str(&format!("call-{speaker} {path}\n"));
    }
    fs::write(at(format!("{to}/wav.scp")), wav).unwrap();
    fs::write(at(format!("{to}/segments")), segments).unwrap();
}

/// Copies a data directory of files to one whose recordings are in an archive.
fn as_archive(folder: &TempDir, from: &str, to: &str) {
    let dir = DataDir::open(folder.path().join(from)).unwrap();
    let (mut archive, mut places) = (Vec::new(), BTreeMap::new());
    for utterance in dir.utterances() {
        archive.extend_from_slice(format!("{} ", utterance.id).as_bytes());
        places.insert(utterance.id, format!("{to}/wav.ark:{}", archive.len()));
        archive.extend(fs::read(folder.path().join(utterance.wav)).unwrap());
    }
    let output = Output::new(folder.path().join(to));
    dir.with_recordings(|utterance| places.get(utterance).cloned(), &output).unwrap();
    fs::write(folder.path().join(to).join("wav.ark"), archive).unwrap();
}

/// Copies a data directory of files to one of two shards, as WeSpeaker makes them.
fn as_shards(folder: &TempDir, from: &str, to: &str) {
    fs::create_dir_all(folder.path().join(to)).unwrap();
    let dir = DataDir::open(folder.path().join(from)).unwrap();
    let utterances: Vec<_> = dir.utterances().collect();
    let mut list = String::new();
    for (number, utterances) in utterances.chunks(utterances.len().div_ceil(2)).enumerate() {
        let path = format!("{to}/shards_{number:09}.tar");
        let mut tar = tar::Builder::new(fs::File::create(folder.path().join(&path)).unwrap());
        let mut append = |name: String, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content).unwrap();
        };
        for utterance in utterances {
            append(format!("{}.spk", utterance.id), utterance.speaker.unwrap().as_bytes());
            let content = fs::read(folder.path().join(utterance.wav)).unwrap();
            append(format!("{}.wav", utterance.id), &content);
        }
        tar.finish().unwrap();
        list += &format!("{path}\n");
    }
    fs::write(folder.path().join(to).join("shard.list"), list).unwrap();
    let said = run(folder, "ffsvc-data", &format!("from-shards {to}/shard.list {to}"));
    assert!(said.contains(&format!("{to}: {} utterances", dir.len())), "{said}");
}

/// Four data directories of the same training speech, and of the same other speech.
fn four_forms() -> TempDir {
    let folder = workplace();
    for set in ["train", "dev"] {
        as_segments(&folder, &format!("data/{set}"), &format!("cut/{set}"));
        as_archive(&folder, &format!("data/{set}"), &format!("ark/{set}"));
        as_shards(&folder, &format!("data/{set}"), &format!("tar/{set}"));
    }
    folder
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn training_and_extraction_give_the_same_bytes_for_all_four() {
    let folder = four_forms();
    // Babble is made of the training utterances.
    let babble = "--set augment.additive.probability=0.8 --set augment.additive.babble.talkers=[2,3]";
    for form in ["data", "cut", "ark", "tar"] {
        run(&folder, "ffsvc-data", &format!("validate {form}/train"));
        run(
            &folder,
            "ffsvc-train",
            &format!("tiny.toml exp-{form} -q --set data.train={form}/train {babble}"),
        );
        run(&folder, "ffsvc-extract", &format!("--model exp-data/final.safetensors {form}/dev {form}.npz"));
    }
    let [data, cut, ark, tar] = ["data", "cut", "ark", "tar"].map(|form| {
        let store = Embeddings::read(folder.path().join(format!("{form}.npz"))).unwrap();
        let trained = weights(&final_model(&folder, &format!("exp-{form}")));
        (trained, store.keys().to_vec(), store.data().to_vec())
    });
    assert_eq!(data.1.len(), 9);
    assert!(data == cut, "segments differ from files");
    assert!(data == ark, "archives differ from files");
    assert!(data == tar, "shards differ from files");
}

#[test]
fn a_shuffle_buffer_gives_the_same_bytes_with_any_number_of_workers() {
    let folder = workplace();
    run(&folder, "ffsvc-data", "to-shards data/train packed --utterances-per-shard 3");
    let mut runs = BTreeMap::new();
    for (workers, buffer) in [(1, 4), (3, 4), (1, 0)] {
        let name = format!("exp-{workers}-{buffer}");
        let set = format!("--set sampler.shuffle_buffer={buffer} --set train.workers={workers}");
        run(&folder, "ffsvc-train", &format!("tiny.toml {name} -q --set data.train=packed {set}"));
        runs.insert((workers, buffer), weights(&final_model(&folder, &name)));
    }
    assert!(runs[&(1, 4)] == runs[&(3, 4)], "the number of workers changes the weights");
    assert!(runs[&(1, 4)] != runs[&(1, 0)], "the shuffle buffer changes nothing");

    // Other shards are another order, which a run that goes on must not get.
    run(&folder, "ffsvc-data", "to-shards data/train other --utterances-per-shard 4");
    program("ffsvc-train")
        .current_dir(&folder)
        .args(["tiny.toml", "exp-1-4", "-q", "--resume", "--set", "data.train=other"])
        .args(["--set", "sampler.shuffle_buffer=4"])
        .assert()
        .code(1)
        .stderr(contains("their archives (data.train: packed -> other)"));
}

#[test]
fn copies_and_measures_are_the_same_for_all_four() {
    let folder = four_forms();
    let [data, cut, ark, tar] = ["data", "cut", "ark", "tar"].map(|form| {
        run(&folder, "ffsvc-data", &format!("audio-quality {form}/train {form}/quality"));
        run(&folder, "ffsvc-data", &format!("convert {form}/train {form}/wav-files"));
        run(&folder, "ffsvc-data", &format!("augment {form}/train {form}/copies --config tiny.toml"));
        run(&folder, "ffsvc-data", &format!("validate {form}/wav-files"));
        ["quality", "wav-files/wav", "copies/wav"].map(|name| files(&folder.path().join(form).join(name)))
    });
    // With the settings of the conversion beside the files.
    assert_eq!((data[1].len(), data[2].len()), (17, 16));
    assert!(data == cut, "segments differ from files");
    assert!(data == ark, "archives differ from files");
    assert!(data == tar, "shards differ from files");
    // What is converted has no segments left.
    assert!(!folder.path().join("cut/wav-files/segments").exists());
}

#[test]
fn the_embedding_of_speech_only_is_that_of_its_parts_put_together() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let speaker = Speaker::draw(0, 1);
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 32_768.0 - 1.0;
    let mut samples: Vec<f32> = (0..64_000).map(|n| 0.0005 * noise(n)).collect();
    for (first, vowel, seconds) in [(16_000, Vowel::Hod, 0.8), (44_800, Vowel::Heed, 0.6)] {
        let voice = sustained_vowel(&speaker, vowel, speaker.f0_hz, seconds);
        samples[first..].iter_mut().zip(voice).for_each(|(sample, voice)| *sample += voice);
    }
    let wav = |name: &str, samples: &[f32]| {
        write_wav(at(name), samples, 16_000, SampleFormat::Float32).unwrap();
    };
    wav("heard", &samples);
    wav("silent", &vec![0.0; 32_000]);
    fs::create_dir(at("d")).unwrap();
    fs::write(at("d/wav.scp"), "heard heard\n").unwrap();
    run(&folder, "ffsvc-data", "segment d parts");
    let parts = DataDir::open(at("parts")).unwrap();
    assert_eq!(parts.len(), 2);
    let joined: Vec<f32> = parts
        .utterances()
        .flat_map(|part| {
            let segment = part.segment.unwrap();
            let file = AudioFile::open(at("heard")).unwrap();
            let mut file = file.with_segment(segment.start_s, segment.end_s).unwrap();
            file.read(&ReadOptions::default()).unwrap().samples
        })
        .collect();
    wav("joined", &joined);

    let model = "--model exp/final.safetensors";
    run(&folder, "ffsvc-extract", &format!("{model} heard joined -o all.npz"));
    run(&folder, "ffsvc-extract", &format!("{model} heard -o speech.npz --speech-only noise-floor"));
    let read = |store: &str| Embeddings::read(at(store)).unwrap();
    let (all, speech) = (read("all.npz"), read("speech.npz"));
    let distance = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            / b.iter().map(|b| b.abs()).fold(0.0, f32::max)
    };
    let only = speech.get("heard").unwrap();
    let (same, other) =
        (distance(only, all.get("joined").unwrap()), distance(only, all.get("heard").unwrap()));
    // A border may be one sample apart, because segments are in seconds.
    assert!(same < 0.01 && other > 10.0 * same, "{same} {other}");
    let of = |store: &Embeddings| store.provenance().unwrap().audio.speech_only.clone();
    assert_eq!((of(&speech), of(&all)), (Some("noise-floor".to_owned()), None));

    let extract =
        |words: &str| program("ffsvc-extract").current_dir(&folder).args(words.split_whitespace()).assert();
    extract(&format!("{model} heard silent -o speech.npz --speech-only kaldi"))
        .code(1)
        .stderr(contains("failed: silent: no speech was found in its 2.0 s").and(contains("started anew")));
    assert_eq!(read("speech.npz").keys(), ["heard"]);
    extract(&format!("{model} heard -o s.npz --speech-only silero")).code(2).stderr(contains("--vad-model"));
    extract(&format!("{model} heard -o s.npz --vad-model x"))
        .code(2)
        .stderr(contains("--speech-only silero"));
}

#[test]
fn a_segment_past_the_end_is_named_with_its_seconds() {
    let folder = four_forms();
    let table = folder.path().join("cut/dev/segments");
    let text = fs::read_to_string(&table).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let words: Vec<&str> = first.split(' ').collect();
    fs::write(&table, format!("{} {} {} 99.5\n{rest}", words[0], words[1], words[2])).unwrap();
    run(&folder, "ffsvc-train", "tiny.toml exp -q");
    program("ffsvc-extract")
        .current_dir(&folder)
        .args(["--model", "exp/final.safetensors", "cut/dev", "cut.npz"])
        .assert()
        .code(1)
        .stderr(contains("99.5 s is past the end of the recording, at "));
    let failed = fs::read_to_string(folder.path().join("cut.npz.failed")).unwrap();
    assert!(failed.starts_with(words[0]) && failed.contains("by "), "{failed}");
    assert_eq!(Embeddings::read(folder.path().join("cut.npz")).unwrap().keys().len(), 8);
}
