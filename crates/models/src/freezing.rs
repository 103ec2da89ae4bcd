//! Layers that do not train for a while, by name; BatchNorm that keeps its statistics.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::parameters::Path;

/// `module` with the layers under `frozen` frozen and all others training. A frozen layer's parameters get no gradient.
/// Its BatchNorm normalises by the running statistics and does not change them. Its dropout is off.
///
/// Layers are named as their parameters are (`front.layer1`), with `prefix` before the names of `module`'s. A name stands
/// for the layer and all that it contains: `front.layer1` is not `front.layer10`.
pub fn freeze_layers<M: Module>(module: M, prefix: &str, frozen: &[&str]) -> M {
    module.map(&mut Freezer { path: Path::default(), prefix, frozen })
}

/// `module` whose BatchNorm layers normalise by their running statistics and leave them as they are in training too; their
/// scales and shifts train on. Everything else stays as it is. [`freeze_layers`] undoes it for the layers that it thaws.
pub fn keep_running_statistics<M: Module>(module: M) -> M {
    module.map(&mut StatisticsKeeper::default())
}

/// Whether the parameter or layer `name` belongs to the layer `layer`.
pub fn is_in_layer(name: &str, layer: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

struct Freezer<'a> {
    path: Path,
    prefix: &'a str,
    frozen: &'a [&'a str],
}

impl Freezer<'_> {
    fn trains(&self) -> bool {
        let name = format!("{}{}", self.prefix, self.path.name());
        !self.frozen.iter().any(|layer| is_in_layer(&name, layer))
    }
}

impl ModuleMapper for Freezer<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.path.exit(container_type);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trains = self.trains();
        param.set_require_grad(trains)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        let trains = self.trains();
        flag.with_value(trains)
    }
}

#[derive(Default)]
struct StatisticsKeeper {
    /// Kinds of the modules around the place at hand, the outermost first.
    containers: Vec<String>,
}

impl ModuleMapper for StatisticsKeeper {
    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.containers.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        let of_batch_norm = self.containers.last().is_some_and(|name| name.ends_with("BatchNorm"));
        if of_batch_norm { flag.with_value(false) } else { flag }
    }
}
