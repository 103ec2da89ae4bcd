//! [`WespeakerEcapa`](crate::WespeakerEcapa).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{attentive, xi_posterior};
use super::stages::conv_relu_bn;
use crate::wespeaker_ecapa::{DILATIONS, KERNELS, SCALE, WespeakerEcapaConfig};

fn layer(g: &mut NetworkGraph<'_>, name: &str, input: &Value, steps: Steps) -> Value {
    conv_relu_bn(g, &format!("{name}.conv"), &format!("{name}.bn"), input, steps)
}

/// Group i is convolved after the result of group i - 1 has been added to it; the last group passes.
fn res2(g: &mut NetworkGraph<'_>, name: &str, input: &Value, width: usize, dilation: usize) -> Value {
    let mut outputs = g.split(input, width, SCALE, 1);
    for group in 0..SCALE - 1 {
        let hidden = match group {
            0 => outputs[0].clone(),
            _ => g.add(&outputs[group], &outputs[group - 1]),
        };
        let (conv, bn) = (format!("{name}.convs.{group}"), format!("{name}.bns.{group}"));
        outputs[group] = conv_relu_bn(g, &conv, &bn, &hidden, Steps::dilated(dilation));
    }
    g.concatenate(&Vec::from_iter(&outputs), 1)
}

/// A gain for each channel, from the channel's mean over time.
fn squeeze_excitation(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let squeezed = g.mean(input, &[2]);
    let squeezed = g.flatten(&squeezed);
    let hidden = g.linear(&format!("{name}.linear1"), &squeezed);
    let hidden = g.relu(&hidden);
    let gain = g.linear(&format!("{name}.linear2"), &hidden);
    let gain = g.sigmoid(&gain);
    let gain = g.unsqueeze(&gain, &[2]);
    g.mul(input, &gain)
}

fn se_res2_block(
    g: &mut NetworkGraph<'_>,
    name: &str,
    input: &Value,
    width: usize,
    dilation: usize,
) -> Value {
    let part = |part: usize| format!("{name}.se_res2block.{part}");
    let hidden = layer(g, &part(0), input, Steps::EACH);
    let hidden = res2(g, &part(1), &hidden, width, dilation);
    let hidden = layer(g, &part(2), &hidden, Steps::EACH);
    let hidden = squeeze_excitation(g, &part(3), &hidden);
    g.add(input, &hidden)
}

pub(super) fn embedding(g: &mut NetworkGraph<'_>, config: &WespeakerEcapaConfig, features: &Value) -> Value {
    let width = config.channels / SCALE;
    let mut hidden = layer(g, "layer1", features, Steps::padded(KERNELS.0 / 2));
    let outputs = [(2, DILATIONS[0]), (3, DILATIONS[1]), (4, DILATIONS[2])].map(|(place, dilation)| {
        hidden = se_res2_block(g, &format!("layer{place}"), &hidden, width, dilation);
        hidden.clone()
    });
    let all = g.concatenate(&Vec::from_iter(&outputs), 1);
    let aggregated = g.conv("conv", &all, Steps::EACH);
    let aggregated = g.relu(&aggregated);
    let pooled =
        if config.xi { xi_posterior(g, "pool", &aggregated) } else { attentive(g, "pool", &aggregated) };
    normalised_linear(g, &pooled)
}

/// From the statistics to the embedding: BatchNorm, linear layer, and BatchNorm where the network has one.
pub(super) fn normalised_linear(g: &mut NetworkGraph<'_>, statistics: &Value) -> Value {
    let statistics = g.flatten(statistics);
    let statistics = g.batch_norm("bn", &statistics);
    let embedding = g.linear("linear", &statistics);
    if g.has("bn2.weight") { g.batch_norm("bn2", &embedding) } else { embedding }
}
