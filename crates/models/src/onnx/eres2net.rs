//! [`ERes2Net`](crate::ERes2Net), [`ERes2NetV2`](crate::ERes2NetV2) and [`Res2Net`](crate::Res2Net), with the blocks of [`crate::res2`].

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{per_frequency, tstp};
use super::stages::{conv_bn, shortcut, stages};
use crate::pooling::tstp::THREE_D_SPEAKER_EPSILON;
use crate::res2::{RELU_CAP, Res2Sizes};
use crate::res2net::Res2NetConfig;

/// A ReLU that is cut off.
fn capped(g: &mut NetworkGraph<'_>, input: &Value) -> Value {
    let (least, most) = (g.graph.number(0.0), g.graph.number(RELU_CAP as f32));
    g.op("Clip", &[input, &least, &most], &[])
}

/// Attentive feature fusion: `(1 + a) x + (1 - a) y`, where `a` comes from both maps.
fn fusion(g: &mut NetworkGraph<'_>, name: &str, x: &Value, y: &Value) -> Value {
    let part = |part: usize| format!("{name}.local_att.{part}");
    let both = g.concatenate(&[x, y], 1);
    let hidden = conv_bn(g, &part(0), &part(1), &both, Steps::EACH);
    let gate = g.sigmoid(&hidden);
    let hidden = g.mul(&hidden, &gate);
    let attention = conv_bn(g, &part(3), &part(4), &hidden, Steps::EACH);
    let attention = g.tanh(&attention);
    let (sum, difference) = (g.add(x, y), g.sub(x, y));
    let tilt = g.mul(&attention, &difference);
    g.add(&sum, &tilt)
}

/// 1x1 convolution to all groups, 3x3 convolutions from group to group, 1x1 convolution, and a shortcut.
fn block(g: &mut NetworkGraph<'_>, name: &str, input: &Value, stride: usize, scale: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = conv_bn(g, &part("conv1"), &part("bn1"), input, Steps::EACH.every(stride));
    let hidden = capped(g, &hidden);
    let [channels, _, _, _] = g.shape(&part("conv1.weight"));
    let mut outputs = g.split(&hidden, channels / scale, scale, 1);
    for group in 0..scale {
        let (conv, bn) = (part(&format!("convs.{group}")), part(&format!("bns.{group}")));
        // The last group of a Res2Net passes as it is.
        if !g.has(&format!("{conv}.weight")) {
            continue;
        }
        let joined = match group {
            0 => outputs[0].clone(),
            _ => {
                let fuse = part(&format!("fuse_models.{}", group - 1));
                let (before, this) = (outputs[group - 1].clone(), outputs[group].clone());
                // Only the blocks of the last two stages fuse their groups by attention.
                if g.has(&format!("{fuse}.local_att.0.weight")) {
                    fusion(g, &fuse, &before, &this)
                } else {
                    g.add(&before, &this)
                }
            }
        };
        let hidden = conv_bn(g, &conv, &bn, &joined, Steps::padded(1));
        outputs[group] = capped(g, &hidden);
    }
    let hidden = g.concatenate(&Vec::from_iter(&outputs), 1);
    let hidden = conv_bn(g, &part("conv3"), &part("bn3"), &hidden, Steps::EACH);
    let past = shortcut(g, &part("shortcut"), input, (stride, stride));
    let sum = g.add(&hidden, &past);
    capped(g, &sum)
}

/// Half the size and twice the channels.
fn downsample(g: &mut NetworkGraph<'_>, name: &str, map: &Value) -> Value {
    g.conv(name, map, Steps::padded(1).every(2))
}

/// The embedding of an ERes2Net, whose four stages are fused.
pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    sizes: &Res2Sizes,
    features: &Value,
    num_mels: usize,
) -> Value {
    let [first, second, third, fourth] = res2_stages(g, sizes, features);
    let past = downsample(g, "layer1_downsample", &first);
    let fused = fusion(g, "fuse_mode12", &second, &past);
    let past = downsample(g, "layer2_downsample", &fused);
    let fused = fusion(g, "fuse_mode123", &third, &past);
    let past = downsample(g, "layer3_downsample", &fused);
    let fused = fusion(g, "fuse_mode1234", &fourth, &past);
    pooled(g, sizes, &fused, num_mels, THREE_D_SPEAKER_EPSILON)
}

/// The embedding of an ERes2NetV2, whose last two stages are fused.
pub(super) fn embedding_v2(
    g: &mut NetworkGraph<'_>,
    sizes: &Res2Sizes,
    features: &Value,
    num_mels: usize,
) -> Value {
    let [_, _, third, fourth] = res2_stages(g, sizes, features);
    let past = downsample(g, "layer3_ds", &third);
    let fused = fusion(g, "fuse34", &fourth, &past);
    pooled(g, sizes, &fused, num_mels, THREE_D_SPEAKER_EPSILON)
}

/// The embedding of a Res2Net, without fusion.
pub(super) fn embedding_res2net(
    g: &mut NetworkGraph<'_>,
    config: &Res2NetConfig,
    features: &Value,
    num_mels: usize,
) -> Value {
    let sizes = config.sizes();
    let [_, _, _, map] = res2_stages(g, &sizes, features);
    pooled(g, &sizes, &map, num_mels, config.epsilon())
}

fn res2_stages(g: &mut NetworkGraph<'_>, sizes: &Res2Sizes, features: &Value) -> [Value; 4] {
    stages(g, features, sizes.blocks, |g, name, input, stride| block(g, name, input, stride, sizes.scale))
}

fn pooled(g: &mut NetworkGraph<'_>, sizes: &Res2Sizes, map: &Value, num_mels: usize, epsilon: f64) -> Value {
    let rows = per_frequency(g, map, sizes.channels() * num_mels.div_ceil(8));
    let statistics = tstp(g, &rows, epsilon);
    let statistics = g.flatten(&statistics);
    g.linear("seg_1", &statistics)
}
