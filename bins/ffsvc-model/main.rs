//! `ffsvc-model`: model files out of model files.

mod average;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ffsvc_cli::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Make model files out of model files
///
/// The exit status is 0 if all is well, 1 if something failed, and 2 for a wrong command line.
#[derive(Debug, Parser)]
#[command(name = "ffsvc-model", version)]
struct Args {
    #[command(subcommand)]
    command: Command,

    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, Subcommand)]
enum Command {
    Average(average::Average),
}

fn main() -> ExitCode {
    ffsvc_cli::run("ffsvc-model", || {
        let Args { command, json, logging } = Args::parse();
        logging.init();
        match command {
            Command::Average(args) => args.run(json),
        }
    })
}
