//! Messages on standard error.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::progress;

/// The options `-q` and `-v`, for `#[command(flatten)]` in a program's arguments.
///
/// By default warnings and errors are shown. The environment variable `RUST_LOG` (for instance
/// `RUST_LOG=ffsvc_audio=debug`) overrides both options for messages.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Logging {
    /// Show errors only: no warnings, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Show what is being done; -vv and -vvv show more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Logging {
    /// Sends the messages of `tracing` to stderr, beside any progress bar, in colour on a terminal only
    /// (and not if `NO_COLOR` is set). Later calls in the same process change nothing.
    pub fn init(&self) {
        progress::set_quiet(self.quiet);
        let level = self.level();
        let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
            Ok(directives) => {
                EnvFilter::builder().with_default_directive(level.into()).parse_lossy(directives)
            }
            // The audio decoders warn about files without naming them; our own errors do.
            Err(_) if self.verbose == 0 => EnvFilter::new(format!("{level},symphonia=off")),
            Err(_) => EnvFilter::new(level.to_string()),
        };
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        // An error says that a subscriber is there already: the first one stays.
        let _ = tracing_subscriber::fmt()
            .compact()
            .without_time()
            .with_target(self.verbose > 0)
            .with_ansi(colour)
            .with_env_filter(filter)
            .with_writer(StderrBesideBars)
            .try_init();
    }

    /// The least severe level that is shown.
    pub fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, 2) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }
}

/// Takes the bars off the screen while a message is written.
struct StderrBesideBars;

impl Write for StderrBesideBars {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        progress::beside_bars(|| io::stderr().write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for StderrBesideBars {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        logging: Logging,
        #[command(subcommand)]
        command: Option<Command>,
    }

    #[derive(clap::Subcommand)]
    enum Command {
        Check,
    }

    #[test]
    fn options_work_before_and_after_a_subcommand() {
        let level =
            |args: &[&str]| Program::try_parse_from(args).map(|p| (p.logging.level(), p.command.is_some()));
        assert_eq!(level(&["p"]).unwrap(), (LevelFilter::WARN, false));
        assert_eq!(level(&["p", "-q", "check"]).unwrap(), (LevelFilter::ERROR, true));
        assert_eq!(level(&["p", "check", "-vv"]).unwrap(), (LevelFilter::DEBUG, true));
        assert!(level(&["p", "-q", "-v"]).is_err());
    }
}
