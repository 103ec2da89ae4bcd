//! The operations of `ffsvc-kernels` under Burn's CPU backend, with their gradients. Each function takes Burn tensors, and
//! returns `None` where its kernel does not apply (another device, another number type): then the caller takes Burn's own way.

mod batch_norm;
mod conv1d;
mod conv2d;
mod epilogue;
mod lstm;
mod prepared;

pub(crate) use batch_norm::{batch_norm_fixed, batch_norm_train};
pub(crate) use conv1d::{Steps as StepsInTime, conv1d, conv1d_then};
pub(crate) use conv2d::{Steps, conv2d, conv2d_then};
pub(crate) use epilogue::{Around, Epilogue, normalise};
pub(crate) use lstm::lstm;
pub use prepared::PreparedLayers;

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, NodeGuard, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchDevice, Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, Device, GradientCheckpointingStrategy, Shape, Tensor};

/// Kinds of tensors that the kernels can work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    /// No gradients.
    Plain,
    /// Gradients, all intermediate values kept.
    Autodiff,
}

impl Context {
    /// The kind that `device`'s tensors of `dtype` are, if any.
    fn of(device: &Device, dtype: DType) -> Option<Self> {
        if dtype != DType::F32 {
            return None;
        }
        match device.as_dispatch() {
            DispatchDevice::Flex(_) => Some(Self::Plain),
            // Recomputing what was not kept is left to Burn.
            DispatchDevice::Autodiff(_)
                if device.gradient_checkpointing_strategy()
                    == Some(GradientCheckpointingStrategy::Disabled)
                    && matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_)) =>
            {
                Some(Self::Autodiff)
            }
            _ => None,
        }
    }

    /// The kind that all of `kinds` are.
    fn common(kinds: &[Option<Self>]) -> Option<Self> {
        let first = *kinds.first()?;
        kinds.iter().all(|kind| *kind == first).then_some(first).flatten()
    }
}

fn context<const D: usize>(tensor: &Tensor<D>) -> Option<Context> {
    Context::of(&tensor.device(), tensor.dtype())
}

/// A contiguous tensor; its floats are `floats(&tensor)`.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The floats of a tensor from [`contiguous`].
fn floats(tensor: &FlexTensor) -> &[f32] {
    let start = tensor.layout().start_offset();
    &tensor.storage::<f32>()[start..start + tensor.layout().num_elements()]
}

fn tensor(floats: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(floats), Layout::contiguous(shape), DType::F32)
}

/// The primitive of a tensor whose context is [`Context::Plain`].
fn plain<const D: usize>(tensor: Tensor<D>) -> Option<FlexTensor> {
    tensor.try_into_primitive::<Flex>().ok()
}

/// The primitive of a tensor whose context is [`Context::Autodiff`].
fn tracked<const D: usize>(tensor: Tensor<D>) -> Option<FloatTensor<Autodiff<Flex>>> {
    tensor.try_into_primitive::<Autodiff<Flex>>().ok()
}

/// An output with what its gradients need; that is asked for only where a parent wants a gradient.
fn recorded<G: Backward<Flex, N>, const N: usize>(
    gradient: G,
    parents: [NodeGuard; N],
    output: FlexTensor,
    state: impl FnOnce(&FlexTensor) -> G::State,
) -> FloatTensor<Autodiff<Flex>> {
    match gradient.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state(&output), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

fn dims<const D: usize>(tensor: &impl TensorMetadata) -> [usize; D] {
    tensor.shape().dims()
}
