//! `--show`: how much of a long list is printed.

use ffsvc_cli::{Range, UsageError};

/// Range of `--show`.
pub(crate) const SHOWN: Range<usize> = Range::at_least(0);

/// Entries to print: 20, if `--show` does not say otherwise.
///
/// # Errors
/// `--show` beside `--json`, which has all of them.
pub(crate) fn shown(show: Option<usize>, json: bool) -> Result<usize, UsageError> {
    if json && show.is_some() {
        return Err(UsageError::new(
            "--show is for the printed list, and --json has all: leave one of them out",
        ));
    }
    Ok(show.unwrap_or(20))
}
