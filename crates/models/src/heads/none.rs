//! A network that is trained without classes.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Classifier, ClassifierConfig, HeadOutput};
use crate::error::Result;

/// [`NoHead`] has no options.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoHeadConfig {}

impl ClassifierConfig for NoHeadConfig {
    type Head = NoHead;

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn build(&self, _embedding_size: usize, _num_classes: usize, _device: &Device) -> NoHead {
        NoHead
    }
}

/// No head: no tensors, no classes, a loss of 0. What the network learns from is in the configuration elsewhere (a teacher).
#[derive(Module, Debug, Default)]
pub struct NoHead;

impl Classifier for NoHead {
    fn weight(&self) -> Option<Tensor<2>> {
        None
    }
}

impl NoHead {
    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`, not looked at
    pub fn forward(&self, embeddings: Tensor<2>, _labels: Tensor<1, Int>) -> HeadOutput {
        let (batch, device) = (embeddings.dims()[0], embeddings.device());
        let nothing = Tensor::zeros([batch, 0], &device);
        HeadOutput { loss: Tensor::zeros([1], &device), logits: nothing.clone(), cosines_or_scores: nothing }
    }
}
