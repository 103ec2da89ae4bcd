//! The trunk that the two-dimensional networks share: a stem and four stages of blocks, [He et al.
//! 2015](https://arxiv.org/abs/1512.03385). A network brings its own block.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::batch_norm::BatchNorm;
use crate::blocks::ReceptiveField;
use crate::convolution::conv2d_then;

/// A 3x3 convolution that keeps the size but for the stride.
pub(crate) fn conv3x3(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [3, 3])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(device)
}

/// A 1x1 convolution.
pub(crate) fn conv1x1(channels_in: usize, channels_out: usize, stride: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([channels_in, channels_out], [1, 1])
        .with_stride([stride, stride])
        .with_bias(false)
        .init(device)
}

/// What a shortcut needs where the shape changes.
pub(crate) fn projection(
    channels_in: usize,
    channels_out: usize,
    stride: usize,
    device: &Device,
) -> Option<(Conv2d, BatchNorm)> {
    (stride != 1 || channels_in != channels_out)
        .then(|| (conv1x1(channels_in, channels_out, stride, device), BatchNorm::new(channels_out, device)))
}

/// The way past a block.
pub(crate) fn shortcut(projection: Option<&(Conv2d, BatchNorm)>, input: Tensor<4>) -> Tensor<4> {
    match projection {
        Some((projection, bn)) => conv2d_then(projection, input, bn.alone()),
        None => input,
    }
}

/// What the stages are made of.
pub(crate) trait StageBlock: Module {
    /// The convolutions on the longest way through it.
    fn convolutions(&self) -> Vec<&Conv2d>;

    /// # Shapes
    /// - input: `[batch, channels in, frequencies, frames]`
    /// - output: `[batch, channels out, ...]`, frequencies and frames divided by the stride, rounding up
    fn forward(&self, input: Tensor<4>) -> Tensor<4>;
}

/// Stem and four stages of C, 2C, 4C and 8C channels. All stages but the first halve frequencies and frames.
#[derive(Module, Debug)]
pub(crate) struct Stages<B> {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<B>,
    layer2: Vec<B>,
    layer3: Vec<B>,
    layer4: Vec<B>,
}

impl<B: StageBlock> Stages<B> {
    /// `block(stage, channels in, channels of the stage, stride)` makes a block, and says how many channels leave it.
    pub(crate) fn new(
        in_planes: usize,
        blocks: [usize; 4],
        device: &Device,
        block: impl Fn(usize, usize, usize, usize) -> (B, usize),
    ) -> Self {
        let mut channels = in_planes;
        let mut stage = |stage: usize| -> Vec<B> {
            let make = |place| {
                let stride = if stage > 0 && place == 0 { 2 } else { 1 };
                let (made, channels_out) = block(stage, channels, in_planes << stage, stride);
                channels = channels_out;
                made
            };
            (0..blocks[stage]).map(make).collect()
        };
        Self {
            conv1: conv3x3(1, in_planes, 1, device),
            bn1: BatchNorm::new(in_planes, device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }

    /// All blocks, first to last.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &B> {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten()
    }

    /// What an output frame sees.
    pub(crate) fn receptive_field(&self) -> ReceptiveField {
        let layers = self.blocks().flat_map(B::convolutions);
        layers.fold(ReceptiveField::FRAME.conv2d(&self.conv1), ReceptiveField::conv2d)
    }

    /// The first layer.
    pub(crate) fn stem(&self, input: Tensor<4>) -> Tensor<4> {
        conv2d_then(&self.conv1, input, self.bn1.then_relu())
    }

    /// The output of each stage, last to come last.
    pub(crate) fn forward_stages(&self, input: Tensor<4>) -> [Tensor<4>; 4] {
        let run = |stage: &Vec<B>, input| stage.iter().fold(input, |hidden, block| block.forward(hidden));
        let first = run(&self.layer1, self.stem(input));
        let second = run(&self.layer2, first.clone());
        let third = run(&self.layer3, second.clone());
        let fourth = run(&self.layer4, third.clone());
        [first, second, third, fourth]
    }

    /// # Shapes
    /// - input: `[batch, 1, mel, frames]`
    /// - output: `[batch, channels, mel / 8, frames / 8]`, rounding up
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.blocks().fold(self.stem(input), |hidden, block| block.forward(hidden))
    }
}
