//! Names of one list among those of another, where one of the two has a suffix `.wav`.

/// A name that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match<T> {
    /// What was found under it.
    pub value: T,
    /// Whether it was found only without, or only with, the suffix `.wav`.
    pub by_suffix: bool,
}

/// Looks a name up. If it is unknown as it is, it is looked up without its suffix `.wav`, or with one. The lists of
/// FFSVC2022 have the suffix and its data directories do not.
///
/// ```
/// use ffsvc_kaldi_io::{Match, find_name};
/// let known = ["a", "b.wav"];
/// let find = |name: &str| find_name(name, |name| known.iter().position(|&utt| utt == name));
/// assert_eq!(find("a"), Some(Match { value: 0, by_suffix: false }));
/// assert_eq!(find("a.wav"), Some(Match { value: 0, by_suffix: true }));
/// assert_eq!(find("b"), Some(Match { value: 1, by_suffix: true }));
/// assert_eq!(find("c"), None);
/// ```
pub fn find_name<T>(name: &str, find: impl Fn(&str) -> Option<T>) -> Option<Match<T>> {
    if let Some(value) = find(name) {
        return Some(Match { value, by_suffix: false });
    }
    let value = match name.strip_suffix(".wav") {
        Some(stem) => find(stem),
        None => find(&format!("{name}.wav")),
    };
    value.map(|value| Match { value, by_suffix: true })
}

/// Looks every name up as [`find_name`] does, and counts those that matched by their suffix.
///
/// ```
/// let known = ["b", "a"];
/// let names = ["a.wav".to_owned(), "b".to_owned(), "c".to_owned()];
/// let found = ffsvc_kaldi_io::find_names(&names, |name| known.iter().position(|&utt| utt == name));
/// assert_eq!(found.values, [Some(1), Some(0), None]);
/// assert_eq!(found.by_suffix, 1);
/// ```
pub fn find_names<T>(names: &[String], find: impl Fn(&str) -> Option<T>) -> Resolved<T> {
    let mut by_suffix = 0;
    let look_up = |name: &String| {
        let found = find_name(name, &find)?;
        by_suffix += usize::from(found.by_suffix);
        Some(found.value)
    };
    Resolved { values: names.iter().map(look_up).collect(), by_suffix }
}

/// What [`find_names`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<T> {
    /// For each name what was found, `None` if the name is unknown.
    pub values: Vec<Option<T>>,
    /// How many names were found only without, or only with, a `.wav` suffix: worth a warning.
    pub by_suffix: usize,
}

impl<T> Resolved<T> {
    /// Indices of the names that were not found.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        self.values.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(index, _)| index)
    }
}
