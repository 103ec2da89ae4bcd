//! A layer of long short-term memory: [Hochreiter and Schmidhuber 1997](https://doi.org/10.1162/neco.1997.9.8.1735), with the gates
//! and parameters of PyTorch's `LSTM`.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use crate::cpu;
use crate::multiplications::{note, product};

/// One layer, from zeros. The rows of its weights are the input, forget, cell and output gates, one block after the other.
#[derive(Module, Debug)]
pub(crate) struct Lstm {
    /// Of the input, `[4 * hidden, inputs]`.
    weight_ih: Param<Tensor<2>>,
    /// Of the hidden state, `[4 * hidden, hidden]`.
    weight_hh: Param<Tensor<2>>,
    bias_ih: Param<Tensor<1>>,
    bias_hh: Param<Tensor<1>>,
}

impl Lstm {
    /// Parameters within `1 / sqrt(hidden)`, as PyTorch draws them.
    pub(crate) fn new(inputs: usize, hidden: usize, device: &Device) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Self {
            weight_ih: uniform.init([4 * hidden, inputs], device),
            weight_hh: uniform.init([4 * hidden, hidden], device),
            bias_ih: uniform.init([4 * hidden], device),
            bias_hh: uniform.init([4 * hidden], device),
        }
    }

    /// The hidden state after each step.
    ///
    /// # Shapes
    /// - input: `[batch, steps, inputs]`
    /// - output: `[batch, steps, hidden]`
    pub(crate) fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch, steps, inputs] = input.dims();
        let weight = self.weight_ih.val().transpose();
        let gates = weight.dims()[1];
        let bias = (self.bias_ih.val() + self.bias_hh.val()).unsqueeze();
        let projected = product(input.reshape([batch * steps, inputs]), weight) + bias;
        let projected = projected.reshape([batch, steps, gates]);
        let weight = self.weight_hh.val();
        note(|| batch * steps * weight.shape().num_elements());
        cpu::lstm(&projected, &weight).unwrap_or_else(|| recurrence(projected, weight))
    }
}

/// The recurrent part, where there is no kernel for it.
fn recurrence(projected: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [batch, _, gates] = projected.dims();
    let size = gates / 4;
    let weight = weight.transpose();
    let mut hidden = Tensor::zeros([batch, size], &projected.device());
    let mut cell = Tensor::zeros([batch, size], &projected.device());
    let states = projected.iter_dim(1).map(|projected| {
        let sums = projected.squeeze_dim::<2>(1) + hidden.clone().matmul(weight.clone());
        let gate = |block: usize| sums.clone().narrow(1, block * size, size);
        cell = sigmoid(gate(1)) * cell.clone() + sigmoid(gate(0)) * gate(2).tanh();
        hidden = sigmoid(gate(3)) * cell.clone().tanh();
        hidden.clone().unsqueeze_dim(1)
    });
    Tensor::cat(states.collect(), 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    /// Burn computes the gradients of the equations as they are written above.
    #[test]
    fn the_kernel_gives_the_outputs_and_gradients_of_the_equations() {
        let device = Device::flex().autodiff();
        device.seed(4);
        for [batch, steps, hidden] in [[1, 1, 3], [3, 7, 5], [6, 4, 17]] {
            let normal = Distribution::Normal(0.0, 1.0);
            let projected = Tensor::<3>::random([batch, steps, 4 * hidden], normal, &device).require_grad();
            let weight = Tensor::<2>::random([4 * hidden, hidden], normal, &device).require_grad();
            let direction = Tensor::<3>::random([batch, steps, hidden], normal, &device);
            let of = |output: Tensor<3>| {
                let gradients = (output.clone() * direction.clone()).sum().backward();
                let of_projected = projected.grad(&gradients).expect("a gradient");
                [values(output), values(of_projected), values(weight.grad(&gradients).expect("a gradient"))]
            };
            let ours = of(cpu::lstm(&projected, &weight).expect("the CPU's kernel applies"));
            let theirs = of(recurrence(projected.clone(), weight.clone()));
            let plain = cpu::lstm(&projected.clone().inner(), &weight.clone().inner());
            assert_eq!(values(plain.expect("the CPU's kernel applies")), ours[0]);
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let scale = theirs.iter().fold(1.0f32, |most, value| most.max(value.abs()));
                assert_eq!(ours.len(), theirs.len());
                for (a, b) in ours.iter().zip(theirs) {
                    assert!((a - b).abs() < 1e-5 * scale, "{batch} {steps} {hidden}: {a} and {b}");
                }
            }
        }
    }
}
