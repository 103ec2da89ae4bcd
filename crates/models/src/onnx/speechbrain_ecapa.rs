//! [`SpeechBrainEcapa`](crate::SpeechBrainEcapa).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::attentive_in_context;
use crate::speechbrain_ecapa::{DILATIONS, KERNELS, SpeechBrainEcapaConfig, VARIANCE_FLOOR};

/// A convolution that keeps the number of frames by reflection at the ends.
fn conv(g: &mut NetworkGraph<'_>, name: &str, input: &Value, kernel: usize, dilation: usize) -> Value {
    let padding = dilation * (kernel - 1) / 2;
    let input = if padding == 0 { input.clone() } else { g.reflect(input, (padding, padding)) };
    g.conv(&format!("{name}.conv"), &input, Steps { dilation, ..Steps::EACH })
}

/// Convolution, ReLU, BatchNorm.
fn tdnn_block(g: &mut NetworkGraph<'_>, name: &str, input: &Value, kernel: usize, dilation: usize) -> Value {
    let hidden = conv(g, &format!("{name}.conv"), input, kernel, dilation);
    let hidden = g.relu(&hidden);
    g.batch_norm(&format!("{name}.norm.norm"), &hidden)
}

/// Group i is convolved after the result of group i - 1 has been added to it; the first group passes.
fn res2(
    g: &mut NetworkGraph<'_>,
    config: &SpeechBrainEcapaConfig,
    name: &str,
    input: &Value,
    dilation: usize,
) -> Value {
    let mut outputs = g.split(input, config.channels / config.scale, config.scale, 1);
    for group in 1..config.scale {
        let hidden = match group {
            1 => outputs[1].clone(),
            _ => g.add(&outputs[group], &outputs[group - 1]),
        };
        outputs[group] = tdnn_block(g, &format!("{name}.blocks.{}", group - 1), &hidden, KERNELS.1, dilation);
    }
    g.concatenate(&Vec::from_iter(&outputs), 1)
}

/// A gain for each channel, from the channel's mean over time.
fn squeeze_excitation(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let squeezed = g.mean(input, &[2]);
    let hidden = conv(g, &format!("{name}.conv1"), &squeezed, 1, 1);
    let hidden = g.relu(&hidden);
    let gain = conv(g, &format!("{name}.conv2"), &hidden, 1, 1);
    let gain = g.sigmoid(&gain);
    g.mul(input, &gain)
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &SpeechBrainEcapaConfig,
    features: &Value,
) -> Value {
    let mut hidden = tdnn_block(g, "blocks.0", features, KERNELS.0, 1);
    let mut outputs = Vec::with_capacity(DILATIONS.len());
    for (place, dilation) in (1..).zip(DILATIONS) {
        let part = |part: &str| format!("blocks.{place}.{part}");
        let inner = tdnn_block(g, &part("tdnn1"), &hidden, 1, 1);
        let inner = res2(g, config, &part("res2net_block"), &inner, dilation);
        let inner = tdnn_block(g, &part("tdnn2"), &inner, 1, 1);
        let inner = squeeze_excitation(g, &part("se_block"), &inner);
        hidden = g.add(&inner, &hidden);
        outputs.push(hidden.clone());
    }
    let all = g.concatenate(&Vec::from_iter(&outputs), 1);
    let aggregated = tdnn_block(g, "mfa", &all, 1, 1);
    let layers = ["asp.tdnn.conv.conv", "asp.tdnn.norm.norm", "asp.conv.conv"];
    let pooled = attentive_in_context(g, layers, &aggregated, VARIANCE_FLOOR);
    let pooled = g.batch_norm("asp_bn.norm", &pooled);
    let embedding = conv(g, "fc", &pooled, 1, 1);
    g.flatten(&embedding)
}
