//! Additive margin: [Wang et al. 2018](https://arxiv.org/abs/1801.05599).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::{HeadOutput, centres, cosines, replace_targets};

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
        Self { weight: centres(num_classes, embedding_size, device), margin, scale }
    }

    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let cosines = cosines(embeddings, self.weight.val());
        let with_margin = |target| target - self.margin;
        let logits = replace_targets(cosines.clone(), labels.clone(), with_margin) * self.scale;
        HeadOutput::new(logits, labels, cosines)
    }
}
