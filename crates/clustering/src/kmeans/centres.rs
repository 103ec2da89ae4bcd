//! Centres of clusters.

use rayon::prelude::*;

use super::Metric;
use crate::sums::ClusterSums;

/// The centres of clusters: a matrix `[len, dim]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Centres {
    dim: usize,
    data: Vec<f32>,
}

impl Centres {
    /// Centres from rows of `dim` numbers.
    ///
    /// # Panics
    /// `data` is no whole number of rows.
    pub fn new(data: Vec<f32>, dim: usize) -> Self {
        assert!(dim > 0 && data.len().is_multiple_of(dim), "{} numbers in rows of {dim}", data.len());
        Self { dim, data }
    }

    /// Number of centres.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Numbers a centre.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, one after the other.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All rows, without a copy.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// One centre.
    ///
    /// # Panics
    /// There is no such centre.
    pub fn row(&self, centre: usize) -> &[f32] {
        &self.data[centre * self.dim..][..self.dim]
    }

    /// Puts a centre in the place of another.
    pub(crate) fn set(&mut self, centre: usize, row: &[f32]) {
        self.data[centre * self.dim..][..self.dim].copy_from_slice(row);
    }

    /// Appends a centre.
    pub(crate) fn push(&mut self, row: &[f32]) {
        self.data.extend_from_slice(row);
    }

    /// Puts the touched centres where their points are, and returns how far each of all has gone. A centre without
    /// points becomes zero with the Euclidean metric, as in the baseline's notebook, and stays with the spherical one.
    pub(super) fn follow(&mut self, sums: &ClusterSums, touched: &[bool], metric: Metric) -> Vec<f64> {
        let dim = self.dim;
        let rows = self.data.par_chunks_exact_mut(dim).enumerate();
        rows.map(|(cluster, row)| {
            if !touched[cluster] {
                return 0.0;
            }
            let (sum, count) = (sums.sum(cluster), sums.counts()[cluster]);
            let divisor = match metric {
                Metric::Euclidean => count.max(1) as f64,
                Metric::Spherical => sum.iter().map(|v| v * v).sum::<f64>().sqrt(),
            };
            if divisor == 0.0 {
                return 0.0;
            }
            let mut gone = 0.0;
            for (value, &sum) in row.iter_mut().zip(sum) {
                let new = (sum / divisor) as f32;
                let step = f64::from(new) - f64::from(*value);
                gone += step * step;
                *value = new;
            }
            gone.sqrt()
        })
        .collect()
    }

    /// Brings every centre to length 1; a zero one stays.
    pub(super) fn normalise(&mut self) {
        for row in self.data.chunks_exact_mut(self.dim) {
            let norm: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
            }
        }
    }

    /// An order in which centres of every `group` consecutive ones are near each other: the set is halved along the line
    /// between two distant centres, again and again.
    pub(super) fn grouped_order(&self, group: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        self.halve(&mut order, group);
        order
    }

    fn halve(&self, order: &mut [u32], group: usize) {
        if order.len() <= group {
            order.sort_unstable();
            return;
        }
        let square = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a - b) * f64::from(a - b)).sum()
        };
        let farthest_from = |row: &[f32]| {
            let far = order.iter().copied().max_by(|&a, &b| {
                square(self.row(a as usize), row).total_cmp(&square(self.row(b as usize), row))
            });
            self.row(far.unwrap_or(order[0]) as usize)
        };
        let one = farthest_from(self.row(order[0] as usize));
        let other = farthest_from(one);
        let along = |centre: u32| -> f64 {
            let row = self.row(centre as usize);
            row.iter().zip(one).zip(other).map(|((&v, &a), &b)| f64::from(v) * f64::from(b - a)).sum()
        };
        order.sort_by_cached_key(|&centre| {
            // Doubles in an order that integers have, and the number of the centre where they are equal.
            let bits = along(centre).to_bits() as i64;
            (bits ^ (((bits >> 63) as u64) >> 1) as i64, centre)
        });
        let middle = (order.len().div_ceil(group).div_ceil(2)) * group;
        let (low, high) = order.split_at_mut(middle);
        self.halve(low, group);
        self.halve(high, group);
    }
}
