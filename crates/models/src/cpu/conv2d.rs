use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{Shape, Tensor};

use super::{
    Context, Epilogue, context, contiguous, dims, floats, plain, prepared, recorded, tensor, tracked,
};

/// Stride, padding and dilation of a convolution, each of rows and columns, and its channel groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) groups: usize,
}

/// A convolution: `[batch, channels, height, width]` with `[channels out, channels in of a group, height, width]`, and a bias
/// `[channels out]`.
pub(crate) fn conv2d(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    steps: Steps,
) -> Option<Tensor<4>> {
    match Context::common(&[context(input), context(weight)])? {
        Context::Plain => {
            let bias = match bias {
                Some(bias) => Some(contiguous(plain(bias.clone())?)),
                None => None,
            };
            let bias = bias.as_ref().map(floats);
            let epilogue = ffsvc_kernels::Epilogue { bias, ..Default::default() };
            without_gradients(input, weight, steps, &epilogue)
        }
        Context::Autodiff => {
            let (input, input_node) = tracked(input.clone())?.into_parts();
            let (weight, weight_node) = tracked(weight.clone())?.into_parts();
            let (input, weight) = (contiguous(input), contiguous(weight));
            let conv = shape(&input, &weight, steps);
            let mut output = vec![0.0; conv.output_len()];
            conv.forward(floats(&input), floats(&weight), &mut output);
            let output = image(&conv, output);
            let nodes = [input_node, weight_node];
            let output = recorded(Conv2dGradient, nodes, output, |_| (conv, input, weight));
            let output = Tensor::from_primitive::<Autodiff<Flex>>(output);
            Some(match bias {
                Some(bias) => output + bias.clone().reshape([1, bias.dims()[0], 1, 1]),
                None => output,
            })
        }
    }
}

/// [`conv2d`], and then `epilogue` while the outputs are at hand.
pub(crate) fn conv2d_then(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    steps: Steps,
    epilogue: &Epilogue,
) -> Option<Tensor<4>> {
    match Context::common(&[context(input), context(weight)])? {
        Context::Plain => {
            let bias = match bias {
                Some(bias) => Some(contiguous(plain(bias.clone())?)),
                None => None,
            };
            without_gradients(input, weight, steps, &epilogue.with_bias(bias.as_ref()))
        }
        Context::Autodiff => None,
    }
}

fn without_gradients(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    steps: Steps,
    epilogue: &ffsvc_kernels::Epilogue<'_>,
) -> Option<Tensor<4>> {
    let (input, weight) = (contiguous(plain(input.clone())?), contiguous(plain(weight.clone())?));
    let conv = shape(&input, &weight, steps);
    let output = prepared::forward(&conv, &input, &weight, epilogue);
    Some(Tensor::from_primitive::<Flex>(image(&conv, output)))
}

fn shape(input: &FlexTensor, weight: &FlexTensor, steps: Steps) -> ffsvc_kernels::Conv2d {
    let [batch, channels_in, height, width] = dims(input);
    let [channels_out, _, kernel_height, kernel_width] = dims(weight);
    ffsvc_kernels::Conv2d {
        batch,
        channels_in,
        channels_out,
        size: [height, width],
        kernel: [kernel_height, kernel_width],
        stride: steps.stride,
        padding: steps.padding,
        dilation: steps.dilation,
        groups: steps.groups,
    }
}

fn image(conv: &ffsvc_kernels::Conv2d, output: Vec<f32>) -> FlexTensor {
    let [height, width] = conv.output_size();
    tensor(output, Shape::from([conv.batch, conv.channels_out, height, width]))
}

#[derive(Debug)]
struct Conv2dGradient;

impl Backward<Flex, 2> for Conv2dGradient {
    type State = (ffsvc_kernels::Conv2d, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (conv, input, weight) = ops.state;
        let [input_node, weight_node] = ops.parents;
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        if let Some(node) = weight_node {
            let mut of_weight = vec![0.0; conv.weight_len()];
            conv.weight_gradient(floats(&input), floats(&gradient), &mut of_weight);
            gradients.register::<Flex>(node.id, tensor(of_weight, weight.shape()));
        }
        if let Some(node) = input_node {
            let mut of_input = vec![0.0; conv.input_len()];
            conv.input_gradient(floats(&gradient), floats(&weight), &mut of_input);
            gradients.register::<Flex>(node.id, tensor(of_input, input.shape()));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, module};

    use super::*;

    fn compare(input: [usize; 4], weight: [usize; 4], steps: Steps) {
        let device = Device::flex().autodiff();
        device.seed(7);
        let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (x, w) = (random(input).require_grad(), random(weight).require_grad());
        let options = ConvOptions::new(steps.stride, steps.padding, steps.dilation, steps.groups);
        let theirs = module::conv2d(x.clone(), w.clone(), None, options);
        let ours = conv2d(&x, &w, None, steps).expect("the CPU's kernel applies");
        assert_eq!(ours.dims(), theirs.dims());
        let direction = random(ours.dims());
        let near = |a: Tensor<4>, b: Tensor<4>, what: &str| {
            let scale = b.clone().abs().max().into_scalar::<f32>();
            let error = (a - b).abs().max().into_scalar::<f32>();
            assert!(error < 1e-5 * (1.0 + scale), "{what}: {error} beside values up to {scale}");
        };
        near(ours.clone().inner(), theirs.clone().inner(), "output");
        let ours = (ours * direction.clone()).sum().backward();
        let theirs = (theirs * direction).sum().backward();
        for (tensor, what) in [(&x, "input"), (&w, "weight")] {
            let gradient = |gradients| tensor.grad(gradients).expect("a gradient");
            near(gradient(&ours), gradient(&theirs), what);
        }
    }

    #[test]
    fn outputs_and_gradients_are_those_of_burn() {
        let steps = |stride, padding| Steps {
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [1; 2],
            groups: 1,
        };
        compare([3, 5, 12, 31], [9, 5, 3, 3], steps(1, 1));
        compare([2, 8, 13, 30], [16, 8, 3, 3], steps(2, 1));
        compare([2, 8, 13, 30], [16, 8, 1, 1], steps(2, 0));
        let dilated = Steps { stride: [1; 2], padding: [0, 6], dilation: [1, 3], groups: 1 };
        compare([2, 10, 1, 40], [7, 10, 1, 5], dilated);
        // Of each channel, and of groups.
        compare([2, 10, 9, 21], [10, 1, 3, 3], Steps { groups: 10, ..steps(1, 1) });
        compare([2, 10, 9, 21], [20, 1, 3, 3], Steps { groups: 10, ..steps(2, 1) });
        compare([3, 12, 9, 21], [6, 4, 3, 3], Steps { groups: 3, ..steps(1, 1) });
    }

    #[test]
    fn a_frozen_weight_gets_no_gradient_and_the_input_does() {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::ones([1, 1, 3, 3], &device).require_grad();
        let w = Tensor::<4>::ones([1, 1, 3, 3], &device);
        let steps = Steps { stride: [1; 2], padding: [1; 2], dilation: [1; 2], groups: 1 };
        let gradients = conv2d(&x, &w, None, steps).expect("the CPU's kernel applies").sum().backward();
        assert!(w.grad(&gradients).is_none());
        let expected = [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0];
        assert_eq!(
            x.grad(&gradients).expect("a gradient").into_data().try_to_vec::<f32>().expect("f32"),
            expected
        );
    }
}
