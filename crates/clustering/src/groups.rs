//! Recordings that are known to be of one speaker, because they are one utterance on several devices.

use std::collections::HashMap;

use ffsvc_kaldi_io::Table;

use crate::points::Points;
use crate::{Error, Result};

/// Which points belong together, so that they are clustered as one.
///
/// The mean of the recordings of an utterance is nearer to its speaker than each of them: what room and device add to
/// one is not what they add to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The group of each point, numbered by first appearance.
    group_of: Vec<u32>,
    /// Number of groups.
    len: usize,
}

impl Groups {
    /// Groups of utterances by a table `utterance group`. An utterance that the table does not have is a group of its own.
    pub fn new(utterances: &[String], table: &Table) -> Self {
        let mut numbers = HashMap::new();
        let mut len = 0;
        let mut next = || {
            len += 1;
            len - 1
        };
        let group_of = utterances
            .iter()
            .map(|utterance| match table.get(utterance) {
                Some(group) => *numbers.entry(group).or_insert_with(&mut next),
                None => next(),
            })
            .collect();
        Self { group_of, len: len as usize }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The mean of each group's points, brought to length 1: `[groups, dim]`.
    ///
    /// # Errors
    /// There are not as many points as grouped utterances; the points of a group sum to zero.
    pub fn means(&self, points: &Points) -> Result<Points> {
        let (found, expected) = (points.len(), self.group_of.len());
        if found != expected {
            return Err(Error::Mismatch { what: "points in groups", found, expected });
        }
        let dim = points.dim();
        let mut sums = vec![0.0f64; self.len * dim];
        for (point, &group) in self.group_of.iter().enumerate() {
            let sum = &mut sums[group as usize * dim..][..dim];
            sum.iter_mut().zip(points.row(point)).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        Points::length_normalised(sums.into_iter().map(|sum| sum as f32).collect(), dim)
    }

    /// The label of each point, from that of its group.
    ///
    /// # Errors
    /// There are not as many labels as groups.
    pub fn spread(&self, labels: &[u32]) -> Result<Vec<u32>> {
        if labels.len() != self.len {
            return Err(Error::Mismatch {
                what: "labels of groups",
                found: labels.len(),
                expected: self.len,
            });
        }
        Ok(self.group_of.iter().map(|&group| labels[group as usize]).collect())
    }
}
