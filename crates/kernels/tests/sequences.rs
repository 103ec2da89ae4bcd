//! LSTM layers over sequences against the equations of the cell, in double precision, and gradients against differences.

mod numbers;

use ffsvc_kernels::{Lstm, LstmSequences, LstmState};
use numbers::numbers;

/// The equations as they are written: outputs `[batch, steps, hidden]`.
fn by_definition(layer: &LstmSequences, projected: &[f64], weights: &[f64]) -> Vec<f64> {
    let LstmSequences { steps, hidden, .. } = *layer;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut output = Vec::new();
    for projected in projected.chunks_exact(steps * 4 * hidden) {
        let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
        for projected in projected.chunks_exact(4 * hidden) {
            let gate = |k: usize| -> f64 {
                let row = &weights[k * hidden..(k + 1) * hidden];
                projected[k] + row.iter().zip(&h).map(|(w, h)| w * h).sum::<f64>()
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
    }
    output
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

const LAYERS: [LstmSequences; 6] = [
    LstmSequences { batch: 1, steps: 1, hidden: 1 },
    LstmSequences { batch: 1, steps: 7, hidden: 5 },
    LstmSequences { batch: 2, steps: 3, hidden: 16 },
    LstmSequences { batch: 3, steps: 9, hidden: 33 },
    LstmSequences { batch: 9, steps: 4, hidden: 21 },
    LstmSequences { batch: 5, steps: 2, hidden: 64 },
];

#[test]
fn outputs_are_those_of_the_equations() {
    for layer in LAYERS {
        let projected: Vec<f32> = numbers(layer.projected_len(), 1).iter().map(|x| 3.0 * x).collect();
        let weights = numbers(4 * layer.hidden * layer.hidden, 2);
        let mut output = vec![0.0; layer.output_len()];
        layer.forward(&projected, &weights, &mut output, None);
        let expected = by_definition(&layer, &wide(&projected), &wide(&weights));
        for (found, expected) in output.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 2e-6,
                "{layer:?}: {found} where {expected} is right"
            );
        }
        // A sequence alone, and with a memory, gives the same bits.
        let (mut again, mut memory) = (vec![0.0; layer.output_len()], layer.memory());
        layer.forward(&projected, &weights, &mut again, Some(&mut memory));
        assert_eq!(again, output);
        let alone = LstmSequences { batch: 1, ..layer };
        let mut one = vec![0.0; alone.output_len()];
        for (projected, output) in
            projected.chunks_exact(alone.projected_len()).zip(output.chunks_exact(alone.output_len()))
        {
            alone.forward(projected, &weights, &mut one, None);
            assert_eq!(one, output);
        }
    }
}

/// The layer that goes on from a state, with inputs that are the products themselves.
#[test]
fn both_forms_of_the_layer_agree() {
    let layer = LstmSequences { batch: 1, steps: 6, hidden: 10 };
    let (projected, weights) = (numbers(layer.projected_len(), 3), numbers(400, 4));
    let identity: Vec<f32> = (0..1600).map(|n| f32::from(u8::from(n / 40 == n % 40))).collect();
    let (zeros, mut state) = ([0.0; 40], LstmState::zeros(10));
    let lstm =
        Lstm { input_weights: &identity, hidden_weights: &weights, input_bias: &zeros, hidden_bias: &zeros };
    let (mut stepwise, mut whole) = (vec![0.0; layer.output_len()], vec![0.0; layer.output_len()]);
    lstm.forward(&projected, &mut state, &mut stepwise);
    layer.forward(&projected, &weights, &mut whole, None);
    for (a, b) in stepwise.iter().zip(&whole) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
}

/// Central differences of the definition, of a loss that weighs each output.
#[test]
fn gradients_are_those_of_the_equations() {
    for layer in LAYERS {
        let hidden = layer.hidden;
        let (projected, weights) = (numbers(layer.projected_len(), 5), numbers(4 * hidden * hidden, 6));
        let direction = numbers(layer.output_len(), 7);
        let (mut output, mut memory) = (vec![0.0; layer.output_len()], layer.memory());
        layer.forward(&projected, &weights, &mut output, Some(&mut memory));
        let mut found = vec![0.0; layer.projected_len()];
        layer.backward(&weights, &memory, &direction, &mut found);
        let loss = |projected: &[f64]| -> f64 {
            let output = by_definition(&layer, projected, &wide(&weights));
            output.iter().zip(&direction).map(|(output, weight)| output * f64::from(*weight)).sum()
        };
        let mut projected = wide(&projected);
        // Some of them, spread over gates, units, steps and sequences.
        for place in (0..projected.len()).step_by(1 + projected.len() / 97) {
            let value = projected[place];
            let mut at = |x: f64| {
                projected[place] = x;
                loss(&projected)
            };
            let expected = (at(value + 1e-5) - at(value - 1e-5)) / 2e-5;
            at(value);
            let error = (f64::from(found[place]) - expected).abs();
            assert!(error < 2e-6 * (1.0 + expected.abs()), "{layer:?} {place}: {} {expected}", found[place]);
        }
    }
}

#[test]
fn nothing_comes_of_no_sequences_and_no_steps() {
    for layer in
        [LstmSequences { batch: 0, steps: 3, hidden: 2 }, LstmSequences { batch: 3, steps: 0, hidden: 2 }]
    {
        layer.forward(&[], &[0.5; 16], &mut [], None);
        layer.backward(&[0.5; 16], &layer.memory(), &[], &mut []);
    }
}
