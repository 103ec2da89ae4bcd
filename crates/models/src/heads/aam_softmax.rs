//! Additive angular margin: [ArcFace, Deng et al. 2018](https://arxiv.org/abs/1801.07698).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::{HeadOutput, cosines, margin_output};

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
        let weight = Initializer::XavierUniform { gain: 1.0 }.init_with(
            [num_classes, embedding_size],
            Some(embedding_size),
            Some(num_classes),
            device,
        );
        Self { weight, margin, scale, easy_margin }
    }

    fn margined(&self, cosine: Tensor<2>) -> Tensor<2> {
        let (sin_m, cos_m) = self.margin.sin_cos();
        let sine = (cosine.clone().square().neg() + 1.0).clamp_min(LEAST_SQUARED_SINE).sqrt();
        let added = cosine.clone() * cos_m - sine * sin_m;
        if self.easy_margin {
            let beyond = cosine.clone().lower_equal_elem(0.0);
            added.mask_where(beyond, cosine)
        } else {
            let reversed = std::f64::consts::PI - self.margin;
            let beyond = cosine.clone().lower_equal_elem(reversed.cos());
            added.mask_where(beyond, cosine - self.margin * reversed.sin())
        }
    }

    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let cosines = cosines(embeddings, self.weight.val());
        margin_output(cosines, labels, self.scale, |target| self.margined(target))
    }
}
