//! `ffsvc-cluster`: from embeddings to pseudo-speakers.

mod ahc;
mod algorithm;
mod clusters;
mod compare;
mod folder;
mod input;
mod kmeans;
mod labels;
mod number;
mod sweep;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ffsvc_cli::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Cluster embeddings into pseudo-speakers
///
/// Embeddings are brought to length 1 first. `sweep` shows how the clusters change with their number, `kmeans` or `ahc`
/// makes them, `labels` turns the ones worth keeping into a data directory with pseudo-speakers, `compare` compares two labellings.
/// Results are printed on standard output, everything else on standard error. The exit status is 0 if all is well, 1
/// if something failed, and 2 for a wrong command line. Work is spread over all cores (RAYON_NUM_THREADS sets
/// another number). The results depend neither on how many there are nor on the order of the store.
#[derive(Debug, Parser)]
#[command(name = "ffsvc-cluster", version)]
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
    Kmeans(Box<kmeans::Kmeans>),
    Ahc(ahc::Ahc),
    Sweep(sweep::Sweep),
    Labels(labels::Labels),
    Compare(compare::Compare),
}

fn main() -> ExitCode {
    ffsvc_cli::program(|Args { command, json, logging }: Args| {
        logging.init();
        match command {
            Command::Kmeans(args) => args.run(json),
            Command::Ahc(args) => args.run(json),
            Command::Sweep(args) => args.run(json),
            Command::Labels(args) => args.run(json),
            Command::Compare(args) => args.run(json),
        }
    })
}
