use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Device};
use ffsvc_kernels::{Conv2d, Epilogue, Int8Weights, PackedWeights};

use super::{Context, contiguous, floats};

thread_local! {
    static CURRENT: RefCell<Option<Arc<PreparedLayers>>> = const { RefCell::new(None) };
}

/// The weights of a network's convolutions as the kernels read them: packed, or in 8 bits. Each is made when it is first needed, and kept
/// for the next recording. For inference on CPUs, where the weights do not change.
pub struct PreparedLayers {
    int8: bool,
    weights: Mutex<HashMap<Key, Prepared>>,
}

/// What tells a layer's weights from all others.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    address: usize,
    len: usize,
    int8: bool,
}

struct Prepared {
    /// Kept, so that nothing else can come to have its address.
    _of: FlexTensor,
    weights: Weights,
}

#[derive(Clone)]
enum Weights {
    Packed(Arc<PackedWeights>),
    Int8(Arc<Int8Weights>),
}

impl std::fmt::Debug for PreparedLayers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedLayers").field("int8", &self.int8).field("len", &self.len()).finish()
    }
}

impl PreparedLayers {
    /// For a network on `device`: `None` if that is not this machine's processor, or computes gradients.
    pub fn on(device: &Device) -> Option<Arc<Self>> {
        Self::of(device, false)
    }

    /// The same, in 8 bits where a layer gains from it ([`Conv2d::suits_int8`]).
    pub fn in_8_bits_on(device: &Device) -> Option<Arc<Self>> {
        Self::of(device, true)
    }

    fn of(device: &Device, int8: bool) -> Option<Arc<Self>> {
        let is_plain = Context::of(device, DType::F32) == Some(Context::Plain);
        is_plain.then(|| Arc::new(Self { int8, weights: Mutex::default() }))
    }

    /// Whether this processor multiplies 8-bit numbers faster than floats (AVX-512 VNNI).
    pub fn is_int8_fast() -> bool {
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

    /// Runs `forward` with `layers` for the convolutions of this thread, or without any. A scope inside of another one counts alone.
    ///
    /// ```
    /// # use burn::tensor::{Device, Distribution, Tensor};
    /// # use ffsvc_models::{ModelConfig, PreparedLayers};
    /// # let config: ModelConfig =
    /// #     toml::from_str("architecture = 'resnet'\nin_planes = 4\nembedding_size = 4\ndropout = 0.0")?;
    /// # let device = Device::flex();
    /// # let model = config.init(16, &device)?;
    /// # let features = Tensor::<3>::random([2, 16, 40], Distribution::Default, &device);
    /// let layers = PreparedLayers::in_8_bits_on(&device).expect("the processor");
    /// let embeddings = PreparedLayers::scope(Some(&layers), || model.forward(features));
    /// assert!(!layers.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<T>(layers: Option<&Arc<Self>>, forward: impl FnOnce() -> T) -> T {
        /// Puts the layers back when it is dropped, after a panic too.
        struct Restore(Option<Arc<PreparedLayers>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(layers.cloned()));
        forward()
    }

    /// A layer's weights, in 8 bits or not. Two threads may make them at the same time: the first ones stay.
    fn prepared(&self, conv: &Conv2d, weight: &FlexTensor, int8: bool) -> Weights {
        let values = floats(weight);
        let key = Key { address: values.as_ptr() as usize, len: values.len(), int8 };
        let known = || self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known().get(&key) {
            return prepared.weights.clone();
        }
        let weights = if int8 {
            Weights::Int8(Arc::new(Int8Weights::new(conv, values)))
        } else {
            Weights::Packed(Arc::new(PackedWeights::new(conv, values)))
        };
        known().entry(key).or_insert_with(|| Prepared { _of: weight.clone(), weights }).weights.clone()
    }
}

/// Whether a convolution is to be computed in 8 bits.
pub(super) fn is_int8(conv: &Conv2d) -> bool {
    CURRENT.with_borrow(|layers| layers.as_ref().is_some_and(|layers| layers.int8)) && conv.suits_int8()
}

/// The output of a convolution without gradients; `weight` is that of a layer.
pub(super) fn forward(
    conv: &Conv2d,
    input: &FlexTensor,
    weight: &FlexTensor,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    let mut output = vec![0.0; conv.output_len()];
    // Weights in another order are put in order at every call: they would have another address each time.
    let layers = CURRENT.with_borrow(Clone::clone).filter(|_| weight.is_contiguous());
    let weight = &contiguous(weight.clone());
    match layers.map(|layers| layers.prepared(conv, weight, is_int8(conv))) {
        Some(Weights::Packed(weights)) => {
            conv.forward_packed(floats(input), &weights, epilogue, &mut output);
        }
        Some(Weights::Int8(weights)) => conv.forward_int8(floats(input), &weights, epilogue, &mut output),
        None => conv.forward_and(floats(input), floats(weight), epilogue, &mut output),
    }
    output
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
        let layer = Conv1dConfig::new(8, 3, 3).init(&device);
        let input = Tensor::<3>::random([2, 8, 20], Distribution::Normal(0.0, 1.0), &device);
        let compute = |layers: Option<&Arc<PreparedLayers>>| {
            let output = PreparedLayers::scope(layers, || conv1d(&layer, input.clone()));
            output.into_data().try_to_vec::<f32>().unwrap()
        };
        let exact = compute(None);
        assert!(PreparedLayers::on(&device.clone().autodiff()).is_none());
        let packed = PreparedLayers::on(&device).unwrap();
        assert!(packed.is_empty());
        assert_eq!((compute(Some(&packed)), packed.len()), (exact.clone(), 1));
        assert_eq!((compute(Some(&packed)), packed.len()), (exact.clone(), 1));
        let layers = PreparedLayers::in_8_bits_on(&device).unwrap();
        let rounded = compute(Some(&layers));
        assert_eq!((rounded.clone(), 1), (compute(Some(&layers)), layers.len()));
        assert_ne!(rounded, exact);
        assert!(rounded.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 0.05), "{rounded:?} {exact:?}");
        assert_eq!(PreparedLayers::scope(Some(&layers), || compute(None)), exact);
        let panicked =
            std::panic::catch_unwind(|| PreparedLayers::scope(Some(&layers), || panic!("of the test")));
        assert!(panicked.is_err());
        assert_eq!(compute(None), exact);
    }
}
