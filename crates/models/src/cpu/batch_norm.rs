use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use ffsvc_kernels::BatchStatistics;

use super::{Context, context, contiguous, floats, plain, recorded, tensor, tracked};

/// Normalisation by the batch itself, in training: the output, and the batch's mean and biased variance.
///
/// With `residual`, that is added before the rectification; `relu` says whether there is one.
pub(crate) fn batch_norm_train<const D: usize>(
    input: &Tensor<D>,
    residual: Option<&Tensor<D>>,
    [scale, offset]: [&Tensor<1>; 2],
    epsilon: f64,
    relu: bool,
) -> Option<(Tensor<D>, BatchStatistics)> {
    let kinds = [context(input), residual.map_or(context(input), context), context(scale), context(offset)];
    if Context::common(&kinds)? != Context::Autodiff {
        return None;
    }
    let norm = kernel(&input.dims(), epsilon, relu);
    let (input, input_node) = tracked(input.clone())?.into_parts();
    let (scale, scale_node) = tracked(scale.clone())?.into_parts();
    let (offset, offset_node) = tracked(offset.clone())?.into_parts();
    let (input, scale, offset) = (contiguous(input), contiguous(scale), contiguous(offset));
    let statistics = norm.statistics(floats(&input));
    let apply = |residual: Option<&FlexTensor>| {
        let mut output = vec![0.0; floats(&input).len()];
        let residual = residual.map(floats);
        norm.forward(floats(&input), residual, &statistics, floats(&scale), floats(&offset), &mut output);
        tensor(output, input.shape())
    };
    let state = |output: &FlexTensor| State {
        norm,
        statistics: statistics.clone(),
        input: input.clone(),
        scale: scale.clone(),
        output: output.clone(),
    };
    let nodes = [input_node, scale_node, offset_node];
    let output = match residual {
        None => recorded(Gradient, nodes, apply(None), state),
        Some(residual) => {
            let (residual, residual_node) = tracked(residual.clone())?.into_parts();
            let output = apply(Some(&contiguous(residual)));
            let [input, scale, offset] = nodes;
            let nodes = [input, scale, offset, residual_node];
            recorded(ResidualGradient, nodes, output, state)
        }
    };
    Some((Tensor::from_primitive::<Autodiff<Flex>>(output), statistics))
}

/// Normalisation by given statistics, without gradients. Options as of [`batch_norm_train`].
pub(crate) fn batch_norm<const D: usize>(
    input: &Tensor<D>,
    residual: Option<&Tensor<D>>,
    [mean, variance]: [&Tensor<1>; 2],
    [scale, offset]: [&Tensor<1>; 2],
    epsilon: f64,
    relu: bool,
) -> Option<Tensor<D>> {
    let kinds = [
        context(input),
        residual.map_or(context(input), context),
        context(mean),
        context(variance),
        context(scale),
        context(offset),
    ];
    if Context::common(&kinds)? != Context::Plain {
        return None;
    }
    let norm = kernel(&input.dims(), epsilon, relu);
    let [mean, variance, scale, offset] = [mean, variance, scale, offset].map(|tensor| plain(tensor.clone()));
    let (mean, variance) = (contiguous(mean?), contiguous(variance?));
    let statistics = BatchStatistics { mean: floats(&mean).to_vec(), variance: floats(&variance).to_vec() };
    let (scale, offset) = (contiguous(scale?), contiguous(offset?));
    let input = contiguous(plain(input.clone())?);
    let residual = match residual {
        Some(residual) => Some(contiguous(plain(residual.clone())?)),
        None => None,
    };
    let mut output = vec![0.0; floats(&input).len()];
    let residual = residual.as_ref().map(floats);
    norm.forward(floats(&input), residual, &statistics, floats(&scale), floats(&offset), &mut output);
    Some(Tensor::from_primitive::<Flex>(tensor(output, input.shape())))
}

fn kernel(shape: &[usize], epsilon: f64, relu: bool) -> ffsvc_kernels::BatchNorm {
    let positions = shape[2..].iter().product();
    ffsvc_kernels::BatchNorm { channels: shape[1], positions, epsilon: epsilon as f32, relu }
}

#[derive(Debug, Clone)]
struct State {
    norm: ffsvc_kernels::BatchNorm,
    statistics: BatchStatistics,
    input: FlexTensor,
    scale: FlexTensor,
    output: FlexTensor,
}

impl State {
    /// Gradients with respect to input, scale, offset and, where wanted, residual.
    fn gradients(&self, gradient: &FlexTensor, of_residual: bool) -> ([FlexTensor; 3], Option<FlexTensor>) {
        let len = floats(&self.input).len();
        let mut of_input = vec![0.0; len];
        let mut residual = of_residual.then(|| vec![0.0; len]);
        let (of_scale, of_offset) = self.norm.backward(
            floats(&self.input),
            floats(&self.output),
            floats(gradient),
            &self.statistics,
            floats(&self.scale),
            &mut of_input,
            residual.as_deref_mut(),
        );
        let shape = self.input.shape();
        let channels = self.scale.shape();
        let three = [
            tensor(of_input, shape.clone()),
            tensor(of_scale, channels.clone()),
            tensor(of_offset, channels),
        ];
        (three, residual.map(|floats| tensor(floats, shape)))
    }
}

#[derive(Debug)]
struct Gradient;

impl Backward<Flex, 3> for Gradient {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let (three, _) = ops.state.gradients(&gradient, false);
        for (node, gradient) in ops.parents.into_iter().zip(three) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct ResidualGradient;

impl Backward<Flex, 4> for ResidualGradient {
    type State = State;

    fn backward(self, ops: Ops<State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let [.., residual] = &ops.parents;
        let (three, of_residual) = ops.state.gradients(&gradient, residual.is_some());
        for (node, gradient) in ops.parents.into_iter().zip(three.into_iter().chain(of_residual)) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::relu;
    use burn::tensor::module;
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn outputs_and_gradients_are_those_of_burn() {
        let device = Device::flex().autodiff();
        device.seed(3);
        for (rectified, with_residual) in [(false, false), (true, false), (true, true), (false, true)] {
            let random = |d: [usize; 4]| {
                Tensor::<4>::random(d, Distribution::Normal(0.5, 2.0), &device).require_grad()
            };
            let vector = || Tensor::<1>::random([5], Distribution::Uniform(0.5, 1.5), &device).require_grad();
            let (x, residual) = (random([3, 5, 7, 11]), random([3, 5, 7, 11]));
            let (scale, offset) = (vector(), vector());
            let theirs = module::batch_norm_train(x.clone(), scale.clone(), offset.clone(), 1e-5);
            let (mean, variance) = (theirs.mean, theirs.variance);
            let mut theirs = theirs.output;
            if with_residual {
                theirs = theirs + residual.clone();
            }
            if rectified {
                theirs = relu(theirs);
            }
            let added = with_residual.then_some(&residual);
            let (ours, statistics) = batch_norm_train(&x, added, [&scale, &offset], 1e-5, rectified)
                .expect("the CPU's kernel applies");
            let near = |a: Vec<f32>, b: Vec<f32>, what: &str| {
                assert_eq!(a.len(), b.len());
                for (a, b) in a.iter().zip(&b) {
                    assert!((a - b).abs() < 2e-5 * (1.0 + b.abs()), "{what}: {a} and {b}");
                }
            };
            let four = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f32>().expect("f32");
            let one = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().expect("f32");
            near(four(ours.clone()), four(theirs.clone()), "output");
            near(statistics.mean, one(mean), "mean");
            near(statistics.variance, one(variance), "variance");
            let direction = random([3, 5, 7, 11]).detach();
            let ours = (ours * direction.clone()).sum().backward();
            let theirs = (theirs * direction).sum().backward();
            let of = |tensor: &Tensor<4>, gradients| four(tensor.grad(gradients).expect("a gradient"));
            near(of(&x, &ours), of(&x, &theirs), "input gradient");
            if with_residual {
                near(of(&residual, &ours), of(&residual, &theirs), "residual gradient");
            }
            for parameter in [&scale, &offset] {
                let of = |gradients| one(parameter.grad(gradients).expect("a gradient"));
                near(of(&ours), of(&theirs), "parameter gradient");
            }
        }
    }

    #[test]
    fn given_statistics_are_used_as_in_the_formula() {
        let device = Device::flex();
        let x = Tensor::<3>::from_floats([[[1.0, 2.0], [3.0, -4.0]]], &device);
        let vector = |a: f32, b: f32| Tensor::<1>::from_floats([a, b], &device);
        let y = batch_norm(
            &x,
            Some(&Tensor::<3>::ones([1, 2, 2], &device)),
            [&vector(1.0, 1.0), &vector(4.0, 1.0)],
            [&vector(2.0, 1.0), &vector(0.5, 0.0)],
            0.0,
            true,
        )
        .expect("the CPU's kernel applies");
        assert_eq!(y.into_data().try_to_vec::<f32>().expect("f32"), [1.5, 2.5, 3.0, 0.0]);
    }
}
