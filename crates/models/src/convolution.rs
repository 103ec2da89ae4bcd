//! Convolutions, on CPUs by our own kernels.

use burn::nn::conv::{Conv1d, Conv2d};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

use crate::batch_norm::Normalisation;
use crate::cpu::{self, Steps, StepsInTime};
use crate::multiplications::note;
use crate::precision::Precision;

/// `layer.forward(input)`, faster where there is a kernel for it.
pub(crate) fn conv2d(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let weight = layer.weight.val();
    let lowered = Precision::lowered().filter(|_| layer.groups == 1);
    if let Some((dtype, steps)) = lowered.zip(steps(layer)) {
        let (around, options) =
            (input.dtype(), ConvOptions::new(steps.stride, steps.padding, steps.dilation, 1));
        let bias = bias.map(|bias| bias.cast(dtype));
        return module::conv2d(input.cast(dtype), weight.cast(dtype), bias, options).cast(around);
    }
    let computed = steps(layer).and_then(|steps| cpu::conv2d(&input, &weight, bias.as_ref(), steps));
    noted(computed.unwrap_or_else(|| layer.forward(input)), &weight)
}

/// The output, whose products are counted.
fn noted<const D: usize>(output: Tensor<D>, weight: &Tensor<D>) -> Tensor<D> {
    note(|| output.shape().num_elements() / weight.dims()[0] * weight.shape().num_elements());
    output
}

/// `then.forward(layer.forward(input))`, on CPUs without gradients in one pass.
pub(crate) fn conv2d_then(layer: &Conv2d, input: Tensor<4>, then: Normalisation<'_, 4>) -> Tensor<4> {
    if Precision::lowered().is_some() {
        return then.forward(conv2d(layer, input));
    }
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let weight = layer.weight.val();
    let fused = steps(layer)
        .zip(then.epilogue())
        .and_then(|(steps, epilogue)| cpu::conv2d_then(&input, &weight, bias.as_ref(), steps, &epilogue));
    match fused {
        Some(output) => noted(output, &weight),
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
    Some(Steps { stride: layer.stride, padding, dilation: layer.dilation, groups: layer.groups })
}

/// `layer.forward(input)`, faster where there is a kernel for it.
pub(crate) fn conv1d(layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let weight = layer.weight.val();
    let lowered = Precision::lowered().filter(|_| layer.groups == 1);
    if let Some((dtype, steps)) = lowered.zip(steps_in_time(layer)) {
        let options = ConvOptions::new([steps.stride], [steps.padding], [steps.dilation], 1);
        let around = input.dtype();
        let bias = bias.map(|bias| bias.cast(dtype));
        return module::conv1d(input.cast(dtype), weight.cast(dtype), bias, options).cast(around);
    }
    let computed = steps_in_time(layer).and_then(|steps| cpu::conv1d(&input, &weight, bias.as_ref(), steps));
    noted(computed.unwrap_or_else(|| layer.forward(input)), &weight)
}

/// `then.forward(layer.forward(input))`, on CPUs without gradients in one pass.
pub(crate) fn conv1d_then(layer: &Conv1d, input: Tensor<3>, then: Normalisation<'_, 3>) -> Tensor<3> {
    if Precision::lowered().is_some() {
        return then.forward(conv1d(layer, input));
    }
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let weight = layer.weight.val();
    let fused = steps_in_time(layer)
        .zip(then.epilogue())
        .and_then(|(steps, epilogue)| cpu::conv1d_then(&input, &weight, bias.as_ref(), steps, &epilogue));
    match fused {
        Some(output) => noted(output, &weight),
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
    Some(StepsInTime { stride: layer.stride, padding, dilation: layer.dilation, groups: layer.groups })
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::{Conv1dConfig, Conv2dConfig};
    use burn::tensor::{DType, Device, Distribution};

    use super::*;
    use crate::batch_norm::BatchNorm;

    /// Numbers that 16 bits hold, so that only the output is rounded: to 8 bits.
    fn small<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(-8.0, 8.0), device).round() / 8.0
    }

    fn assert_rounded<const D: usize>(found: Tensor<D>, exact: Tensor<D>) {
        assert_eq!((found.dtype(), found.dims()), (DType::F32, exact.dims()));
        let differences = (found - exact.clone()).abs() - exact.abs() / 256.0;
        assert!(differences.max().into_scalar::<f32>() <= 1e-6);
    }

    /// Against Burn's own convolution and a normalisation of its own.
    #[test]
    fn biases_are_added_with_and_without_gradients() {
        let plain = Device::flex();
        plain.seed(3);
        for device in [plain.clone(), plain.autodiff()] {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            let layer =
                Conv2dConfig::new([3, 5], [3, 3]).with_stride([2, 1]).with_padding(padding).init(&device);
            let input = small([2, 3, 9, 11], &device);
            let exact = layer.forward(input.clone());
            let close = |found: Tensor<4>, exact: Tensor<4>| {
                let difference: f32 = (found - exact).abs().max().into_scalar();
                assert!(difference < 1e-5, "{difference:e}");
            };
            close(conv2d(&layer, input.clone()), exact.clone());
            if !device.is_autodiff() {
                let bn = BatchNorm::new(5, &device);
                bn.running_mean.update(Tensor::from_floats([0.5, -1.0, 2.0, 0.0, 0.25], &device));
                bn.running_mean.value_sync();
                close(conv2d_then(&layer, input, bn.then_relu()), bn.then_relu().forward(exact));
            }
        }
    }

    #[test]
    fn lowered_convolutions_are_the_exact_ones_rounded() {
        let device = Device::flex();
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let config = Conv2dConfig::new([3, 5], [3, 3]).with_stride([2, 1]).with_padding(padding);
        let mut layer = config.with_bias(false).init(&device);
        layer.weight = layer.weight.map(|weight| small(weight.dims(), &device));
        let input = small([2, 3, 9, 11], &device);
        let lowered = Precision::Bf16.scope(|| conv2d(&layer, input.clone()));
        assert_rounded(lowered, conv2d(&layer, input));

        let mut layer = Conv1dConfig::new(4, 6, 3)
            .with_dilation(2)
            .with_padding(PaddingConfig1d::Explicit(2, 2))
            .init(&device);
        layer.weight = layer.weight.map(|weight| small(weight.dims(), &device));
        layer.bias = layer.bias.map(|bias| bias.map(|bias| small(bias.dims(), &device)));
        let input = small([2, 4, 13], &device);
        let lowered = Precision::Bf16.scope(|| conv1d(&layer, input.clone()));
        assert_rounded(lowered, conv1d(&layer, input));
    }
}
