//! How a program ends: the error report and the exit status.

use std::any::Any;
use std::cell::Cell;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

use ffsvc_atomic_file::StdoutClosed;
use serde::Serialize;

use crate::interrupt::EXIT_STATUS;
use crate::output;

/// The command line asks for something that makes no sense; [`run`] ends the program with status 2,
/// as clap does for what it finds itself.
///
/// ```
/// fn check(min_s: f64, max_s: f64) -> anyhow::Result<()> {
///     if min_s > max_s {
///         return Err(ffsvc_cli::UsageError::new("--min-seconds is above --max-seconds").into());
///     }
///     Ok(())
/// }
/// assert!(check(3.0, 2.0).is_err());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    message: String,
}

impl UsageError {
    /// A usage error with this message: what was asked, and what would be right.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// The program did its work and printed its findings, and the findings are bad (a check of a data
/// directory that found faults, for instance). [`run`] ends the program with status 1 and prints
/// nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the findings printed above are faults")]
pub struct Failed;

/// The program was asked to stop, brought its work to a safe point and said so. [`run`] ends the program with
/// [`EXIT_STATUS`] and prints nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Runs the whole of a program and turns its result into an exit status.
///
/// | `main` returns | on stderr | status |
/// | --- | --- | --- |
/// | `Ok` | nothing | 0 |
/// | an error | `PROGRAM: error: ...` and a `caused by: ...` line for each cause | 1 |
/// | [`Failed`] | nothing | 1 |
/// | [`Interrupted`] | nothing | 130 |
/// | [`UsageError`] | `PROGRAM: error: ...` and a pointer to `--help` | 2 |
/// | a clap error | what clap says | clap's own (2, or 0 for `--help`) |
///
/// A program that is started by [`program`](crate::program()) with `--json` also prints an object on stdout when it fails,
/// unless it has printed its result there already.
///
/// A reader of stdout that went away (`| head`) ends the program quietly with status 0, whether the
/// program noticed it in [`print_json`](crate::print_json) or in `println!`. Other panics pass through:
/// they are faults of the program and keep Rust's report and status 101.
pub fn run(program: &str, main: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    run_as(program, program, &Cell::new(false), main)
}

/// As [`run`]. `version` is the program with its version. `as_json` is read when `main` has ended: whether a failure is
/// also printed as JSON.
pub(crate) fn run_as(
    program: &str,
    version: &str,
    as_json: &Cell<bool>,
    main: impl FnOnce() -> anyhow::Result<()>,
) -> ExitCode {
    silence_stdout_panics();
    match catch_unwind(AssertUnwindSafe(main)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let status = report(program, &error);
            if status != 0 && as_json.get() && !output::has_printed_json() {
                // What cannot be printed on stdout is on stderr.
                let _ = crate::print_json(&Failure::new(version, &error, status));
            }
            ExitCode::from(status)
        }
        Err(panic) => match stdout_failure(panic.as_ref()) {
            Some(cause) if is_broken_pipe(cause) => ExitCode::SUCCESS,
            Some(cause) => {
                eprintln!("{program}: error: cannot write to standard output\n  caused by: {cause}");
                ExitCode::FAILURE
            }
            None => resume_unwind(panic),
        },
    }
}

/// Says on stderr what went wrong, and returns the exit status.
fn report(program: &str, error: &anyhow::Error) -> u8 {
    if is_stdout_closed(error) {
        return 0;
    }
    if find::<Failed>(error).is_some() {
        return 1;
    }
    if find::<Interrupted>(error).is_some() {
        return EXIT_STATUS as u8;
    }
    if let Some(clap) = find::<clap::Error>(error) {
        // Nothing better can be done when the message itself cannot be printed.
        let _ = clap.print();
        return u8::try_from(clap.exit_code()).unwrap_or(2);
    }
    eprintln!("{program}: error: {}", describe(error).join("\n  caused by: "));
    if find::<UsageError>(error).is_some() {
        eprintln!("For the usage, try '{program} --help'.");
        return 2;
    }
    1
}

/// What a program that fails prints as JSON.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    program: &'a str,
    error: String,
    /// From the nearest to the first.
    causes: Vec<String>,
    exit_status: u8,
}

impl<'a> Failure<'a> {
    fn new(program: &'a str, error: &anyhow::Error, exit_status: u8) -> Self {
        let mut causes = match find::<clap::Error>(error) {
            Some(clap) => vec![message_of(clap)],
            None => describe(error),
        };
        let error = causes.remove(0);
        Self { program, error, causes, exit_status }
    }
}

/// What clap has to say about a command line, without its usage.
fn message_of(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "an argument or a subcommand is missing".to_owned();
    }
    let text = error.to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|after| text.find(after)).min();
    let message = text[..end.unwrap_or(text.len())].trim();
    message.strip_prefix("error: ").unwrap_or(message).to_owned()
}

/// Whether the reader of standard output has gone: noticed by [`print_json`](crate::print_json), or by a writer of a
/// result that goes to standard output.
fn is_stdout_closed(error: &anyhow::Error) -> bool {
    let of_writer = |error: &std::io::Error| error.get_ref().is_some_and(|inner| inner.is::<StdoutClosed>());
    find::<StdoutClosed>(error).is_some()
        || error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(of_writer))
}

/// The error of type `E` in the chain, whether it is a cause or was attached as context.
fn find<E: StdError + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.downcast_ref::<E>().or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<E>()))
}

/// The message and its causes. Some error types repeat their cause at the end of their own message; such a cause is left
/// out.
fn describe(error: &anyhow::Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !texts.last().is_some_and(|last| last.contains(cause.trim())) {
            texts.push(cause.trim_end().to_owned());
        }
    }
    texts
}

/// `println!` panics when stdout cannot be written; Rust's own words for that start like this.
const STDOUT_PANIC: &str = "failed printing to stdout: ";

fn stdout_failure(panic: &(dyn Any + Send)) -> Option<&str> {
    let message = match panic.downcast_ref::<String>() {
        Some(message) => message.as_str(),
        None => panic.downcast_ref::<&str>()?,
    };
    message.strip_prefix(STDOUT_PANIC)
}

fn is_broken_pipe(cause: &str) -> bool {
    // EPIPE; ERROR_BROKEN_PIPE and ERROR_NO_DATA on Windows.
    ["(os error 32)", "(os error 109)", "(os error 232)"].iter().any(|code| cause.contains(code))
}

fn silence_stdout_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if stdout_failure(info.payload()).is_none() {
            default(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_listed_once_each() {
        let error = std::fs::read("/no/such/file").map_err(anyhow::Error::new);
        let error = error.context("cannot load a.toml").context("cannot start").unwrap_err();
        let texts = describe(&error);
        assert_eq!((texts.len(), &*texts[0], &*texts[1]), (3, "cannot start", "cannot load a.toml"));

        #[derive(Debug, thiserror::Error)]
        #[error("bad line: {source}")]
        struct Repeats {
            source: std::num::ParseIntError,
        }
        let source = "x".parse::<i32>().unwrap_err();
        assert_eq!(describe(&Repeats { source }.into()), ["bad line: invalid digit found in string"]);
    }

    #[test]
    fn markers_are_found_under_and_as_context() {
        let under = anyhow::Error::new(UsageError::new("bad")).context("while starting");
        assert!(find::<UsageError>(&under).is_some());
        let above = anyhow::anyhow!("detail").context(Failed);
        assert!(above.downcast_ref::<Failed>().is_some() && find::<Failed>(&above).is_some());
        assert!(find::<Failed>(&under).is_none());
    }
}
