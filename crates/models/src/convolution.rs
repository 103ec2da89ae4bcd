//! Convolutions, on CPUs by our own kernels.

use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::Tensor;

use crate::batch_norm::Normalisation;
use crate::cpu::{self, Steps, StepsInTime};

/// `layer.forward(input)`, faster where there is a kernel for it.
pub(crate) fn conv2d(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    match steps(layer).and_then(|steps| cpu::conv2d(&input, &layer.weight.val(), steps)) {
        Some(output) => output,
        None => layer.forward(input),
    }
}

/// `then.forward(layer.forward(input))`, on CPUs without gradients in one pass.
pub(crate) fn conv2d_then(layer: &Conv2d, input: Tensor<4>, then: Normalisation<'_, 4>) -> Tensor<4> {
    let fused = steps(layer)
        .zip(then.epilogue())
        .and_then(|(steps, epilogue)| cpu::conv2d_then(&input, &layer.weight.val(), steps, &epilogue));
    match fused {
        Some(output) => output,
        None => then.forward(conv2d(layer, input)),
    }
}

/// Of a layer that the kernels compute.
fn steps(layer: &Conv2d) -> Option<Steps> {
    let padding = match layer.padding {
        PaddingConfig2d::Valid => [0, 0],
        PaddingConfig2d::Explicit(top, left, bottom, right) if top == bottom && left == right => [top, left],
        _ => return None,
    };
    (layer.bias.is_none() && layer.groups == 1).then_some(Steps {
        stride: layer.stride,
        padding,
        dilation: layer.dilation,
    })
}

/// `layer.forward(input)`, faster where there is a kernel for it.
pub(crate) fn conv1d(layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let output =
        steps_in_time(layer).and_then(|steps| cpu::conv1d(&input, &layer.weight.val(), bias.as_ref(), steps));
    match output {
        Some(output) => output,
        None => layer.forward(input),
    }
}

/// `then.forward(layer.forward(input))`, on CPUs without gradients in one pass.
pub(crate) fn conv1d_then(layer: &Conv1d, input: Tensor<3>, then: Normalisation<'_, 3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let fused = steps_in_time(layer).zip(then.epilogue()).and_then(|(steps, epilogue)| {
        cpu::conv1d_then(&input, &layer.weight.val(), bias.as_ref(), steps, &epilogue)
    });
    match fused {
        Some(output) => output,
        None => then.forward(conv1d(layer, input)),
    }
}

/// Of a layer that the kernels compute.
fn steps_in_time(layer: &Conv1d) -> Option<StepsInTime> {
    let padding = match layer.padding {
        PaddingConfig1d::Valid => 0,
        PaddingConfig1d::Explicit(left, right) if left == right => left,
        _ => return None,
    };
    (layer.groups == 1).then_some(StepsInTime { stride: layer.stride, padding, dilation: layer.dilation })
}
