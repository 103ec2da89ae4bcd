//! K-means as a model of [linfa]: [`Fit`] for [`KMeansOptions`], [`Predict`](linfa::traits::Predict) for [`KMeans`].

use linfa::DatasetBase;
use linfa::traits::{Fit, PredictInplace};
use ndarray::{Array1, ArrayBase, Data, Ix2};

use crate::points::Points;
use crate::{Error, KMeans, KMeansOptions, Metric, Result};

/// Records `[samples, features]` as points, in 32 bits.
fn points<F: linfa::Float, D: Data<Elem = F>>(
    records: &ArrayBase<D, Ix2>,
    normalise: bool,
) -> Result<Points> {
    // What 32 bits cannot hold becomes infinite, and is refused as such.
    let values = records.iter().map(|value| value.to_f32().unwrap_or(f32::INFINITY)).collect();
    let make = if normalise { Points::length_normalised } else { Points::new };
    make(values, records.ncols())
}

/// Clusters the records of a data set, a row a point; its targets are not looked at. With [`Metric::Spherical`], rows are brought
/// to length 1 first.
impl<F: linfa::Float, D: Data<Elem = F>, T> Fit<ArrayBase<D, Ix2>, T, Error> for KMeansOptions {
    type Object = KMeans;

    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<KMeans> {
        KMeans::fit(&points(dataset.records(), self.metric == Metric::Spherical)?, self)
    }
}

/// The number of the nearest centre of each row. Where centres are spherical, the nearest is that of the highest cosine,
/// whatever the lengths of the rows.
///
/// # Panics
/// The rows have another number of dimensions than the centres, or a number that is not finite in 32 bits, which linfa's
/// trait cannot return as an error; [`KMeans::nearest`] does.
impl<F: linfa::Float, D: Data<Elem = F>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>> for KMeans {
    fn predict_inplace<'a>(&'a self, records: &'a ArrayBase<D, Ix2>, labels: &mut Array1<usize>) {
        assert_eq!(records.nrows(), labels.len(), "a label for each row");
        if records.nrows() == 0 {
            return;
        }
        let nearest = points(records, false).and_then(|points| self.nearest(&points));
        match nearest {
            Ok(nearest) => {
                labels.iter_mut().zip(nearest).for_each(|(label, nearest)| *label = nearest as usize);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn default_target(&self, records: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(records.nrows())
    }
}
