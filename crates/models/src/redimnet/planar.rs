//! The two-dimensional blocks of ReDimNet. Both keep the shape of their input.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{gelu, relu, sigmoid};
use burn::tensor::{Device, Tensor};

use super::config::BlockKind;
use crate::batch_norm::BatchNorm;
use crate::convolution::{conv2d, conv2d_then};
use crate::multiplications::linear;

/// Hidden size of the squeeze-excitation: the number of channels within these bounds.
const SQUEEZED: (usize, usize) = (32, 64);

/// A 3x3 convolution whose output channels see the input channels of their group.
pub(crate) fn grouped3x3(
    channels_in: usize,
    channels_out: usize,
    groups: usize,
    bias: bool,
    device: &Device,
) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [3, 3])
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(bias)
        .init(device)
}

/// A 1x1 convolution with a bias.
pub(crate) fn pointwise(channels_in: usize, channels_out: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [1, 1]).init(device)
}

/// A block of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // A few dozen exist in a network, all of one kind.
pub(crate) enum Planar {
    /// As in ResNet, with grouped convolutions.
    Basic(Basic),
    /// As in ConvNeXt.
    ConvNeXt(ConvNeXt),
}

impl Planar {
    pub(crate) fn new(
        kind: BlockKind,
        channels: usize,
        frequencies: usize,
        group_size: usize,
        device: &Device,
    ) -> Self {
        match kind {
            BlockKind::ConvNeXt => Self::ConvNeXt(ConvNeXt::new(channels, group_size, device)),
            BlockKind::Basic => Self::Basic(Basic::new(channels, None, group_size, device)),
            BlockKind::BasicSe => Self::Basic(Basic::new(channels, Some(frequencies), group_size, device)),
        }
    }

    /// # Shapes
    /// - input and output: `[batch, channels, frequencies, frames]`
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Basic(block) => block.forward(input),
            Self::ConvNeXt(block) => block.forward(input),
        }
    }
}

/// Two grouped 3x3 convolutions, each with a 1x1 convolution behind it, and a shortcut.
#[derive(Module, Debug)]
pub(crate) struct Basic {
    conv1: Conv2d,
    conv1pw: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    conv2pw: Conv2d,
    bn2: BatchNorm,
    se: Option<FrequencyGain>,
}

impl Basic {
    fn new(channels: usize, frequencies: Option<usize>, group_size: usize, device: &Device) -> Self {
        let grouped = || grouped3x3(channels, channels, channels / group_size, false, device);
        let squeezed = channels.clamp(SQUEEZED.0, SQUEEZED.1);
        Self {
            conv1: grouped(),
            conv1pw: pointwise(channels, channels, device),
            bn1: BatchNorm::new(channels, device),
            conv2: grouped(),
            conv2pw: pointwise(channels, channels, device),
            bn2: BatchNorm::new(channels, device),
            se: frequencies.map(|frequencies| FrequencyGain::new(frequencies, squeezed, device)),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = conv2d_then(&self.conv1pw, conv2d(&self.conv1, input.clone()), self.bn1.after_relu());
        let hidden = conv2d(&self.conv2, hidden);
        match &self.se {
            None => conv2d_then(&self.conv2pw, hidden, self.bn2.then_add_relu(&input)),
            Some(gain) => relu(gain.forward(conv2d_then(&self.conv2pw, hidden, self.bn2.alone())) + input),
        }
    }
}

/// Squeeze-excitation of frequencies: a gain for each, from the means over channels and frames.
#[derive(Module, Debug)]
pub(crate) struct FrequencyGain {
    squeeze: Linear,
    // Written so in the checkpoints.
    exitation: Linear,
}

impl FrequencyGain {
    fn new(frequencies: usize, squeezed: usize, device: &Device) -> Self {
        Self {
            squeeze: LinearConfig::new(frequencies, squeezed).init(device),
            exitation: LinearConfig::new(squeezed, frequencies).init(device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, _, frequencies, _] = input.dims();
        let mean = input.clone().mean_dim(3).mean_dim(1).reshape([batch, frequencies]);
        let gain = sigmoid(linear(&self.exitation, relu(linear(&self.squeeze, mean))));
        input * gain.reshape([batch, 1, frequencies, 1])
    }
}

/// A grouped 3x3 convolution, BatchNorm, GELU, a 1x1 convolution, and a shortcut.
#[derive(Module, Debug)]
pub(crate) struct ConvNeXt {
    dwconvs: [Conv2d; 1],
    norm: BatchNorm,
    pwconv1: Conv2d,
}

impl ConvNeXt {
    fn new(channels: usize, group_size: usize, device: &Device) -> Self {
        Self {
            dwconvs: [grouped3x3(channels, channels, channels / group_size, true, device)],
            norm: BatchNorm::new(channels, device),
            pwconv1: pointwise(channels, channels, device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [conv] = &self.dwconvs;
        let hidden = gelu(conv2d_then(conv, input.clone(), self.norm.alone()));
        input + conv2d(&self.pwconv1, hidden)
    }
}
