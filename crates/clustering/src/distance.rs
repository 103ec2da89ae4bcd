//! Distances of points from the centres of their clusters.

use pulp::Arch;
use rayon::prelude::*;

use crate::Centres;
use crate::lanes::{dot, square_distance};
use crate::points::Points;

/// The squared distance of each point from the centre that its label names.
///
/// # Panics
/// A label names no centre, or there are not as many labels as points.
pub fn square_distances(points: &Points, centres: &Centres, labels: &[u32]) -> Vec<f32> {
    assert_eq!(points.len(), labels.len());
    let arch = Arch::new();
    let rows = points.data().par_chunks_exact(points.dim()).zip(labels);
    rows.map(|(row, &label)| square_distance(arch, row, centres.row(label as usize))).collect()
}

/// The cosine of each point with the centre that its label names; 0 with a centre of zero, which has no direction (the mean
/// of opposite vectors, for instance).
///
/// # Panics
/// A label names no centre, or there are not as many labels as points.
pub fn cosines(points: &Points, centres: &Centres, labels: &[u32]) -> Vec<f32> {
    assert_eq!(points.len(), labels.len());
    let arch = Arch::new();
    let lengths: Vec<f32> =
        centres.data().chunks_exact(centres.dim()).map(|row| dot(arch, row, row).sqrt()).collect();
    let rows = points.data().par_chunks_exact(points.dim()).zip(points.square_norms()).zip(labels);
    rows.map(|((row, square_norm), &label)| {
        let label = label as usize;
        cosine(dot(arch, row, centres.row(label)), square_norm.sqrt() * lengths[label])
    })
    .collect()
}

/// A cosine from a product and the product of both lengths; 0 if one of them has no direction.
pub(crate) fn cosine(product: f32, lengths: f32) -> f32 {
    if lengths > 0.0 { product / lengths } else { 0.0 }
}
