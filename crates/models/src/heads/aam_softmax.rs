//! Additive angular margin: [ArcFace, Deng et al. 2018](https://arxiv.org/abs/1801.07698).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::cosines::{centres, cosines, replace_targets};
use super::{Classifier, ClassifierConfig, HeadOutput, margin};
use crate::error::Result;

/// Floor of `1 - cos^2`, less than its rounding error: the gradient of the square root stays finite at cosine 1.
const LEAST_SQUARED_SINE: f64 = 1e-12;

/// Options of [`AamSoftmax`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AamSoftmaxConfig {
    /// Angle added to the one to the target's centre, in radians. Default: 0.2.
    pub margin: f64,
    /// Factor of the cosines before the softmax. Default: 32.
    pub scale: f64,
    /// Apply the margin only where the cosine to the target is positive. Default: false.
    pub easy_margin: bool,
}

impl Default for AamSoftmaxConfig {
    fn default() -> Self {
        Self { margin: margin::MARGIN, scale: margin::SCALE, easy_margin: false }
    }
}

impl ClassifierConfig for AamSoftmaxConfig {
    type Head = AamSoftmax;

    fn validate(&self) -> Result<()> {
        margin::validate(self.margin, self.scale, std::f64::consts::PI)
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> AamSoftmax {
        let Self { margin, scale, easy_margin } = *self;
        AamSoftmax { weight: centres(num_classes, embedding_size, device), margin, scale, easy_margin }
    }
}

/// `scale * cos(theta + margin)` for the target, `scale * cos(theta)` for the rest.
///
/// Where `theta + margin` would pass pi, the target's logit continues as `cos(theta) - margin * sin(pi - margin)`, which
/// falls on; with `easy_margin` it is `cos(theta)` from pi / 2 on.
#[derive(Module, Debug)]
pub struct AamSoftmax {
    weight: Param<Tensor<2>>,
    margin: f64,
    scale: f64,
    easy_margin: bool,
}

impl Classifier for AamSoftmax {
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

impl AamSoftmax {
    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let cosines = cosines(embeddings, self.weight.val());
        let (margin, easy) = (self.margin, self.easy_margin);
        let with_margin = |target| angular_margin(target, margin, easy);
        let logits = replace_targets(cosines.clone(), labels.clone(), with_margin) * self.scale;
        HeadOutput::new(logits, labels, cosines)
    }
}

/// The cosine of an angle greater by `margin`, of any shape, with the fallbacks that [`AamSoftmax`] states.
pub(super) fn angular_margin(cosine: Tensor<2>, margin: f64, easy_margin: bool) -> Tensor<2> {
    let added = rotated(cosine.clone(), margin);
    if easy_margin {
        let beyond = cosine.clone().lower_equal_elem(0.0);
        added.mask_where(beyond, cosine)
    } else {
        let reversed = std::f64::consts::PI - margin;
        let beyond = cosine.clone().lower_equal_elem(reversed.cos());
        added.mask_where(beyond, cosine - margin * reversed.sin())
    }
}

/// `cos(theta + angle)` for `cosine = cos(theta)`, theta from 0 to pi.
pub(super) fn rotated(cosine: Tensor<2>, angle: f64) -> Tensor<2> {
    let (sin, cos) = angle.sin_cos();
    let sine = (cosine.clone().square().neg() + 1.0).clamp_min(LEAST_SQUARED_SINE).sqrt();
    cosine * cos - sine * sin
}
