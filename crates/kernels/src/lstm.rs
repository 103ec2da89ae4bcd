//! A layer of LSTM cells.

/// Sums that run side by side in a dot product.
const LANES: usize = 16;

/// A layer of long short-term memory with the parameters of PyTorch's `LSTM` and `LSTMCell`: the rows of the weights are the
/// input, forget, cell and output gates, one block after the other.
///
/// ```
/// use ffsvc_kernels::{Lstm, LstmState};
///
/// // One input, one unit. The gates are open, and the new content of the cell is tanh(input).
/// let lstm = Lstm {
///     input_weights: &[0.0, 0.0, 1.0, 0.0],
///     hidden_weights: &[0.0; 4],
///     input_bias: &[100.0; 4].map(|bias| bias),
///     hidden_bias: &[0.0, 0.0, -100.0, 0.0],
/// };
/// let mut state = LstmState::zeros(1);
/// let mut output = [0.0; 2];
/// lstm.forward(&[0.5, 0.25], &mut state, &mut output);
/// let (first, both) = (0.5_f32.tanh(), 0.5_f32.tanh() + 0.25_f32.tanh());
/// assert_eq!(output, [first.tanh(), both.tanh()]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Lstm<'a> {
    /// Of the input, `[4 * hidden, inputs]`.
    pub input_weights: &'a [f32],
    /// Of the hidden state, `[4 * hidden, hidden]`.
    pub hidden_weights: &'a [f32],
    /// Added to the input's products, `[4 * hidden]`.
    pub input_bias: &'a [f32],
    /// Added to the hidden state's products, `[4 * hidden]`.
    pub hidden_bias: &'a [f32],
}

/// What a layer remembers from one step to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct LstmState {
    /// The last output, `[hidden]`.
    pub hidden: Vec<f32>,
    /// The content of the cells, `[hidden]`.
    pub cell: Vec<f32>,
}

impl LstmState {
    /// Before the first step.
    pub fn zeros(hidden: usize) -> Self {
        Self { hidden: vec![0.0; hidden], cell: vec![0.0; hidden] }
    }
}

impl Lstm<'_> {
    /// Runs over `input`, `[steps, inputs]`, from `state` on, which is that after the last step then. Writes the output of each
    /// step to `output`, `[steps, hidden]`. Sums have a fixed order.
    ///
    /// # Panics
    /// A slice whose length is not that of its tensor.
    pub fn forward(&self, input: &[f32], state: &mut LstmState, output: &mut [f32]) {
        let hidden = state.hidden.len();
        let gates = 4 * hidden;
        assert!(hidden > 0 && state.cell.len() == hidden, "a state of {hidden} and {}", state.cell.len());
        assert_eq!(self.hidden_weights.len(), gates * hidden, "weights of the hidden state");
        assert_eq!([self.input_bias.len(), self.hidden_bias.len()], [gates; 2], "a bias for each gate");
        let inputs = self.input_weights.len() / gates;
        assert_eq!(self.input_weights.len(), gates * inputs, "weights of the input");
        let steps = output.len() / hidden;
        assert_eq!([output.len(), input.len()], [steps * hidden, steps * inputs], "output and input");
        let mut sums = vec![0.0; gates];
        for step in 0..steps {
            let input = &input[step * inputs..(step + 1) * inputs];
            for (gate, sum) in sums.iter_mut().enumerate() {
                let of_input = dot(&self.input_weights[gate * inputs..(gate + 1) * inputs], input);
                let of_hidden = dot(&self.hidden_weights[gate * hidden..(gate + 1) * hidden], &state.hidden);
                *sum = (of_input + self.input_bias[gate]) + (of_hidden + self.hidden_bias[gate]);
            }
            let (first, second) = sums.split_at(2 * hidden);
            let ((input_gate, forget), (content, out)) = (first.split_at(hidden), second.split_at(hidden));
            for unit in 0..hidden {
                let kept = sigmoid(forget[unit]) * state.cell[unit];
                state.cell[unit] = kept + sigmoid(input_gate[unit]) * content[unit].tanh();
                state.hidden[unit] = sigmoid(out[unit]) * state.cell[unit].tanh();
            }
            output[step * hidden..(step + 1) * hidden].copy_from_slice(&state.hidden);
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// In [`LANES`] partial sums, which are added in their order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1.
    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let number =
            |n: u32| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / (1 << 23) as f32;
        (0..len as u32).map(|n| number(n ^ seed) - 1.0).collect()
    }

    /// The equations of the cell as they are written, in 64 bits.
    fn by_definition(lstm: &Lstm<'_>, input: &[f32], hidden: usize, inputs: usize) -> Vec<f64> {
        let row = |weights: &[f32], row: usize, of: &[f64]| -> f64 {
            of.iter().enumerate().map(|(k, x)| f64::from(weights[row * of.len() + k]) * x).sum()
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
        let mut output = Vec::new();
        for x in input.chunks_exact(inputs) {
            let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let gate = |k: usize| {
                let bias = f64::from(lstm.input_bias[k]) + f64::from(lstm.hidden_bias[k]);
                row(lstm.input_weights, k, &x) + row(lstm.hidden_weights, k, &h) + bias
            };
            let next: Vec<(f64, f64)> = (0..hidden)
                .map(|unit| {
                    let [i, f, g, o] = [0, 1, 2, 3].map(|block| gate(block * hidden + unit));
                    let cell = sigmoid(f) * c[unit] + sigmoid(i) * g.tanh();
                    (cell, sigmoid(o) * cell.tanh())
                })
                .collect();
            (c, h) = next.into_iter().unzip();
            output.extend_from_slice(&h);
        }
        output
    }

    #[test]
    fn the_output_is_that_of_the_equations_whole_or_in_pieces() {
        for (inputs, hidden, steps) in [(1, 1, 3), (5, 3, 4), (40, 17, 9)] {
            let gates = 4 * hidden;
            let [a, b, c, d] = [gates * inputs, gates * hidden, gates, gates];
            let (a, b, c, d) = (numbers(a, 1), numbers(b, 2), numbers(c, 3), numbers(d, 4));
            let lstm = Lstm { input_weights: &a, hidden_weights: &b, input_bias: &c, hidden_bias: &d };
            let input = numbers(steps * inputs, 5);
            let (mut state, mut whole) = (LstmState::zeros(hidden), vec![0.0; steps * hidden]);
            lstm.forward(&input, &mut state, &mut whole);
            let expected = by_definition(&lstm, &input, hidden, inputs);
            for (found, expected) in whole.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 2e-6, "{found} {expected}");
            }
            let (mut pieces, mut output) = (LstmState::zeros(hidden), vec![0.0; steps * hidden]);
            for (input, output) in input.chunks(2 * inputs).zip(output.chunks_mut(2 * hidden)) {
                lstm.forward(input, &mut pieces, output);
            }
            assert_eq!((output, pieces), (whole, state));
        }
    }
}
