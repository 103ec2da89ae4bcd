use std::path::Path;

use crate::text::Text;
use crate::{Error, Result};

/// Reads a list of names, the first word of each line: a list of speakers or utterances, or any table keyed by them.
/// Empty lines, a byte order mark and CR LF line ends are passed over.
///
/// # Errors
/// The file cannot be read, a line is not UTF-8, or there is no name in it.
pub fn read_name_list(path: impl AsRef<Path>) -> Result<Vec<String>> {
    let path = path.as_ref();
    let text = Text::read_strict(path)?;
    let names: Vec<String> =
        text.lines().filter_map(|line| line.split_ascii_whitespace().next()).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Error::parse(path, "no name", "a list of names, one a line"));
    }
    Ok(names)
}
