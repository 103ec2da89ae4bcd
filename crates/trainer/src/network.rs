//! The network and its head as one trainable module.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Int, Tensor};
use ffsvc_models::{
    Head, HeadOutput, SpeakerModel, freeze_layers, is_in_layer, keep_running_statistics, parameter_ids,
};

use crate::error::{Error, Result};
use crate::layer_name::LayerName;

/// Before the names of the head's parameters, as in a model file.
const HEAD: &str = "classifier";

/// What the optimiser sees.
#[derive(Module, Debug)]
pub struct Network {
    /// The embedding network.
    pub model: SpeakerModel,
    /// The classification head; its rows are the training speakers.
    pub head: Head,
}

impl Network {
    /// Numbers that the optimiser changes: not the running statistics of BatchNorm.
    pub fn num_trainable(&self) -> usize {
        ffsvc_models::named_tensors(self)
            .iter()
            .filter(|tensor| !tensor.name.contains(".running_"))
            .map(|tensor| tensor.data.len())
            .sum()
    }

    /// Embeddings and loss of a batch.
    ///
    /// # Shapes
    /// - features: `[batch, mel, frames]`
    /// - labels: `[batch]`
    pub fn forward(&self, features: Tensor<3>, labels: Tensor<1, Int>) -> HeadOutput {
        self.head.forward(self.model.forward(features), labels)
    }

    /// Names of the trainable parameters as in a model file: the head's begin with `classifier.`.
    pub fn parameter_names(&self) -> Vec<String> {
        self.named_ids().map(|(name, _)| name).collect()
    }

    fn named_ids(&self) -> impl Iterator<Item = (String, ParamId)> {
        let of_head = parameter_ids(&self.head).into_iter().map(|(name, id)| (format!("{HEAD}.{name}"), id));
        parameter_ids(&self.model).into_iter().chain(of_head)
    }

    /// Ids of the parameters in the layer of this name.
    pub(crate) fn ids_in(&self, layer: &str) -> HashSet<ParamId> {
        self.named_ids().filter(|(name, _)| is_in_layer(name, layer)).map(|(_, id)| id).collect()
    }

    /// Checks that there is a layer of this name. Says so where it can be taken for the classifier.
    ///
    /// # Errors
    /// The `key` of the configuration names a layer that is not there; the names that are.
    pub(crate) fn check_layer(&self, key: &'static str, layer: &LayerName) -> Result<()> {
        let names = self.parameter_names();
        let is_of_network = |name: &&String| !is_in_layer(name, HEAD);
        let mut of_layer = names.iter().filter(|name| is_in_layer(name, layer.in_model_file())).peekable();
        if of_layer.peek().is_none() || layer.says_network() && !of_layer.all(|name| is_of_network(&name)) {
            let of_network = names.iter().filter(is_of_network);
            let mut layers: Vec<&str> = of_network.filter_map(|name| name.split('.').next()).collect();
            layers.dedup();
            return Err(Error::Config {
                key,
                found: format!("layer \"{}\"", layer.as_written()),
                expected: format!(
                    "a layer of the network; it has {}, and what is in them (the classifier of [head] is \"{HEAD}\")",
                    layers.join(", ")
                ),
            });
        }
        if layer.is_head_of_network() && !layer.says_network() {
            tracing::warn!(
                "{key}: \"{}\" is a layer of the network, best written \"{layer}\"; the classifier of [head] is \"{HEAD}\"",
                layer.in_model_file()
            );
        }
        Ok(())
    }

    /// The network with the layers of these names frozen and all others training, see [`freeze_layers`].
    pub fn with_frozen(self, layers: &[&str]) -> Self {
        Self {
            model: freeze_layers(self.model, "", layers),
            head: freeze_layers(self.head, &format!("{HEAD}."), layers),
        }
    }

    /// The network whose BatchNorm keeps its running statistics, see [`keep_running_statistics`].
    pub fn with_frozen_statistics(self) -> Self {
        Self { model: keep_running_statistics(self.model), head: self.head }
    }

    /// Ids of the parameters of one dimension: biases, scale and shift of BatchNorm.
    pub(crate) fn vector_ids(&self) -> Vec<ParamId> {
        #[derive(Default)]
        struct Vectors(Vec<ParamId>);
        impl ModuleVisitor for Vectors {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if D < 2 {
                    self.0.push(param.id);
                }
            }
        }
        let mut vectors = Vectors::default();
        self.visit(&mut vectors);
        vectors.0
    }
}

/// The device that has the weights.
///
/// # Errors
/// There is no device.
pub(crate) fn first_device(devices: &[Device]) -> Result<&Device> {
    devices.first().ok_or(Error::Config {
        key: "device",
        found: "none".into(),
        expected: "one at least".into(),
    })
}
