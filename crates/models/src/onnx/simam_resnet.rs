//! [`SimAmResNet`](crate::SimAmResNet).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{per_frequency, relu_attentive};
use super::stages::{conv_bn, conv_bn_relu, shortcut, stages};
use crate::simam_resnet::{LAMBDA, SimAmResNetConfig};

/// `x sigmoid(d / (4 (v + lambda)) + 1/2)` with `d` the squared distance from the mean of the channel, `v` its unbiased variance.
fn simam(g: &mut NetworkGraph<'_>, map: &Value) -> Value {
    let mean = g.mean(map, &[2, 3]);
    let centred = g.sub(map, &mean);
    let distance = g.mul(&centred, &centred);
    let axes = g.graph.integers(&[2, 3]);
    let squares = g.op("ReduceSum", &[&distance, &axes], &[("keepdims", 1.into())]);
    let others = g.degrees_of_freedom(map, 2);
    let variance = g.div(&squares, &others);
    let variance = g.add_number(&variance, LAMBDA);
    let scale = g.times(&variance, 4.0);
    let energy = g.div(&distance, &scale);
    let energy = g.add_number(&energy, 0.5);
    let gain = g.sigmoid(&energy);
    g.mul(map, &gain)
}

fn block(g: &mut NetworkGraph<'_>, name: &str, input: &Value, stride: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = conv_bn_relu(g, &part("conv1"), &part("bn1"), input, Steps::padded(1).every(stride));
    let hidden = conv_bn(g, &part("conv2"), &part("bn2"), &hidden, Steps::padded(1));
    let hidden = simam(g, &hidden);
    let past = shortcut(g, &part("downsample"), input, (stride, stride));
    let sum = g.add(&hidden, &past);
    g.relu(&sum)
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &SimAmResNetConfig,
    features: &Value,
    num_mels: usize,
) -> Value {
    let [_, _, _, map] = stages(g, features, config.blocks().unwrap_or_default(), block);
    let rows = per_frequency(g, &map, 8 * config.in_planes * num_mels.div_ceil(8));
    let statistics = relu_attentive(g, "pooling.attention", &rows);
    let statistics = g.flatten(&statistics);
    g.linear("bottleneck", &statistics)
}
