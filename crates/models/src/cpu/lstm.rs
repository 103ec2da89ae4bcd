use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use ffsvc_kernels::{LstmMemory, LstmSequences};

use super::{Context, context, contiguous, dims, floats, plain, recorded, tensor, tracked};

/// The recurrent part of an LSTM layer: hidden states `[batch, steps, hidden]` of the input's products, `[batch, steps, 4 * hidden]`,
/// and the weights of the hidden state, `[4 * hidden, hidden]`.
pub(crate) fn lstm(projected: &Tensor<3>, hidden_weights: &Tensor<2>) -> Option<Tensor<3>> {
    match Context::common(&[context(projected), context(hidden_weights)])? {
        Context::Plain => {
            let projected = contiguous(plain(projected.clone())?);
            let weights = contiguous(plain(hidden_weights.clone())?);
            let layer = layer(&projected);
            let mut output = vec![0.0; layer.output_len()];
            layer.forward(floats(&projected), floats(&weights), &mut output, None);
            Some(Tensor::from_primitive::<Flex>(of_steps(output, &layer)))
        }
        Context::Autodiff => {
            let (projected, projected_node) = tracked(projected.clone())?.into_parts();
            let (weights, weights_node) = tracked(hidden_weights.clone())?.into_parts();
            let (projected, weights) = (contiguous(projected), contiguous(weights));
            let layer = layer(&projected);
            let (mut output, mut memory) = (vec![0.0; layer.output_len()], layer.memory());
            layer.forward(floats(&projected), floats(&weights), &mut output, Some(&mut memory));
            let output =
                recorded(Gradient, [projected_node, weights_node], of_steps(output, &layer), |output| {
                    State { layer, weights, memory, output: output.clone() }
                });
            Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
        }
    }
}

fn layer(projected: &FlexTensor) -> LstmSequences {
    let [batch, steps, gates] = dims(projected);
    LstmSequences { batch, steps, hidden: gates / 4 }
}

fn of_steps(values: Vec<f32>, layer: &LstmSequences) -> FlexTensor {
    tensor(values, [layer.batch, layer.steps, layer.hidden].into())
}

#[derive(Debug, Clone)]
struct State {
    layer: LstmSequences,
    weights: FlexTensor,
    memory: LstmMemory,
    output: FlexTensor,
}

impl State {
    /// `sum over sequences and steps of of_projected[step]^T output[step - 1]`
    fn weight_gradient(&self, of_projected: &Tensor<3>) -> Option<FlexTensor> {
        let LstmSequences { batch, steps, hidden } = self.layer;
        if steps < 2 || batch == 0 {
            return Some(tensor(vec![0.0; 4 * hidden * hidden], [4 * hidden, hidden].into()));
        }
        let later = of_projected.clone().narrow(1, 1, steps - 1).reshape([batch * (steps - 1), 4 * hidden]);
        let output = Tensor::<3>::from_primitive::<Flex>(self.output.clone());
        let earlier = output.narrow(1, 0, steps - 1).reshape([batch * (steps - 1), hidden]);
        plain(later.transpose().matmul(earlier))
    }
}

#[derive(Debug)]
struct Gradient;

impl Backward<Flex, 2> for Gradient {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = ops.state;
        let [projected_node, weights_node] = ops.parents;
        let gradient = contiguous(gradients.consume::<Flex>(&ops.node));
        let layer = state.layer;
        let mut of_projected = vec![0.0; layer.projected_len()];
        layer.backward(floats(&state.weights), &state.memory, floats(&gradient), &mut of_projected);
        let shape = [layer.batch, layer.steps, 4 * layer.hidden].into();
        let of_projected = tensor(of_projected, shape);
        if let Some(node) = weights_node
            && let Some(of_weights) =
                state.weight_gradient(&Tensor::from_primitive::<Flex>(of_projected.clone()))
        {
            gradients.register::<Flex>(node.id, of_weights);
        }
        if let Some(node) = projected_node {
            gradients.register::<Flex>(node.id, of_projected);
        }
    }
}
