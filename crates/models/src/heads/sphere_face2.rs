//! A binary classifier for each class, [SphereFace2, Wen et al. 2021](https://arxiv.org/abs/2108.01513), as in WeSpeaker after [Han
//! et al. 2023](https://arxiv.org/abs/2307.08205).

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::aam_softmax::rotated;
use super::cosines::{centres, cosines, replace_targets};
use super::{Classifier, ClassifierConfig, HeadOutput, margin};
use crate::error::{Result, require};

/// Where the margin of a [`SphereFace2`] is.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MarginKind {
    /// Subtracted from `g(cos(theta))` of the target and added to that of the others: WeSpeaker's type C.
    #[default]
    Cosine,
    /// Added to the angle of the target and subtracted from that of the others: WeSpeaker's type A.
    Angle,
}

/// Options of [`SphereFace2`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SphereFace2Config {
    /// The margin. Default: 0.2; WeSpeaker advises 0.15 for `angle`, and 0.1 more in the large-margin fine-tune.
    pub margin: f64,
    /// Factor of the adjusted cosines. Default: 32.
    pub scale: f64,
    /// Weight of the target against all others, in (0, 1): the lambda of the paper. Default: 0.7.
    pub target_weight: f64,
    /// Exponent t of `g(z) = 2 ((z + 1) / 2)^t - 1`, which spreads the cosines of other classes, from 1 to 16. Default: 3.
    pub exponent: usize,
    /// Where the margin is. Default: `cosine`.
    pub margin_kind: MarginKind,
}

impl Default for SphereFace2Config {
    fn default() -> Self {
        Self {
            margin: margin::MARGIN,
            scale: margin::SCALE,
            target_weight: 0.7,
            exponent: 3,
            margin_kind: MarginKind::Cosine,
        }
    }
}

impl ClassifierConfig for SphereFace2Config {
    type Head = SphereFace2;

    fn validate(&self) -> Result<()> {
        margin::validate(self.margin, self.scale, 2.0)?;
        let weight = self.target_weight;
        require(weight > 0.0 && weight < 1.0, "head.target_weight", weight, "a number between 0 and 1")?;
        require((1..=16).contains(&self.exponent), "head.exponent", self.exponent, "a number from 1 to 16")
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> SphereFace2 {
        let Self { margin, scale, target_weight, exponent, margin_kind } = *self;
        SphereFace2 {
            weight: centres(num_classes, embedding_size, device),
            bias: Initializer::Zeros.init([1, 1], device),
            margin,
            scale,
            target_weight,
            exponent,
            is_angle: margin_kind == MarginKind::Angle,
        }
    }
}

/// The loss is `lambda log(1 + exp(-z_y)) + (1 - lambda) sum_(k != y) log(1 + exp(z_k))`, averaged over the batch, with `z_y = s
/// (g(cos(theta_y)) - m) + b` and `z_k = s (g(cos(theta_k)) + m) + b`, or `s g(cos(theta_y + m)) + b` and `s g(cos(theta_k - m)) + b`.
/// No softmax joins the classes.
#[derive(Module, Debug)]
pub struct SphereFace2 {
    weight: Param<Tensor<2>>,
    /// `[1, 1]`
    bias: Param<Tensor<2>>,
    margin: f64,
    scale: f64,
    target_weight: f64,
    exponent: usize,
    is_angle: bool,
}

impl Classifier for SphereFace2 {
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

impl SphereFace2 {
    /// The logits of the output are `s cos(theta)`, less `s m` for the target. They serve an accuracy alone.
    ///
    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let cosines = cosines(embeddings, self.weight.val());
        let target = labels.clone().unsqueeze_dim::<2>(1);
        let as_other = log_sigmoid(self.other(cosines.clone()).neg());
        let as_target = log_sigmoid(self.target(cosines.clone().gather(1, target.clone())));
        let others = as_other.clone().sum_dim(1) - as_other.gather(1, target);
        let loss = (as_target * self.target_weight + others * (1.0 - self.target_weight)).mean().neg();
        let with_margin = |target| target - self.margin;
        let logits = replace_targets(cosines.clone(), labels, with_margin) * self.scale;
        HeadOutput { loss, logits, cosines_or_scores: cosines }
    }

    /// `z_y` of a cosine.
    fn target(&self, cosine: Tensor<2>) -> Tensor<2> {
        if !self.is_angle {
            return (self.spread(cosine) - self.margin) * self.scale + self.bias.val();
        }
        // Past pi the angle stays as it is, and the cosine falls on.
        let reversed = (std::f64::consts::PI - self.margin).cos();
        let beyond = cosine.clone().lower_equal_elem(reversed);
        let rotated = rotated(cosine.clone(), self.margin).mask_where(beyond, cosine - (1.0 + reversed));
        self.spread(rotated) * self.scale + self.bias.val()
    }

    /// `z_k` of cosines.
    fn other(&self, cosines: Tensor<2>) -> Tensor<2> {
        let spread = if self.is_angle {
            self.spread(rotated(cosines, -self.margin))
        } else {
            self.spread(cosines) + self.margin
        };
        spread * self.scale + self.bias.val()
    }

    /// `g(z) = 2 ((z + 1) / 2)^t - 1`
    fn spread(&self, z: Tensor<2>) -> Tensor<2> {
        let half = (z + 1.0) / 2.0;
        let power = (1..self.exponent).fold(half.clone(), |power, _| power * half.clone());
        power * 2.0 - 1.0
    }
}
