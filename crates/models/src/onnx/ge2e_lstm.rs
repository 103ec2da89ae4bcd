//! [`Ge2eLstm`](crate::Ge2eLstm), of one window.

use ffsvc_onnx::Value;

use super::layers::NetworkGraph;
use crate::ge2e_lstm::{Ge2eLstmConfig, LEAST_LENGTH};

pub(super) fn embedding(g: &mut NetworkGraph<'_>, config: &Ge2eLstmConfig, features: &Value) -> Value {
    // The operator has the steps first: `[frames, batch, mel]`.
    let mut hidden = g.transpose(features, &[2, 0, 1]);
    let mut last = hidden.clone();
    for layer in 0..config.layers {
        (hidden, last) = lstm(g, &format!("lstm.{layer}"), &hidden, config.hidden);
    }
    let linear = g.linear("linear", &last);
    let embedding = g.relu(&linear);
    let squares = g.mul(&embedding, &embedding);
    let squared = g.sum(&squares, 1);
    let squared = g.at_least(&squared, LEAST_LENGTH * LEAST_LENGTH);
    let length = g.sqrt(&squared);
    g.div(&embedding, &length)
}

/// The layer's outputs, `[frames, batch, hidden]`, and the last one, `[batch, hidden]`.
fn lstm(g: &mut NetworkGraph<'_>, name: &str, input: &Value, hidden: usize) -> (Value, Value) {
    let [weight_ih, weight_hh, bias_ih, bias_hh] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        .map(|part| reordered(g, &format!("{name}.{part}"), hidden));
    let weights = [&weight_ih, &weight_hh].map(|weight| g.unsqueeze(weight, &[0]));
    let biases = g.concatenate(&[&bias_ih, &bias_hh], 0);
    let biases = g.unsqueeze(&biases, &[0]);
    let settings = [("hidden_size", (hidden as i64).into())];
    let inputs = [input, &weights[0], &weights[1], &biases];
    // The first output has an axis of directions behind that of the steps, the second one before that of the batch.
    let outputs = g.graph.node_with_outputs("LSTM", &inputs, &settings, 2);
    let squeezed = |g: &mut NetworkGraph<'_>, value: &Value, axis: i64| {
        let axes = g.graph.integers(&[axis]);
        g.op("Squeeze", &[value, &axes], &[])
    };
    (squeezed(g, &outputs[0], 1), squeezed(g, &outputs[1], 0))
}

/// The operator has the gates in the order input, output, forget, cell.
fn reordered(g: &mut NetworkGraph<'_>, name: &str, hidden: usize) -> Value {
    let tensor = g.tensor(name);
    let gates = g.split(&tensor, hidden, 4, 0);
    g.concatenate(&[&gates[0], &gates[3], &gates[1], &gates[2]], 0)
}
