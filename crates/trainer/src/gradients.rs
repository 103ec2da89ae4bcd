//! What is done to the gradients between the backward pass and the optimiser.

use std::collections::HashSet;

use burn::grad_clipping::GradientClipping;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

use crate::network::Network;
use crate::optimizer::OptimizerConfig;

/// Keeps the largest components and the length of `gradients` within the optimiser's limits.
///
/// Burn's own clipping by norm looks at one tensor at a time; PyTorch's `clip_grad_norm_`, and this, at all together.
pub(crate) fn clip(
    network: &Network,
    mut gradients: GradientsParams,
    config: &OptimizerConfig,
) -> GradientsParams {
    if config.clip_value > 0.0 {
        let by_value = GradientClipping::Value(config.clip_value);
        network.visit(&mut Clipper { gradients: &mut gradients, by_value });
    }
    if config.clip_norm > 0.0
        && let Some(length) = length(network, &gradients)
    {
        // PyTorch's epsilon. The factor stays on the device: reading it would wait for the backward pass.
        let factor = ((length + 1e-6).recip() * config.clip_norm).clamp_max(1.0);
        network.visit(&mut Scaler { gradients: &mut gradients, factor: Factor::OnDevice(&factor) });
    }
    gradients
}

/// Euclidean length of all gradients together, `[1]`, where there are any.
fn length(network: &Network, gradients: &GradientsParams) -> Option<Tensor<1>> {
    let mut squares = Squares { gradients, sums: Vec::new() };
    network.visit(&mut squares);
    (!squares.sums.is_empty()).then(|| Tensor::cat(squares.sums, 0).sum().sqrt())
}

/// Calls `forward_backward` with the number and content of each batch and `network`. Returns its outputs and the sum of its
/// gradients, which are added in the order of the batches: no more than one sum is held.
pub(crate) fn sum_over<B, T>(
    network: &Network,
    batches: impl IntoIterator<Item = (usize, B)>,
    forward_backward: impl Fn(usize, B, &Network) -> (T, GradientsParams),
) -> (Vec<T>, GradientsParams) {
    let mut sum = GradientsAccumulator::new();
    let mut outputs = Vec::new();
    for (number, batch) in batches {
        let (output, gradients) = forward_backward(number, batch, network);
        sum.accumulate(network, gradients);
        outputs.push(output);
    }
    (outputs, sum.grads())
}

/// The mean instead of the sum of the gradients of `batches` batches.
pub(crate) fn mean(network: &Network, mut gradients: GradientsParams, batches: usize) -> GradientsParams {
    if batches > 1 {
        network.visit(&mut Scaler { gradients: &mut gradients, factor: Factor::Known(1.0 / batches as f64) });
    }
    gradients
}

/// The gradients of each learning rate: its factor, and those of the parameters that have it. Of `rates`, the last that has a
/// parameter counts.
pub(crate) fn by_rate(
    network: &Network,
    mut gradients: GradientsParams,
    rates: &[(f64, HashSet<ParamId>)],
) -> Vec<(f64, GradientsParams)> {
    let mut parts = Vec::new();
    for (factor, ids) in rates.iter().rev() {
        let mut part = GradientsParams::new();
        network.visit(&mut Mover { ids, from: &mut gradients, to: &mut part });
        parts.push((*factor, part));
    }
    parts.push((1.0, gradients));
    parts
}

struct Mover<'a> {
    ids: &'a HashSet<ParamId>,
    from: &'a mut GradientsParams,
    to: &'a mut GradientsParams,
}

impl ModuleVisitor for Mover<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.ids.contains(&param.id)
            && let Some(gradient) = self.from.remove::<D>(param.id)
        {
            self.to.register(param.id, gradient);
        }
    }
}

struct Clipper<'a> {
    gradients: &'a mut GradientsParams,
    by_value: GradientClipping,
}

impl ModuleVisitor for Clipper<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, self.by_value.clip_gradient(gradient));
        }
    }
}

enum Factor<'a> {
    Known(f64),
    /// `[1]`.
    OnDevice(&'a Tensor<1>),
}

struct Scaler<'a> {
    gradients: &'a mut GradientsParams,
    factor: Factor<'a>,
}

impl ModuleVisitor for Scaler<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let scaled = match self.factor {
                Factor::Known(factor) => gradient * factor,
                Factor::OnDevice(factor) => gradient * factor.clone().reshape([1; D]),
            };
            self.gradients.register(param.id, scaled);
        }
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sums.push(gradient.square().sum());
        }
    }
}

/// The pull towards the weights that a fine-tune started from (L2-SP).
pub(crate) struct Anchor {
    strength: f64,
    start: TensorContainer<ParamId>,
}

impl Anchor {
    /// Towards the weights that `start` has now. Its head is left alone: rows of new speakers have no start.
    pub(crate) fn new(strength: f64, start: &Network) -> Self {
        struct Collector(TensorContainer<ParamId>);
        impl ModuleVisitor for Collector {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.register::<Tensor<D>>(param.id, param.val().inner());
            }
        }
        let mut collector = Collector(TensorContainer::new());
        start.model.visit(&mut collector);
        Self { strength, start: collector.0 }
    }

    /// Adds the gradient of the pull, `strength * (w - w_start)`.
    pub(crate) fn add_gradient(&self, network: &Network, mut gradients: GradientsParams) -> GradientsParams {
        network.model.visit(&mut Puller { anchor: self, gradients: &mut gradients });
        gradients
    }
}

struct Puller<'a> {
    anchor: &'a Anchor,
    gradients: &'a mut GradientsParams,
}

impl ModuleVisitor for Puller<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(start) = self.anchor.start.get::<Tensor<D>>(&param.id) else { return };
        // What has no gradient (running statistics, frozen layers) does not move.
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let away = param.val().inner() - start;
            self.gradients.register(param.id, gradient + away * self.anchor.strength);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int, Tensor, TensorData};
    use ffsvc_models::{HeadConfig, ModelConfig, NamedTensor, load_named, named_gradients, named_tensors};

    use super::*;

    // Tests run side by side and share the device's generator: what must be the same twice is drawn once.
    fn network(device: &Device) -> Network {
        let config = "architecture = 'resnet'\nin_planes = 2\ndepth = 18\nembedding_size = 4\ndropout = 0.0";
        let config: ModelConfig = toml::from_str(config).unwrap();
        Network { model: config.init(8, device).unwrap(), head: HeadConfig::default().init(4, 3, device) }
    }

    fn gradients(network: &Network, device: &Device) -> GradientsParams {
        let features: Vec<f32> = (0..3 * 8 * 12).map(|i| (i as f32 * 0.7).sin()).collect();
        let features = Tensor::from_data(TensorData::new(features, [3, 8, 12]), device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2], device);
        GradientsParams::from_grads(network.forward(features, labels).loss.backward(), network)
    }

    fn values(network: &Network, gradients: &GradientsParams) -> Vec<f64> {
        let named = [named_gradients(&network.model, gradients), named_gradients(&network.head, gradients)];
        named.concat().iter().flat_map(|tensor| tensor.data.iter().map(|v| f64::from(*v))).collect()
    }

    fn config(text: &str) -> OptimizerConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn all_parameters_together_are_as_long_as_the_limit() {
        let device = Device::flex().autodiff();
        let network = network(&device);
        let whole = values(&network, &gradients(&network, &device));
        let norm = whole.iter().map(|v| v * v).sum::<f64>().sqrt();
        let found = length(&network, &gradients(&network, &device)).unwrap().into_scalar::<f64>();
        assert!((found / norm - 1.0).abs() < 1e-5, "{found} and {norm}");

        // PyTorch's clip_grad_norm_: every component times limit / (norm + 1e-6).
        let limit = norm / 3.0;
        let clipped = clip(&network, gradients(&network, &device), &config(&format!("clip_norm = {limit}")));
        for (before, after) in whole.iter().zip(values(&network, &clipped)) {
            assert!((before * limit / (norm + 1e-6) - after).abs() < 1e-5 * norm);
        }
        let longer = config(&format!("clip_norm = {}", 2.0 * norm));
        assert_eq!(values(&network, &clip(&network, gradients(&network, &device), &longer)), whole);
    }

    #[test]
    fn components_are_cut_at_the_limit() {
        let device = Device::flex().autodiff();
        let network = network(&device);
        let whole = values(&network, &gradients(&network, &device));
        let limit = whole.iter().fold(0.0f64, |most, v| most.max(v.abs())) / 2.0;
        let clipped = clip(&network, gradients(&network, &device), &config(&format!("clip_value = {limit}")));
        let limit = f64::from(limit as f32);
        let expected: Vec<f64> = whole.iter().map(|v| v.clamp(-limit, limit)).collect();
        assert_ne!(expected, whole);
        assert_eq!(values(&network, &clipped), expected);
    }

    #[test]
    fn the_anchor_pulls_in_proportion_to_the_distance_and_leaves_the_head_alone() {
        let device = Device::flex().autodiff();
        let start = network(&device);
        let moved: Vec<NamedTensor> = named_tensors(&start.model)
            .into_iter()
            .map(|mut tensor| {
                tensor.data.iter_mut().for_each(|value| *value += 0.25);
                tensor
            })
            .collect();
        let anchor = Anchor::new(0.5, &start);
        let network = Network { model: load_named(start.model, moved).unwrap(), head: start.head };
        let before = gradients(&network, &device);
        let of_head = named_gradients(&network.head, &before);
        let before = named_gradients(&network.model, &before);
        let pulled = anchor.add_gradient(&network, gradients(&network, &device));
        assert_eq!(named_gradients(&network.head, &pulled), of_head);
        for (before, after) in before.iter().zip(named_gradients(&network.model, &pulled)) {
            for (before, after) in before.data.iter().zip(&after.data) {
                assert!((before + 0.125 - after).abs() < 1e-5, "{before} and {after}");
            }
        }
    }
}
