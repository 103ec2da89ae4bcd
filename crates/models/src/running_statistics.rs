//! Running statistics of a whole network, apart from its parameters.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::parameters::{Path, track_path};

/// The running means and variances of every [`BatchNorm`](crate::BatchNorm) of `module`, `[channels]` each, in the order of
/// its fields, without gradients on the module's device.
pub fn running_statistics<M: Module>(module: &M) -> Vec<Tensor<1>> {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.statistics
}

/// `module` with these statistics, which came from [`running_statistics`] of one of the same architecture. Clones made
/// earlier share them, and change too.
pub fn with_running_statistics<M: Module>(module: M, statistics: Vec<Tensor<1>>) -> M {
    module.map(&mut Writer { path: Path::default(), statistics: statistics.into_iter() })
}

#[derive(Default)]
struct Reader {
    path: Path,
    statistics: Vec<Tensor<1>>,
}

impl ModuleVisitor for Reader {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.is_statistic() {
            let value = param.val();
            let value = if value.device().is_autodiff() { value.inner() } else { value };
            let numbers = value.shape().num_elements();
            self.statistics.push(value.reshape([numbers]));
        }
    }
}

struct Writer<I> {
    path: Path,
    statistics: I,
}

impl<I: Iterator<Item = Tensor<1>>> ModuleMapper for Writer<I> {
    track_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.path.is_statistic() {
            return param;
        }
        let Some(values) = self.statistics.next() else { return param };
        let before = param.val();
        let tensor = values.to_device(&before.device()).reshape(before.shape());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}
