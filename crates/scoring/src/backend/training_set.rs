//! Embeddings with speakers, to train back ends from.

use std::collections::HashMap;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use nalgebra::DMatrix;

use crate::{Error, Result};

/// Embeddings of labelled utterances, in the order of the store; speakers in the order of their first utterance.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// A column an utterance.
    vectors: DMatrix<f64>,
    /// The columns of each speaker.
    speakers: Vec<Vec<usize>>,
    without_speaker: usize,
    without_embedding: usize,
}

impl TrainingSet {
    /// Takes the utterances that have both an embedding and a speaker; the others are counted.
    ///
    /// # Errors
    /// Fewer than two speakers, or no speaker with two utterances: nothing can be learnt about what tells speakers
    /// apart.
    pub fn new(embeddings: &Embeddings, utt2spk: &Table) -> Result<Self> {
        let mut numbers = HashMap::new();
        let mut speakers: Vec<Vec<usize>> = Vec::new();
        let mut data = Vec::new();
        let mut used = 0;
        for (utterance, embedding) in embeddings.iter() {
            let Some(speaker) = utt2spk.get(utterance) else { continue };
            let number = *numbers.entry(speaker).or_insert_with(|| {
                speakers.push(Vec::new());
                speakers.len() - 1
            });
            speakers[number].push(used);
            data.extend(embedding.iter().copied().map(f64::from));
            used += 1;
        }
        if speakers.len() < 2 || used == speakers.len() {
            return Err(Error::TrainingSet {
                utterances: used,
                speakers: speakers.len(),
                utt2spk: utt2spk.path().display().to_string(),
            });
        }
        Ok(Self {
            vectors: DMatrix::from_vec(embeddings.dim(), used, data),
            speakers,
            without_speaker: embeddings.len() - used,
            without_embedding: utt2spk.len() - used,
        })
    }

    /// Number of utterances that are used.
    pub fn utterances(&self) -> usize {
        self.vectors.ncols()
    }

    /// Embeddings that `utt2spk` gives no speaker; they are left out.
    pub fn without_speaker(&self) -> usize {
        self.without_speaker
    }

    /// Utterances of `utt2spk` that have no embedding.
    pub fn without_embedding(&self) -> usize {
        self.without_embedding
    }

    /// The columns of [`vectors`](Self::vectors) of each speaker.
    pub(super) fn speakers(&self) -> &[Vec<usize>] {
        &self.speakers
    }

    /// Number of speakers.
    pub fn speaker_count(&self) -> usize {
        self.speakers.len()
    }

    /// `[dim, utterances]`
    pub(super) fn vectors(&self) -> &DMatrix<f64> {
        &self.vectors
    }
}
