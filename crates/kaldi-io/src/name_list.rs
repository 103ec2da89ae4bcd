use std::fmt;

use serde::{Deserialize, Serialize};

/// How many names are kept.
const KEPT: usize = 10;

/// Names to be shown to a person: how many there are, and the first ten.
///
/// ```
/// use ffsvc_kaldi_io::NameList;
/// let list: NameList = ["a", "b", "c", "d"].into_iter().collect();
/// assert_eq!(list.to_string(), "a, b, c, d");
/// assert_eq!(format!("{} recordings ({})", list.total(), list.shown(3)), "4 recordings (a, b, c and 1 more)");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameList {
    total: usize,
    first: Vec<String>,
}

impl NameList {
    /// Counts a name. Only the first ten are asked for.
    pub fn push(&mut self, name: impl FnOnce() -> String) {
        if self.first.len() < KEPT {
            self.first.push(name());
        }
        self.total += 1;
    }

    /// The first ten names.
    pub fn first(&self) -> &[String] {
        &self.first
    }

    /// How many names there are in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The first `limit` names, ten at most, and how many more there are.
    pub fn shown(&self, limit: usize) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            let shown = &self.first[..self.first.len().min(limit)];
            f.write_str(&shown.join(", "))?;
            match self.total - shown.len() {
                0 => Ok(()),
                more => write!(f, " and {more} more"),
            }
        })
    }
}

impl fmt::Display for NameList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown(KEPT).fmt(f)
    }
}

impl<T: Into<String>> FromIterator<T> for NameList {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let mut list = Self::default();
        names.into_iter().for_each(|name| list.push(|| name.into()));
        list
    }
}
