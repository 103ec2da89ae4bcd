//! Classification heads, which train the embedding.
//!
//! To add a head, add a file here with its options (`ClassifierConfig`) and its module (`Classifier`, with `weight:
//! [num_classes, embedding]` and a `forward`). Add a variant to [`HeadConfig`] and [`Head`], and a line to `each!`.

mod aam_softmax;
mod am_softmax;
mod cosines;
mod ham_softmax;
mod margin;
mod none;
mod softmax;
mod sphere_face;
mod sphere_face2;
mod sub_centre_aam;
mod transfer;

pub use aam_softmax::{AamSoftmax, AamSoftmaxConfig};
pub use am_softmax::{AmSoftmax, AmSoftmaxConfig};
pub use ham_softmax::{HamSoftmax, HamSoftmaxConfig};
pub use none::{NoHead, NoHeadConfig};
pub use softmax::{Softmax, SoftmaxConfig};
pub use sphere_face::{SphereFace, SphereFaceConfig};
pub use sphere_face2::{MarginKind, SphereFace2, SphereFace2Config};
pub use sub_centre_aam::{SubCentreAam, SubCentreAamConfig};
pub use transfer::{Transferred, is_reserved, reserved_name};

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::parameters::initialise;

/// In front of the names of a head's tensors in a checkpoint; those of the network have no prefix.
pub(crate) const HEAD_PREFIX: &str = "classifier.";

/// What [`HeadConfig`] asks of the options of every head.
pub(crate) trait ClassifierConfig {
    /// The head that they describe.
    type Head: Classifier;

    /// Checks every value.
    fn validate(&self) -> Result<()>;

    /// The margin, where the head has one that a schedule can change.
    fn margin(&self) -> Option<f64> {
        None
    }

    /// Rows of the weight that belong to one class.
    fn rows_per_class(&self) -> usize {
        1
    }

    /// The head with its parameters still to be drawn.
    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> Self::Head;
}

/// What [`Head`] asks of every head, beside `forward`.
pub(crate) trait Classifier {
    /// The centres, `[num_classes * rows_per_class, embedding]`, where there are classes.
    fn weight(&self) -> Option<Tensor<2>>;

    /// Rows of the weight that belong to one class.
    fn rows_per_class(&self) -> usize {
        1
    }

    /// The margin in force.
    fn margin(&self) -> Option<f64> {
        None
    }

    /// Changes the margin, if there is one.
    fn set_margin(&mut self, _margin: f64) {}

    /// Sets what depends on how long training has gone on.
    fn anneal(&mut self, _step: usize) {}
}

/// `$body` for what the variant of a [`HeadConfig`] or a [`Head`] holds.
macro_rules! each {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            Self::AamSoftmax($inner) => $body,
            Self::AmSoftmax($inner) => $body,
            Self::SubCentreAam($inner) => $body,
            Self::SphereFace($inner) => $body,
            Self::SphereFace2($inner) => $body,
            Self::HamSoftmax($inner) => $body,
            Self::Softmax($inner) => $body,
            Self::NoHead($inner) => $body,
        }
    };
}

/// Which head, with its options: the `[head]` section of a configuration file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HeadConfig {
    /// `kind = "aam-softmax"`: additive angular margin.
    AamSoftmax(AamSoftmaxConfig),
    /// `kind = "am-softmax"`: additive margin.
    AmSoftmax(AmSoftmaxConfig),
    /// `kind = "sub-centre-aam-softmax"`: additive angular margin with several centres a speaker, and with a penalty on
    /// the strongest rivals (inter-top-K).
    #[serde(rename = "sub-centre-aam-softmax")]
    SubCentreAam(SubCentreAamConfig),
    /// `kind = "sphere-face"`: multiplicative angular margin (A-softmax).
    SphereFace(SphereFaceConfig),
    /// `kind = "sphere-face2"`: a binary classifier for each class.
    #[serde(rename = "sphere-face2")]
    SphereFace2(SphereFace2Config),
    /// `kind = "ham-softmax"`: additive margin on hyperbolic distances.
    HamSoftmax(HamSoftmaxConfig),
    /// `kind = "softmax"`: a linear classifier.
    Softmax(SoftmaxConfig),
    /// `kind = "none"`: no classes and no labels; the network learns from a teacher alone.
    #[serde(rename = "none")]
    NoHead(NoHeadConfig),
}

impl Default for HeadConfig {
    /// AAM-softmax with margin 0.2 and scale 32, the baseline's.
    fn default() -> Self {
        Self::AamSoftmax(AamSoftmaxConfig::default())
    }
}

impl HeadConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        each!(self, config => config.validate())
    }

    /// The margin, where the head has one that a schedule can change.
    pub fn margin(&self) -> Option<f64> {
        each!(self, config => config.margin())
    }

    /// Whether there are classes, and so a need for labels.
    pub fn has_classes(&self) -> bool {
        !matches!(self, Self::NoHead(_))
    }

    /// Rows of the weight that belong to one class.
    pub fn rows_per_class(&self) -> usize {
        each!(self, config => config.rows_per_class())
    }

    /// A head with random centres: uniform as by Xavier and Glorot for the margin heads (the baseline's), within
    /// `1 / sqrt(embedding_size)` for the linear one (PyTorch's). Drawn from the device's generator.
    ///
    /// # Panics
    /// If a size is 0.
    pub fn init(&self, embedding_size: usize, num_classes: usize, device: &Device) -> Head {
        initialise(self.build(embedding_size, num_classes, device), HEAD_PREFIX)
    }

    /// The head with its parameters still to be drawn.
    pub(crate) fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> Head {
        each!(self, config => Head::from(config.build(embedding_size, num_classes, device)))
    }
}

/// What a head computes for a batch.
#[derive(Debug, Clone)]
pub struct HeadOutput {
    /// Cross entropy, or the sum of binary ones ([`SphereFace2`]), averaged over the batch, `[1]`.
    pub loss: Tensor<1>,
    /// What the softmax sees: with margin, scaled, `[batch, num_classes]`.
    pub logits: Tensor<2>,
    /// Cosines to the centres (margin heads), negative distances ([`HamSoftmax`]) or linear scores, without the margin, `[batch, num_classes]`: their
    /// largest is the class that the model would choose, which is the accuracy to report. (The baseline logs the
    /// accuracy on the margin logits, which is lower.)
    pub cosines_or_scores: Tensor<2>,
}

/// A classification head; its `weight` is `[num_classes, embedding]`, or has several rows a class.
#[derive(Module, Debug)]
pub enum Head {
    /// See [`AamSoftmax`].
    AamSoftmax(AamSoftmax),
    /// See [`AmSoftmax`].
    AmSoftmax(AmSoftmax),
    /// See [`SubCentreAam`].
    SubCentreAam(SubCentreAam),
    /// See [`SphereFace`].
    SphereFace(SphereFace),
    /// See [`SphereFace2`].
    SphereFace2(SphereFace2),
    /// See [`HamSoftmax`].
    HamSoftmax(HamSoftmax),
    /// See [`Softmax`].
    Softmax(Softmax),
    /// See [`NoHead`].
    NoHead(NoHead),
}

impl Head {
    /// Loss and logits.
    ///
    /// # Shapes
    /// - embeddings: `[batch, embedding]`, of any length
    /// - labels: `[batch]`, each less than `num_classes`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        each!(self, head => head.forward(embeddings, labels))
    }

    /// The centres, `[num_classes * rows_per_class, embedding]`; `None` without a head.
    pub fn weight(&self) -> Option<Tensor<2>> {
        each!(self, head => head.weight())
    }

    /// Number of classes.
    pub fn num_classes(&self) -> usize {
        self.weight().map_or(0, |weight| weight.dims()[0] / self.rows_per_class())
    }

    /// Rows of the weight that belong to one class: the number of sub-centres, or 1.
    pub fn rows_per_class(&self) -> usize {
        each!(self, head => head.rows_per_class())
    }

    /// The margin in force; `None` for a head without one.
    pub fn margin(&self) -> Option<f64> {
        each!(self, head => head.margin())
    }

    /// Changes the margin, as a schedule does between epochs. A head without margin stays as it is.
    pub fn set_margin(&mut self, margin: f64) {
        each!(self, head => head.set_margin(margin));
    }

    /// Sets what depends on how long training has gone on: the weight of the plain cosine in [`SphereFace`]. `step`
    /// counts from 0. Other heads stay as they are.
    pub fn anneal(&mut self, step: usize) {
        each!(self, head => head.anneal(step));
    }

    /// [`set_margin`](Self::set_margin) by value.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.set_margin(margin);
        self
    }
}

/// `From` of each head.
macro_rules! from_heads {
    ($($head:ident),*) => {$(
        impl From<$head> for Head {
            fn from(head: $head) -> Self {
                Self::$head(head)
            }
        }
    )*};
}

from_heads!(AamSoftmax, AmSoftmax, SubCentreAam, SphereFace, SphereFace2, HamSoftmax, Softmax, NoHead);

impl HeadOutput {
    /// The output of a head whose softmax sees `logits`.
    fn new(logits: Tensor<2>, labels: Tensor<1, Int>, cosines_or_scores: Tensor<2>) -> Self {
        Self { loss: cross_entropy(logits.clone(), labels), logits, cosines_or_scores }
    }
}

fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).mean().neg()
}
