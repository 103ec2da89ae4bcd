//! Additive margin on distances in a hyperbolic space: HAM-Softmax, [Fang and He 2026](https://arxiv.org/abs/2601.19709), as
//! WeSpeaker's `HyperbolicAMSoftmax`.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::cosines::replace_targets;
use super::{Classifier, ClassifierConfig, HeadOutput, margin};
use crate::error::{Result, require};

/// Standard deviation of the random centres: they begin near the origin.
const CENTRES: f64 = 1e-3;

/// WeSpeaker's distance from the border of the ball, and its least excess of a hyperbolic cosine over 1.
const EPSILON: f64 = 1e-5;

/// Options of [`HamSoftmax`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HamSoftmaxConfig {
    /// Added to the distance from the target's centre. Default: 0.2.
    pub margin: f64,
    /// Factor of the distances before the softmax. Default: 30.
    pub scale: f64,
    /// Embeddings and centres are kept within a radius of `1 / sqrt(curvature)`, from 1 to 1000. Default: 3, WeSpeaker's best.
    pub curvature: f64,
}

impl Default for HamSoftmaxConfig {
    fn default() -> Self {
        Self { margin: margin::MARGIN, scale: 30.0, curvature: 3.0 }
    }
}

impl ClassifierConfig for HamSoftmaxConfig {
    type Head = HamSoftmax;

    fn validate(&self) -> Result<()> {
        margin::validate(self.margin, self.scale, 2.0)?;
        let curvature = self.curvature;
        require((1.0..=1000.0).contains(&curvature), "head.curvature", curvature, "a number from 1 to 1000")
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> HamSoftmax {
        let Self { margin, scale, curvature } = *self;
        let centres = Initializer::Normal { mean: 0.0, std: CENTRES };
        let weight = centres.init([num_classes, embedding_size], device);
        HamSoftmax { weight, margin, scale, radius: (1.0 - EPSILON) / curvature.sqrt() }
    }
}

/// `-scale * (d + margin)` for the target, `-scale * d` for the rest, with the distance `d = arcosh(1 + 2 |x - w|^2 / ((1 - |x|^2) (1 -
/// |w|^2)))` of the Poincaré ball. Embeddings and centres outside of the radius are moved to it first.
#[derive(Module, Debug)]
pub struct HamSoftmax {
    weight: Param<Tensor<2>>,
    margin: f64,
    scale: f64,
    radius: f64,
}

impl Classifier for HamSoftmax {
    fn weight(&self) -> Option<Tensor<2>> {
        Some(self.weight.val())
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn set_margin(&mut self, margin: f64) {
        self.margin = margin;
    }
}

impl HamSoftmax {
    /// The scores of the output are negative distances.
    ///
    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let scores = self.distances(embeddings).neg();
        let with_margin = |target| target - self.margin;
        let logits = replace_targets(scores.clone(), labels.clone(), with_margin) * self.scale;
        HeadOutput::new(logits, labels, scores)
    }

    /// From each embedding to each centre, `[batch, num_classes]`.
    fn distances(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let [x, w] = [embeddings, self.weight.val()].map(|rows| self.in_ball(rows));
        let products = x.rows.matmul(w.rows.transpose());
        let apart = (x.squared + w.squared.transpose() - products * 2.0).clamp_min(0.0);
        let from_border = x.from_border * w.from_border.transpose();
        let excess = (apart * 2.0 / from_border.clamp_min(EPSILON)).clamp_min(EPSILON);
        // arcosh(1 + e) = ln(1 + e + sqrt(e (e + 2))), without the difference of 1 and a number near it.
        (excess.clone() + (excess.clone() * (excess + 2.0)).sqrt()).log1p()
    }

    /// Rows of a length of at most the radius.
    fn in_ball(&self, rows: Tensor<2>) -> InBall {
        let limit = self.radius * self.radius;
        let squared = rows.clone().square().sum_dim(1);
        // A row within the ball is multiplied by 1, which has no gradient; so is a row of zeros.
        let length = squared.clone().clamp_min(limit).sqrt();
        InBall {
            rows: rows * (length.recip() * self.radius),
            // By the length before: at the border, the length after is rounded too much for its distance from 1.
            squared: squared.clone().clamp_max(limit),
            from_border: (squared.neg() + 1.0).clamp_min(1.0 - limit),
        }
    }
}

/// Rows, their squared lengths `[rows, 1]`, and what is missing of those to 1.
struct InBall {
    rows: Tensor<2>,
    squared: Tensor<2>,
    from_border: Tensor<2>,
}
