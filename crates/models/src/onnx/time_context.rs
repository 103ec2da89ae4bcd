//! The one-dimensional block of [`ReDimNet`](crate::ReDimNet).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::stages::conv_bn;
use crate::redimnet::{HEADS, KERNELS};

/// Fewer channels, convolutions, attention, the channels again, and a shortcut.
pub(super) fn time_context(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let [size, _, _] = g.shape(&part("red_dim_conv.0.weight"));
    let hidden = g.conv(&part("red_dim_conv.0"), input, Steps::EACH);
    let mut hidden = g.layer_norm(&part("red_dim_conv.1"), &hidden, 1, 3);
    for (place, kernel) in KERNELS.into_iter().enumerate() {
        hidden = convolution(g, &part(&format!("tcm.{place}")), &hidden, kernel, size);
    }
    let hidden = transformer(g, &part(&format!("tcm.{}", KERNELS.len())), &hidden, size);
    let hidden = g.conv(&part("exp_dim_conv"), &hidden, Steps::EACH);
    g.add(input, &hidden)
}

/// A convolution of each channel over time, BatchNorm, GELU, a mix of the channels, and a shortcut.
fn convolution(g: &mut NetworkGraph<'_>, name: &str, input: &Value, kernel: usize, channels: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let steps = Steps { groups: channels, ..Steps::padded(kernel / 2) };
    let hidden = conv_bn(g, &part("dwconvs.0"), &part("norm"), input, steps);
    let hidden = g.gelu(&hidden);
    let hidden = g.conv(&part("pwconv1"), &hidden, Steps::EACH);
    g.add(input, &hidden)
}

/// A layer of a Transformer's encoder.
fn transformer(g: &mut NetworkGraph<'_>, name: &str, input: &Value, size: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let input = g.transpose(input, &[0, 2, 1]);
    let answer = attention(g, &part("attention"), &input, size);
    let sum = g.add(&answer, &input);
    let hidden = g.layer_norm(&part("layer_norm"), &sum, 2, 3);
    let inner = g.linear_of_frames(&part("feed_forward.intermediate_dense"), &hidden);
    let inner = g.gelu_by_tanh(&inner);
    let inner = g.linear_of_frames(&part("feed_forward.output_dense"), &inner);
    let sum = g.add(&inner, &hidden);
    let hidden = g.layer_norm(&part("final_layer_norm"), &sum, 2, 3);
    g.transpose(&hidden, &[0, 2, 1])
}

/// Scaled dot-product attention with several heads, of `[batch, frames, size]`.
fn attention(g: &mut NetworkGraph<'_>, name: &str, input: &Value, size: usize) -> Value {
    let of_head = size / HEADS;
    let heads = |g: &mut NetworkGraph<'_>, projection: &str, axes: [i64; 4]| {
        let projected = g.linear_of_frames(&format!("{name}.{projection}"), input);
        let heads = g.reshape(&projected, &[0, 0, HEADS as i64, of_head as i64]);
        g.transpose(&heads, &axes)
    };
    let queries = heads(g, "q_proj", [0, 2, 1, 3]);
    let queries = g.times(&queries, 1.0 / (of_head as f64).sqrt());
    let keys = heads(g, "k_proj", [0, 2, 3, 1]);
    let values = heads(g, "v_proj", [0, 2, 1, 3]);
    let scores = g.op("MatMul", &[&queries, &keys], &[]);
    let weights = g.softmax(&scores, 3);
    let answers = g.op("MatMul", &[&weights, &values], &[]);
    let answers = g.transpose(&answers, &[0, 2, 1, 3]);
    let joined = g.reshape(&answers, &[0, 0, size as i64]);
    g.linear_of_frames(&format!("{name}.out_proj"), &joined)
}
