//! [`ReDimNet2`](crate::ReDimNet2): the blocks of [`redimnet`](super::redimnet) at lower and lower frame rates.

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{attentive, per_frequency};
use super::redimnet::{planar, to_map, to_rows, weighted_sum};
use super::time_context::time_context;
use super::wespeaker_ecapa::normalised_linear;
use crate::redimnet::SQUEEZE_EPSILON;
use crate::redimnet2::{ReDimNet2Config, greatest_common_divisor};

/// Without the last frames that fill no stride.
fn whole_strides(g: &mut NetworkGraph<'_>, features: &Value, time_stride: usize) -> Value {
    let frames = g.op("Shape", &[features], &[("start", 2.into())]);
    let stride = g.graph.integers(&[time_stride as i64]);
    let strides = g.div(&frames, &stride);
    let end = g.mul(&strides, &stride);
    let start = g.graph.integers(&[0]);
    g.slice(features, 2, &start, &end)
}

/// Every frame so many times.
fn repeat_frames(g: &mut NetworkGraph<'_>, input: &Value, rows: usize, times: usize) -> Value {
    if times == 1 {
        return input.clone();
    }
    let frames = g.unsqueeze(input, &[3]);
    let shape = g.graph.integers(&[1, 1, 1, times as i64]);
    let repeated = g.op("Expand", &[&frames, &shape], &[]);
    g.reshape(&repeated, &[0, rows as i64, -1])
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &ReDimNet2Config,
    features: &Value,
    num_mels: usize,
) -> Value {
    let rows = config.channels * num_mels;
    let features = whole_strides(g, features, config.time_stride());
    let map = g.unsqueeze(&features, &[1]);
    let stem = g.conv("backbone.stem.0", &map, Steps::padded(1));
    let stem = g.layer_norm("backbone.stem.1", &stem, 1, 4);
    let mut maps = vec![to_rows(g, &stem, rows)];
    let (mut channels, mut frequencies, mut time_stride) = (config.channels, num_mels, 1);
    for (place, stage) in config.stages.iter().enumerate() {
        let part = |part: &str| format!("backbone.stages.{place}.{part}");
        time_stride *= stage.time_stride;
        let sum = weighted_sum(g, &part("sum"), &maps);
        let map = to_map(g, &sum, frequencies, channels);
        let steps = Steps {
            stride: (stage.frequency_stride, time_stride),
            groups: greatest_common_divisor(channels, stage.inner_channels),
            ..Steps::EACH
        };
        let mut map = g.conv(&part("reshape"), &map, steps);
        (channels, frequencies) = (channels * stage.frequency_stride, frequencies / stage.frequency_stride);
        for block in 0..stage.blocks {
            let name = part(&format!("blocks.{block}"));
            map = planar(g, config.block, &name, &map, stage.inner_channels / config.group_size);
        }
        if stage.inner_channels != channels {
            map = g.conv(&part("squeeze.0"), &map, Steps::EACH);
            map = g.batch_norm_with(&part("squeeze.1"), &map, SQUEEZE_EPSILON);
        }
        let mut output = to_rows(g, &map, rows);
        if stage.reduction.is_some() {
            output = time_context(g, &part("context"), &output);
        }
        maps.push(repeat_frames(g, &output, rows, time_stride));
    }
    let sum = weighted_sum(g, "backbone.fin_wght1d", &maps);
    let pooled = match (config.head_channels, config.planar_head) {
        (0, _) => sum,
        (_, false) => g.conv("backbone.head", &sum, Steps::EACH),
        (size, true) => {
            let map = to_map(g, &sum, frequencies, channels);
            let map = g.conv("backbone.head", &map, Steps::EACH);
            per_frequency(g, &map, frequencies * size)
        }
    };
    let statistics = attentive(g, "pool", &pooled);
    normalised_linear(g, &statistics)
}
