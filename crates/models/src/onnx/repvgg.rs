//! [`RepVgg`](crate::RepVgg). Blocks with branches stay three branches: the graph has the tensors of the checkpoint.

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::{per_frequency, tstp};
use super::stages::conv_bn;
use crate::pooling::tstp::WESPEAKER_EPSILON;
use crate::repvgg::RepVggConfig;

fn block(g: &mut NetworkGraph<'_>, name: &str, input: &Value, stride: usize) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let whole = Steps::padded(1).every(stride);
    if g.has(&part("rbr_reparam.weight")) {
        let hidden = g.conv(&part("rbr_reparam"), input, whole);
        return g.relu(&hidden);
    }
    let dense = conv_bn(g, &part("rbr_dense.conv"), &part("rbr_dense.bn"), input, whole);
    let centre = conv_bn(g, &part("rbr_1x1.conv"), &part("rbr_1x1.bn"), input, Steps::EACH.every(stride));
    let mut sum = g.add(&dense, &centre);
    if g.has(&part("rbr_identity.weight")) {
        let same = g.batch_norm(&part("rbr_identity"), input);
        sum = g.add(&sum, &same);
    }
    g.relu(&sum)
}

pub(super) fn embedding(
    g: &mut NetworkGraph<'_>,
    config: &RepVggConfig,
    features: &Value,
    num_mels: usize,
) -> Value {
    let map = g.unsqueeze(features, &[1]);
    let mut hidden = block(g, "stage0", &map, 1);
    for (stage, blocks) in (1..).zip(config.blocks) {
        for place in 0..blocks {
            // All stages but the first halve frequencies and frames.
            let stride = if stage > 1 && place == 0 { 2 } else { 1 };
            hidden = block(g, &format!("stage{stage}.{place}"), &hidden, stride);
        }
    }
    let rows = per_frequency(g, &hidden, config.widths[3] * num_mels.div_ceil(8));
    let statistics = tstp(g, &rows, WESPEAKER_EPSILON);
    let statistics = g.flatten(&statistics);
    g.linear("seg", &statistics)
}
