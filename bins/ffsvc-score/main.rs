//! `ffsvc-score`: trials to scores, scores to error rates.

mod adapt_backend;
mod calibrate;
mod compare;
mod embedding_quality;
mod errors;
mod messages;
mod options;
mod plot;
mod report;
mod score;
mod systems;
mod train_backend;

use std::process::ExitCode;

use clap::Parser;
use ffsvc_cli::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DETAILS: &str = "\
Examples:
  Score a trial list and report EER and minDCF:
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp
  The same with the mean of in-domain audio subtracted, keeping the scores and a JSON report:
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp \\
        --mean-subtract exp/in_domain/embeddings.scp --scores-out exp/dev/scores --report-out exp/dev/result.json
  By a trained back end (LDA, PLDA; see train-backend --help):
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp --backend exp/plda.safetensors
  Speakers enrolled with several utterances:
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp --enrolment data/dev/enrolment
  Calibrated scores, measured on speakers that the calibration has not seen (see calibrate --help):
    ffsvc-score calibrate --trials data/dev/trials --scores exp/dev/scores -o exp/calibration.json \\
        --folds 10 --utt2spk data/dev/utt2spk
  Normalised by a cohort of speakers (AS-norm, the 300 nearest):
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp --score-norm as-norm \\
        --cohort exp/train/embeddings.scp --cohort-utt2spk data/train/utt2spk
  Evaluate a score file, also another toolkit's:
    ffsvc-score --trials data/dev/trials --scores exp/dev/scores
  Error rates by the test's device and by the gap between visits, with confidence intervals over speakers:
    ffsvc-score --trials data/dev/trials --scores exp/dev/scores --utt2spk data/dev/utt2spk --bootstrap 1000 \\
        --by test:device=data/dev/utt2device --by gap:visit=data/dev/utt2visit --report-out exp/dev/result.json
  Whether one system is better than another by more than chance:
    ffsvc-score compare --trials data/dev/trials --scores a=exp/a/scores --scores b=exp/b/scores \\
        --utt2spk data/dev/utt2spk
  The trials, utterances and speakers that cost most:
    ffsvc-score errors --trials data/dev/trials --scores exp/dev/scores --utt2spk data/dev/utt2spk
  Draw the DET curves of two systems:
    ffsvc-score plot det --trials data/dev/trials --scores a=exp/a/scores --scores b=exp/b/scores -o det.svg
  All of this on one page, to mail or print:
    ffsvc-score report --trials data/dev/trials --scores a=exp/a/scores --scores b=exp/b/scores -o report.html
  The options from a TOML file (p_target = 0.01 for --p-target 0.01):
    ffsvc-score --options configs/scoring.toml
  Make an FFSVC submission from a list without labels:
    ffsvc-score --trials trials_eval --embeddings exp/eval/embeddings.scp --ffsvc-scores-out scores.txt
  Compare two recordings:
    ffsvc-verify --model exp/best.safetensors a.wav b.wav --threshold-from exp/dev/result.json

Files:
  A trial list has lines 'label enrolment test', 'enrolment test label' (labels 1/0 or target/nontarget) or
  'enrolment test'. Which it is, is found out from the whole list. A score file has lines 'enrolment test score' in any
  order, or one score a line in the order of the trials. Lists and score files may be gzipped, pipes, or - for standard input.
  Embedding stores are .scp, .ark, .npz, .safetensors, or the baseline's .npy dictionary. A trial list may be of any
  length. Names that differ only by a .wav suffix match, with a warning.
  The scores and the report can go to - for standard output; what else would be printed there goes to standard error.

Preparation of embeddings, in this order:
  The mean (--mean-subtract, of a domain with --utt2domain, or --backend's own), --backend's transform and length
  normalisation, the average over a model's utterances (--enrolment). Then PLDA, if --backend has one, or the cosine.
Score normalisation (--score-norm):
  A score less the mean of the scores that an utterance has with a cohort, divided by their standard deviation: z-norm by
  the enrolment utterance's, t-norm by the test utterance's, s-norm and as-norm by both, averaged. as-norm looks at the
  300 highest, the others at all (--top).

Measures:
  EER: equal scores are one operating point, and the crossing of miss and false-alarm rate is interpolated; its
  threshold is the score at which the two change places. ROCCH-EER: the same on the convex hull. minDCF: the least of
  C_miss P_target p_miss + C_fa (1 - P_target) p_fa over all thresholds, divided by min(C_miss P_target,
  C_fa (1 - P_target)). A trial is accepted when its score is at least the threshold; a threshold of inf rejects all.
  actDCF: the same cost at the threshold ln(C_fa (1 - P_target) / (C_miss P_target)), which is the best one for scores
  that are log-likelihood ratios; Cllr: the cost of the scores as log-likelihood ratios, in bits; min Cllr: what of it is
  left after the best monotone calibration. For cosines these say only how far they are from being calibrated.
  FRR at FAR: the least miss rate whose false-alarm rate is at most FAR (--fa-rate). Intervals: speakers are drawn with
  replacement; a trial of one speaker counts as often as the speaker was drawn, one of two by the product.
  --compat computes what the FFSVC2022 baseline computes: every score an operating point, the mean of both
  rates where they are nearest, trials accepted above the threshold.

From the baseline's scripts:
  extract and score   ffsvc-extract ... && ffsvc-score --trials T --embeddings STORE
  extract only        ffsvc-extract ...
  score only          ffsvc-score --trials T --embeddings STORE (its embd_dict.npy is a STORE, too);
                      add --compat for its exact EER and minDCF

Results go to standard output, everything else to standard error.
Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Score verification trials by the cosine of their embeddings, and report EER and minDCF.
///
/// With --scores, evaluate an existing score file instead. A trial list without labels gives scores only.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-score",
    version,
    args_conflicts_with_subcommands = true,
    after_long_help = DETAILS,
    after_help = "Examples and file formats: --help"
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    score: score::Score,

    #[command(flatten, next_help_heading = "Messages")]
    logging: Logging,
}

/// Each subcommand has a file of its own; without one, the options are those of [`score::Score`].
#[derive(Debug, clap::Subcommand)]
enum Command {
    TrainBackend(train_backend::TrainBackend),
    AdaptBackend(adapt_backend::AdaptBackend),
    Calibrate(calibrate::Calibrate),
    Apply(calibrate::Apply),
    EmbeddingQuality(embedding_quality::EmbeddingQuality),
    Compare(compare::Compare),
    Errors(errors::Errors),
    Plot(plot::Plot),
    Report(report::ReportPage),
}

fn main() -> ExitCode {
    ffsvc_cli::program(|args: Args| {
        args.logging.init();
        args.run().map_err(messages::name_options)
    })
}

impl Args {
    fn run(self) -> anyhow::Result<()> {
        match self.command {
            None => self.score.run(),
            Some(Command::TrainBackend(command)) => command.run(),
            Some(Command::AdaptBackend(command)) => command.run(),
            Some(Command::Calibrate(command)) => command.run(),
            Some(Command::Apply(command)) => command.run(),
            Some(Command::EmbeddingQuality(command)) => command.run(),
            Some(Command::Compare(command)) => command.run(),
            Some(Command::Errors(command)) => command.run(),
            Some(Command::Plot(command)) => command.run(),
            Some(Command::Report(command)) => command.run(),
        }
    }
}
