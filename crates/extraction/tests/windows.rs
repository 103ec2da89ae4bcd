//! Recordings in windows, against Resemblyzer's `embed_utterance` (`tests/peers/resemblyzer_encoder.py`).

#![recursion_limit = "256"]

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_extraction::{Extractor, ExtractorOptions, Recording};
use ffsvc_kaldi_io::WavSource;
use ffsvc_models::ModelInfo;
use ffsvc_models::toolkits::{ImportOptions, Imported, Toolkit, import_model};
use safetensors::SafeTensors;

/// Samples and amplitude of the script's signals.
const SIGNALS: [(usize, f64); 4] = [(9000, 0.01), (40_000, 0.002), (46_000, 0.01), (52_345, 0.3)];

/// The script's formula.
fn signal(samples: usize, amplitude: f64) -> Vec<f32> {
    let value = |n: usize| {
        let t = n as f64;
        let wave = (0.02 * t + 4e-6 * t * t).sin() + 0.5 * (0.31 * t).sin();
        (amplitude * (1.1 + (2e-4 * t).sin()) * wave) as f32
    };
    (0..samples).map(value).collect()
}

fn committed(name: &str) -> std::path::PathBuf {
    ffsvc_test_data::repository().join("tests/data/models").join(name)
}

/// The embeddings in a file of the script.
fn expected(name: &str) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(committed(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |n: usize| {
        let view = file.tensor(&format!("y_{n}")).unwrap();
        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    (0..SIGNALS.len()).map(floats).collect()
}

fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    assert_eq!(a.len(), b.len());
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn import(path: &Path) -> Imported {
    let imported = import_model(path, &ImportOptions::default(), &Device::flex()).unwrap();
    assert_eq!(imported.toolkit, Toolkit::Resemblyzer);
    imported
}

fn extractor(info: &ModelInfo, imported: &Imported) -> Extractor {
    Extractor::of_model(imported.model.clone().valid(), info, &Device::flex()).unwrap()
}

/// Distances to the file `golden` of the script, each below `most`.
fn compare(imported: &Imported, golden: &str, most: f64) {
    let extractor = extractor(&imported.info, imported);
    for ((samples, amplitude), expected) in SIGNALS.into_iter().zip(expected(golden)) {
        let ours = extractor.embed_samples(&signal(samples, amplitude)).unwrap();
        let length = ours.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
        let distance = cosine_distance(&ours, &expected);
        println!("{samples} samples: cosine distance {distance:.1e}");
        assert!(distance < most, "{samples} samples: {distance:e}");
    }
}

/// The tensors of the script's small network, as its checkpoint.
fn small() -> (tempfile::TempDir, Imported) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(committed("resemblyzer_utterances.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors =
        file.iter().filter_map(|(name, view)| Some((name.strip_prefix("model.")?.to_owned(), view)));
    let path = folder.path().join("pretrained.safetensors");
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let imported = import(&path);
    (folder, imported)
}

#[test]
fn windows_are_averaged_as_by_resemblyzer() {
    let (_folder, imported) = small();
    assert_eq!(imported.outside, [""; 0]);
    compare(&imported, "resemblyzer_utterances.safetensors", 1e-10);
}

/// Recordings of different lengths in one batch, with so many windows that they go through the network in parts.
#[test]
fn a_list_gives_what_each_recording_gives() {
    let (folder, imported) = small();
    let lengths = [16_000, 700_000, 40_000, 41_000, 16_001];
    let recordings: Vec<Recording> = lengths
        .iter()
        .enumerate()
        .map(|(place, &samples)| {
            let path = folder.path().join(format!("{place}.wav"));
            let format = ffsvc_audio::SampleFormat::Float32;
            ffsvc_audio::write_wav(&path, &signal(samples, 0.01), 16_000, format).unwrap();
            Recording { id: place.to_string(), source: WavSource::File(path).into() }
        })
        .collect();
    let options = ExtractorOptions::default().with_length_bucket(100_000);
    let together = extractor(&imported.info, &imported).with_options(options).embed_block(&recordings);
    // A mean is subtracted from the embedding of the recording.
    let mut info = imported.info.clone();
    info.embedding_mean = Some(vec![0.25; 10]);
    let alone = extractor(&info, &imported);
    for (samples, together) in lengths.into_iter().zip(together) {
        let centred = alone.embed_samples(&signal(samples, 0.01)).unwrap();
        for (a, b) in together.unwrap().values.iter().zip(&centred) {
            assert!((a - (b + 0.25)).abs() < 1e-6, "{samples} samples: {a} {b}");
        }
    }
}

#[test]
fn the_last_window_needs_three_quarters_of_its_frames() {
    let (_folder, imported) = small();
    let extractor = extractor(&imported.info, &imported);
    // The second window begins at sample 12320 and has 25600 samples. What lies behind the first is seen from 19200 of them on.
    let mut samples = signal(31_600, 0.3);
    let before = extractor.embed_samples(&samples[..31_519]).unwrap();
    samples[26_000..].fill(0.25);
    assert_eq!(extractor.embed_samples(&samples[..31_519]).unwrap(), before);
    assert_ne!(extractor.embed_samples(&samples[..31_520]).unwrap(), before);
}

fn the_real_weights_give_resemblyzers_embeddings() {
    let imported = import(&ffsvc_test_data::resemblyzer());
    assert_eq!((imported.taken, imported.prefix.as_str()), (14, "model_state."));
    // Of the loss, and the optimiser's state.
    assert!(imported.outside.contains(&"model_state.similarity_weight".to_owned()), "{:?}", imported.outside);
    compare(&imported, "resemblyzer_pretrained.safetensors", 1e-6);
}

ffsvc_test_data::resemblyzer_tests!(the_real_weights_give_resemblyzers_embeddings);
