//! What holds between the two sides of a trial: the same or different values in tables.

use std::collections::HashMap;

use super::grid::Row;
use crate::{DataDir, Error, Result, Table};

/// What holds between the values that the two utterances of a trial have in a table. A model of several utterances has to hold
/// it with each of them. A table of speakers will do: an utterance that it lacks has its speaker's value.
#[derive(Debug)]
pub enum Relation {
    /// They are equal.
    Same(Table),
    /// They differ.
    Different(Table),
}

/// The relations of all trials, with the values as numbers.
pub(super) struct Relations {
    /// Whether values are to be equal, and the value of each place.
    tables: Vec<(bool, Vec<u32>)>,
    described: Vec<String>,
}

impl Relations {
    /// Looks up the values of the utterances that are on one of the sides.
    pub(super) fn new(dir: &DataDir, relations: &[Relation], sides: [&[u32]; 2]) -> Result<Self> {
        let (mut tables, mut described) = (Vec::new(), Vec::new());
        for relation in relations {
            let (table, equal) = match relation {
                Relation::Same(table) => (table, true),
                Relation::Different(table) => (table, false),
            };
            let mut numbers: HashMap<&str, u32> = HashMap::new();
            let mut values = vec![0; dir.len()];
            for &place in sides.into_iter().flatten() {
                let id = dir.id_at(place);
                let of_speaker = || table.find(&dir.speakers()[dir.speaker_at(place)]);
                let value = table.find(id).or_else(of_speaker).ok_or_else(|| {
                    let message =
                        format!("has no value of {id}, which trials of equal or different values need");
                    Error::invalid(table.path(), message)
                })?;
                let next = numbers.len() as u32;
                values[place as usize] = *numbers.entry(value).or_insert(next);
            }
            tables.push((equal, values));
            let kind = if equal { "the same" } else { "different" };
            described.push(format!("{kind} values in {}", table.path().display()));
        }
        Ok(Self { tables, described })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// What is asked for, in words.
    pub(super) fn describe(&self) -> String {
        self.described.join(" and ")
    }

    /// Whether all relations hold between what enrols and a tested utterance.
    pub(super) fn hold(&self, row: &Row, test: u32) -> bool {
        self.tables.iter().all(|(equal, values)| {
            let value = values[test as usize];
            row.members().iter().all(|&place| (values[place as usize] == value) == *equal)
        })
    }
}
