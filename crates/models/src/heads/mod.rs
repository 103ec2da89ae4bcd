//! Classification heads: what the embedding is trained with.
//!
//! To add a head: a file here with a module that has `weight: [num_classes, embedding]` and a `forward`, a variant in
//! [`HeadConfig`] and in [`Head`].

mod aam_softmax;
mod am_softmax;
mod softmax;
mod sphere_face;
mod sub_centre_aam;
mod surgery;

pub use aam_softmax::AamSoftmax;
pub use am_softmax::AmSoftmax;
pub use softmax::Softmax;
pub use sphere_face::SphereFace;
pub use sub_centre_aam::SubCentreAam;
pub use surgery::{Carried, is_reserved, reserved_name};

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};
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
    /// `kind = "sub-centre-aam-softmax"`: additive angular margin with several centres a speaker, and with a penalty on
    /// the strongest rivals (inter-top-K). See [`SubCentreAam`].
    #[serde(rename = "sub-centre-aam-softmax")]
    SubCentreAam {
        /// Angle added to the one to the target's nearest centre, in radians. Default: 0.2.
        #[serde(default = "default_margin")]
        margin: f64,
        /// Factor of the cosines before the softmax. Default: 32.
        #[serde(default = "default_scale")]
        scale: f64,
        /// Apply the margin only where the cosine to the target is positive. Default: false.
        #[serde(default)]
        easy_margin: bool,
        /// Centres of each speaker. Default: 3. With 1 and a `top_k` it is the penalty alone.
        #[serde(default = "default_sub_centres")]
        sub_centres: usize,
        /// How many rivals are penalised. Default: 0, none; Zhao et al. take 5.
        #[serde(default)]
        top_k: usize,
        /// Angle by which those rivals come nearer, in radians. Default: 0.06.
        #[serde(default = "default_top_k_penalty")]
        top_k_penalty: f64,
    },
    /// `kind = "sphere-face"`: multiplicative angular margin (A-softmax). See [`SphereFace`].
    SphereFace {
        /// The angle to the target's centre is multiplied by this, from 1 to 8. Default: 4, the paper's.
        #[serde(default = "default_multiple")]
        multiple: usize,
        /// Weight of the plain cosine at the first step. Default: 1000; this and the next two are the values of the
        /// authors' program.
        #[serde(default = "default_lambda")]
        lambda: f64,
        /// How fast that weight falls: `lambda / (1 + lambda_decay * step)`. Default: 0.12.
        #[serde(default = "default_lambda_decay")]
        lambda_decay: f64,
        /// The weight does not fall below. Default: 5.
        #[serde(default = "default_least_lambda")]
        least_lambda: f64,
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

fn default_sub_centres() -> usize {
    3
}

fn default_top_k_penalty() -> f64 {
    0.06
}

fn default_multiple() -> usize {
    4
}

fn default_lambda() -> f64 {
    1000.0
}

fn default_lambda_decay() -> f64 {
    0.12
}

fn default_least_lambda() -> f64 {
    5.0
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
            Self::SubCentreAam { margin, scale, sub_centres, top_k_penalty, .. } => {
                let expected = "a number from 1 to 64";
                require((1..=64).contains(&sub_centres), "head.sub_centres", sub_centres, expected)?;
                let penalty = (0.0..std::f64::consts::FRAC_PI_2).contains(&top_k_penalty);
                require(penalty, "head.top_k_penalty", top_k_penalty, "a number from 0 to less than pi / 2")?;
                (margin, scale, std::f64::consts::PI)
            }
            Self::SphereFace { multiple, lambda, lambda_decay, least_lambda } => {
                let weights = [
                    ("head.lambda", lambda),
                    ("head.lambda_decay", lambda_decay),
                    ("head.least_lambda", least_lambda),
                ];
                for (field, value) in weights {
                    require(value.is_finite() && value >= 0.0, field, value, "zero or a positive number")?;
                }
                return require(
                    (1..=8).contains(&multiple),
                    "head.multiple",
                    multiple,
                    "a number from 1 to 8",
                );
            }
            Self::Softmax {} => return Ok(()),
        };
        require(
            (0.0..largest_margin).contains(&margin),
            "head.margin",
            margin,
            "a number from 0 to less than pi (angular margins) or 2 (am-softmax)",
        )?;
        require(scale.is_finite() && scale > 0.0, "head.scale", scale, "a positive number")
    }

    /// The margin, where the head has one that a schedule can change.
    pub fn margin(&self) -> Option<f64> {
        match *self {
            Self::AamSoftmax { margin, .. }
            | Self::AmSoftmax { margin, .. }
            | Self::SubCentreAam { margin, .. } => Some(margin),
            Self::SphereFace { .. } | Self::Softmax {} => None,
        }
    }

    /// Rows of the weight that belong to one class.
    pub fn rows_per_class(&self) -> usize {
        if let Self::SubCentreAam { sub_centres, .. } = *self { sub_centres } else { 1 }
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
            Self::SubCentreAam { margin, scale, easy_margin, sub_centres, top_k, top_k_penalty } => {
                let options =
                    sub_centre_aam::Options { margin, scale, easy_margin, sub_centres, top_k, top_k_penalty };
                Head::SubCentreAam(SubCentreAam::new(embedding_size, num_classes, options, device))
            }
            Self::SphereFace { multiple, lambda, lambda_decay, least_lambda } => {
                let annealing =
                    sphere_face::Annealing { base: lambda, gamma: lambda_decay, least: least_lambda };
                Head::SphereFace(SphereFace::new(embedding_size, num_classes, multiple, annealing, device))
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
            Self::SubCentreAam(head) => head.forward(embeddings, labels),
            Self::SphereFace(head) => head.forward(embeddings, labels),
            Self::Softmax(head) => head.forward(embeddings, labels),
        }
    }

    /// The centres, `[num_classes * rows_per_class, embedding]`.
    pub fn weight(&self) -> Tensor<2> {
        match self {
            Self::AamSoftmax(head) => head.weight.val(),
            Self::AmSoftmax(head) => head.weight.val(),
            Self::SubCentreAam(head) => head.weight.val(),
            Self::SphereFace(head) => head.weight.val(),
            Self::Softmax(head) => head.weight.val(),
        }
    }

    /// Number of classes.
    pub fn num_classes(&self) -> usize {
        self.weight().dims()[0] / self.rows_per_class()
    }

    /// Rows of the weight that belong to one class: the number of sub-centres, or 1.
    pub fn rows_per_class(&self) -> usize {
        if let Self::SubCentreAam(head) = self { head.sub_centres } else { 1 }
    }

    /// The margin in force; `None` for a head without one.
    pub fn margin(&self) -> Option<f64> {
        match self {
            Self::AamSoftmax(head) => Some(head.margin),
            Self::AmSoftmax(head) => Some(head.margin),
            Self::SubCentreAam(head) => Some(head.margin),
            Self::SphereFace(_) | Self::Softmax(_) => None,
        }
    }

    /// Changes the margin, as a schedule does between epochs. A head without margin stays as it is.
    pub fn set_margin(&mut self, margin: f64) {
        match self {
            Self::AamSoftmax(head) => head.margin = margin,
            Self::AmSoftmax(head) => head.margin = margin,
            Self::SubCentreAam(head) => head.margin = margin,
            Self::SphereFace(_) | Self::Softmax(_) => {}
        }
    }

    /// Sets what depends on how long training has gone on: the weight of the plain cosine in [`SphereFace`]. `step`
    /// counts from 0. Other heads stay as they are.
    pub fn anneal(&mut self, step: usize) {
        if let Self::SphereFace(head) = self {
            head.anneal(step);
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

/// Random centres, uniform as by Xavier and Glorot.
fn centres(rows: usize, embedding_size: usize, device: &Device) -> Param<Tensor<2>> {
    let fan = (Some(embedding_size), Some(rows));
    Initializer::XavierUniform { gain: 1.0 }.init_with([rows, embedding_size], fan.0, fan.1, device)
}

/// Cosine of each embedding to each centre, `[batch, rows]`.
fn cosines(embeddings: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    normalise_rows(embeddings).matmul(normalise_rows(weight).transpose())
}

/// Replaces the cosine of each row's target class by `margined` of it. Only the targets (`[batch, 1]`) go through the
/// margin: no class-sized temporaries.
fn replace_targets(
    cosines: Tensor<2>,
    labels: Tensor<1, Int>,
    margined: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let target = labels.unsqueeze_dim::<2>(1);
    let target_cosine = cosines.clone().gather(1, target.clone());
    let change = margined(target_cosine.clone()) - target_cosine;
    cosines.scatter(1, target, change, IndexingUpdateOp::Add)
}

impl HeadOutput {
    /// The output of a head whose softmax sees `logits`.
    fn new(logits: Tensor<2>, labels: Tensor<1, Int>, cosines_or_scores: Tensor<2>) -> Self {
        Self { loss: cross_entropy(logits.clone(), labels), logits, cosines_or_scores }
    }
}

fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1).gather(1, labels.unsqueeze_dim(1)).mean().neg()
}
