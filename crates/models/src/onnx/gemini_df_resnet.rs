//! [`GeminiDfResNet`](crate::GeminiDfResNet).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{per_frequency, tstp};
use super::stages::{conv_bn, conv_bn_relu};
use crate::gemini_df_resnet::{EXPANSION, GeminiDfResNetConfig, TIME_STRIDES, WIDTHS};
use crate::pooling::tstp::WESPEAKER_EPSILON;

/// 1x1 convolution to four times the channels, a 3x3 convolution of each of them, 1x1 convolution back, and a shortcut.
fn inverted_bottleneck(g: &mut NetworkGraph<'_>, name: &str, input: &Value, channels: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let of_each = Steps { groups: EXPANSION * channels, ..Steps::padded(1) };
    let hidden = conv_bn_relu(g, &part("conv1"), &part("bn1"), input, Steps::EACH);
    let hidden = conv_bn_relu(g, &part("conv2"), &part("bn2"), &hidden, of_each);
    let hidden = conv_bn(g, &part("conv3"), &part("bn3"), &hidden, Steps::EACH);
    let sum = g.add(&hidden, input);
    g.relu(&sum)
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &GeminiDfResNetConfig,
    features: &Value,
    num_mels: usize,
) -> Value {
    let widths = WIDTHS.map(|width| width * config.in_planes);
    let blocks = config.blocks().unwrap_or_default();
    let names =
        |layer: usize| (format!("downsample_layers.{layer}.0"), format!("downsample_layers.{layer}.1"));
    let map = g.unsqueeze(features, &[1]);
    let (conv, bn) = names(0);
    let mut hidden = conv_bn_relu(g, &conv, &bn, &map, Steps::padded(1));
    for stage in 0..blocks.len() {
        let (conv, bn) = names(stage + 1);
        let shrinking = Steps { stride: (2, TIME_STRIDES[stage]), ..Steps::padded(1) };
        hidden = conv_bn(g, &conv, &bn, &hidden, shrinking);
        for place in 0..blocks[stage] {
            hidden = inverted_bottleneck(g, &format!("stages.{stage}.{place}"), &hidden, widths[stage + 1]);
        }
    }
    let rows = per_frequency(g, &hidden, widths[4] * num_mels.div_ceil(16));
    let statistics = tstp(g, &rows, WESPEAKER_EPSILON);
    let statistics = g.flatten(&statistics);
    g.linear("seg_1", &statistics)
}
