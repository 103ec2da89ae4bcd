//! Additive angular margin with several centres a speaker, [Deng et al. 2020](https://doi.org/10.1007/978-3-030-58621-8_43),
//! and with a penalty on the strongest rivals, [Zhao et al. 2021](https://arxiv.org/abs/2110.05042).

use burn::module::{Module, Param};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::aam_softmax::{angular_margin, rotated};
use super::cosines::{centres, cosines, replace_targets};
use super::{Classifier, ClassifierConfig, HeadOutput, margin};
use crate::error::{Result, require};

/// Options of [`SubCentreAam`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SubCentreAamConfig {
    /// Angle added to the one to the target's nearest centre, in radians. Default: 0.2.
    pub margin: f64,
    /// Factor of the cosines before the softmax. Default: 32.
    pub scale: f64,
    /// Apply the margin only where the cosine to the target is positive. Default: false.
    pub easy_margin: bool,
    /// Centres of each speaker. Default: 3. With 1 and a `top_k` it is the penalty alone.
    pub sub_centres: usize,
    /// How many rivals are penalised. Default: 0, none; Zhao et al. take 5.
    pub top_k: usize,
    /// Angle by which those rivals come nearer, in radians. Default: 0.06.
    pub top_k_penalty: f64,
}

impl Default for SubCentreAamConfig {
    fn default() -> Self {
        Self {
            margin: margin::MARGIN,
            scale: margin::SCALE,
            easy_margin: false,
            sub_centres: 3,
            top_k: 0,
            top_k_penalty: 0.06,
        }
    }
}

impl ClassifierConfig for SubCentreAamConfig {
    type Head = SubCentreAam;

    fn validate(&self) -> Result<()> {
        let expected = "a number from 1 to 64";
        require((1..=64).contains(&self.sub_centres), "head.sub_centres", self.sub_centres, expected)?;
        require(self.top_k <= 65_536, "head.top_k", self.top_k, "a number from 0 to 65536")?;
        let penalty = (0.0..std::f64::consts::FRAC_PI_2).contains(&self.top_k_penalty);
        let expected = "a number from 0 to less than pi / 2";
        require(penalty, "head.top_k_penalty", self.top_k_penalty, expected)?;
        margin::validate(self.margin, self.scale, std::f64::consts::PI)
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn rows_per_class(&self) -> usize {
        self.sub_centres
    }

    fn build(&self, embedding_size: usize, num_classes: usize, device: &Device) -> SubCentreAam {
        let Self { margin, scale, easy_margin, sub_centres, top_k, top_k_penalty } = *self;
        SubCentreAam {
            weight: centres(num_classes * sub_centres, embedding_size, device),
            margin,
            configured_margin: margin,
            scale,
            easy_margin,
            sub_centres,
            top_k,
            top_k_penalty,
        }
    }
}

/// A class's cosine is the largest of those to its centres: recordings of another kind (noisy, mislabelled, far) find a
/// centre of their own. The target's then gets the margin of [`AamSoftmax`](super::AamSoftmax).
///
/// With `top_k > 0`, the `top_k` classes with the largest cosines beside the target have `cos(theta - penalty)` instead of
/// `cos(theta)`: the centres that are most confused are pushed apart most. While a schedule holds the margin below the
/// configured one, the penalty is smaller in proportion, as in WeSpeaker.
///
/// The centres of class `c` are the rows `c * sub_centres` to `(c + 1) * sub_centres - 1` of the weight.
#[derive(Module, Debug)]
pub struct SubCentreAam {
    weight: Param<Tensor<2>>,
    margin: f64,
    configured_margin: f64,
    scale: f64,
    easy_margin: bool,
    sub_centres: usize,
    top_k: usize,
    top_k_penalty: f64,
}

impl Classifier for SubCentreAam {
    fn weight(&self) -> Option<Tensor<2>> {
        Some(self.weight.val())
    }

    fn rows_per_class(&self) -> usize {
        self.sub_centres
    }

    fn margin(&self) -> Option<f64> {
        Some(self.margin)
    }

    fn set_margin(&mut self, margin: f64) {
        self.margin = margin;
    }
}

impl SubCentreAam {
    /// The penalty that goes with the margin in force, in radians.
    fn penalty(&self) -> f64 {
        if self.configured_margin > 0.0 {
            self.top_k_penalty * (self.margin / self.configured_margin)
        } else {
            self.top_k_penalty
        }
    }

    /// # Shapes
    /// - embeddings: `[batch, embedding]`
    /// - labels: `[batch]`
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> HeadOutput {
        let cosines = cosines(embeddings, self.weight.val());
        let [batch, rows] = cosines.dims();
        let num_classes = rows / self.sub_centres;
        let cosines = if self.sub_centres == 1 {
            cosines
        } else {
            let by_class = cosines.reshape([batch, num_classes, self.sub_centres]);
            by_class.max_dim(2).reshape([batch, num_classes])
        };

        let (margin, easy) = (self.margin, self.easy_margin);
        let with_margin = |target| angular_margin(target, margin, easy);
        let mut logits = replace_targets(cosines.clone(), labels.clone(), with_margin);

        let top_k = self.top_k.min(num_classes.saturating_sub(1));
        if top_k > 0 {
            // Four less than its cosine is less than any other.
            let sunk = Tensor::full([batch, 1], -4.0, &cosines.device()).detach();
            let others = cosines.clone().detach().scatter(
                1,
                labels.clone().unsqueeze_dim(1),
                sunk,
                IndexingUpdateOp::Add,
            );
            let (_, rivals) = others.topk_with_indices(top_k, 1);
            let of_rivals = cosines.clone().gather(1, rivals.clone());
            let change = rotated(of_rivals.clone(), -self.penalty()) - of_rivals;
            logits = logits.scatter(1, rivals, change, IndexingUpdateOp::Add);
        }
        let logits = logits * self.scale;
        HeadOutput::new(logits, labels, cosines)
    }
}
