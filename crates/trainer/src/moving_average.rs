//! The exponential moving average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;
use ffsvc_models::{load_named, named_tensors};

use crate::error::Result;
use crate::network::Network;

/// An average of the network's weights and running statistics over the steps, with a decay that begins small, so that the
/// first weights are soon forgotten.
pub(crate) struct MovingAverage {
    decay: f64,
    average: Network,
}

impl MovingAverage {
    /// Begins at the weights of `network`.
    pub(crate) fn new(decay: f64, network: &Network) -> Self {
        Self { decay, average: network.valid() }
    }

    /// The averaged network, on the plain device.
    pub(crate) fn network(&self) -> &Network {
        &self.average
    }

    /// Goes on from an average that was saved. Ids and device stay as they are.
    ///
    /// # Errors
    /// Another network's tensors.
    pub(crate) fn set(&mut self, saved: Network) -> Result<()> {
        self.average = load_named(self.average.clone(), named_tensors(&saved))?;
        Ok(())
    }

    /// Takes in the weights after `step` (from 1).
    pub(crate) fn update(&mut self, network: &Network, step: usize) {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let mut newest = Collector { tensors: TensorContainer::new(), place: 0 };
        network.visit(&mut newest);
        let average = self.average.clone();
        self.average = average.map(&mut Mixer { newest: newest.tensors, place: 0, decay });
    }
}

/// Tensors by their place in the order of the fields: running statistics have ids of their own in every copy.
struct Collector {
    tensors: TensorContainer<usize>,
    place: usize,
}

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let value = if value.device().is_autodiff() { value.inner() } else { value };
        self.tensors.register::<Tensor<D>>(self.place, value);
        self.place += 1;
    }
}

struct Mixer {
    newest: TensorContainer<usize>,
    place: usize,
    decay: f64,
}

impl ModuleMapper for Mixer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let newest = self.newest.get::<Tensor<D>>(&self.place);
        self.place += 1;
        param.map(|average| match newest {
            Some(newest) => average * self.decay + newest * (1.0 - self.decay),
            None => average,
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ffsvc_models::{HeadConfig, ModelConfig, NamedTensor};

    use super::*;

    /// A network whose numbers are all `value`.
    fn network(value: f32, device: &burn::tensor::Device) -> Network {
        let config: ModelConfig =
            toml::from_str("architecture = 'resnet'\nin_planes = 1\ndepth = 18\nembedding_size = 2").unwrap();
        let network = Network {
            model: config.init(8, device).unwrap(),
            head: HeadConfig::default().init(2, 2, device),
        };
        let constant = |mut tensor: NamedTensor| {
            tensor.data.fill(value);
            tensor
        };
        let tensors = named_tensors(&network).into_iter().map(constant).collect();
        load_named(network, tensors).unwrap()
    }

    #[test]
    fn the_average_is_the_recursion_with_a_decay_that_grows() {
        let device = Device::flex().autodiff();
        let mut average = MovingAverage::new(0.4, &network(1.0, &device));
        let mut expected = 1.0f64;
        for (step, value) in [(1, 3.0), (2, -2.0), (3, 8.0), (20, 5.0)] {
            average.update(&network(value, &device), step);
            // 2/11, 3/12, 4/13, and 0.4 instead of 21/30.
            let decay = 0.4f64.min((1.0 + step as f64) / (10.0 + step as f64));
            expected = decay * expected + (1.0 - decay) * f64::from(value);
        }
        for tensor in named_tensors(average.network()) {
            let near = |v: &f32| (f64::from(*v) - expected).abs() < 1e-5;
            assert!(tensor.data.iter().all(near), "{}: {:?}, expected {expected}", tensor.name, tensor.data);
        }
    }
}
