//! Mean and variance under weights that an attention gives to frames.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::concatenate;
use crate::blocks::Pieces;

/// `[mean, std]` of shape `[batch, 2 * rows]`, of [`weighted_mean_and_variance`].
pub(crate) fn weighted_statistics(
    pieces: Pieces,
    logits: impl Fn(Tensor<3>) -> Tensor<3>,
    variance_floor: f64,
) -> Tensor<2> {
    let (mean, variance) = weighted_mean_and_variance(pieces, logits);
    concatenate(mean, variance.clamp_min(variance_floor).sqrt())
}

/// Mean and variance of each row of a sequence in `pieces`, `[batch, rows, 1]` each, under weights `softmax_t(logits)`. `logits` gives
/// those of a piece, `[batch, rows, frames]` or `[batch, 1, frames]`: `mean = sum_t w h`, `variance = sum_t w (h - mean)^2`.
///
/// # Panics
/// There is no piece.
pub(crate) fn weighted_mean_and_variance(
    pieces: Pieces,
    logits: impl Fn(Tensor<3>) -> Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    if let [whole] = pieces.as_slice() {
        return mean_and_variance(logits(whole.clone()), whole.clone());
    }
    let parts = pieces.into_iter().map(|piece| Part::of(logits(piece.clone()), piece));
    let all = parts.reduce(Part::join).expect("a network makes one piece at least");
    (all.mean, all.variance)
}

fn mean_and_variance(logits: Tensor<3>, input: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let weights = softmax(logits, 2);
    let mean = (weights.clone() * input.clone()).sum_dim(2);
    let variance = (weights * (input - mean.clone()).square()).sum_dim(2);
    (mean, variance)
}

/// What is known of some of the pieces. All tensors are `[batch, rows, 1]`.
struct Part {
    /// Logarithm of the sum of `exp(logit)`. It has one row where all rows share their weights.
    log_weight: Tensor<3>,
    mean: Tensor<3>,
    variance: Tensor<3>,
}

impl Part {
    fn of(logits: Tensor<3>, piece: Tensor<3>) -> Self {
        let largest = logits.clone().max_dim(2);
        let log_weight = (logits.clone() - largest.clone()).exp().sum_dim(2).log() + largest;
        let (mean, variance) = mean_and_variance(logits, piece);
        Self { log_weight, mean, variance }
    }

    fn join(self, other: Self) -> Self {
        let larger = self.log_weight.clone().max_pair(other.log_weight.clone());
        let [own, others] = [self.log_weight, other.log_weight].map(|log| (log - larger.clone()).exp());
        let sum = own + others.clone();
        let share = others / sum.clone();
        let difference = other.mean - self.mean.clone();
        let rest = share.clone().neg() + 1.0;
        let within = self.variance * rest.clone() + other.variance * share.clone();
        let between = difference.clone().square() * (share.clone() * rest);
        Self {
            log_weight: sum.log() + larger,
            mean: self.mean + difference * share,
            variance: within + between,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Int, Tolerance};

    use super::*;

    #[test]
    fn pieces_give_the_moments_of_the_whole() {
        let device = Device::flex();
        let input = Tensor::<3>::random([2, 3, 50], Distribution::Normal(5.0, 2.0), &device);
        // Far apart from piece to piece: sums of exponentials alone would overflow.
        let slope = Tensor::<1, Int>::arange(0..50, &device).float().reshape([1, 1, 50]) * 8.0;
        let per_row = |piece: Tensor<3>| piece * 3.0 + slope.clone().narrow(2, 0, 1);
        let shared = |piece: Tensor<3>| piece.narrow(1, 1, 1) * 2.0;
        let sloped = input.clone() + slope.clone();
        let cut = |(start, length)| sloped.clone().narrow(2, start, length);
        let pieces = [(0, 20), (20, 7), (27, 23)].map(cut).to_vec();
        let of = |pieces: Pieces| {
            let own = weighted_mean_and_variance(pieces.clone(), per_row);
            let common = weighted_mean_and_variance(pieces, shared);
            [own.0, own.1, common.0, common.1]
        };
        for (pieces, whole) in of(pieces).into_iter().zip(of(vec![sloped.clone()])) {
            let tolerance = Tolerance::<f32>::relative(1e-4).set_absolute(1e-4);
            pieces.into_data().assert_approx_eq(&whole.into_data(), tolerance);
        }
    }
}
