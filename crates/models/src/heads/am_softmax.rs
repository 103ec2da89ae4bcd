//! Additive margin: [Wang et al. 2018](https://arxiv.org/abs/1801.05599).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::cosines::{centres, cosines, replace_targets};
use super::{Classifier, ClassifierConfig, HeadOutput, margin};
use crate::error::Result;

/// Options of [`AmSoftmax`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AmSoftmaxConfig {
    /// Subtracted from the cosine to the target's centre. Default: 0.2.
    pub margin: f64,
    /// Factor of the cosines before the softmax. Default: 32.
    pub scale: f64,
}

impl Default for AmSoftmaxConfig {
    fn default() -> Self {
        Self { margin: margin::MARGIN, scale: margin::SCALE }
    }
}

impl ClassifierConfig for AmSoftmaxConfig {
    type Head = AmSoftmax;

    fn validate(&self) -> Result<()> {
        margin::validate(self.margin, self.scale, 2.0)
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> AmSoftmax {
        let Self { margin, scale } = *self;
        AmSoftmax { weight: centres(num_classes, embedding_size, device), margin, scale }
    }
}

/// `scale * (cos(theta) - margin)` for the target, `scale * cos(theta)` for the rest.
#[derive(Module, Debug)]
pub struct AmSoftmax {
    weight: Param<Tensor<2>>,
    margin: f64,
    scale: f64,
}

impl Classifier for AmSoftmax {
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

impl AmSoftmax {
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
