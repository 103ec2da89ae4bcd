//! The one-dimensional block of ReDimNet: convolutions over time with long kernels, then self-attention.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig1d};
use burn::tensor::activation::{gelu, gelu_approximate, softmax};
use burn::tensor::{Device, Tensor};

use crate::batch_norm::BatchNorm;
use crate::convolution::{conv1d, conv1d_then};
use crate::layer_norm::LayerNorm;
use crate::multiplications::{linear, product};

/// Kernels of the convolutions.
pub(crate) const KERNELS: [usize; 4] = [7, 19, 31, 59];
/// Heads of the attention.
pub(crate) const HEADS: usize = 4;
/// Frames that ask at once, in evaluation: more would hold a large table of weights.
const QUERIES: usize = 512;

/// Fewer channels, convolutions, attention, the channels again, and a shortcut.
#[derive(Module, Debug)]
pub(crate) struct TimeContext {
    red_dim_conv: (Conv1d, LayerNorm),
    tcm: (Convolution, Convolution, Convolution, Convolution, Transformer),
    exp_dim_conv: Conv1d,
}

impl TimeContext {
    /// `hidden` is a multiple of [`HEADS`].
    pub(crate) fn new(channels: usize, hidden: usize, device: &Device) -> Self {
        let [first, second, third, fourth] = KERNELS.map(|kernel| Convolution::new(hidden, kernel, device));
        Self {
            red_dim_conv: (
                Conv1dConfig::new(channels, hidden, 1).init(device),
                LayerNorm::new(hidden, device),
            ),
            tcm: (first, second, third, fourth, Transformer::new(hidden, device)),
            exp_dim_conv: Conv1dConfig::new(hidden, channels, 1).init(device),
        }
    }

    /// # Shapes
    /// - input and output: `[batch, channels, frames]`
    pub(crate) fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let (reduce, norm) = &self.red_dim_conv;
        let (first, second, third, fourth, attention) = &self.tcm;
        let hidden = norm.forward(conv1d(reduce, input.clone()), 1);
        let hidden = [first, second, third, fourth].into_iter().fold(hidden, |x, layer| layer.forward(x));
        input + conv1d(&self.exp_dim_conv, attention.forward(hidden))
    }
}

/// A convolution of each channel over time, BatchNorm, GELU, a mix of the channels, and a shortcut.
#[derive(Module, Debug)]
struct Convolution {
    dwconvs: [Conv1d; 1],
    norm: BatchNorm,
    pwconv1: Conv1d,
}

impl Convolution {
    fn new(channels: usize, kernel: usize, device: &Device) -> Self {
        let padding = kernel / 2;
        Self {
            dwconvs: [Conv1dConfig::new(channels, channels, kernel)
                .with_groups(channels)
                .with_padding(PaddingConfig1d::Explicit(padding, padding))
                .init(device)],
            norm: BatchNorm::new(channels, device),
            pwconv1: Conv1dConfig::new(channels, channels, 1).init(device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [conv] = &self.dwconvs;
        let hidden = gelu(conv1d_then(conv, input.clone(), self.norm.alone()));
        input + conv1d(&self.pwconv1, hidden)
    }
}

/// A layer of a Transformer's encoder: [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762). The first normalisation is behind
/// the attention's shortcut and inside the other one.
#[derive(Module, Debug)]
struct Transformer {
    attention: Attention,
    layer_norm: LayerNorm,
    feed_forward: FeedForward,
    final_layer_norm: LayerNorm,
}

impl Transformer {
    fn new(size: usize, device: &Device) -> Self {
        Self {
            attention: Attention::new(size, device),
            layer_norm: LayerNorm::new(size, device),
            feed_forward: FeedForward::new(size, device),
            final_layer_norm: LayerNorm::new(size, device),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let input = input.swap_dims(1, 2);
        let hidden = self.layer_norm.forward(self.attention.forward(input.clone()) + input, 2);
        let hidden = self.feed_forward.forward(hidden.clone()) + hidden;
        self.final_layer_norm.forward(hidden, 2).swap_dims(1, 2)
    }
}

/// Scaled dot-product attention with several heads.
#[derive(Module, Debug)]
struct Attention {
    k_proj: Linear,
    v_proj: Linear,
    q_proj: Linear,
    out_proj: Linear,
}

impl Attention {
    fn new(size: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(size, size).init(device);
        Self { k_proj: linear(), v_proj: linear(), q_proj: linear(), out_proj: linear() }
    }

    /// # Shapes
    /// - input and output: `[batch, frames, size]`
    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch, frames, size] = input.dims();
        let heads = |projection: &Linear| -> Tensor<4> {
            linear(projection, input.clone()).reshape([batch, frames, HEADS, size / HEADS]).swap_dims(1, 2)
        };
        let queries = heads(&self.q_proj) / ((size / HEADS) as f64).sqrt();
        let (keys, values) = (heads(&self.k_proj).swap_dims(2, 3), heads(&self.v_proj));
        let answer = |queries: Tensor<4>| product(softmax(product(queries, keys.clone()), 3), values.clone());
        let step = if input.device().is_autodiff() { frames } else { QUERIES };
        let answers = (0..frames)
            .step_by(step)
            .map(|start| answer(queries.clone().narrow(2, start, step.min(frames - start))));
        let joined = Tensor::cat(answers.collect(), 2).swap_dims(1, 2).reshape([batch, frames, size]);
        linear(&self.out_proj, joined)
    }
}

/// Two linear layers, GELU by its tanh formula between them.
#[derive(Module, Debug)]
struct FeedForward {
    intermediate_dense: Linear,
    output_dense: Linear,
}

impl FeedForward {
    fn new(size: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(size, size).init(device);
        Self { intermediate_dense: linear(), output_dense: linear() }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        linear(&self.output_dense, gelu_approximate(linear(&self.intermediate_dense, input)))
    }
}
