//! `ffsvc-verify`: two recordings, or a recording and enrolled speakers, to a score and a decision.

mod compare;
mod decision;
mod heard;
#[path = "../import_first.rs"]
mod import_first;
mod speakers;
#[path = "../speech_rule.rs"]
mod speech_rule;

use std::process::ExitCode;

use clap::Parser;
use ffsvc_cli::{Logging, UsageError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROGRAM: &str = concat!("ffsvc-verify ", env!("CARGO_PKG_VERSION"));

/// Compare two recordings, or a recording with enrolled speakers
///
/// The score is the cosine of the embeddings of both whole recordings. A threshold makes it a decision. The threshold
/// must come from trials of recordings like these. --threshold-from takes it from the report of a scoring run with the
/// same model. Without a threshold there is a score and no decision.
///
/// Each recording's seconds of speech are printed, with estimates of its noise (SNR) and reverberation (C50). A warning is printed if it is silent, has too little speech, is
/// clipped or off centre, has several channels, or has a lower sample rate than the model. A recording without speech
/// gets no decision.
///
/// --speech-only leaves out the pauses. What was embedded and what was left out is printed. Take the threshold from
/// embeddings that were extracted with the same option.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-verify",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples: --help",
    after_long_help = "\
Examples:
  Two recordings, with a threshold that comes from a trial list:
    ffsvc-score --trials data/dev/trials --embeddings exp/dev.scp --report-out exp/dev.json
    ffsvc-verify --model exp/best.safetensors a.wav b.wav --threshold-from exp/dev.json --operating-point min-dcf:0.01
  Enrol speakers, check who somebody claims to be, and find out who it is:
    ffsvc-verify enrol ann ann1.wav ann2.wav --model exp/best.safetensors --database speakers
    ffsvc-verify claim ann unknown.wav --model exp/best.safetensors --database speakers --threshold 0.5
    ffsvc-verify identify unknown.wav --model exp/best.safetensors --database speakers --threshold 0.5
    ffsvc-verify list --database speakers
    ffsvc-verify remove ann --database speakers

Exit status: 0 done, whatever the decision; 1 failed; 2 wrong usage.
With --exit-code: 0 same speaker (or somebody identified), 3 different speakers (or nobody), 4 no decision."
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    compare: Option<compare::Compare>,

    // Not inside of `Compare`: clap takes an optional struct with flattened parts for absent.
    #[command(flatten)]
    hearing: Option<heard::HearingArgs>,

    #[command(flatten)]
    mean: heard::MeanArgs,

    #[command(flatten)]
    decision: decision::DecisionArgs,

    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Enrol(speakers::Enrol),
    Claim(speakers::Claim),
    Identify(speakers::Identify),
    List(speakers::List),
    Remove(speakers::Remove),
}

fn main() -> ExitCode {
    ffsvc_cli::keep_freed_memory();
    ffsvc_cli::program(|args: Args| {
        args.logging.init();
        match args.command {
            Some(Command::Enrol(command)) => return command.run(),
            Some(Command::Claim(command)) => return command.run(),
            Some(Command::Identify(command)) => return command.run(),
            Some(Command::List(command)) => return command.run(),
            Some(Command::Remove(command)) => return command.run(),
            None => {}
        }
        match (args.compare, args.hearing) {
            (Some(compare), Some(hearing)) => compare.run(&hearing, &args.mean, &args.decision),
            _ => Err(UsageError::new("give --model and two recordings, or a subcommand").into()),
        }
    })
}
