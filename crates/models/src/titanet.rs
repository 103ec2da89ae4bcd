//! TitaNet: separable convolutions over time with squeeze-excitation, and attentive statistics pooling. [Koluguri et al.
//! 2022](https://arxiv.org/abs/2110.04410). Layers as in NVIDIA NeMo's `ConvASREncoder` (blocks of `JasperBlock`) and
//! `SpeakerDecoder`. A layer has a name here where NeMo's has a number in a list.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig1d};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::batch_norm::BatchNorm;
use crate::blocks::{Pieces, in_pieces, mean_over_time, pieces};
use crate::convolution::{conv1d, conv1d_then};
use crate::error::{Result, require, require_size};
use crate::multiplications::{linear, product};
use crate::network::{Network, NetworkConfig};
use crate::pooling::Parameterless;
use crate::pooling::moments::Moments;
use crate::pooling::weighted::weighted_mean_and_variance;

/// Kernels of the first and the last block of the encoder.
const ENDS: (usize, usize) = (3, 1);
/// Channels of a block over those of the hidden layer of its squeeze-excitation (`se_reduction_ratio`).
const SE_REDUCTION: usize = 8;
/// Added to the variance by the BatchNorms of the encoder (`jasper.py`). The others have PyTorch's 1e-5.
pub(crate) const ENCODER_EPSILON: f64 = 1e-3;
/// Floor of the variances in the pooling (`tdnn_attention.py`).
pub(crate) const VARIANCE_FLOOR: f64 = 1e-10;
/// Widest kernel and most layers of a block: what a block sees to either side is less than a piece of a long recording.
const MOST: (usize, usize) = (255, 16);

/// Options of a [`TitaNet`].
///
/// | NeMo's | `channels` |
/// | --- | --- |
/// | `titanet-large.yaml` (the default) | 1024 |
/// | `titanet-small.yaml` | 256 |
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TitaNetConfig {
    /// Channels of all blocks but the last, from 8. Default: 1024.
    pub channels: usize,
    /// Channels of the last block, which is pooled, from 8. Default: 3072.
    pub aggregated: usize,
    /// Kernels of the blocks with a shortcut, the mega blocks: odd numbers of frames up to 255. Default: 7, 11, 15.
    pub kernels: Vec<usize>,
    /// Layers of a mega block, up to 16. Default: 3.
    pub repeat: usize,
    /// Share of the values that training zeroes in the mega blocks. Default: 0.1.
    pub dropout: f64,
    /// Hidden size of the pooling's attention. Default: 128.
    pub attention_channels: usize,
    /// Size of the embedding. Default: 192.
    pub embedding_size: usize,
}

impl Default for TitaNetConfig {
    fn default() -> Self {
        Self {
            channels: 1024,
            aggregated: 3072,
            kernels: vec![7, 11, 15],
            repeat: 3,
            dropout: 0.1,
            attention_channels: 128,
            embedding_size: 192,
        }
    }
}

impl TitaNetConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        for (channels, name) in [(self.channels, "model.channels"), (self.aggregated, "model.aggregated")] {
            require_size(channels, name)?;
            require(channels >= SE_REDUCTION, name, channels, "a number from 8 to 65536")?;
        }
        let (widest, most) = MOST;
        for &kernel in &self.kernels {
            let is_odd = (1..=widest).contains(&kernel) && kernel % 2 == 1;
            require(is_odd, "model.kernels", kernel, "odd numbers from 1 to 255")?;
        }
        require((1..=most).contains(&self.repeat), "model.repeat", self.repeat, "a number from 1 to 16")?;
        require((0.0..1.0).contains(&self.dropout), "model.dropout", self.dropout, "a number in [0, 1)")?;
        require_size(self.attention_channels, "model.attention_channels")?;
        require_size(self.embedding_size, "model.embedding_size")
    }

    /// Layers of each block of the encoder.
    pub(crate) fn repeats(&self) -> impl Iterator<Item = usize> {
        let mega_blocks = std::iter::repeat_n(self.repeat, self.kernels.len());
        std::iter::once(1).chain(mega_blocks).chain([1])
    }
}

impl NetworkConfig for TitaNetConfig {
    type Network = TitaNet;

    fn min_frames(&self) -> usize {
        TitaNet::MIN_FRAMES
    }

    fn layers(&self) -> usize {
        self.kernels.len().saturating_mul(self.repeat)
    }

    fn build(&self, num_mels: usize, device: &Device) -> TitaNet {
        let (c, aggregated) = (self.channels, self.aggregated);
        let first = Block::new(num_mels, c, ENDS.0, 1, device);
        let mega = |&kernel| Block {
            res: Some((pointwise(c, c).with_bias(false).init(device), encoder_norm(c, device))),
            dropout: DropoutConfig::new(self.dropout).init(),
            ..Block::new(c, c, kernel, self.repeat, device)
        };
        let last = Block::new(c, aggregated, ENDS.1, 1, device);
        TitaNet {
            encoder: std::iter::once(first).chain(self.kernels.iter().map(mega)).chain([last]).collect(),
            pooling: AttentivePooling::new(aggregated, self.attention_channels, device),
            emb_layer: (
                BatchNorm::new(2 * aggregated, device),
                pointwise(2 * aggregated, self.embedding_size).init(device),
            ),
        }
    }
}

/// A convolution that sees one frame.
fn pointwise(channels_in: usize, channels_out: usize) -> Conv1dConfig {
    Conv1dConfig::new(channels_in, channels_out, 1)
}

fn encoder_norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNorm::new(channels, device).with_epsilon(ENCODER_EPSILON)
}

/// A convolution of each channel over time with zeros at both ends, a convolution across channels, and BatchNorm.
#[derive(Module, Debug)]
struct Separable {
    depthwise: Conv1d,
    pointwise: Conv1d,
    bn: BatchNorm,
}

impl Separable {
    fn new(channels_in: usize, channels_out: usize, kernel: usize, device: &Device) -> Self {
        let depthwise = Conv1dConfig::new(channels_in, channels_in, kernel)
            .with_groups(channels_in)
            .with_padding(PaddingConfig1d::Explicit(kernel / 2, kernel / 2))
            .with_bias(false);
        Self {
            depthwise: depthwise.init(device),
            pointwise: pointwise(channels_in, channels_out).with_bias(false).init(device),
            bn: encoder_norm(channels_out, device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        conv1d_then(&self.pointwise, conv1d(&self.depthwise, input), self.bn.alone())
    }

    fn forward_relu(&self, input: Tensor<3>) -> Tensor<3> {
        conv1d_then(&self.pointwise, conv1d(&self.depthwise, input), self.bn.then_relu())
    }
}

/// A gain for each channel, from the means of all channels over time.
#[derive(Module, Debug)]
struct SqueezeExcitation {
    fc: (Linear, Parameterless, Linear),
}

impl SqueezeExcitation {
    fn new(channels: usize, device: &Device) -> Self {
        let hidden = channels / SE_REDUCTION;
        let layer = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        Self { fc: (layer(channels, hidden), Parameterless, layer(hidden, channels)) }
    }

    /// # Shapes
    /// - mean, output: `[batch, channels, 1]`
    fn gain(&self, mean: Tensor<3>) -> Tensor<3> {
        let (squeeze, _, expand) = &self.fc;
        let hidden = relu(linear(squeeze, mean.squeeze_dim::<2>(2)));
        sigmoid(linear(expand, hidden)).unsqueeze_dim(2)
    }
}

/// Separable layers with ReLU and dropout between them, squeeze-excitation, a shortcut in mega blocks, ReLU and dropout.
#[derive(Module, Debug)]
struct Block {
    layers: Vec<Separable>,
    se: SqueezeExcitation,
    /// A projection, and its BatchNorm.
    res: Option<(Conv1d, BatchNorm)>,
    dropout: Dropout,
}

impl Block {
    /// Without a shortcut and without dropout.
    fn new(channels_in: usize, channels_out: usize, kernel: usize, repeat: usize, device: &Device) -> Self {
        let layer = |place| {
            let channels_in = if place == 0 { channels_in } else { channels_out };
            Separable::new(channels_in, channels_out, kernel, device)
        };
        Self {
            layers: (0..repeat).map(layer).collect(),
            se: SqueezeExcitation::new(channels_out, device),
            res: None,
            dropout: DropoutConfig::new(0.0).init(),
        }
    }

    /// Frames that the layers see to either side.
    fn reach(&self) -> usize {
        self.layers.iter().map(|layer| layer.depthwise.kernel_size / 2).sum()
    }

    /// The layers that see a few frames at a time.
    fn local(&self, input: Tensor<3>) -> Tensor<3> {
        let mut hidden = input;
        for (place, layer) in (1..).zip(&self.layers) {
            hidden = if place == self.layers.len() {
                layer.forward(hidden)
            } else {
                self.dropout.forward(layer.forward_relu(hidden))
            };
        }
        hidden
    }

    fn forward(&self, input: Pieces) -> Pieces {
        let hidden: Pieces = in_pieces(&input, self.reach(), |piece| self.local(piece)).collect();
        let gain = self.se.gain(mean_over_time(&hidden));
        let gained = |(hidden, input): (Tensor<3>, Tensor<3>)| {
            let hidden = hidden * gain.clone();
            let output = match &self.res {
                Some((projection, bn)) => conv1d_then(projection, input, bn.then_add_relu(&hidden)),
                None => relu(hidden),
            };
            self.dropout.forward(output)
        };
        hidden.into_iter().zip(input).map(gained).collect()
    }
}

/// Convolution, ReLU, BatchNorm.
#[derive(Module, Debug)]
struct TdnnLayer {
    conv_layer: Conv1d,
    bn: BatchNorm,
}

/// Attention for every channel and frame that sees mean and standard deviation of the utterance:
/// `w = softmax_t(V tanh(bn(relu(W [h_t; mean; std] + b))) + k)`, then `mean = sum_t w h`, `std = sqrt(sum_t w (h - mean)^2)`.
#[derive(Module, Debug)]
struct AttentivePooling {
    attention_layer: (TdnnLayer, Parameterless, Conv1d),
}

impl AttentivePooling {
    fn new(rows: usize, attention_channels: usize, device: &Device) -> Self {
        let tdnn = TdnnLayer {
            conv_layer: pointwise(3 * rows, attention_channels).init(device),
            bn: BatchNorm::new(attention_channels, device),
        };
        Self { attention_layer: (tdnn, Parameterless, pointwise(attention_channels, rows).init(device)) }
    }

    /// # Shapes
    /// - pieces: `[batch, rows, frames]`
    /// - output: `[batch, 2 * rows, 1]`
    fn forward(&self, pieces: Pieces) -> Tensor<3> {
        let std = |variance: Tensor<3>| variance.clamp_min(VARIANCE_FLOOR).sqrt();
        let (mean, variance) = Moments::of_all(pieces.iter().cloned()).mean_and_biased_variance();
        let context = self.of_context(Tensor::cat(vec![mean, std(variance)], 1));
        let (mean, variance) =
            weighted_mean_and_variance(pieces, |piece| self.logits(piece, context.clone()));
        Tensor::cat(vec![mean, std(variance)], 1)
    }

    // W [h; mean; std] = W_h h + W_c [mean; std]: the context is the same for all frames, so it is multiplied once.

    /// `W_c [mean; std] + b`, `[batch, attention, 1]`.
    fn of_context(&self, context: Tensor<3>) -> Tensor<3> {
        let size = context.dims()[1];
        let product = product(self.weight().narrow(2, size / 2, size), context);
        match &self.attention_layer.0.conv_layer.bias {
            Some(bias) => product + bias.val().reshape([1, -1, 1]),
            None => product,
        }
    }

    /// Of every channel and frame, `[batch, rows, frames]`.
    fn logits(&self, input: Tensor<3>, context: Tensor<3>) -> Tensor<3> {
        let (tdnn, _, expand) = &self.attention_layer;
        let rows = input.dims()[1];
        let hidden = product(self.weight().narrow(2, 0, rows), input) + context;
        conv1d(expand, tdnn.bn.after_relu().forward(hidden).tanh())
    }

    /// Of the first layer, `[1, attention, 3 * rows]`.
    fn weight(&self) -> Tensor<3> {
        self.attention_layer.0.conv_layer.weight.val().squeeze_dim::<2>(2).unsqueeze_dim(0)
    }
}

/// A first block, mega blocks, a last block, attentive pooling, BatchNorm and the embedding. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct TitaNet {
    encoder: Vec<Block>,
    pooling: AttentivePooling,
    emb_layer: (BatchNorm, Conv1d),
}

impl Network for TitaNet {
    fn min_frames(&self) -> usize {
        Self::MIN_FRAMES
    }
}

impl TitaNet {
    /// Any number of frames from 1.
    const MIN_FRAMES: usize = 1;

    /// NeMo masks what lies behind the end of each utterance of a batch. Here all utterances of a batch have the same length.
    ///
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let encoded = self.encoder.iter().fold(pieces(features), |hidden, block| block.forward(hidden));
        let (bn, embedding) = &self.emb_layer;
        let pooled = bn.forward(self.pooling.forward(encoded));
        conv1d(embedding, pooled).squeeze_dim(2)
    }
}
