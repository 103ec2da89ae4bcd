//! Embeddings with speakers, to train back ends from.

use std::collections::{HashMap, HashSet};

use ffsvc_embeddings::{Embeddings, Provenance};
use ffsvc_kaldi_io::{NameList, Table};
use nalgebra::DMatrix;

use super::{TrainOptions, Transform};
use crate::remark::{Remark, RemarkKind};
use crate::{Error, Result};

/// Embeddings of labelled utterances, in the order of the store; speakers in the order of their first utterance.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// Names of the utterances, in the order of the columns.
    names: Vec<String>,
    provenance: Option<Provenance>,
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
        let (mut data, mut names) = (Vec::new(), Vec::new());
        let mut used = 0;
        for (utterance, embedding) in embeddings.iter() {
            let Some(speaker) = utt2spk.get(utterance) else { continue };
            let number = *numbers.entry(speaker).or_insert_with(|| {
                speakers.push(Vec::new());
                speakers.len() - 1
            });
            speakers[number].push(used);
            data.extend(embedding.iter().copied().map(f64::from));
            names.push(utterance.to_owned());
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
            names,
            provenance: embeddings.provenance().cloned(),
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

    /// Remarks about the set for a back end of these parts: zero and equal embeddings, fewer embeddings than
    /// dimensions, an LDA of more directions than speakers differ in.
    pub fn remarks(&self, options: &TrainOptions) -> Vec<Remark> {
        let (utterances, speakers) = (self.utterances(), self.speaker_count());
        let mut remarks = vector_remarks(&self.vectors, &self.names);
        let mut dim = self.vectors.nrows();
        if let Transform::Lda { dim: kept, .. } = options.transform {
            if kept > speakers - 1 {
                let message = format!(
                    "the LDA keeps {kept} directions, but {speakers} speakers differ in {} at most",
                    speakers - 1
                );
                remarks.push(Remark::counted(RemarkKind::LdaDimensions, kept + 1 - speakers, message));
            }
            dim = kept;
        }
        if options.plda.is_some() && utterances < dim {
            let message = format!(
                "the PLDA is of {dim} dimensions, and there are {utterances} vectors to learn it from"
            );
            remarks.push(Remark::counted(RemarkKind::FewVectors, utterances, message));
        }
        remarks
    }

    /// Where the embeddings came from.
    pub(super) fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
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

/// Zero vectors, and vectors that are equal to an earlier one, among columns.
pub(super) fn vector_remarks(vectors: &DMatrix<f64>, names: &[String]) -> Vec<Remark> {
    let mut seen = HashSet::new();
    let (mut zero, mut equal) = (NameList::default(), NameList::default());
    for (column, name) in vectors.column_iter().zip(names) {
        if column.iter().all(|&value| value == 0.0) {
            zero.push(|| name.clone());
        } else if !seen.insert(column.iter().map(|value| value.to_bits()).collect::<Vec<_>>()) {
            equal.push(|| name.clone());
        }
    }
    let zero = Remark::about(RemarkKind::ZeroInTraining, &zero, "embeddings of the training set are zero");
    let sentence = "embeddings of the training set are equal to an earlier one";
    zero.into_iter().chain(Remark::about(RemarkKind::EqualVectors, &equal, sentence)).collect()
}
