//! [`TitaNet`](crate::TitaNet).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::attentive_in_context;
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

pub(super) fn embedding(g: &mut NetworkGraph<'_>, config: &TitaNetConfig, features: &Value) -> Value {
    let mut hidden = features.clone();
    for (place, repeat) in config.repeats().enumerate() {
        hidden = block(g, &format!("encoder.{place}"), &hidden, repeat);
    }
    let layers =
        ["pooling.attention_layer.0.conv_layer", "pooling.attention_layer.0.bn", "pooling.attention_layer.2"];
    let pooled = attentive_in_context(g, layers, &hidden, VARIANCE_FLOOR);
    let pooled = g.batch_norm("emb_layer.0", &pooled);
    let embedding = g.conv("emb_layer.1", &pooled, Steps::EACH);
    g.flatten(&embedding)
}
