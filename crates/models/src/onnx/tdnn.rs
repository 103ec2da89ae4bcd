//! [`Tdnn`](crate::Tdnn).

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::pooling::tstp;
use super::stages::conv_relu_bn;
use crate::pooling::tstp::WESPEAKER_EPSILON;
use crate::tdnn::DILATIONS;

pub(super) fn embedding(g: &mut NetworkGraph<'_>, features: &Value) -> Value {
    let mut hidden = features.clone();
    for (layer, dilation) in (1..).zip(DILATIONS) {
        let name = format!("frame_{layer}");
        let steps = Steps { dilation, ..Steps::EACH };
        hidden = conv_relu_bn(g, &format!("{name}.conv_1d"), &format!("{name}.bn"), &hidden, steps);
    }
    let statistics = tstp(g, &hidden, WESPEAKER_EPSILON);
    let statistics = g.flatten(&statistics);
    g.linear("seg_1", &statistics)
}
