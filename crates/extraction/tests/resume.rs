//! A job that is stopped and started again ends with the store of one that is not.

#![recursion_limit = "256"]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ffsvc_audio::SampleFormat;
use ffsvc_dataset::Notice;
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Error, Extractor, ExtractorOptions, FailureKind, Job, Recording, Report};
use ffsvc_features::FrontEndConfig;
use ffsvc_kaldi_io::WavSource;
use ffsvc_models::{ModelConfig, ModelInfo, ResNetConfig, save_model};

/// The model file of an untrained network of a few hundred parameters.
fn open(folder: &Path, seed: u64) -> Extractor {
    let device = Device::flex();
    let path = folder.join(format!("model-{seed}.safetensors"));
    if !path.exists() {
        device.seed(seed);
        let config = ResNetConfig { in_planes: 2, depth: 18, embedding_size: 4, ..ResNetConfig::default() };
        let model = ModelConfig::Resnet(config);
        let network = model.init(80, &device).unwrap();
        let info = ModelInfo::new(model, FrontEndConfig::default());
        save_model(&path, &network, None, &info).unwrap();
    }
    Extractor::open(&path, &device).unwrap().with_options(ExtractorOptions::default().with_batch_size(4))
}

/// Ten recordings of three lengths; number 7 does not exist.
fn recordings(folder: &Path) -> Vec<Recording> {
    (0..10)
        .map(|number| {
            let path = folder.join(format!("{number}.wav"));
            let samples: Vec<f32> = (0..4000 + 1600 * (number % 3))
                .map(|n| ((n * (number + 3)) as f32 * 0.01).sin() * 0.3)
                .collect();
            if number != 7 {
                ffsvc_audio::write_wav(&path, &samples, 16000, SampleFormat::Pcm16).unwrap();
            }
            Recording { id: format!("utt{number}"), source: WavSource::File(path).into() }
        })
        .collect()
}

struct Place(tempfile::TempDir);

impl Place {
    fn run(
        &self,
        out: &str,
        extractor: &Arc<Extractor>,
        recordings: Vec<Recording>,
        stop_after: usize,
    ) -> Report {
        let stop = AtomicBool::new(stop_after == 0);
        let job = Job::new(recordings, self.0.path().join(out), extractor).block_size(3);
        let seen = |done| {
            if done >= stop_after {
                stop.store(true, Ordering::SeqCst);
            }
        };
        let report = job.run(extractor, &stop, seen).unwrap();
        assert_eq!(job.partial().exists(), report.interrupted, "{out}");
        assert!(report.interrupted || self.has(out) == report.store.is_some(), "{out}");
        report
    }

    fn has(&self, out: &str) -> bool {
        self.0.path().join(out).exists()
    }

    fn read(&self, out: &str) -> Embeddings {
        Embeddings::read(self.0.path().join(out)).unwrap()
    }
}

#[test]
fn what_is_ready_is_taken_over() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let (extractor, recordings) = (Arc::new(open(folder, 5)), recordings(folder));
    assert_eq!(extractor.provenance().unwrap().model_sha256, extractor.checksum().unwrap());
    let whole = place.run("whole.ark", &extractor, recordings.clone(), usize::MAX);
    assert!(!whole.interrupted && whole.changed.is_none());
    assert_eq!((whole.recordings, whole.embeddings, whole.resumed), (10, 9, 0));
    assert_eq!(whole.failed.len(), 1);
    assert_eq!((whole.failed[0].utterance.as_str(), whole.failed[0].kind), ("utt7", FailureKind::Other));
    assert!(whole.failed[0].reason.contains("7.wav"), "{}", whole.failed[0].reason);

    let written = place.read("whole.ark");
    let provenance = written.provenance().unwrap();
    assert_eq!(Some(provenance.model_sha256.as_str()), extractor.checksum());
    assert!(provenance.model.ends_with("model-5.safetensors") && provenance.list_sha256.is_some());
    assert_eq!(provenance.architecture["architecture"], "resnet");
    assert_eq!(provenance.front_end["sample_rate"], 16_000);
    assert_eq!((provenance.audio.channel.as_str(), provenance.mean_subtracted), ("first", false));

    // Wherever it is stopped, between and inside blocks.
    for stop_after in 0..10 {
        let out = format!("e{stop_after}.ark");
        let first = place.run(&out, &extractor, recordings.clone(), stop_after);
        assert!(
            first.interrupted && first.embeddings >= stop_after.saturating_sub(1),
            "{stop_after}: {first:?}"
        );
        let second = place.run(&out, &extractor, recordings.clone(), usize::MAX);
        assert_eq!((second.interrupted, second.resumed, second.embeddings), (false, first.embeddings, 9));
        assert_eq!(place.read(&out), place.read("whole.ark"), "{stop_after}");
    }
}

#[test]
fn a_complete_store_is_left_alone_until_something_changes() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let (extractor, mut recordings) = (Arc::new(open(folder, 5)), recordings(folder));
    let run = |extractor: &Arc<Extractor>, recordings: &[Recording]| {
        place.run("e.ark", extractor, recordings.to_vec(), usize::MAX)
    };
    run(&extractor, &recordings);
    // What failed is tried again.
    let again = run(&extractor, &recordings);
    assert_eq!((again.already_complete, again.resumed, again.failed.len()), (false, 9, 1));
    std::fs::copy(folder.join("6.wav"), folder.join("7.wav")).unwrap();
    let again = run(&extractor, &recordings);
    assert_eq!((again.already_complete, again.resumed, again.embeddings), (false, 9, 10));
    let complete = run(&extractor, &recordings);
    assert_eq!((complete.already_complete, complete.embeddings, complete.audio_s), (true, 10, 0.0));
    assert_eq!(complete.store, Some(folder.join("e.ark")));

    let other = Arc::new(open(folder, 6));
    let changed = |report: &Report, what: &str| {
        assert_eq!((report.already_complete, report.resumed), (false, 0), "{what}");
        assert!(report.changed.as_ref().unwrap().contains(what), "{:?}", report.changed);
    };
    let before = place.read("e.ark");
    changed(&run(&other, &recordings), "the model");
    assert_ne!(place.read("e.ark"), before);
    run(&extractor, &recordings);
    assert_eq!(place.read("e.ark"), before);
    let options = extractor.options().with_channel(ffsvc_audio::Channel::Mix);
    let mixing = Arc::new(open(folder, 5).with_options(options));
    changed(&run(&mixing, &recordings), "how recordings are read");
    recordings.pop();
    changed(&run(&mixing, &recordings), "the list of recordings (10 then, 9 now)");
    // The same, of what an interrupted job left.
    assert!(place.run("p.ark", &other, recordings.clone(), 3).interrupted);
    changed(&place.run("p.ark", &mixing, recordings.clone(), usize::MAX), "the model");
    // A store that somebody else has changed is not taken for the result.
    Embeddings::new(4).write(folder.join("e.ark")).unwrap();
    assert_eq!(run(&mixing, &recordings).resumed, 0);
    assert_eq!(place.read("e.ark").len(), 9);
}

#[test]
fn a_store_of_an_earlier_job_is_not_left_to_be_taken_for_the_result() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let (extractor, recordings) = (Arc::new(open(folder, 5)), recordings(folder));
    for out in ["e.ark", "e.scp", "e.npz", "e.safetensors"] {
        for without in [vec![recordings[7].clone()], vec![]] {
            place.run(out, &extractor, recordings.clone(), usize::MAX);
            assert!(place.has(out));
            let report = place.run(out, &extractor, without, usize::MAX);
            assert_eq!((report.embeddings, report.store, report.already_complete), (0, None, false));
        }
    }
    let left: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("e."))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn an_ending_that_no_store_has_is_refused_before_the_work() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let (extractor, recordings) = (Arc::new(open(folder, 5)), recordings(folder));
    for out in ["emb.h5", "emb", "emb.npy"] {
        let job = Job::new(recordings.clone(), folder.join(out), &extractor);
        let error = job.run(&extractor, &AtomicBool::new(false), |_| panic!("it began")).unwrap_err();
        assert!(matches!(error, Error::StoreForm { .. }) && error.to_string().contains(out), "{error}");
        assert!(!job.partial().exists());
    }
}

#[test]
fn what_does_not_fit_into_memory_fails_by_name_and_the_rest_is_written() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let long = folder.join("long.wav");
    ffsvc_audio::write_wav(&long, &vec![0.1; 16_000 * 60], 16_000, SampleFormat::Pcm16).unwrap();
    let mut recordings = recordings(folder);
    recordings.insert(4, Recording { id: "long".into(), source: WavSource::File(long).into() });
    let whole = place.run("whole.ark", &Arc::new(open(folder, 5)), recordings.clone(), usize::MAX);
    assert_eq!(whole.embeddings, 10);

    // Enough for some of the short ones together, and for less than the long one.
    let limited = open(folder, 5);
    let options = limited.options().with_memory(1 << 20);
    let limited = Arc::new(limited.with_options(options));
    let report = place.run("e.ark", &limited, recordings, usize::MAX);
    assert_eq!((report.embeddings, report.failed.len()), (9, 2));
    let failed = report.failed.iter().find(|failure| failure.utterance == "long").unwrap();
    assert_eq!(failed.kind, FailureKind::Memory);
    assert!(failed.reason.contains("60.0 s of audio take about"), "{}", failed.reason);
    for (key, values) in place.read("e.ark").iter() {
        let whole = place.read("whole.ark");
        for (a, b) in values.iter().zip(whole.get(key).unwrap()) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{key}: {a} {b}");
        }
    }
}

#[test]
fn oddities_are_counted_also_over_an_interruption() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let (extractor, mut recordings) = (Arc::new(open(folder, 5)), recordings(folder));
    recordings.remove(7);
    for (number, rate, level) in
        [(0, 8000, 0.1), (1, 16_000, 0.0), (2, 48_000, 0.1), (8, 8000, 0.1), (9, 8000, 0.1)]
    {
        let samples: Vec<f32> = (0..rate / 2).map(|n| (n as f32 * 0.1).sin() * level).collect();
        ffsvc_audio::write_wav(folder.join(format!("{number}.wav")), &samples, rate, SampleFormat::Pcm16)
            .unwrap();
    }
    let first = place.run("e.npz", &extractor, recordings.clone(), 5);
    assert!(first.interrupted);
    let check = |report: &Report| {
        let noticed = report.notices.get(Notice::OtherRate).unwrap();
        assert_eq!((noticed.count, noticed.first.join(" ")), (4, "utt0 utt2 utt8".to_owned()));
        assert_eq!(report.notices.get(Notice::Silent).unwrap().first, ["utt1"]);
    };
    check(&place.run("e.npz", &extractor, recordings.clone(), usize::MAX));
    // A store that is complete still says it.
    check(&place.run("e.npz", &extractor, recordings, usize::MAX));
}

#[test]
fn a_store_has_one_writer() {
    let place = Place(tempfile::tempdir().unwrap());
    let folder = place.0.path();
    let (extractor, recordings) = (Arc::new(open(folder, 5)), recordings(folder));
    let other = Arc::new(open(folder, 6));
    let second = Job::new(recordings.clone(), folder.join("e.scp"), &other);
    let mut refusals = 0;
    let report = Job::new(recordings, folder.join("e.ark"), &extractor)
        .run(&extractor, &AtomicBool::new(false), |_| {
            // Either name of a Kaldi archive is the same store.
            let error = second.run(&other, &AtomicBool::new(false), |_| ()).unwrap_err();
            assert!(matches!(error, Error::Lock(_)) && error.to_string().contains("process"), "{error}");
            refusals += 1;
        })
        .unwrap();
    assert!(refusals > 0);
    assert_eq!(report.embeddings, 9);
}

#[test]
fn too_short_a_recording_is_an_error_that_tells_the_minimum() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path(), 5).embed_samples(&[0.1; 200]).unwrap_err().to_string();
    assert!(error.contains("200") && error.contains("257"), "{error}");
}
