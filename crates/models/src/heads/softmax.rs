//! The linear classifier of [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::HeadOutput;

/// `W x + b` and cross entropy.
#[derive(Module, Debug)]
pub struct Softmax {
    pub(super) weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Softmax {
    pub(super) fn new(embedding_size: usize, num_classes: usize, device: &Device) -> Self {
        let bound = 1.0 / (embedding_size as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Self {
            weight: uniform.init([num_classes, embedding_size], device),
            bias: uniform.init([num_classes], device),
        }
    }

    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let scores = embeddings.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze_dim(0);
        HeadOutput::new(scores.clone(), labels, scores)
    }
}
