//! The number type of a network's convolutions.

use std::cell::Cell;

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

/// What convolutions compute in, those of an attention too. Weights, BatchNorm, statistics, linear layers and heads are always
/// `f32`.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// # use ffsvc_models::{ModelConfig, Precision};
/// # let config: ModelConfig =
/// #     toml::from_str("architecture = 'resnet'\nin_planes = 2\nembedding_size = 4\ndropout = 0.0")?;
/// # let device = Device::flex().autodiff();
/// # let model = config.init(16, &device)?;
/// # let features = Tensor::<3>::random([2, 16, 40], Distribution::Default, &device);
/// let embeddings = Precision::Bf16.scope(|| model.forward(features));
/// let gradients = embeddings.sum().backward();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits. An NVIDIA GPU may multiply with 10 bits after the point (TF32) and add in 32 bits: Burn chooses the fastest
    /// kernel.
    #[default]
    F32,
    /// Input, weights and output of every convolution in 16 bits, of which 7 are after the point; so are the gradients in
    /// between. The range is that of `f32`, so no loss needs scaling.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs `forward` with the convolutions of this thread in this precision, as PyTorch's `autocast` does. A backward pass
    /// computes in what the forward pass computed in, wherever it is called.
    pub fn scope<T>(self, forward: impl FnOnce() -> T) -> T {
        /// Puts the precision back when it is dropped, after a panic too.
        struct Restore(Precision);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        forward()
    }

    /// The number type that convolutions are cast to, if any.
    pub(crate) fn lowered() -> Option<FloatDType> {
        match CURRENT.get() {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_ends_with_its_function() {
        let inside =
            Precision::Bf16.scope(|| Precision::F32.scope(Precision::lowered).or(Precision::lowered()));
        assert_eq!(inside, Some(FloatDType::BF16));
        assert_eq!(Precision::lowered(), None);
        let panicked = std::panic::catch_unwind(|| Precision::Bf16.scope(|| panic!("of the test")));
        assert!(panicked.is_err());
        assert_eq!(Precision::lowered(), None);
    }
}
