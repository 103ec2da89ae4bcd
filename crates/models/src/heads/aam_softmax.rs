//! Additive angular margin: [ArcFace, Deng et al. 2018](https://arxiv.org/abs/1801.07698).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::{HeadOutput, centres, cosines, replace_targets};

/// Floor of `1 - cos^2`, less than its rounding error: the gradient of the square root stays finite at cosine 1.
const LEAST_SQUARED_SINE: f64 = 1e-12;

/// `scale * cos(theta + margin)` for the target, `scale * cos(theta)` for the rest.
///
/// Where `theta + margin` would pass pi, the target's logit continues as `cos(theta) - margin * sin(pi - margin)`, which
/// falls on; with `easy_margin` it is `cos(theta)` from pi / 2 on.
#[derive(Module, Debug)]
pub struct AamSoftmax {
    pub(super) weight: Param<Tensor<2>>,
    pub(super) margin: f64,
    scale: f64,
    easy_margin: bool,
}

impl AamSoftmax {
    pub(super) fn new(
        embedding_size: usize,
        num_classes: usize,
        margin: f64,
        scale: f64,
        easy_margin: bool,
        device: &Device,
    ) -> Self {
        Self { weight: centres(num_classes, embedding_size, device), margin, scale, easy_margin }
    }

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
