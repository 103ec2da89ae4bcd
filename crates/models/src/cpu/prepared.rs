use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use burn::backend::flex::FlexTensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor};
use ffsvc_kernels::{Conv2d, Epilogue, Int8Weights, PackedWeights};

use super::{Context, floats, plain};

thread_local! {
    static CURRENT: RefCell<Option<Arc<PreparedLayers>>> = const { RefCell::new(None) };
}

/// The weights of a network's convolutions as the kernels read them: packed, or in 8 bits. Each is made when it is first needed, and kept
/// for the next recording. For inference on CPUs, where the weights do not change.
pub struct PreparedLayers {
    int8: bool,
    /// By the address of the weights. Weights that a forward pass makes anew, such as sums of branches, are not among them.
    layers: HashMap<usize, Layer>,
    /// The weights, so that nothing else can come to have their addresses.
    _weights: Vec<FlexTensor>,
}

#[derive(Default)]
struct Layer {
    packed: OnceLock<PackedWeights>,
    int8: OnceLock<Int8Weights>,
}

impl std::fmt::Debug for PreparedLayers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedLayers").field("int8", &self.int8).field("len", &self.len()).finish()
    }
}

impl PreparedLayers {
    /// Of `network`, which is on `device`: `None` if that is not this machine's processor, or computes gradients.
    pub fn of(network: &impl Module, device: &Device) -> Option<Arc<Self>> {
        Self::new(network, device, false)
    }

    /// The same, in 8 bits where a layer gains from it ([`Conv2d::suits_int8`]).
    pub fn in_8_bits(network: &impl Module, device: &Device) -> Option<Arc<Self>> {
        Self::new(network, device, true)
    }

    fn new(network: &impl Module, device: &Device, int8: bool) -> Option<Arc<Self>> {
        (Context::of(device, DType::F32) == Some(Context::Plain)).then(|| {
            let mut weights = WeightsOfConvolutions::default();
            network.visit(&mut weights);
            Arc::new(Self { int8, layers: weights.layers, _weights: weights.tensors })
        })
    }

    /// Whether this processor multiplies 8-bit numbers faster than floats (AVX-512 VNNI).
    pub fn is_int8_fast() -> bool {
        Int8Weights::are_fast_here()
    }

    /// Layers that were made so far.
    pub fn len(&self) -> usize {
        let made = |layer: &&Layer| layer.packed.get().is_some() || layer.int8.get().is_some();
        self.layers.values().filter(made).count()
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
    /// let layers = PreparedLayers::in_8_bits(&model, &device).expect("the processor");
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
}

/// Collects the weights that may be those of convolutions, by their numbers of dimensions.
#[derive(Default)]
struct WeightsOfConvolutions {
    layers: HashMap<usize, Layer>,
    tensors: Vec<FlexTensor>,
}

impl ModuleVisitor for WeightsOfConvolutions {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let is_one = D >= 3 && param.val().dtype() == DType::F32 && param.val().shape().num_elements() > 0;
        let weight = if is_one { plain(param.val()) } else { None };
        // Those in another order are put in order at every call, at another address each time.
        if let Some(weight) = weight.filter(FlexTensor::is_contiguous) {
            self.layers.insert(address(&weight), Layer::default());
            self.tensors.push(weight);
        }
    }
}

fn address(weight: &FlexTensor) -> usize {
    floats(weight).as_ptr() as usize
}

/// The value of `cell`, made where there is none. Not made within the cell: the thread that makes it may take up other work
/// meanwhile that needs the same value.
fn get_or_make<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    if let Some(value) = cell.get() {
        return value;
    }
    let made = make();
    cell.get_or_init(|| made)
}

/// Whether a convolution is to be computed in 8 bits.
pub(super) fn is_int8(conv: &Conv2d, weight: &FlexTensor) -> bool {
    let is_known = |layers: &PreparedLayers| layers.int8 && layers.layers.contains_key(&address(weight));
    CURRENT.with_borrow(|current| current.as_deref().is_some_and(is_known)) && conv.suits_int8()
}

/// The output of a convolution without gradients. All tensors are contiguous.
pub(super) fn forward(
    conv: &Conv2d,
    input: &FlexTensor,
    weight: &FlexTensor,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    let mut output = vec![0.0; conv.output_len()];
    let input = floats(input);
    let current = CURRENT.with_borrow(Clone::clone);
    let layer = current.as_ref().and_then(|current| current.layers.get(&address(weight)));
    match layer {
        Some(layer) if is_int8(conv, weight) => {
            let weights = get_or_make(&layer.int8, || Int8Weights::new(conv, floats(weight)));
            conv.forward_int8(input, weights, epilogue, &mut output);
        }
        Some(layer) => {
            let weights = get_or_make(&layer.packed, || PackedWeights::new(conv, floats(weight)));
            conv.forward_packed(input, weights, epilogue, &mut output);
        }
        None => conv.forward_and(input, floats(weight), epilogue, &mut output),
    }
    output
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

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
        assert!(PreparedLayers::of(&layer, &device.clone().autodiff()).is_none());
        let packed = PreparedLayers::of(&layer, &device).unwrap();
        assert!(packed.is_empty());
        assert_eq!((compute(Some(&packed)), packed.len()), (exact.clone(), 1));
        assert_eq!((compute(Some(&packed)), packed.len()), (exact.clone(), 1));
        let layers = PreparedLayers::in_8_bits(&layer, &device).unwrap();
        let rounded = compute(Some(&layers));
        assert_eq!((rounded.clone(), 1), (compute(Some(&layers)), layers.len()));
        assert_ne!(rounded, exact);
        assert!(rounded.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 0.05), "{rounded:?} {exact:?}");
        assert_eq!(PreparedLayers::scope(Some(&layers), || compute(None)), exact);
        // What is none of the network's is computed as ever, and not kept.
        let other = Conv1dConfig::new(8, 3, 3).init(&device);
        let of_other = |layers| {
            let output = PreparedLayers::scope(layers, || conv1d(&other, input.clone()));
            output.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!((of_other(Some(&layers)), layers.len()), (of_other(None), 1));
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            PreparedLayers::scope(Some(&layers), || panic!("of the test"))
        }));
        assert!(panicked.is_err());
        assert_eq!(compute(None), exact);
    }
}
