//! `ffsvc-data`: data directories and the lists around them.

mod augment;
mod bench_loader;
mod check;
mod convert;
mod detector;
mod ffsvc_tables;
mod from_folders;
mod from_shards;
mod make_trials;
mod prepare;
mod quality;
mod reshape;
mod segment;
mod shown;
mod speakers;
#[path = "../speech_rule.rs"]
mod speech_rule;
mod synth;
mod to_shards;
mod value;
mod way_out;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ffsvc_cli::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Check, repair, combine and split Kaldi data directories
///
/// A data directory is a folder with wav.scp (`utterance path`), utt2spk (`utterance speaker`), spk2utt
/// (`speaker utterance ...`) and optionally utt2dur, spk2gender and further utt2* and spk2* tables. With segments
/// (`utterance recording start end`), wav.scp has the recordings, and all else is about the utterances. Results are printed on standard output, everything else on standard error. The exit status is 0 if all is well, 1 if
/// something failed or the data are wrong, and 2 for a wrong command line.
#[derive(Debug, Parser)]
#[command(name = "ffsvc-data", version)]
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
    Validate(check::Validate),
    Fix(check::Fix),
    Trials(check::Trials),
    Combine(reshape::Combine),
    Subset(reshape::Subset),
    Split(reshape::Split),
    #[command(name = "utt2spk-to-spk2utt")]
    Utt2spkToSpk2utt(speakers::Utt2spkToSpk2utt),
    #[command(name = "spk2utt-to-utt2spk")]
    Spk2uttToUtt2spk(speakers::Spk2uttToUtt2spk),
    Synth(synth::Synth),
    Prepare(prepare::Prepare),
    FromFolders(from_folders::FromFolders),
    FromShards(from_shards::FromShards),
    ToShards(to_shards::ToShards),
    MakeTrials(make_trials::MakeTrials),
    Convert(convert::Convert),
    Segment(segment::Segment),
    Augment(augment::Augment),
    #[command(name = "audio-quality", alias = "quality")]
    Quality(quality::Quality),
    BenchLoader(bench_loader::BenchLoader),
    FfsvcTables(ffsvc_tables::FfsvcTables),
    Value(value::Value),
}

fn main() -> ExitCode {
    ffsvc_cli::program(|Args { command, json, logging }: Args| {
        logging.init();
        let done = match command {
            Command::Validate(args) => args.run(json),
            Command::Fix(args) => args.run(json),
            Command::Trials(args) => args.run(json),
            Command::Combine(args) => args.run(json),
            Command::Subset(args) => args.run(json),
            Command::Split(args) => args.run(json),
            Command::Utt2spkToSpk2utt(args) => args.run(json),
            Command::Spk2uttToUtt2spk(args) => args.run(json),
            Command::Synth(args) => args.run(json),
            Command::Prepare(args) => args.run(json),
            Command::FromFolders(args) => args.run(json),
            Command::FromShards(args) => args.run(json),
            Command::ToShards(args) => args.run(json),
            Command::MakeTrials(args) => args.run(json),
            Command::Convert(args) => args.run(json),
            Command::Segment(args) => args.run(json),
            Command::Augment(args) => args.run(json),
            Command::Quality(args) => args.run(json),
            Command::BenchLoader(args) => args.run(json),
            Command::FfsvcTables(args) => args.run(json),
            Command::Value(args) => args.run(json),
        };
        done.map_err(way_out::named)
    })
}
