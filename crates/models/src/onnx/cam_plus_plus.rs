//! [`CamPlusPlus`](crate::CamPlusPlus).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::with_floor;
use super::stages::{conv_bn, conv_bn_relu, shortcut};
use crate::cam_plus_plus::{BLOCKS, FRONT_CHANNELS, SEGMENT, STEM_KERNEL};
use crate::pooling::all_positions::VARIANCE_FLOOR;

fn res_block(g: &mut NetworkGraph<'_>, name: &str, input: &Value, frequency_stride: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let stride = (frequency_stride, 1);
    let steps = Steps { stride, ..Steps::padded(1) };
    let hidden = conv_bn_relu(g, &part("conv1"), &part("bn1"), input, steps);
    let hidden = conv_bn(g, &part("conv2"), &part("bn2"), &hidden, Steps::padded(1));
    let past = shortcut(g, &part("shortcut"), input, stride);
    let sum = g.add(&hidden, &past);
    g.relu(&sum)
}

/// The front: `[batch, channels * frequencies / 8, frames]`.
fn front(g: &mut NetworkGraph<'_>, features: &Value, num_mels: usize) -> Value {
    let map = g.unsqueeze(features, &[1]);
    let mut hidden = conv_bn_relu(g, "head.conv1", "head.bn1", &map, Steps::padded(1));
    for layer in ["head.layer1", "head.layer2"] {
        hidden = res_block(g, &format!("{layer}.0"), &hidden, 2);
        hidden = res_block(g, &format!("{layer}.1"), &hidden, 1);
    }
    let halved = Steps { stride: (2, 1), ..Steps::padded(1) };
    let hidden = conv_bn_relu(g, "head.conv2", "head.bn2", &hidden, halved);
    g.reshape(&hidden, &[0, (FRONT_CHANNELS * num_mels.div_ceil(8)) as i64, -1])
}

/// BatchNorm and ReLU.
fn nonlinear(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let hidden = g.batch_norm(&format!("{name}.batchnorm"), input);
    g.relu(&hidden)
}

/// Context-aware masking: a convolution whose channels are weighted by the mean of the utterance plus that of the segment.
fn cam_layer(g: &mut NetworkGraph<'_>, name: &str, input: &Value, dilation: usize) -> Value {
    let local = g.conv(&format!("{name}.linear_local"), input, Steps::dilated(dilation));
    let utterance = g.mean(input, &[2]);
    let segment = SEGMENT as i64;
    // The last segment is averaged over the frames that it has.
    let pool = [
        ("kernel_shape", (&[segment][..]).into()),
        ("strides", (&[segment][..]).into()),
        ("ceil_mode", 1.into()),
        ("count_include_pad", 0.into()),
    ];
    let segments = g.op("AveragePool", &[input], &pool);
    let context = g.add(&utterance, &segments);
    let hidden = g.conv(&format!("{name}.linear1"), &context, Steps::EACH);
    let hidden = g.relu(&hidden);
    let mask = g.conv(&format!("{name}.linear2"), &hidden, Steps::EACH);
    let mask = g.sigmoid(&mask);
    // The mask of a segment for each of its frames.
    let mask = g.unsqueeze(&mask, &[3]);
    let repeated = g.graph.integers(&[1, 1, 1, segment]);
    let mask = g.op("Expand", &[&mask, &repeated], &[]);
    let [channels, _, _] = g.shape(&format!("{name}.linear_local.weight"));
    let mask = g.reshape(&mask, &[0, channels as i64, -1]);
    let start = g.graph.integers(&[0]);
    let frames = g.op("Shape", &[&local], &[("start", 2.into())]);
    let mask = g.slice(&mask, 2, &start, &frames);
    g.mul(&local, &mask)
}

/// A bottleneck and a masked convolution.
fn dense_layer(g: &mut NetworkGraph<'_>, name: &str, input: &Value, dilation: usize) -> Value {
    let hidden = nonlinear(g, &format!("{name}.nonlinear1"), input);
    let hidden = g.conv(&format!("{name}.linear1"), &hidden, Steps::EACH);
    let hidden = nonlinear(g, &format!("{name}.nonlinear2"), &hidden);
    cam_layer(g, &format!("{name}.cam_layer"), &hidden, dilation)
}

pub(super) fn embedding(g: &mut NetworkGraph<'_>, features: &Value, num_mels: usize) -> Value {
    let hidden = front(g, features, num_mels);
    let stem = Steps { stride: (1, 2), ..Steps::padded(STEM_KERNEL / 2) };
    let hidden = g.conv("xvector.tdnn.linear", &hidden, stem);
    let mut hidden = nonlinear(g, "xvector.tdnn.nonlinear", &hidden);
    for (block, (layers, dilation)) in (1..).zip(BLOCKS) {
        for layer in 0..layers {
            let added = dense_layer(g, &format!("xvector.block{block}.tdnnd.{layer}"), &hidden, dilation);
            hidden = g.concatenate(&[&hidden, &added], 1);
        }
        hidden = nonlinear(g, &format!("xvector.transit{block}.nonlinear"), &hidden);
        hidden = g.conv(&format!("xvector.transit{block}.linear"), &hidden, Steps::EACH);
    }
    let hidden = nonlinear(g, "xvector.out_nonlinear", &hidden);
    let statistics = with_floor(g, &hidden, VARIANCE_FLOOR);
    let embedding = g.conv("xvector.dense.linear", &statistics, Steps::EACH);
    let embedding = g.flatten(&embedding);
    g.batch_norm("xvector.dense.nonlinear.batchnorm", &embedding)
}
