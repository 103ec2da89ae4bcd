//! Lists of names in messages and reports.

use serde::Serialize;

/// The names that a message has room for.
const FIRST: usize = 3;

/// How many there are of a kind, and the first of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Counted {
    pub(crate) count: usize,
    pub(crate) first: Vec<String>,
}

impl Counted {
    /// `None` if there is none.
    pub(crate) fn new(names: &[impl AsRef<str>]) -> Option<Self> {
        let first = names.iter().take(FIRST).map(|name| name.as_ref().to_owned()).collect();
        (!names.is_empty()).then_some(Self { count: names.len(), first })
    }
}

/// Warns of all names of one kind in one line: how many there are, and the first of them.
pub(crate) fn warn_of(kind: &str, names: &[impl AsRef<str>]) {
    if names.is_empty() {
        return;
    }
    let first = names.iter().take(FIRST).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(FIRST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    tracing::warn!("{kind}: {} ({first}{more})", names.len());
}
