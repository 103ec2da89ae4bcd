//! CAM++: [Wang et al. 2023](https://arxiv.org/abs/2303.00332), densely connected TDNN layers whose outputs are masked by
//! what the utterance and the segment around them look like. Parameter names as in 3D-Speaker's `CAMPPlus`, but for the
//! layers of a block, which count from 1 there (`tdnnd1`) and from 0 here (`tdnnd.0`).

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::batch_norm::{BatchNorm, PlainBatchNorm};
use crate::blocks::{Pieces, ReceptiveField, in_blocks, in_pieces, mean_over_time};
use crate::convolution::{conv1d, conv1d_then, conv2d_then};
use crate::error::{Result, require_size};
use crate::network::{Network, NetworkConfig};
use crate::pooling::all_positions::with_std;
use crate::pooling::moments::Moments;
use crate::stages::shortcut;

/// Channels of the two-dimensional front.
pub(crate) const FRONT_CHANNELS: usize = 32;
/// Kernel of the first convolution over time, which halves the frame rate.
pub(crate) const STEM_KERNEL: usize = 5;
/// Layers and dilation of the three dense blocks.
pub(crate) const BLOCKS: [(usize, usize); 3] = [(12, 1), (24, 2), (16, 2)];
/// Kernel of the convolutions inside the blocks.
const BLOCK_KERNEL: usize = 3;
/// Frames of a segment of the context.
pub(crate) const SEGMENT: usize = 100;

/// Options of a [`CamPlusPlus`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CamPlusPlusConfig {
    /// Size of the embedding. Default: 192; 3D-Speaker's VoxCeleb model has 512.
    pub embedding_size: usize,
    /// Channels that each layer of a dense block adds. Default: 32.
    pub growth_rate: usize,
    /// Channels inside such a layer, in growth rates. Even, or `growth_rate` is. Default: 4.
    pub bn_size: usize,
    /// Channels of the first convolution over time. Even. Default: 128.
    pub init_channels: usize,
}

impl Default for CamPlusPlusConfig {
    fn default() -> Self {
        Self { embedding_size: 192, growth_rate: 32, bn_size: 4, init_channels: 128 }
    }
}

impl CamPlusPlusConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.embedding_size, "model.embedding_size")?;
        require_size(self.growth_rate, "model.growth_rate")?;
        require_size(self.bn_size.saturating_mul(self.growth_rate), "model.bn_size * model.growth_rate")?;
        require_size(self.init_channels, "model.init_channels")
    }
}

impl NetworkConfig for CamPlusPlusConfig {
    type Network = CamPlusPlus;

    fn min_frames(&self) -> usize {
        CamPlusPlus::MIN_FRAMES
    }

    fn build(&self, num_mels: usize, device: &Device) -> CamPlusPlus {
        let head = Fcm::new(device);
        // The front halves the frequency axis three times, rounding up.
        let tdnn = TdnnLayer::new(FRONT_CHANNELS * num_mels.div_ceil(8), self.init_channels, device);
        let mut channels = self.init_channels;
        let [(block1, transit1), (block2, transit2), (block3, transit3)] =
            BLOCKS.map(|(layers, dilation)| {
                let block = CamDenseBlock::new(self, channels, layers, dilation, device);
                channels += layers * self.growth_rate;
                let transit = TransitLayer::new(channels, channels / 2, device);
                channels /= 2;
                (block, transit)
            });
        CamPlusPlus {
            head,
            xvector: XVector {
                tdnn,
                block1,
                transit1,
                block2,
                transit2,
                block3,
                transit3,
                out_nonlinear: Nonlinear::new(channels, device),
                dense: DenseLayer {
                    linear: pointwise(2 * channels, self.embedding_size, false, device),
                    nonlinear: PlainNonlinear { batchnorm: PlainBatchNorm::new(self.embedding_size, device) },
                },
            },
        }
    }
}

fn pointwise(channels_in: usize, channels_out: usize, bias: bool, device: &Device) -> Conv1d {
    Conv1dConfig::new(channels_in, channels_out, 1).with_bias(bias).init(device)
}

fn conv3x3(channels_in: usize, stride: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new([channels_in, FRONT_CHANNELS], [3, 3])
        .with_stride(stride)
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(device)
}

/// Two 3x3 convolutions and a shortcut, projected where the frequency axis is halved.
#[derive(Module, Debug)]
struct ResBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    shortcut: Option<(Conv2d, BatchNorm)>,
}

impl ResBlock {
    fn new(frequency_stride: usize, device: &Device) -> Self {
        let shortcut = (frequency_stride != 1).then(|| {
            let projection = Conv2dConfig::new([FRONT_CHANNELS; 2], [1, 1])
                .with_stride([frequency_stride, 1])
                .with_bias(false)
                .init(device);
            (projection, BatchNorm::new(FRONT_CHANNELS, device))
        });
        Self {
            conv1: conv3x3(FRONT_CHANNELS, [frequency_stride, 1], device),
            bn1: BatchNorm::new(FRONT_CHANNELS, device),
            conv2: conv3x3(FRONT_CHANNELS, [1, 1], device),
            bn2: BatchNorm::new(FRONT_CHANNELS, device),
            shortcut,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = conv2d_then(&self.conv1, input.clone(), self.bn1.then_relu());
        let shortcut = shortcut(self.shortcut.as_ref(), input);
        conv2d_then(&self.conv2, hidden, self.bn2.then_add_relu(&shortcut))
    }
}

/// Front-end convolution module: a small ResNet that keeps the frame rate and leaves an eighth of the frequencies, which
/// become channels.
#[derive(Module, Debug)]
struct Fcm {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<ResBlock>,
    layer2: Vec<ResBlock>,
    conv2: Conv2d,
    bn2: BatchNorm,
}

impl Fcm {
    fn new(device: &Device) -> Self {
        let layer = || vec![ResBlock::new(2, device), ResBlock::new(1, device)];
        Self {
            conv1: conv3x3(1, [1, 1], device),
            bn1: BatchNorm::new(FRONT_CHANNELS, device),
            layer1: layer(),
            layer2: layer(),
            conv2: conv3x3(FRONT_CHANNELS, [2, 1], device),
            bn2: BatchNorm::new(FRONT_CHANNELS, device),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = &ResBlock> {
        self.layer1.iter().chain(&self.layer2)
    }

    fn receptive_field(&self) -> ReceptiveField {
        let layers = self.blocks().flat_map(|block| [&block.conv1, &block.conv2]).chain([&self.conv2]);
        layers.fold(ReceptiveField::FRAME.conv2d(&self.conv1), ReceptiveField::conv2d)
    }

    fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let stem = conv2d_then(&self.conv1, features.unsqueeze_dim(1), self.bn1.then_relu());
        let hidden = self.blocks().fold(stem, |hidden, block| block.forward(hidden));
        let hidden = conv2d_then(&self.conv2, hidden, self.bn2.then_relu());
        let [batch, channels, frequencies, frames] = hidden.dims();
        hidden.reshape([batch, channels * frequencies, frames])
    }
}

/// BatchNorm and ReLU.
#[derive(Module, Debug)]
struct Nonlinear {
    batchnorm: BatchNorm,
}

impl Nonlinear {
    fn new(channels: usize, device: &Device) -> Self {
        Self { batchnorm: BatchNorm::new(channels, device) }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        self.batchnorm.then_relu().forward(input)
    }

    /// Of the output of `layer`.
    fn after(&self, layer: &Conv1d, input: Tensor<3>) -> Tensor<3> {
        conv1d_then(layer, input, self.batchnorm.then_relu())
    }
}

/// BatchNorm without scale and offset.
#[derive(Module, Debug)]
struct PlainNonlinear {
    batchnorm: PlainBatchNorm,
}

/// The first convolution over time: every other frame.
#[derive(Module, Debug)]
struct TdnnLayer {
    linear: Conv1d,
    nonlinear: Nonlinear,
}

impl TdnnLayer {
    fn new(channels_in: usize, channels_out: usize, device: &Device) -> Self {
        let padding = STEM_KERNEL / 2;
        Self {
            linear: Conv1dConfig::new(channels_in, channels_out, STEM_KERNEL)
                .with_stride(2)
                .with_padding(PaddingConfig1d::Explicit(padding, padding))
                .with_bias(false)
                .init(device),
            nonlinear: Nonlinear::new(channels_out, device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        self.nonlinear.after(&self.linear, input)
    }
}

/// Context-aware masking: a convolution whose channels are weighted by the mean of the utterance plus that of the segment.
#[derive(Module, Debug)]
struct CamLayer {
    linear_local: Conv1d,
    linear1: Conv1d,
    linear2: Conv1d,
}

impl CamLayer {
    /// # Shapes
    /// - pieces: `[batch, inner, frames]`
    /// - output: `[batch, growth_rate, frames]`
    fn forward(&self, pieces: &[Tensor<3>]) -> Pieces {
        let utterance = mean_over_time(pieces);
        let local = in_pieces(pieces, self.linear_local.dilation, |piece| conv1d(&self.linear_local, piece));
        let masked = |(piece, local): (&Tensor<3>, Tensor<3>)| {
            let [batch, _, frames] = piece.dims();
            let context = utterance.clone() + segment_means(piece.clone());
            // A mask is the same for all frames of a segment: it is computed once for each.
            let mask = sigmoid(conv1d(&self.linear2, relu(conv1d(&self.linear1, context))));
            let [_, channels, segments] = mask.dims();
            let masked = in_segments(local) * mask.unsqueeze_dim::<4>(3);
            masked.reshape([batch, channels, segments * SEGMENT]).narrow(2, 0, frames)
        };
        pieces.iter().zip(local).map(masked).collect()
    }
}

/// `[batch, channels, frames]` as `[batch, channels, segments, SEGMENT]`, the last segment filled up with zeros.
fn in_segments(input: Tensor<3>) -> Tensor<4> {
    let [batch, channels, frames] = input.dims();
    let segments = frames.div_ceil(SEGMENT);
    let missing = segments * SEGMENT - frames;
    let filled = match missing {
        0 => input,
        _ => {
            let zeros = Tensor::zeros([batch, channels, missing], &input.device());
            Tensor::cat(vec![input, zeros], 2)
        }
    };
    filled.reshape([batch, channels, segments, SEGMENT])
}

/// Mean of each segment over the frames that it has, `[batch, channels, segments]`.
fn segment_means(input: Tensor<3>) -> Tensor<3> {
    let (device, frames) = (input.device(), input.dims()[2]);
    let sums = in_segments(input).sum_dim(3).squeeze_dim::<3>(3);
    let segments = sums.dims()[2];
    let shares: Vec<f32> =
        (0..segments).map(|segment| 1.0 / (frames - segment * SEGMENT).min(SEGMENT) as f32).collect();
    sums * Tensor::from_data(TensorData::new(shares, [1, 1, segments]), &device)
}

/// A bottleneck and a masked convolution; the output goes behind the input.
#[derive(Module, Debug)]
struct CamDenseLayer {
    nonlinear1: Nonlinear,
    linear1: Conv1d,
    nonlinear2: Nonlinear,
    cam_layer: CamLayer,
}

impl CamDenseLayer {
    fn new(config: &CamPlusPlusConfig, channels_in: usize, dilation: usize, device: &Device) -> Self {
        let inner = config.bn_size * config.growth_rate;
        // An inner size of 1 leaves one channel.
        let squeezed = (inner / 2).max(1);
        Self {
            nonlinear1: Nonlinear::new(channels_in, device),
            linear1: pointwise(channels_in, inner, false, device),
            nonlinear2: Nonlinear::new(inner, device),
            cam_layer: CamLayer {
                linear_local: Conv1dConfig::new(inner, config.growth_rate, BLOCK_KERNEL)
                    .with_dilation(dilation)
                    .with_padding(PaddingConfig1d::Explicit(dilation, dilation))
                    .with_bias(false)
                    .init(device),
                linear1: pointwise(inner, squeezed, true, device),
                linear2: pointwise(squeezed, config.growth_rate, true, device),
            },
        }
    }

    fn forward(&self, pieces: &[Tensor<3>]) -> Pieces {
        let inner =
            |piece: &Tensor<3>| self.nonlinear2.after(&self.linear1, self.nonlinear1.forward(piece.clone()));
        self.cam_layer.forward(&Vec::from_iter(pieces.iter().map(inner)))
    }
}

/// Each layer reads the block's input and the outputs of all layers before it.
#[derive(Module, Debug)]
struct CamDenseBlock {
    tdnnd: Vec<CamDenseLayer>,
}

impl CamDenseBlock {
    fn new(
        config: &CamPlusPlusConfig,
        channels_in: usize,
        layers: usize,
        dilation: usize,
        device: &Device,
    ) -> Self {
        let layer =
            |layer| CamDenseLayer::new(config, channels_in + layer * config.growth_rate, dilation, device);
        Self { tdnnd: (0..layers).map(layer).collect() }
    }

    fn forward(&self, pieces: Pieces) -> Pieces {
        self.tdnnd.iter().fold(pieces, |pieces, layer| {
            let added = layer.forward(&pieces);
            pieces.into_iter().zip(added).map(|(piece, added)| Tensor::cat(vec![piece, added], 1)).collect()
        })
    }
}

/// Halves the channels between two blocks.
#[derive(Module, Debug)]
struct TransitLayer {
    nonlinear: Nonlinear,
    linear: Conv1d,
}

impl TransitLayer {
    fn new(channels_in: usize, channels_out: usize, device: &Device) -> Self {
        Self {
            nonlinear: Nonlinear::new(channels_in, device),
            linear: pointwise(channels_in, channels_out, false, device),
        }
    }

    fn forward(&self, pieces: Pieces) -> Pieces {
        pieces.into_iter().map(|piece| conv1d(&self.linear, self.nonlinear.forward(piece))).collect()
    }
}

/// From the statistics to the embedding.
#[derive(Module, Debug)]
struct DenseLayer {
    linear: Conv1d,
    nonlinear: PlainNonlinear,
}

impl DenseLayer {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = conv1d(&self.linear, input.unsqueeze_dim::<3>(2)).squeeze_dim::<2>(2);
        self.nonlinear.batchnorm.forward(hidden)
    }
}

/// Everything behind the front.
#[derive(Module, Debug)]
struct XVector {
    tdnn: TdnnLayer,
    block1: CamDenseBlock,
    transit1: TransitLayer,
    block2: CamDenseBlock,
    transit2: TransitLayer,
    block3: CamDenseBlock,
    transit3: TransitLayer,
    out_nonlinear: Nonlinear,
    dense: DenseLayer,
}

/// Front, three dense blocks, statistics over time, embedding. Made by [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct CamPlusPlus {
    head: Fcm,
    xvector: XVector,
}

impl Network for CamPlusPlus {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl CamPlusPlus {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let x = &self.xvector;
        let field = self.head.receptive_field().conv1d(&x.tdnn.linear);
        let front = |block| x.tdnn.forward(self.head.forward(block));
        let hidden = in_blocks(features, field, front).collect();
        let hidden = x.transit1.forward(x.block1.forward(hidden));
        let hidden = x.transit2.forward(x.block2.forward(hidden));
        let hidden = x.transit3.forward(x.block3.forward(hidden));
        let statistics = Moments::of_all(hidden.into_iter().map(|piece| x.out_nonlinear.forward(piece)));
        x.dense.forward(with_std(statistics.mean_and_variance()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_is_averaged_over_its_own_frames() {
        let device = Device::flex();
        let ramp: Vec<f32> = (0..250).map(|t| t as f32).collect();
        let means = segment_means(Tensor::from_data(TensorData::new(ramp, [1, 1, 250]), &device));
        assert_eq!(means.into_data().try_to_vec::<f32>().expect("f32"), [49.5, 149.5, 224.5]);
    }
}
