//! Classification heads: what the embedding is trained with.
//!
//! To add a head: a file here with a module that has `weight: [num_classes, embedding]` and a `forward`, a variant in
//! [`HeadConfig`] and in [`Head`].

mod aam_softmax;
mod am_softmax;
mod softmax;

pub use aam_softmax::AamSoftmax;
pub use am_softmax::AmSoftmax;
pub use softmax::Softmax;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Result, require};
use crate::parameters::settle;

/// In front of the names of a head's tensors in a checkpoint; those of the network have no prefix.
pub(crate) const HEAD_PREFIX: &str = "classifier.";

/// Which head, with its options: the `[head]` section of a configuration file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeadConfig {
    /// `kind = "aam-softmax"`: additive angular margin.
    AamSoftmax {
        /// Angle added to the one to the target's centre, in radians. Default: 0.2.
        #[serde(default = "default_margin")]
        margin: f64,
        /// Factor of the cosines before the softmax. Default: 32.
        #[serde(default = "default_scale")]
        scale: f64,
        /// Apply the margin only where the cosine to the target is positive. Default: false.
        #[serde(default)]
        easy_margin: bool,
    },
    /// `kind = "am-softmax"`: additive margin.
    AmSoftmax {
        /// Subtracted from the cosine to the target's centre. Default: 0.2.
        #[serde(default = "default_margin")]
        margin: f64,
        /// Factor of the cosines before the softmax. Default: 32.
        #[serde(default = "default_scale")]
        scale: f64,
    },
    /// `kind = "softmax"`: a linear classifier.
    Softmax {},
}

fn default_margin() -> f64 {
    0.2
}

fn default_scale() -> f64 {
    32.0
}

impl Default for HeadConfig {
    /// AAM-softmax with margin 0.2 and scale 32, the baseline's.
    fn default() -> Self {
        Self::AamSoftmax { margin: default_margin(), scale: default_scale(), easy_margin: false }
    }
}

impl HeadConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        let (margin, scale, largest_margin) = match *self {
            Self::AamSoftmax { margin, scale, .. } => (margin, scale, std::f64::consts::PI),
            Self::AmSoftmax { margin, scale } => (margin, scale, 2.0),
            Self::Softmax {} => return Ok(()),
        };
        require(
            (0.0..largest_margin).contains(&margin),
            "head.margin",
            margin,
            "a number from 0 to less than pi (aam-softmax) or 2 (am-softmax)",
        )?;
        require(scale.is_finite() && scale > 0.0, "head.scale", scale, "a positive number")
    }

    /// A head with random centres: uniform as by Xavier and Glorot for the margin heads (the baseline's), within
    /// `1 / sqrt(embedding_size)` for the linear one (PyTorch's). Drawn from the device's generator.
    ///
    /// # Panics
    /// If a size is 0.
    pub fn init(&self, embedding_size: usize, num_classes: usize, device: &Device) -> Head {
        settle(self.build(embedding_size, num_classes, device), HEAD_PREFIX)
    }

    /// The head with its parameters still to be drawn.
    pub(crate) fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> Head {
        match *self {
            Self::AamSoftmax { margin, scale, easy_margin } => Head::AamSoftmax(AamSoftmax::new(
                embedding_size,
                num_classes,
                margin,
                scale,
                easy_margin,
                device,
            )),
            Self::AmSoftmax { margin, scale } => {
                Head::AmSoftmax(AmSoftmax::new(embedding_size, num_classes, margin, scale, device))
            }
            Self::Softmax {} => Head::Softmax(Softmax::new(embedding_size, num_classes, device)),
        }
    }
}

/// What a head computes for a batch.
#[derive(Debug, Clone)]
pub struct HeadOutput {
    /// Cross entropy, averaged over the batch, `[1]`.
    pub loss: Tensor<1>,
    /// What the softmax sees: with margin, scaled, `[batch, num_classes]`.
    pub logits: Tensor<2>,
    /// Cosines to the centres (margin heads) or linear scores, without the margin, `[batch, num_classes]`: their
    /// largest is the class that the model would choose, which is the accuracy to report. (The baseline logs the
    /// accuracy on the margin logits, which is lower.)
    pub cosines_or_scores: Tensor<2>,
}

/// A classification head; its `weight` is `[num_classes, embedding]`.
#[derive(Module, Debug)]
pub enum Head {
    /// See [`AamSoftmax`].
    AamSoftmax(AamSoftmax),
    /// See [`AmSoftmax`].
    AmSoftmax(AmSoftmax),
    /// See [`Softmax`].
    Softmax(Softmax),
}

impl Head {
    /// Loss and logits.
    ///
    /// # Shapes
    /// - embeddings: `[batch, embedding]`, of any length
    /// - labels: `[batch]`, each less than `num_classes`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        match self {
            Self::AamSoftmax(head) => head.forward(embeddings, labels),
            Self::AmSoftmax(head) => head.forward(embeddings, labels),
            Self::Softmax(head) => head.forward(embeddings, labels),
        }
    }

    /// The centres, `[num_classes, embedding]`.
    pub fn weight(&self) -> Tensor<2> {
        match self {
            Self::AamSoftmax(head) => head.weight.val(),
            Self::AmSoftmax(head) => head.weight.val(),
            Self::Softmax(head) => head.weight.val(),
        }
    }

    /// Number of classes.
    pub fn num_classes(&self) -> usize {
        self.weight().dims()[0]
    }

    /// The margin in force; `None` for a head without one.
    pub fn margin(&self) -> Option<f64> {
        match self {
            Self::AamSoftmax(head) => Some(head.margin),
            Self::AmSoftmax(head) => Some(head.margin),
            Self::Softmax(_) => None,
        }
    }

    /// Changes the margin, as a schedule does between epochs. A head without margin stays as it is.
    pub fn set_margin(&mut self, margin: f64) {
        match self {
            Self::AamSoftmax(head) => head.margin = margin,
            Self::AmSoftmax(head) => head.margin = margin,
            Self::Softmax(_) => {}
        }
    }

    /// [`set_margin`](Self::set_margin) by value.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.set_margin(margin);
        self
    }
}

/// Shortest vector that has a direction (`torch.nn.functional.normalize`'s epsilon), squared.
const LEAST_SQUARED_LENGTH: f64 = 1e-24;

/// Rows of length 1. A zero row stays zero and gets no gradient (PyTorch's would be 1e12 times the cosine's).
fn normalise_rows(rows: Tensor<2>) -> Tensor<2> {
    let squared = rows.clone().square().sum_dim(1);
    let without_direction = squared.clone().lower_elem(LEAST_SQUARED_LENGTH);
    let inverse = squared.clamp_min(LEAST_SQUARED_LENGTH).sqrt().recip();
    rows * inverse.mask_fill(without_direction, 0.0)
}

/// Cosine of each embedding to each centre, `[batch, num_classes]`.
fn cosines(embeddings: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    normalise_rows(embeddings).matmul(normalise_rows(weight).transpose())
}

/// Replaces the cosine of each row's target class by `margined` of it, scales, and takes the cross entropy. Only the
/// targets (`[batch, 1]`) go through the margin: no class-sized temporaries.
fn margin_output(
    cosines: Tensor<2>,
    labels: Tensor<1, Int>,
    scale: f64,
    margined: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> HeadOutput {
    let target = labels.clone().unsqueeze_dim::<2>(1);
    let target_cosine = cosines.clone().gather(1, target.clone());
    let change = margined(target_cosine.clone()) - target_cosine;
    let logits = cosines.clone().scatter(1, target, change, burn::tensor::IndexingUpdateOp::Add) * scale;
    HeadOutput { loss: cross_entropy(logits.clone(), labels), logits, cosines_or_scores: cosines }
}

fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).mean().neg()
}
