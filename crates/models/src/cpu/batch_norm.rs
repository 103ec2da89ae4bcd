use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use ffsvc_kernels::BatchStatistics;

use super::{Around, Context, context, contiguous, floats, recorded, tensor, tracked};

/// Normalisation by the batch itself, in training: the output, and mean and biased variance of what is normalised.
pub(crate) fn batch_norm_train<const D: usize>(
    input: &Tensor<D>,
    around: Around<'_, D>,
    parameters: [&Tensor<1>; 2],
    epsilon: f64,
) -> Option<(Tensor<D>, BatchStatistics)> {
    normalise(input, around, parameters, epsilon, None)
}

/// Normalisation by running statistics (mean, variance), in training: they are constants to the gradients.
pub(crate) fn batch_norm_fixed<const D: usize>(
    input: &Tensor<D>,
    statistics: [&Tensor<1>; 2],
    around: Around<'_, D>,
    parameters: [&Tensor<1>; 2],
    epsilon: f64,
) -> Option<Tensor<D>> {
    let vector = |tensor: &Tensor<1>| {
        let tensor = contiguous(tracked(tensor.clone())?.into_parts().0);
        Some(floats(&tensor).to_vec())
    };
    if statistics.iter().any(|tensor| context(tensor) != Some(Context::Autodiff)) {
        return None;
    }
    let [mean, variance] = statistics;
    let statistics = BatchStatistics { mean: vector(mean)?, variance: vector(variance)? };
    normalise(input, around, parameters, epsilon, Some(statistics)).map(|(output, _)| output)
}

/// By the statistics of the batch where none are given.
fn normalise<const D: usize>(
    input: &Tensor<D>,
    Around { relu_first, residual, relu }: Around<'_, D>,
    [scale, offset]: [&Tensor<1>; 2],
    epsilon: f64,
    given: Option<BatchStatistics>,
) -> Option<(Tensor<D>, BatchStatistics)> {
    let kinds = [context(input), residual.map_or(context(input), context), context(scale), context(offset)];
    if Context::common(&kinds)? != Context::Autodiff {
        return None;
    }
    let shape = input.dims();
    let positions = shape[2..].iter().product();
    let (channels, epsilon) = (shape[1], epsilon as f32);
    let norm =
        ffsvc_kernels::BatchNorm { channels, positions, epsilon, relu_first, relu, fixed: given.is_some() };
    let (input, input_node) = tracked(input.clone())?.into_parts();
    let (scale, scale_node) = tracked(scale.clone())?.into_parts();
    let (offset, offset_node) = tracked(offset.clone())?.into_parts();
    let (input, scale, offset) = (contiguous(input), contiguous(scale), contiguous(offset));
    let statistics = given.unwrap_or_else(|| norm.statistics(floats(&input)));
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
        let cases = (0..8).map(|bits| [1, 2, 4].map(|bit| bits & bit != 0));
        for [relu_first, with_residual, rectified] in cases {
            let random = |d: [usize; 4]| {
                Tensor::<4>::random(d, Distribution::Normal(0.5, 2.0), &device).require_grad()
            };
            let vector = || Tensor::<1>::random([5], Distribution::Uniform(0.5, 1.5), &device).require_grad();
            let (x, residual) = (random([3, 5, 7, 11]), random([3, 5, 7, 11]));
            let (scale, offset) = (vector(), vector());
            let before = if relu_first { relu(x.clone()) } else { x.clone() };
            let theirs = module::batch_norm_train(before, scale.clone(), offset.clone(), 1e-5);
            let (mean, variance) = (theirs.mean, theirs.variance);
            let mut theirs = theirs.output;
            if with_residual {
                theirs = theirs + residual.clone();
            }
            if rectified {
                theirs = relu(theirs);
            }
            let around = Around { relu_first, residual: with_residual.then_some(&residual), relu: rectified };
            let (ours, statistics) =
                batch_norm_train(&x, around, [&scale, &offset], 1e-5).expect("the CPU's kernel applies");
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
}
