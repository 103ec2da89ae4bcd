use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Shape, Tensor};

use super::{
    Context, Epilogue, context, contiguous, dims, floats, plain, prepared, recorded, tensor, tracked,
};

/// Stride, padding and dilation of a convolution over time, and its channel groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) dilation: usize,
    pub(crate) groups: usize,
}

/// A convolution: `[batch, channels, frames]` with `[channels out, channels in of a group, taps]`, and a bias `[channels out]`. With
/// one tap and one group it is a matrix product and so are its gradients.
pub(crate) fn conv1d(
    input: &Tensor<3>,
    weight: &Tensor<3>,
    bias: Option<&Tensor<1>>,
    steps: Steps,
) -> Option<Tensor<3>> {
    let kinds = [context(input), context(weight), bias.map_or(context(weight), context)];
    match Context::common(&kinds)? {
        Context::Plain => {
            let bias = vector(bias)?;
            let epilogue = ffsvc_kernels::Epilogue { bias: bias.as_ref().map(floats), ..Default::default() };
            without_gradients(input, weight, steps, &epilogue)
        }
        Context::Autodiff => {
            let (input, input_node) = tracked(input.clone())?.into_parts();
            let (weight, weight_node) = tracked(weight.clone())?.into_parts();
            let (input, weight) = (contiguous(input), contiguous(weight));
            let conv = Conv1d::new(&input, &weight, steps);
            let output = match bias {
                None => {
                    let output = conv.forward(&input, &weight, &ffsvc_kernels::Epilogue::default());
                    recorded(Gradient, [input_node, weight_node], output, |_| (conv, input, weight))
                }
                Some(bias) => {
                    let (bias, bias_node) = tracked(bias.clone())?.into_parts();
                    let bias = contiguous(bias);
                    let epilogue =
                        ffsvc_kernels::Epilogue { bias: Some(floats(&bias)), ..Default::default() };
                    let output = conv.forward(&input, &weight, &epilogue);
                    let nodes = [input_node, weight_node, bias_node];
                    recorded(Gradient, nodes, output, |_| (conv, input, weight))
                }
            };
            Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
        }
    }
}

/// [`conv1d`], and then `epilogue` while the outputs are at hand.
pub(crate) fn conv1d_then(
    input: &Tensor<3>,
    weight: &Tensor<3>,
    bias: Option<&Tensor<1>>,
    steps: Steps,
    epilogue: &Epilogue,
) -> Option<Tensor<3>> {
    let kinds = [context(input), context(weight), bias.map_or(context(weight), context)];
    match Context::common(&kinds)? {
        Context::Plain => {
            let bias = vector(bias)?;
            without_gradients(input, weight, steps, &epilogue.with_bias(bias.as_ref()))
        }
        Context::Autodiff => None,
    }
}

/// The primitive of a bias, if there is one; none where it cannot be had.
fn vector(bias: Option<&Tensor<1>>) -> Option<Option<FlexTensor>> {
    Some(match bias {
        Some(bias) => Some(contiguous(plain(bias.clone())?)),
        None => None,
    })
}

fn without_gradients(
    input: &Tensor<3>,
    weight: &Tensor<3>,
    steps: Steps,
    epilogue: &ffsvc_kernels::Epilogue<'_>,
) -> Option<Tensor<3>> {
    let (input, weight) = (contiguous(plain(input.clone())?), contiguous(plain(weight.clone())?));
    let conv = Conv1d::new(&input, &weight, steps);
    let output = if conv.is_product() && !prepared::is_int8(&conv.0, &weight) {
        conv.forward(&input, &weight, epilogue)
    } else {
        conv.sequence(prepared::forward(&conv.0, &input, &weight, epilogue))
    };
    Some(Tensor::from_primitive::<Flex>(output))
}

/// The kernel, for images of one row.
#[derive(Debug, Clone)]
struct Conv1d(ffsvc_kernels::Conv2d);

impl Conv1d {
    fn new(input: &FlexTensor, weight: &FlexTensor, steps: Steps) -> Self {
        let [batch, channels_in, frames] = dims(input);
        let [channels_out, _, taps] = dims(weight);
        Self(ffsvc_kernels::Conv2d {
            batch,
            channels_in,
            channels_out,
            size: [1, frames],
            kernel: [1, taps],
            stride: [1, steps.stride],
            padding: [0, steps.padding],
            dilation: [1, steps.dilation],
            groups: steps.groups,
        })
    }

    /// Whether an output frame sees the input frame alone.
    fn is_product(&self) -> bool {
        let conv = &self.0;
        conv.groups == 1 && conv.kernel[1] == 1 && conv.stride[1] == 1 && conv.padding[1] == 0
    }

    fn forward(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        epilogue: &ffsvc_kernels::Epilogue<'_>,
    ) -> FlexTensor {
        let conv = &self.0;
        let frames = conv.output_size()[1];
        match self.is_product().then(|| product(self.matrix(weight), input.clone())).flatten() {
            Some(mut output) => {
                epilogue.apply(conv.channels_out, frames, output.storage_mut::<f32>());
                output
            }
            None => {
                let mut output = vec![0.0; conv.output_len()];
                conv.forward_and(floats(input), floats(weight), epilogue, &mut output);
                self.sequence(output)
            }
        }
    }

    /// Outputs as a tensor.
    fn sequence(&self, output: Vec<f32>) -> FlexTensor {
        let conv = &self.0;
        tensor(output, Shape::from([conv.batch, conv.channels_out, conv.output_size()[1]]))
    }

    fn input_gradient(&self, gradient: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let conv = &self.0;
        let transposed = || product(self.matrix(weight).transpose(1, 2), gradient.clone());
        self.is_product().then(transposed).flatten().unwrap_or_else(|| {
            let mut of_input = vec![0.0; conv.input_len()];
            conv.input_gradient(floats(gradient), floats(weight), &mut of_input);
            tensor(of_input, Shape::from([conv.batch, conv.channels_in, conv.size[1]]))
        })
    }

    fn weight_gradient(&self, input: &FlexTensor, gradient: &FlexTensor) -> FlexTensor {
        let conv = &self.0;
        let shape = Shape::from([conv.channels_out, conv.channels_in / conv.groups.max(1), conv.kernel[1]]);
        let outer = || {
            let rows = |values: &FlexTensor, channels: usize| {
                let rows = by_channel(floats(values), conv.batch, channels, conv.size[1]);
                tensor(rows, Shape::from([1, channels, conv.batch * conv.size[1]]))
            };
            let (gradient, input) = (rows(gradient, conv.channels_out), rows(input, conv.channels_in));
            product(gradient, input.transpose(1, 2))
        };
        match self.is_product().then(outer).flatten() {
            Some(of_weight) => of_weight.reshape(shape),
            None => {
                let mut of_weight = vec![0.0; conv.weight_len()];
                conv.weight_gradient(floats(input), floats(gradient), &mut of_weight);
                tensor(of_weight, shape)
            }
        }
    }

    fn bias_gradient(&self, gradient: &FlexTensor) -> FlexTensor {
        let (channels, frames) = (self.0.channels_out, self.0.output_size()[1].max(1));
        let mut sums = vec![0.0f64; channels];
        for image in floats(gradient).chunks(channels * frames) {
            for (sum, row) in sums.iter_mut().zip(image.chunks(frames)) {
                *sum += f64::from(sum_of(row));
            }
        }
        tensor(sums.into_iter().map(|sum| sum as f32).collect(), Shape::from([channels]))
    }

    /// The weights of a convolution with one tap, `[1, channels out, channels in]`.
    fn matrix(&self, weight: &FlexTensor) -> FlexTensor {
        weight.reshape(Shape::from([1, self.0.channels_out, self.0.channels_in]))
    }
}

/// Batched matrix product.
fn product(left: FlexTensor, right: FlexTensor) -> Option<FlexTensor> {
    let [left, right] = [left, right].map(Tensor::<3>::from_primitive::<Flex>);
    plain(left.matmul(right)).map(contiguous)
}

/// `[batch, channels, frames]` as `[channels, batch, frames]`.
fn by_channel(values: &[f32], batch: usize, channels: usize, frames: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(values.len());
    for channel in 0..channels {
        for n in 0..batch {
            rows.extend_from_slice(&values[(n * channels + channel) * frames..][..frames]);
        }
    }
    rows
}

/// In sixteen partial sums, which fit a vector.
fn sum_of(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[derive(Debug)]
struct Gradient;

/// Convolution, input and weights.
type State = (Conv1d, FlexTensor, FlexTensor);

impl Gradient {
    /// Gradients of the parents: input, weights and, if there is a third, bias.
    fn register<const N: usize>(ops: Ops<State, N>, gradients: &mut Gradients) {
        let (conv, input, weight) = ops.state;
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        for (place, node) in ops.parents.into_iter().enumerate() {
            let Some(node) = node else { continue };
            let of_parent = match place {
                0 => conv.input_gradient(&gradient, &weight),
                1 => conv.weight_gradient(&input, &gradient),
                _ => conv.bias_gradient(&gradient),
            };
            gradients.register::<Flex>(node.id, of_parent);
        }
    }
}

impl Backward<Flex, 2> for Gradient {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        Self::register(ops, gradients);
    }
}

impl Backward<Flex, 3> for Gradient {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        Self::register(ops, gradients);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, module};

    use super::*;

    fn compare(input: [usize; 3], weight: [usize; 3], with_bias: bool, steps: Steps) {
        let device = Device::flex().autodiff();
        device.seed(11);
        let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (x, w) = (random(input).require_grad(), random(weight).require_grad());
        let b = random([1, 1, weight[0]]).reshape([weight[0]]).detach().require_grad();
        let bias = with_bias.then_some(&b);
        let options = ConvOptions::new([steps.stride], [steps.padding], [steps.dilation], steps.groups);
        let theirs = module::conv1d(x.clone(), w.clone(), bias.cloned(), options);
        let ours = conv1d(&x, &w, bias, steps).expect("the CPU's kernel applies");
        let untracked = bias.map(|bias| bias.clone().inner());
        let evaluated = conv1d(&x.clone().inner(), &w.clone().inner(), untracked.as_ref(), steps);
        assert_eq!(ours.dims(), theirs.dims());
        let direction = random(ours.dims());
        let near = |a: Vec<f32>, b: Vec<f32>, what: &str| {
            let scale = b.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            assert_eq!(a.len(), b.len());
            let error = a.iter().zip(&b).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(error < 1e-5 * (1.0 + scale), "{what}: {error} beside values up to {scale}");
        };
        let three = |tensor: Tensor<3>| tensor.into_data().try_to_vec::<f32>().expect("f32");
        let one = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().expect("f32");
        near(three(ours.clone()), three(theirs.clone()), "output");
        near(three(evaluated.expect("the CPU's kernel applies")), three(theirs.clone()), "evaluation");
        let ours = (ours * direction.clone()).sum().backward();
        let theirs = (theirs * direction).sum().backward();
        for (tensor, what) in [(&x, "input"), (&w, "weight")] {
            let gradient = |gradients| three(tensor.grad(gradients).expect("a gradient"));
            near(gradient(&ours), gradient(&theirs), what);
        }
        if with_bias {
            let gradient = |gradients| one(b.grad(gradients).expect("a gradient"));
            near(gradient(&ours), gradient(&theirs), "bias");
        }
    }

    #[test]
    fn outputs_and_gradients_are_those_of_burn() {
        let plain = Steps { stride: 1, padding: 0, dilation: 1, groups: 1 };
        for with_bias in [false, true] {
            compare([3, 20, 37], [17, 20, 1], with_bias, plain);
            compare([1, 5, 1], [3, 5, 1], with_bias, plain);
            compare([3, 8, 50], [8, 8, 3], with_bias, Steps { padding: 4, dilation: 4, ..plain });
            compare([2, 10, 41], [6, 10, 5], with_bias, Steps { stride: 2, padding: 2, ..plain });
            compare([2, 10, 41], [6, 10, 1], with_bias, Steps { stride: 2, padding: 1, ..plain });
            compare([2, 10, 41], [6, 10, 5], with_bias, plain);
            compare([2, 10, 41], [10, 1, 7], with_bias, Steps { padding: 3, groups: 10, ..plain });
            compare([2, 10, 41], [6, 5, 1], with_bias, Steps { groups: 2, ..plain });
        }
    }
}
