//! The LSTM network of [GE2E, Wan et al. 2018](https://arxiv.org/abs/1710.10467), section 2.1 and 3.2, as in
//! [Resemblyzer](https://github.com/resemble-ai/Resemblyzer), which adds the ReLU. Parameter names as there.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Result, require, require_size};
use crate::lstm::Lstm;
use crate::multiplications::linear;
use crate::network::{Network, NetworkConfig};
use crate::windows::Windows;

/// Most layers.
const MAX_LAYERS: usize = 64;

/// Least length of an embedding that is divided by.
pub(crate) const LEAST_LENGTH: f64 = 1e-12;

/// Options of a [`Ge2eLstm`]; the default is Resemblyzer's network.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Ge2eLstmConfig {
    /// Units of a layer, at most 16384. Default: 256 (the paper: 768).
    pub hidden: usize,
    /// Layers, at most 64. Default: 3.
    pub layers: usize,
    /// Size of the embedding. Default: 256.
    pub embedding_size: usize,
    /// The windows of a recording that embeddings are made of outside training.
    pub windows: Windows,
}

impl Default for Ge2eLstmConfig {
    fn default() -> Self {
        Self { hidden: 256, layers: 3, embedding_size: 256, windows: Windows::default() }
    }
}

impl Ge2eLstmConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for the first one out of range.
    pub fn validate(&self) -> Result<()> {
        require_size(self.hidden.saturating_mul(4), "4 * model.hidden")?;
        let layers = self.layers;
        require((1..=MAX_LAYERS).contains(&layers), "model.layers", layers, "a number from 1 to 64")?;
        require_size(self.embedding_size, "model.embedding_size")?;
        self.windows.validate()
    }
}

impl NetworkConfig for Ge2eLstmConfig {
    type Network = Ge2eLstm;

    fn min_frames(&self) -> usize {
        1
    }

    fn build(&self, num_mels: usize, device: &Device) -> Ge2eLstm {
        let inputs = |layer| if layer == 0 { num_mels } else { self.hidden };
        Ge2eLstm {
            lstm: (0..self.layers).map(|layer| Lstm::new(inputs(layer), self.hidden, device)).collect(),
            linear: LinearConfig::new(self.hidden, self.embedding_size).init(device),
            windows: [self.windows.frames, self.windows.shift],
            least_coverage: self.windows.least_coverage,
        }
    }
}

/// Layers of LSTM, a linear layer and a ReLU of the last step's output, and a length of 1. Made by
/// [`ModelConfig::init`](crate::ModelConfig::init).
#[derive(Module, Debug)]
pub struct Ge2eLstm {
    lstm: Vec<Lstm>,
    linear: Linear,
    /// Frames and shift.
    windows: [usize; 2],
    least_coverage: f64,
}

impl Network for Ge2eLstm {
    fn min_frames(&self) -> usize {
        1
    }

    fn windows(&self) -> Option<Windows> {
        let ([frames, shift], least_coverage) = (self.windows, self.least_coverage);
        Some(Windows { frames, shift, least_coverage })
    }
}

impl Ge2eLstm {
    /// Of one window.
    ///
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - output: `[batch, embedding]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<2> {
        let hidden = self.lstm.iter().fold(features.swap_dims(1, 2), |hidden, layer| layer.forward(hidden));
        let frames = hidden.dims()[1];
        let last = hidden.narrow(1, frames - 1, 1).squeeze_dim(1);
        let embedding = relu(linear(&self.linear, last));
        let squared = embedding.clone().square().sum_dim(1);
        embedding / squared.clamp_min(LEAST_LENGTH * LEAST_LENGTH).sqrt()
    }
}
