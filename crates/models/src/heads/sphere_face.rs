//! Multiplicative angular margin, A-softmax: [SphereFace, Liu et al. 2017](https://arxiv.org/abs/1704.08063).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::{HeadOutput, LEAST_SQUARED_LENGTH, centres, cosines, replace_targets};

/// How the weight of the plain cosine falls: `lambda = max(least, base / (1 + gamma * step))`. The margin alone does not
/// converge from random weights, so the paper's authors train with `(lambda cos(theta) + psi(theta)) / (1 + lambda)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Annealing {
    pub(super) base: f64,
    pub(super) gamma: f64,
    pub(super) least: f64,
}

impl Annealing {
    pub(super) fn lambda(self, step: usize) -> f64 {
        (self.base / (1.0 + self.gamma * step as f64)).max(self.least)
    }
}

/// `|x| (lambda cos(theta) + psi(theta)) / (1 + lambda)` for the target, `|x| cos(theta)` for the rest, where |x| is the
/// length of the embedding and `psi(theta) = (-1)^k cos(m theta) - 2k` for theta from `k pi / m` to `(k + 1) pi / m`:
/// the cosine of m times the angle, continued so that it falls from 0 to pi.
#[derive(Module, Debug)]
pub struct SphereFace {
    pub(super) weight: Param<Tensor<2>>,
    multiple: usize,
    base: f64,
    gamma: f64,
    least: f64,
    pub(super) lambda: f64,
}

impl SphereFace {
    pub(super) fn new(
        embedding_size: usize,
        num_classes: usize,
        multiple: usize,
        annealing: Annealing,
        device: &Device,
    ) -> Self {
        let Annealing { base, gamma, least } = annealing;
        let weight = centres(num_classes, embedding_size, device);
        Self { weight, multiple, base, gamma, least, lambda: annealing.lambda(0) }
    }

    pub(super) fn anneal(&mut self, step: usize) {
        let Self { base, gamma, least, .. } = *self;
        self.lambda = Annealing { base, gamma, least }.lambda(step);
    }

    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let length = embeddings.clone().square().sum_dim(1).clamp_min(LEAST_SQUARED_LENGTH).sqrt();
        let cosines = cosines(embeddings, self.weight.val());
        let lambda = self.lambda;
        let with_margin =
            |target: Tensor<2>| (target.clone() * lambda + psi(target, self.multiple)) / (1.0 + lambda);
        let logits = replace_targets(cosines.clone(), labels.clone(), with_margin) * length;
        HeadOutput::new(logits, labels, cosines)
    }
}

/// `(-1)^k cos(m theta) - 2k` of `cosine = cos(theta)`. `cos(m theta)` is the Chebyshev polynomial of the cosine, so the
/// gradient is finite everywhere.
fn psi(cosine: Tensor<2>, multiple: usize) -> Tensor<2> {
    let (mut before, mut polynomial) = (cosine.ones_like(), cosine.clone());
    for _ in 1..multiple {
        let next = cosine.clone() * polynomial.clone() * 2.0 - before;
        before = std::mem::replace(&mut polynomial, next);
    }
    let mut k = cosine.zeros_like();
    for passed in 1..multiple {
        let threshold = (passed as f64 * std::f64::consts::PI / multiple as f64).cos();
        k = k + cosine.clone().lower_elem(threshold).float();
    }
    let k = k.detach();
    // 1 - 2 (k mod 2): whether k is odd.
    let sign = k.clone().remainder_scalar(2.0) * -2.0 + 1.0;
    sign * polynomial - k * 2.0
}
