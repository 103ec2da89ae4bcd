//! A model file as something that turns recordings into embeddings, and the distance of two embeddings.

use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::ReadOptions;
use ffsvc_extraction::Extractor;
use ffsvc_kaldi_io::WavSource;
use ffsvc_models::{ModelInfo, SpeakerModel, load_model};

use crate::import_first::import_first;

/// The network of a model file with its front end, each recording alone in its batch.
pub(crate) fn open(model: &Path) -> anyhow::Result<Extractor> {
    let (model, _, info) = load_model(model, &Device::flex()).map_err(import_first)?;
    of(&model, info)
}

/// [`open`] of a model that is loaded, on the CPU.
pub(crate) fn of(model: &SpeakerModel, info: ModelInfo) -> anyhow::Result<Extractor> {
    let read = ReadOptions { compat_lowpass: info.compat_lowpass, ..ReadOptions::default() };
    let extractor = Extractor::new(model.valid(), &info.front_end, &read, 1, &Device::flex())?;
    Ok(extractor.subtracting(info.embedding_mean))
}

/// The embedding of an audio file.
pub(crate) fn embed(extractor: &Extractor, file: PathBuf) -> anyhow::Result<Vec<f32>> {
    let shown = file.display().to_string();
    let embedding =
        extractor.embed(&WavSource::File(file)).with_context(|| format!("cannot embed {shown}"))?;
    Ok(embedding.values)
}

/// `1 - cosine` of embeddings of one size; not a number for an embedding of length 0.
pub(crate) fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
