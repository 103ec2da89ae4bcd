//! A job that is stopped and started again ends with the store of one that is not.

#![recursion_limit = "256"]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::SampleFormat;
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Extractor, Job, Recording};
use ffsvc_features::FrontEndConfig;
use ffsvc_kaldi_io::WavSource;
use ffsvc_models::{ModelConfig, ResNetConfig};

/// An untrained network of a few hundred parameters.
fn extractor() -> Extractor {
    let device = Device::flex();
    device.seed(5);
    let config = ResNetConfig { in_planes: 2, depth: 18, embedding_size: 4, ..ResNetConfig::default() };
    let model = ModelConfig::Resnet(config).init(80, &device).unwrap();
    Extractor::new(model.valid(), &FrontEndConfig::default(), &Default::default(), 4, &device).unwrap()
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
            Recording { id: format!("utt{number}"), source: WavSource::File(path) }
        })
        .collect()
}

#[test]
fn finished_blocks_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (extractor, recordings) = (extractor(), recordings(folder.path()));
    let run = |out: &str, model: &str, stop_after: usize| {
        let stop = AtomicBool::new(false);
        let job = Job::new(recordings.clone(), folder.path().join(out), model).block_size(3);
        let report =
            job.run(&extractor, &stop, |done| stop.store(done >= stop_after, Ordering::SeqCst)).unwrap();
        (report, job.partial())
    };
    let (whole, partial) = run("whole.ark", "m", usize::MAX);
    assert!(!whole.interrupted && !partial.exists());
    assert_eq!((whole.recordings, whole.embeddings, whole.resumed), (10, 9, 0));
    assert_eq!(whole.failed.len(), 1);
    assert_eq!(whole.failed[0].utterance, "utt7");
    assert!(whole.failed[0].reason.contains("7.wav"), "{}", whole.failed[0].reason);

    let (first, partial) = run("e.ark", "m", 6);
    assert!(first.interrupted && first.store.is_none() && partial.is_dir());
    assert!(!folder.path().join("e.ark").exists(), "no store before the end");
    let (second, partial) = run("e.ark", "m", usize::MAX);
    assert_eq!((second.interrupted, second.resumed, second.embeddings), (false, 6, 9));
    assert!(!partial.exists());
    let read = |name: &str| Embeddings::read(folder.path().join(name)).unwrap();
    assert_eq!(read("e.ark"), read("whole.ark"));

    // Blocks of another model are of no use.
    run("f.ark", "m", 3);
    assert_eq!(run("f.ark", "another model", usize::MAX).0.resumed, 0);
    assert_eq!(read("f.ark"), read("whole.ark"));
}

#[test]
fn too_short_a_recording_is_an_error_that_tells_the_minimum() {
    let error = extractor().embed_samples(&[0.1; 200]).unwrap_err().to_string();
    assert!(error.contains("200") && error.contains("257"), "{error}");
}
