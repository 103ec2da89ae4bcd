//! Res2Net over the spectrogram: [Zhou et al. 2020](https://arxiv.org/abs/2007.02480), after [Gao et al.
//! 2019](https://arxiv.org/abs/1904.01169). Parameter names as in WeSpeaker's and 3D-Speaker's `Res2Net`, whose stem and stages are
//! not in `front` but at the top.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::blocks::in_blocks;
use crate::error::{Result, require, require_size};
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::pooling::tstp;
use crate::res2::{Groups, Res2Block, Res2Sizes};
use crate::stages::Stages;

/// Whose network a [`Res2Net`] is. The tensors are the same, but not what is added to the variance in the pooling.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Res2NetForm {
    /// WeSpeaker's: 1e-7.
    #[default]
    Wespeaker,
    /// 3D-Speaker's: 1e-8.
    #[serde(rename = "3dspeaker")]
    ThreeDSpeaker,
}

/// Options of a [`Res2Net`]. WeSpeaker's `Res2Net34_Base` is the default, its `Res2Net34_Large` has `in_planes = 64`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Res2NetConfig {
    /// Channels of the first stage, C; the stages have C, 2C, 4C and 8C inside their blocks. Default: 32.
    pub in_planes: usize,
    /// Blocks of each stage. Default: 3, 4, 6, 3.
    pub blocks: [usize; 4],
    /// Channels of a group, in 64ths of those of the stage. Default: 32.
    pub base_width: usize,
    /// Groups of channels in a block, 2 or more. Default: 2.
    pub scale: usize,
    /// Channels that leave a block, in those of the stage. Default: 2.
    pub expansion: usize,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
    /// Whose pooling. Default: `wespeaker`.
    pub form: Res2NetForm,
}

impl Default for Res2NetConfig {
    fn default() -> Self {
        Self {
            in_planes: 32,
            blocks: [3, 4, 6, 3],
            base_width: 32,
            scale: 2,
            expansion: 2,
            embedding_size: 192,
            form: Res2NetForm::default(),
        }
    }
}

impl Res2NetConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        // The last group is not convolved, and the toolkits' first one always is.
        require(self.scale > 1, "model.scale", self.scale, "a number from 2")?;
        self.sizes().validate()?;
        require_size(self.embedding_size, "model.embedding_size")
    }

    /// What the pooling adds to a variance.
    pub(crate) fn epsilon(&self) -> f64 {
        match self.form {
            Res2NetForm::Wespeaker => tstp::WESPEAKER_EPSILON,
            Res2NetForm::ThreeDSpeaker => tstp::THREE_D_SPEAKER_EPSILON,
        }
    }

    pub(crate) fn sizes(&self) -> Res2Sizes {
        let Self { in_planes, blocks, base_width, scale, expansion, .. } = *self;
        Res2Sizes { in_planes, blocks, base_width, scale, expansion }
    }
}

impl NetworkConfig for Res2NetConfig {
    type Network = Res2Net;

    fn min_frames(&self) -> usize {
        Res2Net::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        self.sizes().layers()
    }

    fn build(&self, num_mels: usize, device: &Device) -> Res2Net {
        let sizes = self.sizes();
        // Three of the four stages halve the frequency axis, rounding up.
        let rows = sizes.channels() * num_mels.div_ceil(8);
        Res2Net {
            front: sizes.stages(device, |_| Groups::LastPasses),
            seg_1: LinearConfig::new(2 * rows, self.embedding_size).init(device),
            epsilon: self.epsilon(),
        }
    }
}

/// Four stages, statistics over time, linear embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct Res2Net {
    front: Stages<Res2Block>,
    seg_1: Linear,
    epsilon: f64,
}

impl Network for Res2Net {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl Res2Net {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let front = |block: Tensor<3>| self.front.forward(block.unsqueeze_dim(1));
        let maps = in_blocks(features, self.front.receptive_field(), front);
        linear(&self.seg_1, tstp::of_maps(maps, self.epsilon))
    }
}
