//! Convolutions, on CPUs by our own kernels.

use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::Tensor;

use crate::cpu::{self, Steps, StepsInTime};

/// `layer.forward(input)`, faster where there is a kernel for it.
pub(crate) fn conv2d(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let padding = match layer.padding {
        PaddingConfig2d::Valid => Some([0, 0]),
        PaddingConfig2d::Explicit(top, left, bottom, right) if top == bottom && left == right => {
            Some([top, left])
        }
        _ => None,
    };
    match padding {
        Some(padding) if layer.bias.is_none() && layer.groups == 1 => {
            let steps = Steps { stride: layer.stride, padding, dilation: layer.dilation };
            match cpu::conv2d(&input, &layer.weight.val(), steps) {
                Some(output) => output,
                None => layer.forward(input),
            }
        }
        _ => layer.forward(input),
    }
}

/// `layer.forward(input)`, faster where there is a kernel for it.
pub(crate) fn conv1d(layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
    let padding = match layer.padding {
        PaddingConfig1d::Valid => Some(0),
        PaddingConfig1d::Explicit(left, right) if left == right => Some(left),
        _ => None,
    };
    match padding {
        Some(padding) if layer.groups == 1 => {
            let steps = StepsInTime { stride: layer.stride, padding, dilation: layer.dilation };
            let bias = layer.bias.as_ref().map(|bias| bias.val());
            match cpu::conv1d(&input, &layer.weight.val(), bias.as_ref(), steps) {
                Some(output) => output,
                None => layer.forward(input),
            }
        }
        _ => layer.forward(input),
    }
}
