//! Multiplicative angular margin, A-softmax: [SphereFace, Liu et al. 2017](https://arxiv.org/abs/1704.08063).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::cosines::{LEAST_SQUARED_LENGTH, centres, cosines, replace_targets};
use super::{Classifier, ClassifierConfig, HeadOutput};
use crate::error::{Result, require};

/// Options of [`SphereFace`].
///
/// The margin alone does not converge from random weights, so the paper's authors train with
/// `(lambda cos(theta) + psi(theta)) / (1 + lambda)`, where lambda falls from step to step.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SphereFaceConfig {
    /// The angle to the target's centre is multiplied by this, from 1 to 8. Default: 4, the paper's.
    pub multiple: usize,
    /// Weight of the plain cosine at the first step. Default: 1000; this and the next two are the values of the
    /// authors' program.
    pub lambda: f64,
    /// How fast that weight falls: `lambda / (1 + lambda_decay * step)`. Default: 0.12.
    pub lambda_decay: f64,
    /// The weight does not fall below. Default: 5.
    pub least_lambda: f64,
}

impl Default for SphereFaceConfig {
    fn default() -> Self {
        Self { multiple: 4, lambda: 1000.0, lambda_decay: 0.12, least_lambda: 5.0 }
    }
}

impl ClassifierConfig for SphereFaceConfig {
    type Head = SphereFace;

    fn validate(&self) -> Result<()> {
        let weights = [
            ("head.lambda", self.lambda),
            ("head.lambda_decay", self.lambda_decay),
            ("head.least_lambda", self.least_lambda),
        ];
        for (field, value) in weights {
            require((0.0..=1e9).contains(&value), field, value, "a number from 0 to 1e9")?;
        }
        require((1..=8).contains(&self.multiple), "head.multiple", self.multiple, "a number from 1 to 8")
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> SphereFace {
        let weight = centres(num_classes, embedding_size, device);
        let Self { multiple, lambda: base, lambda_decay: gamma, least_lambda: least } = *self;
        let mut head = SphereFace { weight, multiple, base, gamma, least, lambda: base };
        head.anneal(0);
        head
    }
}

/// The logit of the target is `|x| (lambda cos(theta) + psi(theta)) / (1 + lambda)`, that of the others `|x|
/// cos(theta)`. Here |x| is the length of the embedding. `psi(theta) = (-1)^k cos(m theta) - 2k` for theta from `k pi /
/// m` to `(k + 1) pi / m`. It is the cosine of m times the angle, continued so that it falls from 0 to pi.
#[derive(Module, Debug)]
pub struct SphereFace {
    weight: Param<Tensor<2>>,
    multiple: usize,
    base: f64,
    gamma: f64,
    least: f64,
    lambda: f64,
}

impl Classifier for SphereFace {
    fn weight(&self) -> Option<Tensor<2>> {
        Some(self.weight.val())
    }

    /// `lambda = max(least, base / (1 + gamma * step))`.
    fn anneal(&mut self, step: usize) {
        self.lambda = (self.base / (1.0 + self.gamma * step as f64)).max(self.least);
    }
}

impl SphereFace {
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
