//! [`TitaNet`](crate::TitaNet).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use crate::titanet::{ENCODER_EPSILON, TitaNetConfig, VARIANCE_FLOOR};

/// A convolution of each channel over time, a convolution across channels, and BatchNorm.
fn separable(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let depthwise = format!("{name}.depthwise");
    let [groups, _, kernel] = g.shape(&format!("{depthwise}.weight"));
    let hidden = g.conv(&depthwise, input, Steps { groups, ..Steps::padded(kernel / 2) });
    let hidden = g.conv(&format!("{name}.pointwise"), &hidden, Steps::EACH);
    g.batch_norm_with(&format!("{name}.bn"), &hidden, ENCODER_EPSILON)
}

/// A gain for each channel, from the means of all channels over time.
fn squeeze_excitation(g: &mut NetworkGraph<'_>, name: &str, input: &Value) -> Value {
    let squeezed = g.mean(input, &[2]);
    let squeezed = g.flatten(&squeezed);
    let hidden = g.linear(&format!("{name}.fc.0"), &squeezed);
    let hidden = g.relu(&hidden);
    let gain = g.linear(&format!("{name}.fc.2"), &hidden);
    let gain = g.sigmoid(&gain);
    let gain = g.unsqueeze(&gain, &[2]);
    g.mul(input, &gain)
}

/// Separable layers, squeeze-excitation, and the shortcut of a mega block.
fn block(g: &mut NetworkGraph<'_>, name: &str, input: &Value, repeat: usize) -> Value {
    let mut hidden = input.clone();
    for layer in 0..repeat {
        if layer > 0 {
            hidden = g.relu(&hidden);
        }
        hidden = separable(g, &format!("{name}.layers.{layer}"), &hidden);
    }
    hidden = squeeze_excitation(g, &format!("{name}.se"), &hidden);
    let projection = format!("{name}.res.0");
    if g.has(&format!("{projection}.weight")) {
        let shortcut = g.conv(&projection, input, Steps::EACH);
        let shortcut = g.batch_norm_with(&format!("{name}.res.1"), &shortcut, ENCODER_EPSILON);
        hidden = g.add(&hidden, &shortcut);
    }
    g.relu(&hidden)
}

/// Attention for every channel and frame that sees mean and standard deviation of the utterance.
fn attentive_pooling(g: &mut NetworkGraph<'_>, input: &Value, rows: usize) -> Value {
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
    let context = g.concatenate(&[&mean, &std], 1);

    // The context is multiplied once, not in every frame.
    let name = "pooling.attention_layer";
    let first = format!("{name}.0.conv_layer");
    let (weight, bias) = (g.tensor(&format!("{first}.weight")), g.tensor(&format!("{first}.bias")));
    let bounds = [0, rows as i64, 3 * rows as i64].map(|bound| g.graph.integers(&[bound]));
    let of_frame = g.slice(&weight, 1, &bounds[0], &bounds[1]);
    let of_context = g.slice(&weight, 1, &bounds[1], &bounds[2]);
    let kernel = [("kernel_shape", (&[1][..]).into())];
    let frames = g.op("Conv", &[input, &of_frame], &kernel);
    let context = g.op("Conv", &[&context, &of_context, &bias], &kernel);
    let hidden = g.add(&frames, &context);
    let hidden = g.relu(&hidden);
    let hidden = g.batch_norm(&format!("{name}.0.bn"), &hidden);
    let hidden = g.tanh(&hidden);
    let scores = g.conv(&format!("{name}.2"), &hidden, Steps::EACH);
    let weights = g.softmax(&scores, 2);

    let weighted = g.mul(&weights, input);
    let mean = g.sum(&weighted, 2);
    let distance = squared_distance(g, &mean);
    let weighted = g.mul(&weights, &distance);
    let variance = g.sum(&weighted, 2);
    let std = std_of(g, &variance);
    g.concatenate(&[&mean, &std], 1)
}

pub(super) fn embedding(g: &mut NetworkGraph<'_>, config: &TitaNetConfig, features: &Value) -> Value {
    let mut hidden = features.clone();
    for (place, repeat) in config.repeats().enumerate() {
        hidden = block(g, &format!("encoder.{place}"), &hidden, repeat);
    }
    let pooled = attentive_pooling(g, &hidden, config.aggregated);
    let pooled = g.batch_norm("emb_layer.0", &pooled);
    let embedding = g.conv("emb_layer.1", &pooled, Steps::EACH);
    g.flatten(&embedding)
}
