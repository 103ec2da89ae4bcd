//! A small corpus as other programs see it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ffsvc_audio::{AudioFile, ReadOptions};
use ffsvc_kaldi_io::{DataDir, TrialColumns, Trials, ValidateOptions};
use ffsvc_synth::{Error, SAMPLE_RATE, SynthConfig, generate};

fn small() -> SynthConfig {
    SynthConfig {
        seed: 3,
        train_speakers: 2,
        train_utterances: 2,
        dev_speakers: 4,
        dev_utterances: 3,
        seconds: [0.5, 0.8],
        nontarget_trials: 20,
        ..SynthConfig::default()
    }
}

/// All files below a folder; the folder's own name is taken out of the tables.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if path.ends_with("wav.scp") {
                bytes = String::from_utf8(bytes).unwrap().replace(root.to_str().unwrap(), "OUT").into();
            }
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), bytes);
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn corpus(config: &SynthConfig, workers: usize) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    generate(config, dir.path(), workers, || ()).unwrap();
    files(dir.path())
}

#[test]
fn bytes_do_not_depend_on_threads_or_on_the_other_speakers() {
    let one = corpus(&small(), 1);
    assert_eq!(one.len(), 16 + 5 + 6);
    assert_eq!(one, corpus(&small(), 4));

    let larger = corpus(&SynthConfig { train_speakers: 3, train_utterances: 3, ..small() }, 2);
    assert!(
        one.iter()
            .filter(|(name, _)| name.starts_with("wav/") || name.starts_with("dev/"))
            .all(|(name, bytes)| larger[name] == *bytes)
    );

    let other = corpus(&SynthConfig { seed: 4, ..small() }, 2);
    let name = "wav/dev00000/dev00000-00000.wav";
    assert_ne!(one[name], other[name]);
}

#[test]
fn the_data_directories_are_valid_and_as_large_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new").join("mini");
    let counted = AtomicUsize::new(0);
    let on_recording = || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let summary = generate(&small(), &out, 0, on_recording).unwrap();
    assert_eq!(counted.into_inner(), 16);
    for (set, speakers, each) in [(&summary.train, 2, 2), (&summary.dev, 4, 3)] {
        let report = DataDir::validate(&set.path, ValidateOptions::default()).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let data = DataDir::open(&set.path).unwrap();
        assert_eq!((data.len(), data.speakers().len()), (speakers * each, speakers));
        assert_eq!((set.utterances, set.speakers), (speakers * each, speakers));
        let mut seconds = 0.0;
        for utterance in data.utterances() {
            let audio = AudioFile::open(utterance.wav).unwrap().read(&ReadOptions::default()).unwrap();
            assert_eq!(audio.sample_rate, SAMPLE_RATE);
            let duration = audio.samples.len() as f64 / f64::from(SAMPLE_RATE);
            assert!((0.5..=0.8).contains(&duration));
            assert!((utterance.duration_s.unwrap() - duration).abs() < 1e-6);
            let peak = audio.samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
            assert!(peak > 0.01 && peak < 0.91, "{}: peak {peak}", utterance.id);
            seconds += duration;
        }
        assert!((seconds - set.seconds).abs() < 1e-6);
        let genders = std::fs::read_to_string(set.path.join("spk2gender")).unwrap();
        assert_eq!(genders.matches(" f\n").count(), speakers / 2);
        assert_eq!(genders.matches(" m\n").count(), speakers / 2);
    }

    let trials = Trials::read(&summary.trials, TrialColumns::Auto).unwrap();
    let labels = trials.labels.as_ref().unwrap();
    assert_eq!(labels.iter().filter(|target| **target).count(), 4 * 3);
    assert_eq!((summary.target_trials, summary.nontarget_trials), (12, 20));
    let dev = DataDir::open(&summary.dev.path).unwrap();
    for (&(enrol, test), &target) in trials.pairs.iter().zip(labels) {
        let speaker = |name: u32| dev.speaker_index(&trials.names[name as usize]).unwrap();
        assert_eq!(speaker(enrol) == speaker(test), target);
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = |config: &SynthConfig, out: &Path| generate(config, out, 1, || ()).unwrap_err();
    let message = |config| refusal(&config, dir.path()).to_string();
    assert_eq!(message(SynthConfig { dev_speakers: 1, ..small() }), "dev_speakers is 1, expected 2 to 99999");
    assert_eq!(
        message(SynthConfig { seconds: [3.0, 2.0], ..small() }),
        "seconds is 3,2, expected two numbers in ascending order, each 0.1 to 3600"
    );
    assert!(message(SynthConfig { snr_db: [0.0, f64::NAN], ..small() }).starts_with("snr_db is 0,NaN"));
    assert!(message(SynthConfig { channel_db: -1.0, ..small() }).starts_with("channel_db is "));
    assert!(matches!(refusal(&small(), &dir.path().join("a|b")), Error::Path { .. }));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refusal(&small(), &file), Error::Write { .. }));
}
