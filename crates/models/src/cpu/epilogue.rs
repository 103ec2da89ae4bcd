use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Tensor;

use super::{Context, context, contiguous, floats, plain, tensor};

/// What is done around a normalisation: `relu(bn(relu(x)) + residual)`, every part optional.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a, const D: usize> {
    pub(crate) relu_first: bool,
    pub(crate) residual: Option<&'a Tensor<D>>,
    pub(crate) relu: bool,
}

/// Normalisation by running statistics and what is around it, without gradients.
#[derive(Debug)]
pub(crate) struct Epilogue {
    scale: Vec<f32>,
    offset: Vec<f32>,
    relu_first: bool,
    residual: Option<FlexTensor>,
    relu: bool,
}

impl Epilogue {
    /// None on other devices than CPUs and where gradients are wanted.
    pub(crate) fn new<const D: usize>(
        [mean, variance]: [&Tensor<1>; 2],
        [scale, offset]: [&Tensor<1>; 2],
        epsilon: f64,
        Around { relu_first, residual, relu }: Around<'_, D>,
    ) -> Option<Self> {
        let plainly = [mean, variance, scale, offset].map(context);
        let residual_kind = residual.map_or(plainly[0], context);
        if Context::common(&plainly) != Some(Context::Plain) || residual_kind != Some(Context::Plain) {
            return None;
        }
        let vector = |tensor: &Tensor<1>| plain(tensor.clone()).map(contiguous);
        let (mean, variance) = (vector(mean)?, vector(variance)?);
        let (weight, bias) = (vector(scale)?, vector(offset)?);
        let epsilon = epsilon as f32;
        let scale: Vec<f32> = floats(&weight)
            .iter()
            .zip(floats(&variance))
            .map(|(weight, variance)| weight / (variance + epsilon).sqrt())
            .collect();
        let offset = floats(&bias)
            .iter()
            .zip(floats(&mean).iter().zip(&scale))
            .map(|(bias, (mean, scale))| bias - mean * scale)
            .collect();
        let residual = match residual {
            Some(residual) => Some(contiguous(plain(residual.clone())?)),
            None => None,
        };
        Some(Self { scale, offset, relu_first, residual, relu })
    }

    /// As the kernels take it, with the bias of the layer before.
    pub(super) fn with_bias<'a>(&'a self, bias: Option<&'a FlexTensor>) -> ffsvc_kernels::Epilogue<'a> {
        ffsvc_kernels::Epilogue {
            bias: bias.map(floats),
            relu_first: self.relu_first,
            scale_and_offset: Some([&self.scale, &self.offset]),
            residual: self.residual.as_ref().map(floats),
            relu: self.relu,
        }
    }
}

/// The epilogue alone.
pub(crate) fn normalise<const D: usize>(input: &Tensor<D>, epilogue: &Epilogue) -> Option<Tensor<D>> {
    if context(input)? != Context::Plain {
        return None;
    }
    let input = contiguous(plain(input.clone())?);
    let shape = input.shape();
    let positions = shape[2..].iter().product();
    let mut output = vec![0.0; floats(&input).len()];
    epilogue.with_bias(None).forward(shape[1], positions, floats(&input), &mut output);
    Some(Tensor::from_primitive::<Flex>(tensor(output, shape)))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn given_statistics_are_used_as_in_the_formula() {
        let device = Device::flex();
        let x = Tensor::<3>::from_floats([[[1.0, 2.0], [3.0, -4.0]]], &device);
        let vector = |a: f32, b: f32| Tensor::<1>::from_floats([a, b], &device);
        let residual = Tensor::<3>::ones([1, 2, 2], &device);
        let epilogue = Epilogue::new(
            [&vector(1.0, 1.0), &vector(4.0, 1.0)],
            [&vector(2.0, 1.0), &vector(0.5, 0.0)],
            0.0,
            Around { relu_first: false, residual: Some(&residual), relu: true },
        )
        .expect("a CPU's tensors");
        let y = normalise(&x, &epilogue).expect("the CPU's kernel applies");
        assert_eq!(y.into_data().try_to_vec::<f32>().expect("f32"), [1.5, 2.5, 3.0, 0.0]);
    }
}
