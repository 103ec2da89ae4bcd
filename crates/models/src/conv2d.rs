//! Two-dimensional convolutions, on CPUs by our own kernels.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use crate::cpu::{self, Steps};

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
