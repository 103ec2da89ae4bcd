//! Embeddings of a store, as points that can be clustered.

use ffsvc_embeddings::Embeddings;

use crate::points::Points;
use crate::{Error, Result};

/// Utterances and their embeddings, brought to length 1.
///
/// They are in content order (equal embeddings by the names of their utterances), so that nothing depends on the order of
/// the store.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NamedPoints {
    /// The utterance of each point.
    pub utterances: Vec<String>,
    /// The points.
    pub points: Points,
    /// Utterances whose embedding is zero, by name. They have no direction and are not among the points.
    pub zero: Vec<String>,
}

impl NamedPoints {
    /// Takes the embeddings of a store. The store's memory is used, not copied.
    ///
    /// # Errors
    /// The store is empty; no embedding is anything but zero; a number is not finite (the error names the utterances).
    pub fn from_embeddings(embeddings: Embeddings) -> Result<Self> {
        let dim = embeddings.dim();
        let (mut utterances, mut data) = embeddings.into_parts();
        if utterances.is_empty() {
            return Err(Error::NoEmbeddings);
        }
        let rows = utterances.iter().zip(data.chunks_exact(dim.max(1)));
        let of_rows = |chosen: fn(&[f32]) -> bool| -> Vec<String> {
            let chosen = rows.clone().filter(|(_, row)| chosen(row));
            let mut names: Vec<String> = chosen.map(|(utterance, _)| utterance.clone()).collect();
            names.sort_unstable();
            names
        };
        let not_finite = of_rows(|row| row.iter().any(|value| !value.is_finite()));
        if !not_finite.is_empty() {
            return Err(Error::NotFiniteEmbeddings { utterances: not_finite });
        }
        let zero = of_rows(|row| row.iter().all(|&value| value == 0.0));
        if zero.len() == utterances.len() {
            return Err(Error::AllZero { utterances: zero });
        }
        if !zero.is_empty() {
            utterances = without_zero_rows(utterances, &mut data, dim);
        }
        let points = Points::length_normalised(data, dim)?;
        match points.content_and_name_order(&utterances) {
            None => Ok(Self { utterances, points, zero }),
            Some(order) => {
                let points = points.reordered(&order);
                let mut names: Vec<Option<String>> = utterances.into_iter().map(Some).collect();
                let utterances = order.iter().filter_map(|&row| names[row as usize].take()).collect();
                Ok(Self { utterances, points, zero })
            }
        }
    }
}

/// Moves the rows that are not zero together, and returns their utterances.
fn without_zero_rows(utterances: Vec<String>, data: &mut Vec<f32>, dim: usize) -> Vec<String> {
    let mut kept = Vec::with_capacity(utterances.len());
    for (row, utterance) in utterances.into_iter().enumerate() {
        let values = row * dim..(row + 1) * dim;
        if data[values.clone()].iter().any(|&value| value != 0.0) {
            data.copy_within(values, kept.len() * dim);
            kept.push(utterance);
        }
    }
    data.truncate(kept.len() * dim);
    kept
}
