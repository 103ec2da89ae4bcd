//! [`SpeechBrainEcapa`](crate::SpeechBrainEcapa).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
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

/// Attention for every channel and frame that sees mean and standard deviation of the utterance.
fn attentive_pooling(g: &mut NetworkGraph<'_>, input: &Value) -> Value {
    let std_of = |g: &mut NetworkGraph<'_>, variance: &Value| {
        let variance = g.at_least(variance, VARIANCE_FLOOR);
        g.sqrt(&variance)
    };
    let squared_distance = |g: &mut NetworkGraph<'_>, mean: &Value| {
        let centred = g.sub(input, mean);
        g.mul(&centred, &centred)
    };
    let mean = g.mean(input, &[2]);
    let distance = squared_distance(g, &mean);
    let variance = g.mean(&distance, &[2]);
    let std = std_of(g, &variance);
    let shape = g.op("Shape", &[input], &[]);
    let [mean, std] = [mean, std].map(|statistic| g.op("Expand", &[&statistic, &shape], &[]));
    let context = g.concatenate(&[input, &mean, &std], 1);
    let hidden = tdnn_block(g, "asp.tdnn", &context, 1, 1);
    let hidden = g.tanh(&hidden);
    let scores = conv(g, "asp.conv", &hidden, 1, 1);
    let weights = g.softmax(&scores, 2);

    let weighted = g.mul(&weights, input);
    let mean = g.sum(&weighted, 2);
    let distance = squared_distance(g, &mean);
    let weighted = g.mul(&weights, &distance);
    let variance = g.sum(&weighted, 2);
    let std = std_of(g, &variance);
    g.concatenate(&[&mean, &std], 1)
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
    let pooled = attentive_pooling(g, &aggregated);
    let pooled = g.batch_norm("asp_bn.norm", &pooled);
    let embedding = conv(g, "fc", &pooled, 1, 1);
    g.flatten(&embedding)
}
