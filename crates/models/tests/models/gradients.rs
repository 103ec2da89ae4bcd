//! Gradients of network and head together, by name.

use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use ffsvc_models::{Head, NamedTensor, SpeakerModel};

use crate::goldens::values_of;

/// Parameters of the baseline's ECAPA whose true gradient is 0, because batch normalisation follows: what they have is
/// rounding.
pub(crate) fn is_cancelled(name: &str) -> bool {
    let before_norm = ["block1.", "block2.", "block3."]
        .iter()
        .find_map(|block| name.strip_prefix(block))
        .is_some_and(|name| matches!(name, "conv1.bias" | "conv3.bias"));
    before_norm || matches!(name, "conv1.bias" | "fc.bias" | "bn2.bias")
}

/// Gradients of network and head, the latter under `classifier.`.
pub(crate) fn gradients(
    model: &SpeakerModel,
    head: &Head,
    features: Tensor<3>,
    labels: Tensor<1, Int>,
) -> (f64, GradientsParams, GradientsParams) {
    let output = head.forward(model.forward(features), labels);
    let loss = values_of(output.loss.clone())[0];
    let mut gradients = output.loss.backward();
    let of_model = GradientsParams::from_module(&mut gradients, model);
    let of_head = GradientsParams::from_module(&mut gradients, head);
    (loss, of_model, of_head)
}

pub(crate) fn with_head(mut of_model: Vec<NamedTensor>, of_head: Vec<NamedTensor>) -> Vec<NamedTensor> {
    of_model.extend(of_head.into_iter().map(|mut tensor| {
        tensor.name.insert_str(0, "classifier.");
        tensor
    }));
    of_model
}

pub(crate) fn doubles(tensor: &NamedTensor) -> Vec<f64> {
    tensor.data.iter().map(|v| f64::from(*v)).collect()
}
