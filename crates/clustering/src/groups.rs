//! Recordings that are known to be of one speaker, because they are one utterance on several devices.

use std::collections::HashMap;

use ffsvc_kaldi_io::Table;

use crate::points::Points;
use crate::validity::means;
use crate::{Error, Result};

/// Which points belong together, so that they are clustered as one.
///
/// The mean of the recordings of an utterance is nearer to its speaker than each of them, because room and device
/// differ between the recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The group of each point, numbered by first appearance.
    group_of: Vec<u32>,
    /// The name of each group; a point without a group is one of its own and has the utterance's name.
    names: Vec<String>,
}

impl Groups {
    /// Groups of utterances by a table `utterance group`. An utterance that the table does not have is a group of its own.
    pub fn new(utterances: &[String], table: &Table) -> Self {
        let mut numbers = HashMap::new();
        let mut names = Vec::new();
        let mut add = |name: &str| {
            names.push(name.to_owned());
            names.len() as u32 - 1
        };
        let group_of = utterances
            .iter()
            .map(|utterance| match table.get(utterance) {
                Some(group) => *numbers.entry(group).or_insert_with(|| add(group)),
                None => add(utterance),
            })
            .collect();
        Self { group_of, names }
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The mean of each group's points, brought to length 1: `[groups, dim]`. The order of the points does not matter.
    ///
    /// # Errors
    /// There are not as many points as grouped utterances; the points of a group sum to zero.
    pub fn means(&self, points: &Points) -> Result<Points> {
        let (found, expected) = (points.len(), self.group_of.len());
        if found != expected {
            return Err(Error::Mismatch { what: "points in groups", found, expected });
        }
        let (means, _) = means(points, &self.group_of, self.len())?;
        Points::length_normalised(means.into_data(), points.dim()).map_err(|error| match error {
            Error::ZeroLength { row } => Error::ZeroGroup { group: self.names[row].clone() },
            other => other,
        })
    }

    /// The label of each point, from that of its group.
    ///
    /// # Errors
    /// There are not as many labels as groups.
    pub fn spread(&self, labels: &[u32]) -> Result<Vec<u32>> {
        if labels.len() != self.len() {
            return Err(Error::Mismatch {
                what: "labels of groups",
                found: labels.len(),
                expected: self.len(),
            });
        }
        Ok(self.group_of.iter().map(|&group| labels[group as usize]).collect())
    }
}
