//! What was prepared, and what was remarkable about it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// How many names of a kind a report gives.
const NAMED: usize = 5;

/// A number of files, and the first of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// How many there are.
    pub count: usize,
    /// The first five names.
    pub first: Vec<String>,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, name: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(name.to_string());
        }
    }

    /// Counts all of another tally.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED);
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Tally {
    /// `7 (a, b, c, d, e, ...)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)?;
        if !self.first.is_empty() {
            let more = if self.count > self.first.len() { ", ..." } else { "" };
            write!(f, " ({}{more})", self.first.join(", "))?;
        }
        Ok(())
    }
}

/// A data directory or a list that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its path.
    pub path: PathBuf,
    /// How many recordings, trials or files it has.
    pub entries: usize,
    /// What the entries are: `utterances`, `trials`, `files`.
    pub what: &'static str,
}

/// What the preparation of a corpus wrote and found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Prepared {
    /// The data directory and the lists.
    pub written: Vec<Written>,
    /// Number of speakers, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speakers: Option<usize>,
    /// Sound files in the folders that are not of the corpus, by their names, or in none of its lists. They are left out.
    pub surplus: Tally,
    /// Recordings that a list names and that are not there.
    pub missing: Tally,
    /// Trials left out because a recording of theirs is missing.
    pub dropped_trials: usize,
    /// Where the numbers are not those of the corpus as published.
    pub remarks: Vec<String>,
}

impl Prepared {
    pub(crate) fn wrote(&mut self, path: impl Into<PathBuf>, entries: usize, what: &'static str) {
        self.written.push(Written { path: path.into(), entries, what });
    }
}

impl fmt::Display for Prepared {
    /// A line for each thing written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Written { path, entries, what } in &self.written {
            write!(f, "{}: {entries} {what}", path.display())?;
            match self.speakers {
                Some(speakers) if *what == "utterances" => writeln!(f, ", {speakers} speakers")?,
                _ => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_names_the_first_and_counts_all() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "0");
        tally.add("a");
        assert_eq!(tally.to_string(), "1 (a)");
        (0..7).for_each(|n| tally.add(n));
        assert_eq!(tally.to_string(), "8 (a, 0, 1, 2, 3, ...)");
    }
}
