//! [`ReDimNet`](crate::ReDimNet): stages and two-dimensional blocks.

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::attentive;
use super::stages::conv_bn;
use super::time_context::time_context;
use super::wespeaker_ecapa::normalised_linear;
use crate::redimnet::{BlockKind, ReDimNetConfig, SQUEEZE_EPSILON};

/// A 3x3 convolution in groups.
fn grouped(groups: usize) -> Steps {
    Steps { groups, ..Steps::padded(1) }
}

/// `[batch, channels, frequencies, frames]` as `[batch, frequencies * channels, frames]`.
pub(super) fn to_rows(g: &mut NetworkGraph<'_>, map: &Value, rows: usize) -> Value {
    let map = g.transpose(map, &[0, 2, 1, 3]);
    g.reshape(&map, &[0, rows as i64, -1])
}

/// The inverse of [`to_rows`].
pub(super) fn to_map(g: &mut NetworkGraph<'_>, rows: &Value, frequencies: usize, channels: usize) -> Value {
    let map = g.reshape(rows, &[0, frequencies as i64, channels as i64, -1]);
    g.transpose(&map, &[0, 2, 1, 3])
}

/// A two-dimensional block.
pub(super) fn planar(
    g: &mut NetworkGraph<'_>,
    kind: BlockKind,
    name: &str,
    input: &Value,
    groups: usize,
) -> Value {
    match kind {
        BlockKind::ConvNeXt => convnext(g, name, input, groups),
        BlockKind::Basic | BlockKind::BasicSe => basic(g, name, input, groups),
    }
}

/// A sum of maps, with a weight for each map and row: `softmax` over the maps.
pub(super) fn weighted_sum(g: &mut NetworkGraph<'_>, name: &str, maps: &[Value]) -> Value {
    let weights = g.tensor(&format!("{name}.w"));
    let weights = g.softmax(&weights, 1);
    let axis = g.graph.integers(&[1]);
    let weighted: Vec<Value> = g
        .split(&weights, 1, maps.len(), 1)
        .iter()
        .zip(maps)
        .map(|(weight, map)| {
            let weight = g.op("Squeeze", &[weight, &axis], &[]);
            g.mul(map, &weight)
        })
        .collect();
    g.op("Sum", &Vec::from_iter(&weighted), &[])
}

/// Two grouped 3x3 convolutions, each with a 1x1 convolution behind it, and a shortcut.
fn basic(g: &mut NetworkGraph<'_>, name: &str, input: &Value, groups: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = g.conv(&part("conv1"), input, grouped(groups));
    let hidden = g.conv(&part("conv1pw"), &hidden, Steps::EACH);
    let hidden = g.relu(&hidden);
    let hidden = g.batch_norm(&part("bn1"), &hidden);
    let hidden = g.conv(&part("conv2"), &hidden, grouped(groups));
    let hidden = conv_bn(g, &part("conv2pw"), &part("bn2"), &hidden, Steps::EACH);
    let gained = part("se");
    let hidden = match g.has(&format!("{gained}.squeeze.weight")) {
        true => frequency_gain(g, &gained, &hidden),
        false => hidden,
    };
    let sum = g.add(&hidden, input);
    g.relu(&sum)
}

/// Squeeze-excitation of frequencies: a gain for each, from the means over channels and frames.
fn frequency_gain(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let mean = g.mean(input, &[1, 3]);
    let mean = g.reshape(&mean, &[0, -1]);
    let hidden = g.linear(&format!("{name}.squeeze"), &mean);
    let hidden = g.relu(&hidden);
    let gain = g.linear(&format!("{name}.exitation"), &hidden);
    let gain = g.sigmoid(&gain);
    let gain = g.unsqueeze(&gain, &[1, 3]);
    g.mul(input, &gain)
}

/// A grouped 3x3 convolution, BatchNorm, GELU, a 1x1 convolution, and a shortcut.
fn convnext(g: &mut NetworkGraph<'_>, name: &str, input: &Value, groups: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = conv_bn(g, &part("dwconvs.0"), &part("norm"), input, grouped(groups));
    let hidden = g.gelu(&hidden);
    let hidden = g.conv(&part("pwconv1"), &hidden, Steps::EACH);
    g.add(input, &hidden)
}

/// From the expanded channels of the blocks to those of the stage.
fn squeeze(g: &mut NetworkGraph<'_>, name: &str, input: &Value, groups: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = g.conv(&part("conv"), input, grouped(groups));
    let hidden = g.batch_norm_with(&part("bn"), &hidden, SQUEEZE_EPSILON);
    let hidden = g.gelu(&hidden);
    g.conv(&part("pointwise"), &hidden, Steps::EACH)
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &ReDimNetConfig,
    features: &Value,
    num_mels: usize,
) -> Value {
    let rows = config.channels * num_mels;
    let map = g.unsqueeze(features, &[1]);
    let stem = g.conv("backbone.stem.0", &map, Steps::padded(1));
    let stem = g.layer_norm("backbone.stem.1", &stem, 1, 4);
    let mut maps = vec![to_rows(g, &stem, rows)];
    let (mut channels, mut frequencies) = (config.channels, num_mels);
    for (place, stage) in config.stages.iter().enumerate() {
        let part = |part: &str| format!("backbone.stages.{place}.{part}");
        let sum = weighted_sum(g, &part("sum"), &maps);
        let map = to_map(g, &sum, frequencies, channels);
        let stride = (stage.stride, 1);
        let mut map = g.conv(&part("reshape"), &map, Steps { stride, ..Steps::EACH });
        (channels, frequencies) = (channels * stage.stride, frequencies / stage.stride);
        let inner = channels * stage.expansion;
        for place in 0..stage.blocks {
            let name = part(&format!("blocks.{place}"));
            map = planar(g, config.block, &name, &map, inner / config.group_size);
        }
        if stage.expansion > 1 {
            map = squeeze(g, &part("squeeze"), &map, channels / config.group_size);
        }
        let mut output = to_rows(g, &map, rows);
        if stage.reduction.is_some() {
            output = time_context(g, &part("context"), &output);
        }
        maps.push(output);
    }
    let sum = weighted_sum(g, "backbone.fin_wght1d", &maps);
    let statistics = attentive(g, "pool", &sum);
    normalised_linear(g, &statistics)
}
