//! The network and its head as one trainable module.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use ffsvc_models::{Head, HeadOutput, SpeakerModel};

/// What the optimiser sees.
#[derive(Module, Debug)]
pub struct Network {
    /// The embedding network.
    pub model: SpeakerModel,
    /// The classification head; its rows are the training speakers.
    pub head: Head,
}

impl Network {
    /// Numbers that the optimiser changes: not the running statistics of BatchNorm.
    pub fn num_trainable(&self) -> usize {
        ffsvc_models::named_tensors(self)
            .iter()
            .filter(|tensor| !tensor.name.contains(".running_"))
            .map(|tensor| tensor.data.len())
            .sum()
    }

    /// Embeddings and loss of a batch.
    ///
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - labels: `[batch]`
    pub fn forward(&self, features: Tensor<3>, labels: Tensor<1, Int>) -> HeadOutput {
        self.head.forward(self.model.forward(features), labels)
    }
}
