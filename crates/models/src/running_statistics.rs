//! Running statistics of a whole network, apart from its parameters.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::parameters::{Path, track_path};

/// The running means and variances of every [`BatchNorm`](crate::BatchNorm) of `module`, in the order of its fields.
pub fn running_statistics<M: Module>(module: &M) -> Vec<Vec<f32>> {
    let mut reader = Reader::default();
    module.visit(&mut reader);
    reader.statistics
}

/// `module` with these statistics, which came from [`running_statistics`] of one of the same architecture. Clones made
/// earlier share them, and change too.
pub fn with_running_statistics<M: Module>(module: M, statistics: Vec<Vec<f32>>) -> M {
    module.map(&mut Writer { path: Path::default(), statistics: statistics.into_iter() })
}

#[derive(Default)]
struct Reader {
    path: Path,
    statistics: Vec<Vec<f32>>,
}

impl ModuleVisitor for Reader {
    track_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.is_statistic() {
            self.statistics.push(param.val().detach().into_data().iter::<f32>().collect());
        }
    }
}

struct Writer<I> {
    path: Path,
    statistics: I,
}

impl<I: Iterator<Item = Vec<f32>>> ModuleMapper for Writer<I> {
    track_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.path.is_statistic() {
            return param;
        }
        let Some(values) = self.statistics.next() else { return param };
        let shape = param.val().dims();
        let tensor = Tensor::from_data(TensorData::new(values, shape), &param.val().device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}
