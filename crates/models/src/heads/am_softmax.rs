//! Additive margin: [Wang et al. 2018](https://arxiv.org/abs/1801.05599).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::{HeadOutput, cosines, margin_output};

/// `scale * (cos(theta) - margin)` for the target, `scale * cos(theta)` for the rest.
#[derive(Module, Debug)]
pub struct AmSoftmax {
    pub(super) weight: Param<Tensor<2>>,
    pub(super) margin: f64,
    scale: f64,
}

impl AmSoftmax {
    pub(super) fn new(
        embedding_size: usize,
        num_classes: usize,
        margin: f64,
        scale: f64,
        device: &Device,
    ) -> Self {
        let weight = Initializer::XavierUniform { gain: 1.0 }.init_with(
            [num_classes, embedding_size],
            Some(embedding_size),
            Some(num_classes),
            device,
        );
        Self { weight, margin, scale }
    }

    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let cosines = cosines(embeddings, self.weight.val());
        margin_output(cosines, labels, self.scale, |target| target - self.margin)
    }
}
