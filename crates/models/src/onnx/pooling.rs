//! The poolings of [`crate::pooling`]. Rows are `[batch, rows, frames]`, statistics `[batch, 2 * rows, 1]`.

use ffsvc_onnx::Value;

use super::layers::{NetworkGraph, Steps};
use super::stages::conv_relu_bn;
use crate::pooling::attentive::EPSILON;
use crate::pooling::attentive_relu::VARIANCE_FLOOR;
use crate::pooling::{multi_query, xi};

/// `[batch, channels, frequencies, frames]` with channels and frequencies as rows.
pub(super) fn per_frequency(g: &mut NetworkGraph<'_>, map: &Value, rows: usize) -> Value {
    g.reshape(map, &[0, rows as i64, -1])
}

/// Mean and unbiased variance over the frames. The variance of one frame is 0.
fn mean_and_variance(g: &mut NetworkGraph<'_>, rows: &Value) -> (Value, Value) {
    let mean = g.mean(rows, &[2]);
    let centred = g.sub(rows, &mean);
    let squares =
        g.op("ReduceSumSquare", &[&centred], &[("axes", (&[2][..]).into()), ("keepdims", 1.into())]);
    let others = g.degrees_of_freedom(rows, 2);
    (mean, g.div(&squares, &others))
}

/// `[mean, std]`, with a number added to the variance.
pub(super) fn tstp(g: &mut NetworkGraph<'_>, rows: &Value, epsilon: f64) -> Value {
    let (mean, variance) = mean_and_variance(g, rows);
    let variance = g.add_number(&variance, epsilon);
    let std = g.sqrt(&variance);
    g.concatenate(&[&mean, &std], 1)
}

/// `[mean, std]`, with a floor under the variance.
pub(super) fn with_floor(g: &mut NetworkGraph<'_>, rows: &Value, floor: f64) -> Value {
    let (mean, variance) = mean_and_variance(g, rows);
    let variance = g.at_least(&variance, floor);
    let std = g.sqrt(&variance);
    g.concatenate(&[&mean, &std], 1)
}

/// `[mean, std]` by weights of the frames, with a floor under the variance.
fn weighted_statistics(g: &mut NetworkGraph<'_>, rows: &Value, weights: &Value, floor: f64) -> Value {
    let weighted = g.mul(weights, rows);
    let mean = g.sum(&weighted, 2);
    let squares = g.mul(&weighted, rows);
    let power = g.sum(&squares, 2);
    let square = g.mul(&mean, &mean);
    let variance = g.sub(&power, &square);
    let variance = g.at_least(&variance, floor);
    let std = g.sqrt(&variance);
    g.concatenate(&[&mean, &std], 1)
}

/// [`AttentiveStatistics`](crate::pooling::AttentiveStatistics), with context where its first layer takes it.
pub(super) fn attentive(g: &mut NetworkGraph<'_>, name: &str, rows: &Value) -> Value {
    let [_, inputs, _] = g.shape(&format!("{name}.linear1.weight"));
    let [outputs, _, _] = g.shape(&format!("{name}.linear2.weight"));
    let linear1 = format!("{name}.linear1");
    let hidden = if inputs == outputs {
        g.conv(&linear1, rows, Steps::EACH)
    } else {
        let context = tstp(g, rows, EPSILON);
        in_context(g, &linear1, rows, &context, outputs)
    };
    let hidden = g.tanh(&hidden);
    let scores = g.conv(&format!("{name}.linear2"), &hidden, Steps::EACH);
    let weights = g.softmax(&scores, 2);
    weighted_statistics(g, rows, &weights, EPSILON)
}

/// `W [h; context] + b = W_h h + (W_c context + b)`: the context, of two values for each of `count` rows, is multiplied once, not
/// in every frame.
fn in_context(g: &mut NetworkGraph<'_>, linear: &str, rows: &Value, context: &Value, count: usize) -> Value {
    if g.as_defined {
        let all = g.concatenate(&[rows, context], 1);
        return g.conv(linear, &all, Steps::EACH);
    }
    let (weight, bias) = (g.tensor(&format!("{linear}.weight")), g.tensor(&format!("{linear}.bias")));
    let bounds = [0, count as i64, 3 * count as i64].map(|bound| g.graph.integers(&[bound]));
    let of_frame = g.slice(&weight, 1, &bounds[0], &bounds[1]);
    let of_context = g.slice(&weight, 1, &bounds[1], &bounds[2]);
    let kernel = [("kernel_shape", (&[1][..]).into())];
    let frames = g.op("Conv", &[rows, &of_frame], &kernel);
    let context = g.op("Conv", &[context, &of_context, &bias], &kernel);
    g.add(&frames, &context)
}

/// The squares of `rows - mean`.
fn squared_distance(g: &mut NetworkGraph<'_>, rows: &Value, mean: &Value) -> Value {
    let centred = g.sub(rows, mean);
    g.mul(&centred, &centred)
}

/// `[mean, std]` from a mean and a variance with a floor under it.
fn mean_and_floored_std(g: &mut NetworkGraph<'_>, mean: &Value, variance: &Value, floor: f64) -> Value {
    let variance = g.at_least(variance, floor);
    let std = g.sqrt(&variance);
    g.concatenate(&[mean, &std], 1)
}

/// Statistics by attention that sees mean and standard deviation of all `count` rows, as SpeechBrain and NeMo have it: variances
/// are sums of squared distances from the mean, with a floor. The names are of the first layer, its BatchNorm and the second layer.
pub(super) fn attentive_in_context(
    g: &mut NetworkGraph<'_>,
    [first, bn, second]: [&str; 3],
    rows: &Value,
    floor: f64,
) -> Value {
    let [_, inputs, _] = g.shape(&format!("{first}.weight"));
    let count = inputs / 3;
    let mean = g.mean(rows, &[2]);
    let distance = squared_distance(g, rows, &mean);
    let variance = g.mean(&distance, &[2]);
    let context = mean_and_floored_std(g, &mean, &variance, floor);
    let hidden = in_context(g, first, rows, &context, count);
    let hidden = g.relu(&hidden);
    let hidden = g.batch_norm(bn, &hidden);
    let hidden = g.tanh(&hidden);
    let scores = g.conv(second, &hidden, Steps::EACH);
    let weights = g.softmax(&scores, 2);

    let weighted = g.mul(&weights, rows);
    let mean = g.sum(&weighted, 2);
    let distance = squared_distance(g, rows, &mean);
    let weighted = g.mul(&weights, &distance);
    let variance = g.sum(&weighted, 2);
    mean_and_floored_std(g, &mean, &variance, floor)
}

/// [`ReluAttentiveStatistics`](crate::pooling::ReluAttentiveStatistics); `name` is that of its layers.
pub(super) fn relu_attentive(g: &mut NetworkGraph<'_>, name: &str, rows: &Value) -> Value {
    let hidden = conv_relu_bn(g, &format!("{name}.0"), &format!("{name}.2"), rows, Steps::EACH);
    let scores = g.conv(&format!("{name}.3"), &hidden, Steps::EACH);
    let weights = g.softmax(&scores, 2);
    weighted_statistics(g, rows, &weights, VARIANCE_FLOOR)
}

/// [`BaselineAttentivePooling`](crate::pooling::BaselineAttentivePooling).
pub(super) fn baseline_attentive(g: &mut NetworkGraph<'_>, name: &str, rows: &Value) -> Value {
    let projection = format!("{name}.attention.lin_proj");
    let (weight, bias) = (g.tensor(&format!("{projection}.weight")), g.tensor(&format!("{projection}.bias")));
    let projected = g.op("MatMul", &[&weight, rows], &[]);
    let bias = g.unsqueeze(&bias, &[1]);
    let projected = g.add(&projected, &bias);
    let v = g.tensor(&format!("{name}.attention.v"));
    let v = g.unsqueeze(&v, &[0]);
    let scores = g.op("MatMul", &[&v, &projected], &[]);
    let scores = g.tanh(&scores);
    let weights = g.softmax(&scores, 2);
    let weighted = g.mul(&weights, rows);
    let mean = g.mean(&weighted, &[2]);
    let squares = g.mul(&weighted, rows);
    let power = g.sum(&squares, 2);
    let square = g.mul(&mean, &mean);
    let second = g.sub(&power, &square);
    g.concatenate(&[&mean, &second], 1)
}

/// [`MultiQueryAttention`](crate::pooling::MultiQueryAttention) over `count` rows.
pub(super) fn multi_query(g: &mut NetworkGraph<'_>, name: &str, rows: &Value, count: usize) -> Value {
    let groups = g.split(rows, count / multi_query::HEADS, multi_query::HEADS, 1);
    let mut statistics = Vec::with_capacity(multi_query::QUERIES * multi_query::HEADS);
    for query in 0..multi_query::QUERIES {
        for (head, group) in groups.iter().enumerate() {
            let attention = format!("{name}.n_query.{query}.heads_att_trans.{head}");
            let hidden = g.conv(&format!("{attention}.att_0"), group, Steps::EACH);
            let hidden = g.tanh(&hidden);
            let scores = g.conv(&format!("{attention}.att_1"), &hidden, Steps::EACH);
            let weights = g.softmax(&scores, 2);
            statistics.push(weighted_statistics(g, group, &weights, multi_query::VARIANCE_FLOOR));
        }
    }
    g.concatenate(&Vec::from_iter(&statistics), 1)
}

/// [`XiPosterior`](crate::pooling::XiPosterior): `[batch, rows, 1]`.
pub(super) fn xi_posterior(g: &mut NetworkGraph<'_>, name: &str, rows: &Value) -> Value {
    let part = |part: &str| format!("{name}.{part}");
    let hidden = conv_relu_bn(g, &part("lin1_relu_bn.0"), &part("lin1_relu_bn.2"), rows, Steps::EACH);
    let hidden = g.conv(&part("lin2"), &hidden, Steps::EACH);
    let root = g.op("Softplus", &[&hidden], &[]);
    let bound = (xi::LARGEST_LOG / 2.0).exp();
    let (least, most) = (g.graph.number((1.0 / bound) as f32), g.graph.number(bound as f32));
    let root = g.op("Clip", &[&root, &least, &most], &[]);
    let log = g.op("Log", &[&root], &[]);
    let precisions = g.times(&log, 2.0);
    // The prior is one more frame of every recording of the batch.
    let batch = g.op("Shape", &[rows], &[("start", 0.into()), ("end", 1.into())]);
    let ones = g.graph.integers(&[1, 1]);
    let shape = g.concatenate(&[&batch, &ones], 0);
    let [prior, prior_precisions] = ["prior_mean", "prior_logprec"].map(|which| {
        let values = g.tensor(&part(which));
        let values = g.unsqueeze(&values, &[2]);
        g.op("Expand", &[&values, &shape], &[])
    });
    let precisions = g.concatenate(&[&precisions, &prior_precisions], 2);
    let means = g.concatenate(&[rows, &prior], 2);
    let weights = g.softmax(&precisions, 2);
    let weighted = g.mul(&means, &weights);
    g.sum(&weighted, 2)
}
