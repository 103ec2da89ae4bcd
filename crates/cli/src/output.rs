//! Results on standard output.

use std::io::{self, Write};

use serde::Serialize;

/// Whoever read our standard output has gone. [`run`](crate::run) ends the program quietly for it.
/// It is a type of its own, because a broken pipe *to another program* is an error to be reported.
#[derive(Debug, thiserror::Error)]
#[error("the reader of standard output has gone")]
pub struct StdoutClosed;

/// Prints a value as indented JSON and a newline on standard output.
///
/// # Errors
/// The value cannot be expressed as JSON (a map whose keys are not strings), or standard output cannot
/// be written; [`StdoutClosed`] if its reader has gone.
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&text).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
    }
}
