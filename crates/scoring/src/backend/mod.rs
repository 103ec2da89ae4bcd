//! Trained back ends: whitening, LDA, length normalisation, PLDA, and fitting them to another domain.
//!
//! A [`Backend`] has two halves. [`process`](Backend::process) takes embeddings as a network gives them to the vectors that
//! are compared: less the mean, through a linear transform, to a fixed length. Then either their cosine is the score, by
//! whatever scores cosines, or [`Scorer::plda`](crate::Scorer::plda) compares them by the back end's [`Plda`].
//!
//! ```
//! use ffsvc_embeddings::Embeddings;
//! use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
//! use ffsvc_scoring::backend::{Backend, PldaOptions, TrainOptions, TrainingSet};
//! use ffsvc_scoring::Scorer;
//!
//! let mut embeddings = Embeddings::new(2);
//! for (utterance, embedding) in [("a1", [3.0, 1.0]), ("a2", [3.2, -1.0]), ("b1", [-3.0, 0.5]), ("b2", [-2.9, -0.6])] {
//!     embeddings.push(utterance, &embedding)?;
//! }
//! let utt2spk = Table::parse("utt2spk", b"a1 a\na2 a\nb1 b\nb2 b\n".to_vec())?;
//! let set = TrainingSet::new(&embeddings, &utt2spk)?;
//! let options = TrainOptions { plda: Some(PldaOptions::default()), ..TrainOptions::default() };
//! let backend = Backend::train(&set, options)?;
//!
//! let trials = Trials::parse("trials", b"1 a1 a2\n0 a1 b2\n".to_vec(), TrialColumns::Auto)?;
//! let processed = backend.process(&embeddings, None)?;
//! let scores = Scorer::plda(&backend, &processed, None, &processed)?.score_trials(&trials, false)?.scores;
//! assert!(scores.get(0) > scores.get(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adaptation;
mod covariance;
mod file;
mod plda;
mod plda_training;
mod training_set;

pub use adaptation::Adaptation;
pub use plda::{Comparison, EnrolledSpeaker, Plda, PldaLengthNorm};
pub use training_set::TrainingSet;

use std::path::Path;

use ffsvc_embeddings::{Embeddings, Provenance};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::origins::Origins;
use crate::remark::Remark;
use crate::report::SourceFile;
use crate::{Centre, Error, Result};
use covariance::{Covariances, normalising_transform};
pub(crate) use covariance::{eigen, mean_and_covariance};

/// Eigenvalues of a covariance below this share of the largest count as that much (Kaldi's `--covariance-floor`).
const COVARIANCE_FLOOR: f64 = 1e-6;

/// What embeddings go through before they are compared, and how they are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    centre: DVector<f64>,
    /// `[dim out, dim in]`
    transform: Option<DMatrix<f64>>,
    description: Description,
    plda: Option<Plda>,
}

/// What a back end's file says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    options: TrainOptions,
    history: Vec<Origin>,
    /// The model whose embeddings it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Provenance>,
}

/// The linear transform of a back end.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Transform {
    /// None.
    #[default]
    None,
    /// Makes the total covariance the identity.
    Whiten,
    /// Within-class covariance normalisation: makes the within-speaker covariance the identity.
    Wccn,
    /// Linear discriminant analysis: as [`Wccn`](Self::Wccn), then the directions of largest between-speaker variance
    /// (Kaldi's `ivector-compute-lda`).
    Lda {
        /// Number of directions.
        dim: usize,
        /// Share of the total covariance in what becomes the identity, 0 to 1, the rest being the within-speaker covariance
        /// (Kaldi's `--total-covariance-factor`, 0 by default).
        total_covariance_factor: f64,
    },
}

/// How PLDA is trained and compares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PldaOptions {
    /// Iterations of expectation maximisation.
    pub iterations: usize,
    /// See Kaldi's `ivector-plda-scoring --smoothing`: this much of the between-speaker covariance is added to the
    /// within-speaker covariance.
    pub smoothing: f64,
    /// What is done to the length in the space of the comparison.
    pub length_norm: PldaLengthNorm,
}

impl Default for PldaOptions {
    /// Kaldi's: ten iterations, no smoothing, the expected length.
    fn default() -> Self {
        Self { iterations: 10, smoothing: 0.0, length_norm: PldaLengthNorm::default() }
    }
}

/// What a back end consists of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainOptions {
    /// The linear transform.
    pub transform: Transform,
    /// Whether vectors are then brought to length `sqrt(dim)`, as Kaldi's `ivector-normalize-length` does.
    pub length_norm: bool,
    /// Comparison by PLDA; without it by cosine.
    pub plda: Option<PldaOptions>,
}

impl Default for TrainOptions {
    /// Mean and length normalisation only.
    fn default() -> Self {
        Self { transform: Transform::None, length_norm: true, plda: None }
    }
}

/// Where a back end comes from: a record for its training and one for each adaptation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step", deny_unknown_fields)]
pub enum Origin {
    /// Training.
    Trained {
        /// Program and version.
        program: String,
        /// Store of the embeddings.
        embeddings: String,
        /// Speakers of the utterances.
        utt2spk: SourceFile,
        /// Utterances used.
        utterances: usize,
        /// Speakers among them.
        speakers: usize,
        /// What was remarkable about them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<Remark>,
    },
    /// Adaptation.
    Adapted {
        /// Program and version.
        program: String,
        /// Store of the other domain's embeddings.
        embeddings: String,
        /// Utterances in it.
        utterances: usize,
        /// The method and its options.
        adaptation: Adaptation,
        /// What was remarkable about them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<Remark>,
    },
}

impl Backend {
    /// Trains the parts one after the other, each on what those before it make of the training set.
    ///
    /// # Errors
    /// An option out of range; a covariance that cannot be inverted.
    pub fn train(set: &TrainingSet, options: TrainOptions) -> Result<Self> {
        check(set, &options)?;
        let centre = set.vectors().column_mean();
        let mut backend = Self {
            centre,
            transform: None,
            description: Description { options, history: Vec::new(), model: set.provenance().cloned() },
            plda: None,
        };
        let mut vectors = set.vectors().clone();
        for mut column in vectors.column_iter_mut() {
            column -= &backend.centre;
        }
        if options.transform != Transform::None {
            let singular = Error::Singular { what: "the covariance to be normalised" };
            let covariances = Covariances::of(set, &vectors);
            let transform = estimate(options.transform, &covariances).ok_or(singular)?;
            vectors = &transform * vectors;
            backend.transform = Some(transform);
        }
        if options.length_norm {
            vectors.column_iter_mut().for_each(|mut column| normalise_length(column.as_mut_slice()));
        }
        if let Some(of_plda) = options.plda {
            let mut plda = Plda::train(set, &vectors, of_plda.iterations)?;
            plda.smooth(of_plda.smoothing);
            backend.plda = Some(plda);
        }
        Ok(backend)
    }

    /// Fits the back end to unlabelled embeddings of another domain: its mean becomes theirs, and the PLDA is adapted. Returns
    /// what is remarkable about the embeddings.
    ///
    /// # Errors
    /// There is no PLDA to adapt; the embeddings have another dimension, or are too few for the method.
    pub fn adapt(&mut self, embeddings: &Embeddings, adaptation: Adaptation) -> Result<Vec<Remark>> {
        let centre = DVector::from_vec(crate::mean_embedding(embeddings)?);
        self.check_dim("the embeddings to adapt to", centre.len())?;
        let mut adapted = Self { centre, ..self.clone() };
        let mut data = Vec::with_capacity(embeddings.len() * self.output_dim());
        for (_, embedding) in embeddings.iter() {
            data.extend(adapted.vector(embedding, adapted.centre.as_slice()));
        }
        let vectors = DMatrix::from_vec(self.output_dim(), embeddings.len(), data);
        adapted.plda.as_mut().ok_or(Error::NoPlda)?.adapt(&vectors, adaptation)?;
        *self = adapted;
        let raw = embeddings.data().iter().copied().map(f64::from).collect();
        let raw = DMatrix::from_vec(embeddings.dim(), embeddings.len(), raw);
        Ok(training_set::vector_remarks(&raw, embeddings.keys()))
    }

    /// Length of the embeddings that it takes.
    pub fn dim(&self) -> usize {
        self.centre.len()
    }

    /// Length of the vectors that it makes of them.
    pub fn output_dim(&self) -> usize {
        self.transform.as_ref().map_or(self.centre.len(), DMatrix::nrows)
    }

    /// What it consists of.
    pub fn options(&self) -> &TrainOptions {
        &self.description.options
    }

    /// The comparison, if it is not the cosine.
    pub fn plda(&self) -> Option<&Plda> {
        self.plda.as_ref()
    }

    /// Where the embeddings came from that it was trained on.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.description.model.as_ref()
    }

    /// Checks that the embeddings of `store` are of the model that the back end, read from `file`, was trained on.
    ///
    /// # Errors
    /// They are of another model, unless `allow_other_model` says that they may be.
    pub fn check_origin(
        &self,
        file: impl AsRef<Path>,
        store: &str,
        embeddings: &Embeddings,
        allow_other_model: bool,
    ) -> Result<Vec<Remark>> {
        let mut origins = Origins::default();
        origins.add(&file.as_ref().display().to_string(), self.provenance());
        origins.add(store, embeddings.provenance());
        origins.check(allow_other_model).map(|(_, remarks)| remarks)
    }

    /// Adds a record of where it comes from.
    pub fn record(&mut self, origin: Origin) {
        self.description.history.push(origin);
    }

    /// The vectors that are compared, for every utterance of a store. A `centre` is subtracted in place of the mean of the training set.
    ///
    /// # Errors
    /// The embeddings, or the means, have another dimension than those of the training set; an utterance has no mean.
    pub fn process(&self, embeddings: &Embeddings, centre: Option<&Centre>) -> Result<Embeddings> {
        if !embeddings.is_empty() {
            self.check_dim("the embeddings", embeddings.dim())?;
        }
        let means = centre.map(|centre| centre.means(embeddings)).transpose()?;
        let mut data = Vec::with_capacity(embeddings.len() * self.output_dim());
        for (at, (_, embedding)) in embeddings.iter().enumerate() {
            let mean = means.as_ref().map_or(self.centre.as_slice(), |means| means[at]);
            data.extend(self.vector(embedding, mean).into_iter().map(|value| value as f32));
        }
        Ok(Embeddings::from_parts(embeddings.keys().to_vec(), self.output_dim(), data)?)
    }

    fn vector(&self, embedding: &[f32], mean: &[f64]) -> Vec<f64> {
        let centred = embedding.iter().zip(mean).map(|(&value, mean)| f64::from(value) - mean);
        let centred = DVector::from_iterator(embedding.len(), centred);
        let mut vector = match &self.transform {
            None => centred,
            Some(transform) => transform * centred,
        };
        if self.options().length_norm {
            normalise_length(vector.as_mut_slice());
        }
        vector.as_slice().to_vec()
    }

    fn check_dim(&self, what: &'static str, found: usize) -> Result<()> {
        match self.dim() {
            expected if found == expected => Ok(()),
            expected => Err(Error::Dimension { what, found, expected }),
        }
    }
}

/// Brings a vector to length `sqrt(dim)`; zero stays zero.
fn normalise_length(vector: &mut [f64]) {
    let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        let scale = (vector.len() as f64).sqrt() / norm;
        vector.iter_mut().for_each(|x| *x *= scale);
    }
}

fn check(set: &TrainingSet, options: &TrainOptions) -> Result<()> {
    let refuse = |name, value, expected| Err(Error::Option { name, value, expected });
    if let Transform::Lda { dim, total_covariance_factor } = options.transform {
        if dim == 0 || dim > set.vectors().nrows() {
            return refuse("the LDA's dimension", dim as f64, "1 to the dimension of the embeddings");
        }
        if !(0.0..=1.0).contains(&total_covariance_factor) {
            return refuse("the share of the total covariance", total_covariance_factor, "0 to 1");
        }
    }
    if let Some(plda) = &options.plda {
        if plda.iterations == 0 {
            return refuse("the number of iterations", 0.0, "at least 1");
        }
        if !(plda.smoothing >= 0.0 && plda.smoothing.is_finite()) {
            return refuse("the smoothing", plda.smoothing, "0 or more");
        }
    }
    Ok(())
}

fn estimate(kind: Transform, covariances: &Covariances) -> Option<DMatrix<f64>> {
    let Covariances { total, within } = covariances;
    match kind {
        Transform::None => None,
        Transform::Whiten => normalising_transform(total, COVARIANCE_FLOOR),
        Transform::Wccn => normalising_transform(within, COVARIANCE_FLOOR),
        Transform::Lda { dim, total_covariance_factor } => {
            let mixture = total_covariance_factor * total + (1.0 - total_covariance_factor) * within;
            let normalise = normalising_transform(&mixture, COVARIANCE_FLOOR)?;
            let (_, directions) = eigen(&(&normalise * (total - within) * normalise.transpose()));
            Some(directions.columns(0, dim).transpose() * normalise)
        }
    }
}
