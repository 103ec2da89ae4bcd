//! Embeddings of whole training recordings.

use burn::tensor::Device;
use ffsvc_audio::ReadOptions;
use ffsvc_dataset::{Recording, TrainingSet};
use ffsvc_extraction::{Extractor, ExtractorOptions};
use ffsvc_models::{ModelInfo, SpeakerModel};

use crate::error::{Error, Result};

/// Recordings that are embedded together.
const TOGETHER: usize = 64;

/// Embeddings of the recordings at the places `members` of `set`, one after the other in this order. `model` is in evaluation
/// mode on `device`, which has no gradients.
///
/// # Errors
/// A recording that cannot be read.
pub(crate) fn embed(
    (model, info): (&SpeakerModel, &ModelInfo),
    device: &Device,
    set: &TrainingSet,
    members: &[u32],
    read: &ReadOptions,
) -> Result<Vec<f32>> {
    let channel = ExtractorOptions::default().with_channel(read.channel);
    let extractor =
        Extractor::of_model(model.clone(), info, device).map_err(Error::Embedding)?.with_options(channel);
    let mut values = Vec::with_capacity(members.len() * info.model.embedding_size());
    for block in members.chunks(TOGETHER) {
        let recordings: Vec<Recording> = block
            .iter()
            .map(|&index| &set.utterances[index as usize])
            .map(|utterance| Recording { id: utterance.id.clone(), source: utterance.source.clone() })
            .collect();
        for (index, embedding) in block.iter().zip(extractor.embed_block(&recordings)) {
            let embedding = embedding.map_err(|source| Error::TrainingUtterance {
                utterance: set.utterances[*index as usize].id.clone(),
                source,
            })?;
            values.extend_from_slice(&embedding.values);
        }
    }
    Ok(values)
}
