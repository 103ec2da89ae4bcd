//! [`crate::stages`]: a stem and four stages of blocks.

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};

/// The output of each stage. `block(name, input, stride)` adds a block.
pub(super) fn stages(
    g: &mut NetworkGraph<'_>,
    features: &Value,
    blocks: [usize; 4],
    block: impl Fn(&mut NetworkGraph<'_>, &str, &Value, usize) -> Value,
) -> [Value; 4] {
    let map = g.unsqueeze(features, &[1]);
    let stem = g.conv("front.conv1", &map, Steps::padded(1));
    let stem = g.batch_norm("front.bn1", &stem);
    let mut hidden = g.relu(&stem);
    [0, 1, 2, 3].map(|stage| {
        for place in 0..blocks[stage] {
            let stride = if stage > 0 && place == 0 { 2 } else { 1 };
            hidden = block(g, &format!("front.layer{}.{place}", stage + 1), &hidden, stride);
        }
        hidden.clone()
    })
}

/// `relu(bn(conv(x)))`.
pub(super) fn conv_bn_relu(
    g: &mut NetworkGraph<'_>,
    conv: &str,
    bn: &str,
    input: &Value,
    steps: Steps,
) -> Value {
    let hidden = conv_bn(g, conv, bn, input, steps);
    g.relu(&hidden)
}

/// `bn(conv(x))`.
pub(super) fn conv_bn(g: &mut NetworkGraph<'_>, conv: &str, bn: &str, input: &Value, steps: Steps) -> Value {
    let hidden = g.conv(conv, input, steps);
    g.batch_norm(bn, &hidden)
}

/// The way past a block: projected where the block has a projection, a 1x1 convolution.
pub(super) fn shortcut(g: &mut NetworkGraph<'_>, name: &str, input: &Value, stride: (usize, usize)) -> Value {
    if !g.has(&format!("{name}.0.weight")) {
        return input.clone();
    }
    conv_bn(g, &format!("{name}.0"), &format!("{name}.1"), input, Steps { stride, ..Steps::EACH })
}

/// `bn(relu(conv(x)))`.
pub(super) fn conv_relu_bn(
    g: &mut NetworkGraph<'_>,
    conv: &str,
    bn: &str,
    input: &Value,
    steps: Steps,
) -> Value {
    let hidden = g.conv(conv, input, steps);
    let hidden = g.relu(&hidden);
    g.batch_norm(bn, &hidden)
}
