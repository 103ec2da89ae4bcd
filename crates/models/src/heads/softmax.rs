//! The linear classifier of [x-vectors](https://www.danielpovey.com/files/2018_icassp_xvectors.pdf).

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Classifier, ClassifierConfig, HeadOutput};
use crate::error::Result;

/// [`Softmax`] has no options.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SoftmaxConfig {}

impl ClassifierConfig for SoftmaxConfig {
    type Head = Softmax;

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> Softmax {
        let bound = 1.0 / (embedding_size as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Softmax {
            weight: uniform.init([num_classes, embedding_size], device),
            bias: uniform.init([num_classes], device),
        }
    }
}

/// `W x + b` and cross entropy.
#[derive(Module, Debug)]
pub struct Softmax {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Classifier for Softmax {
    fn weight(&self) -> Option<Tensor<2>> {
        Some(self.weight.val())
    }
}

impl Softmax {
    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let scores = embeddings.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze_dim(0);
        HeadOutput::new(scores.clone(), labels, scores)
    }
}
