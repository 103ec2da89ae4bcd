//! The embedding of an audio file, and the distance of two embeddings.

use std::path::PathBuf;

use anyhow::Context;
use ffsvc_extraction::Extractor;
use ffsvc_kaldi_io::WavSource;

/// The embedding of an audio file.
pub(crate) fn embed(extractor: &Extractor, file: PathBuf) -> anyhow::Result<Vec<f32>> {
    let shown = file.display().to_string();
    let embedding =
        extractor.embed(&WavSource::File(file).into()).with_context(|| format!("cannot embed {shown}"))?;
    Ok(embedding.values)
}

/// `1 - cosine` of embeddings of one size; not a number for an embedding of length 0.
pub(crate) fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
