//! The points to be clustered.

use pulp::Arch;
use rayon::prelude::*;

use crate::content_order::{content_and_name_order, content_order, reorder};
use crate::lanes::dot;
use crate::{Error, Result};

/// A matrix `[len, dim]` of finite numbers, a point a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    dim: usize,
    data: Vec<f32>,
    /// Squared length of each row.
    square_norms: Vec<f32>,
    largest: f32,
}

impl Points {
    /// Points as they are.
    ///
    /// # Errors
    /// There is no point, the data are no whole number of rows, a number is not finite, or there are more than 2^32 - 2
    /// points.
    pub fn new(data: Vec<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || data.is_empty() || !data.len().is_multiple_of(dim) {
            return Err(Error::Shape { values: data.len(), dim });
        }
        if data.len() / dim >= u32::MAX as usize {
            return Err(Error::TooMany { points: data.len() / dim });
        }
        if let Some(at) = data.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { row: at / dim });
        }
        let arch = Arch::new();
        let square_norms = data.par_chunks_exact(dim).map(|row| dot(arch, row, row)).collect();
        let largest = data.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        Ok(Self { dim, data, square_norms, largest })
    }

    /// Points brought to length 1, as cosine scoring does with embeddings.
    ///
    /// # Errors
    /// As [`new`](Self::new); a row is zero, which has no direction.
    pub fn length_normalised(mut data: Vec<f32>, dim: usize) -> Result<Self> {
        if dim > 0 {
            let zero = data.par_chunks_exact_mut(dim).enumerate().map(|(row, values)| {
                let norm: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
                values.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
                (norm == 0.0).then_some(row)
            });
            if let Some(row) = zero.find_first(Option::is_some).flatten() {
                return Err(Error::ZeroLength { row });
            }
        }
        Self::new(data, dim)
    }

    /// The points in an order that depends on their numbers alone, and which row each of them was. No second copy of them
    /// is made. [`KMeans::fit`](crate::KMeans::fit) and [`sweep`](crate::sweep()) work in this order; points that are not in
    /// it are copied for them.
    pub fn in_content_order(self) -> (Self, Vec<u32>) {
        match self.content_order() {
            Some(order) => (self.reordered(&order), order),
            None => {
                let order = (0..self.len() as u32).collect();
                (self, order)
            }
        }
    }

    /// The numbers of the rows in an order that depends on their values alone; `None` if they are in it already.
    pub(crate) fn content_order(&self) -> Option<Vec<u32>> {
        content_order(&self.data, self.dim)
    }

    /// The same, equal rows in the order of their names.
    pub(crate) fn content_and_name_order(&self, names: &[String]) -> Option<Vec<u32>> {
        content_and_name_order(&self.data, self.dim, names)
    }

    /// The rows in another order, in the same memory.
    pub(crate) fn reordered(mut self, order: &[u32]) -> Self {
        reorder(&mut self.data, self.dim, order);
        reorder(&mut self.square_norms, 1, order);
        self
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Never true: there is at least one point.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Numbers a point.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, one after the other.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// One point.
    ///
    /// # Panics
    /// There is no such point.
    pub fn row(&self, point: usize) -> &[f32] {
        &self.data[point * self.dim..][..self.dim]
    }

    /// Squared length of each point.
    pub(crate) fn square_norms(&self) -> &[f32] {
        &self.square_norms
    }

    /// The largest magnitude of any number.
    pub(crate) fn largest(&self) -> f32 {
        self.largest
    }

    /// Some of the points, in the given order.
    ///
    /// # Panics
    /// There is no such point, or none is chosen.
    pub fn select(&self, points: &[u32]) -> Self {
        assert!(!points.is_empty(), "no point is chosen");
        let data = points.iter().flat_map(|&point| self.row(point as usize)).copied().collect();
        let square_norms = points.iter().map(|&point| self.square_norms[point as usize]).collect();
        Self { dim: self.dim, data, square_norms, largest: self.largest }
    }

    /// At most `count` of the points, chosen and ordered by hashes of their numbers and the seed: the same ones in
    /// whichever order the points come.
    ///
    /// # Panics
    /// `count` is 0.
    pub fn subsample(&self, count: usize, seed: u64) -> Self {
        let hash = |row: &[f32]| {
            let mix = |sum: u64, value: u64| {
                let product = (sum ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                product ^ (product >> 29)
            };
            let sum = row.iter().fold(mix(seed, 1), |sum, value| mix(sum, u64::from(value.to_bits())));
            mix(sum, 2)
        };
        let mut order: Vec<(u64, u32)> =
            self.data.par_chunks_exact(self.dim).map(hash).zip(0..self.len() as u32).collect();
        order.par_sort_unstable();
        let chosen: Vec<u32> = order.into_iter().take(count).map(|(_, row)| row).collect();
        self.select(&chosen)
    }
}
