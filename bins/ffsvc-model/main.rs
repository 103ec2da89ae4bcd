//! `ffsvc-model`: model files in from other toolkits and out to them, examined, compared and combined.

mod average;
mod compare;
mod embedder;
mod export;
mod import;
#[path = "../import_first.rs"]
mod import_first;
mod info;
mod mean;
mod output;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ffsvc_cli::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bring models in from PyTorch and back, examine, compare and combine them
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
    Import(import::Import),
    Export(export::Export),
    Info(info::Info),
    Compare(compare::Compare),
    Verify(verify::Verify),
    Mean(mean::Mean),
    Average(average::Average),
}

fn main() -> ExitCode {
    ffsvc_cli::program(|Args { command, json, logging }: Args| {
        logging.init();
        match command {
            Command::Import(args) => args.run(json),
            Command::Export(args) => args.run(json),
            Command::Info(args) => args.run(json),
            Command::Compare(args) => args.run(json),
            Command::Verify(args) => args.run(json),
            Command::Mean(args) => args.run(json),
            Command::Average(args) => args.run(json),
        }
    })
}
