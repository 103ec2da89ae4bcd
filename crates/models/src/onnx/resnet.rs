//! [`ResNet`](crate::ResNet).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{attentive, multi_query, per_frequency, tstp, with_floor};
use super::stages::{conv_bn, conv_bn_relu, shortcut, stages};
use crate::pooling::PoolingConfig;
use crate::pooling::all_positions::VARIANCE_FLOOR;
use crate::pooling::tstp::WESPEAKER_EPSILON;
use crate::resnet::{EXPANSION, ResNetConfig};

fn basic(g: &mut NetworkGraph<'_>, name: &str, input: &Value, stride: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = conv_bn_relu(g, &part("conv1"), &part("bn1"), input, Steps::padded(1).every(stride));
    let hidden = conv_bn(g, &part("conv2"), &part("bn2"), &hidden, Steps::padded(1));
    let past = shortcut(g, &part("downsample"), input, (stride, stride));
    let sum = g.add(&hidden, &past);
    g.relu(&sum)
}

fn bottleneck(g: &mut NetworkGraph<'_>, name: &str, input: &Value, stride: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = conv_bn_relu(g, &part("conv1"), &part("bn1"), input, Steps::EACH);
    let hidden = conv_bn_relu(g, &part("conv2"), &part("bn2"), &hidden, Steps::padded(1).every(stride));
    let hidden = conv_bn(g, &part("conv3"), &part("bn3"), &hidden, Steps::EACH);
    let past = shortcut(g, &part("downsample"), input, (stride, stride));
    let sum = g.add(&hidden, &past);
    g.relu(&sum)
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &ResNetConfig,
    features: &Value,
    num_mels: usize,
) -> Value {
    let (blocks, is_bottleneck) = config.stages().unwrap_or_default();
    let block = if is_bottleneck { bottleneck } else { basic };
    let [_, _, _, map] = stages(g, features, blocks, block);
    let channels = 8 * config.in_planes * if is_bottleneck { EXPANSION } else { 1 };
    let rows = channels * num_mels.div_ceil(8);
    let statistics = match config.pooling {
        PoolingConfig::StatsAll => {
            let positions = g.reshape(&map, &[0, channels as i64, -1]);
            with_floor(g, &positions, VARIANCE_FLOOR)
        }
        PoolingConfig::Tstp => {
            let rows = per_frequency(g, &map, rows);
            tstp(g, &rows, WESPEAKER_EPSILON)
        }
        PoolingConfig::Attentive | PoolingConfig::Astp => {
            let rows = per_frequency(g, &map, rows);
            attentive(g, "pool", &rows)
        }
        PoolingConfig::Mqmha => {
            let map = per_frequency(g, &map, rows);
            multi_query(g, "pool", &map, rows)
        }
    };
    let statistics = g.flatten(&statistics);
    g.linear("bottleneck", &statistics)
}
