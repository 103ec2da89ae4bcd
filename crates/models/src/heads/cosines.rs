//! What the margin heads share: cosines of embeddings to centres, and the margin on the target's.

use burn::module::{Initializer, Param};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};

/// Shortest vector that has a direction (`torch.nn.functional.normalize`'s epsilon), squared.
pub(super) const LEAST_SQUARED_LENGTH: f64 = 1e-24;

/// Rows of length 1. A zero row stays zero and gets no gradient (PyTorch's would be 1e12 times the cosine's).
fn normalise_rows(rows: Tensor<2>) -> Tensor<2> {
    let squared = rows.clone().square().sum_dim(1);
    let without_direction = squared.clone().lower_elem(LEAST_SQUARED_LENGTH);
    let inverse = squared.clamp_min(LEAST_SQUARED_LENGTH).sqrt().recip();
    rows * inverse.mask_fill(without_direction, 0.0)
}

/// Random centres, uniform as by Xavier and Glorot.
pub(super) fn centres(rows: usize, embedding_size: usize, device: &Device) -> Param<Tensor<2>> {
    let fan = (Some(embedding_size), Some(rows));
    Initializer::XavierUniform { gain: 1.0 }.init_with([rows, embedding_size], fan.0, fan.1, device)
}

/// Cosine of each embedding to each centre, `[batch, rows]`.
pub(super) fn cosines(embeddings: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    normalise_rows(embeddings).matmul(normalise_rows(weight).transpose())
}

/// Replaces the cosine of each row's target class by `margined` of it. Only the targets (`[batch, 1]`) go through the
/// margin: no class-sized temporaries.
pub(super) fn replace_targets(
    cosines: Tensor<2>,
    labels: Tensor<1, Int>,
    margined: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let target = labels.unsqueeze_dim::<2>(1);
    let target_cosine = cosines.clone().gather(1, target.clone());
    let change = margined(target_cosine.clone()) - target_cosine;
    cosines.scatter(1, target, change, IndexingUpdateOp::Add)
}
