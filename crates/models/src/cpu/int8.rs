use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Device};
use ffsvc_kernels::{Conv2d, Epilogue, Int8Weights};

use super::{Context, floats};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Int8Layers>>> = const { RefCell::new(None) };
}

/// The convolutions of one network in 8 bits, made when they are first needed. For inference on CPUs; elsewhere, and for layers
/// that gain nothing ([`Conv2d::suits_int8`]), everything stays as it is.
#[derive(Default)]
pub struct Int8Layers {
    /// By the address of the weights, which are kept: nothing else can come to have it.
    weights: Mutex<HashMap<usize, (FlexTensor, Arc<Int8Weights>)>>,
}

impl std::fmt::Debug for Int8Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Int8Layers").field("len", &self.len()).finish()
    }
}

impl Int8Layers {
    /// For a network on `device`: `None` if that is not this machine's processor, or computes gradients.
    pub fn on(device: &Device) -> Option<Arc<Self>> {
        (Context::of(device, DType::F32) == Some(Context::Plain)).then(Arc::default)
    }

    /// Whether this processor multiplies 8-bit numbers faster than floats (AVX-512 VNNI).
    pub fn are_fast_here() -> bool {
        Int8Weights::are_fast_here()
    }

    /// Layers that were made so far.
    pub fn len(&self) -> usize {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none was made so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs `forward` with the convolutions of this thread in `layers`, or in 32 bits where there are none. All of the networks
    /// that share `layers` stay in memory.
    ///
    /// ```
    /// # use burn::tensor::{Device, Distribution, Tensor};
    /// # use ffsvc_models::{Int8Layers, ModelConfig};
    /// # let config: ModelConfig =
    /// #     toml::from_str("architecture = 'resnet'\nin_planes = 4\nembedding_size = 4\ndropout = 0.0")?;
    /// # let device = Device::flex();
    /// # let model = config.init(16, &device)?;
    /// # let features = Tensor::<3>::random([2, 16, 40], Distribution::Default, &device);
    /// let layers = Int8Layers::on(&device).expect("the processor");
    /// let embeddings = Int8Layers::scope(Some(&layers), || model.forward(features));
    /// assert!(!layers.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<T>(layers: Option<&Arc<Self>>, forward: impl FnOnce() -> T) -> T {
        /// Puts the layers back when it is dropped, after a panic too.
        struct Restore(Option<Arc<Int8Layers>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(layers.cloned()));
        forward()
    }

    /// `weight` of a layer in 8 bits.
    fn of(&self, conv: &Conv2d, weight: &FlexTensor) -> Arc<Int8Weights> {
        let values = floats(weight);
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        match weights.entry(values.as_ptr() as usize) {
            Entry::Occupied(known) => known.get().1.clone(),
            Entry::Vacant(place) => {
                let made = Arc::new(Int8Weights::new(conv, values));
                place.insert((weight.clone(), made)).1.clone()
            }
        }
    }
}

/// The output of a convolution in 8 bits, where it is asked for and of use. `weight` is that of a layer.
pub(super) fn forward(
    conv: &Conv2d,
    input: &FlexTensor,
    weight: &FlexTensor,
    epilogue: &Epilogue<'_>,
) -> Option<Vec<f32>> {
    let layers = CURRENT.with_borrow(Clone::clone).filter(|_| conv.suits_int8())?;
    let mut output = vec![0.0; conv.output_len()];
    conv.forward_int8(floats(input), &layers.of(conv, weight), epilogue, &mut output);
    Some(output)
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv1dConfig;
    use burn::tensor::{Distribution, Tensor};

    use super::*;
    use crate::convolution::conv1d;

    #[test]
    fn layers_are_made_once_and_a_scope_ends_with_its_function() {
        let device = Device::flex();
        let layer = Conv1dConfig::new(8, 3, 1).init(&device);
        let input = Tensor::<3>::random([2, 8, 20], Distribution::Normal(0.0, 1.0), &device);
        let layers = Int8Layers::on(&device).unwrap();
        assert!(Int8Layers::on(&device.clone().autodiff()).is_none());
        let compute = |layers: Option<&Arc<Int8Layers>>| {
            let output = Int8Layers::scope(layers, || conv1d(&layer, input.clone()));
            output.into_data().try_to_vec::<f32>().unwrap()
        };
        let exact = compute(None);
        assert!(layers.is_empty());
        let rounded = compute(Some(&layers));
        assert_eq!((rounded.clone(), 1), (compute(Some(&layers)), layers.len()));
        assert_ne!(rounded, exact);
        assert!(rounded.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 0.05), "{rounded:?} {exact:?}");
        let inside = Int8Layers::scope(Some(&layers), || compute(None));
        assert_eq!(inside, exact);
        let panicked =
            std::panic::catch_unwind(|| Int8Layers::scope(Some(&layers), || panic!("of the test")));
        assert!(panicked.is_err());
        assert_eq!(compute(None), exact);
    }
}
