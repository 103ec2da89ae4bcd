//! [`EcapaTdnn`](crate::EcapaTdnn), in both forms.

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{attentive, baseline_attentive};
use super::stages::{conv_bn_relu, conv_relu_bn};
use crate::ecapa_tdnn::{DILATIONS, EcapaTdnnConfig, STEM_KERNEL};

/// A layer in the order of the paper or of the baseline.
fn layer(
    g: &mut NetworkGraph<'_>,
    config: &EcapaTdnnConfig,
    (conv, bn): (&str, &str),
    input: &Value,
    steps: Steps,
) -> Value {
    if config.compat {
        conv_bn_relu(g, conv, bn, input, steps)
    } else {
        conv_relu_bn(g, conv, bn, input, steps)
    }
}

/// Group i is convolved after the result of group i - 1 has been added to it; group 0 passes. The baseline puts it last, and has
/// a convolution for it without effect.
fn res2(
    g: &mut NetworkGraph<'_>,
    config: &EcapaTdnnConfig,
    name: &str,
    input: &Value,
    dilation: usize,
) -> Value {
    let unused = usize::from(config.compat);
    if config.compat {
        g.without_effect(&format!("{name}.convs.0."));
        g.without_effect(&format!("{name}.bns.0."));
    }
    let groups = g.split(input, config.hidden_dim / config.scale, config.scale, 1);
    let (first, groups) = (&groups[0], &groups[1..]);
    let mut outputs: Vec<Value> = Vec::with_capacity(config.scale);
    for (place, group) in groups.iter().enumerate() {
        let mut hidden = match outputs.last() {
            Some(previous) => g.add(group, previous),
            None => group.clone(),
        };
        let mut steps = Steps::dilated(dilation);
        if config.compat {
            hidden = g.reflect(&hidden, (dilation, dilation));
            steps.padding = 0;
        }
        let place = place + unused;
        let names = (format!("{name}.convs.{place}"), format!("{name}.bns.{place}"));
        outputs.push(layer(g, config, (&names.0, &names.1), &hidden, steps));
    }
    outputs.insert(if config.compat { outputs.len() } else { 0 }, first.clone());
    g.concatenate(&Vec::from_iter(&outputs), 1)
}

/// A gain for each channel, from the channel's mean over time.
fn squeeze_excitation(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let squeezed = g.mean(input, &[2]);
    let squeezed = g.flatten(&squeezed);
    let hidden = g.linear(&format!("{name}.fc1"), &squeezed);
    let hidden = g.relu(&hidden);
    let gain = g.linear(&format!("{name}.fc2"), &hidden);
    let gain = g.sigmoid(&gain);
    let gain = g.unsqueeze(&gain, &[2]);
    g.mul(input, &gain)
}

fn block(
    g: &mut NetworkGraph<'_>,
    config: &EcapaTdnnConfig,
    name: &str,
    input: &Value,
    dilation: usize,
) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = layer(g, config, (&part("conv1"), &part("bn1")), input, Steps::EACH);
    let hidden = res2(g, config, name, &hidden, dilation);
    let hidden = layer(g, config, (&part("conv3"), &part("bn3")), &hidden, Steps::EACH);
    let hidden = squeeze_excitation(g, name, &hidden);
    g.add(&hidden, input)
}

pub(super) fn embedding(g: &mut NetworkGraph<'_>, config: &EcapaTdnnConfig, features: &Value) -> Value {
    let stem = Steps::padded(if config.compat { 0 } else { STEM_KERNEL / 2 });
    let mut input = layer(g, config, ("conv1", "bn1"), features, stem);
    let mut outputs = Vec::with_capacity(DILATIONS.len());
    for (place, dilation) in (1..).zip(DILATIONS) {
        let output = block(g, config, &format!("block{place}"), &input, dilation);
        // The paper's blocks read the sum of all outputs before.
        input = if config.compat { output.clone() } else { g.add(&input, &output) };
        outputs.push(output);
    }
    let all = g.concatenate(&Vec::from_iter(&outputs), 1);
    let aggregated = g.conv("conv2", &all, Steps::EACH);
    let aggregated = g.relu(&aggregated);
    let pooled = if config.compat {
        baseline_attentive(g, "ASP", &aggregated)
    } else {
        attentive(g, "ASP", &aggregated)
    };
    let pooled = g.flatten(&pooled);
    let pooled = g.batch_norm("bn2", &pooled);
    let embedding = g.linear("fc", &pooled);
    g.batch_norm("bn3", &embedding)
}
