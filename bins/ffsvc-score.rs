//! Scores verification trials and reports their error rates.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ffsvc_cli::{Logging, UsageError};
use ffsvc_kaldi_io::{Embeddings, TrialColumns, Trials};
use ffsvc_scoring::metrics::{self, DcfParameters, Definition};
use ffsvc_scoring::report::{Counts, Report, ScoreSource, SourceFile};
use ffsvc_scoring::{Side, TrialScores, mean_embedding, score_file, score_trials};
use tracing::{info, warn};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DETAILS: &str = "\
Examples:
  Score a trial list and report EER and minDCF:
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp
  The same with the mean of in-domain audio subtracted, keeping the scores and a JSON report:
    ffsvc-score --trials data/dev/trials --embeddings exp/dev/embeddings.scp \\
        --mean-subtract exp/in_domain/embeddings.scp --scores-out exp/dev/scores --report exp/dev/result.json
  Evaluate a score file, also another toolkit's:
    ffsvc-score --trials data/dev/trials --scores exp/dev/scores
  Make an FFSVC submission from a list without labels:
    ffsvc-score --trials trials_eval --embeddings exp/eval/embeddings.scp --ffsvc-scores scores.txt

Files:
  A trial list has lines 'label enrolment test', 'enrolment test label' (labels 1/0 or target/nontarget) or
  'enrolment test'. Which it is, is found out from the whole list. A score file has lines 'enrolment test score' in any
  order, or one score a line in the order of the trials. Embedding stores are .scp, .ark, .npz, .safetensors, or the
  baseline's .npy dictionary. Names that differ only by a .wav suffix match, with a warning.

Measures:
  EER: equal scores are one operating point, and the crossing of miss and false-alarm rate is interpolated; its
  threshold is the score at which the two change places. ROCCH-EER: the same on the convex hull. minDCF: the least of
  C_miss P_target p_miss + C_fa (1 - P_target) p_fa over all thresholds, divided by min(C_miss P_target,
  C_fa (1 - P_target)). A trial is accepted when its score is at least the threshold; a threshold of inf rejects all.
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
#[derive(Parser)]
#[command(name = "ffsvc-score", version, after_long_help = DETAILS, after_help = "Examples and file formats: --help")]
struct Args {
    /// Trial list
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,

    /// Columns of the trial list: auto, label-first, label-last or no-label
    #[arg(long, value_name = "ORDER", default_value = "auto")]
    trial_columns: TrialColumns,

    /// Embeddings of the test utterances, and of the enrolment utterances unless they have a store of their own
    #[arg(long, value_name = "STORE", required_unless_present = "scores", conflicts_with = "scores")]
    embeddings: Option<PathBuf>,

    /// Embeddings of the enrolment utterances
    #[arg(long, value_name = "STORE", requires = "embeddings")]
    enrol_embeddings: Option<PathBuf>,

    /// Subtract the mean of these embeddings (in-domain audio, labels not needed) from all before scoring
    #[arg(long, value_name = "STORE", requires = "embeddings")]
    mean_subtract: Option<PathBuf>,

    /// Evaluate this score file instead of scoring
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,

    /// Write 'enrolment test score' lines
    #[arg(long, value_name = "FILE")]
    scores_out: Option<PathBuf>,

    /// Write the FFSVC submission file: one score a line, in the order of the trials
    #[arg(long, value_name = "FILE")]
    ffsvc_scores: Option<PathBuf>,

    /// Prior probabilities of a target trial for minDCF, separated by commas
    #[arg(long, value_name = "P,...", value_delimiter = ',', default_value = "0.01,0.05")]
    p_target: Vec<f64>,

    /// Cost of a missed target
    #[arg(long, value_name = "COST", default_value_t = 1.0)]
    c_miss: f64,

    /// Cost of a false alarm
    #[arg(long, value_name = "COST", default_value_t = 1.0)]
    c_fa: f64,

    /// Compute EER and minDCF exactly as the FFSVC2022 baseline does
    #[arg(long)]
    compat: bool,

    /// Leave out trials without embedding or score (they are counted) instead of failing
    #[arg(long)]
    skip_missing: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Write the report as JSON to this file as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    #[command(flatten)]
    logging: Logging,
}

/// Scores, what they came from, and what was remarkable about them.
struct Scored {
    scores: TrialScores,
    source: ScoreSource,
    matched_by_suffix: usize,
    surplus: usize,
}

fn main() -> ExitCode {
    ffsvc_cli::run("ffsvc-score", || {
        let args = Args::parse();
        args.logging.init();
        score(&args)
    })
}

fn score(args: &Args) -> anyhow::Result<()> {
    let costs = args
        .p_target
        .iter()
        .map(|&p_target| DcfParameters::new(p_target, args.c_miss, args.c_fa))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| UsageError::new(error.to_string()))?;
    let trials = Trials::read(&args.trials, args.trial_columns)?;
    if trials.labels.is_none() && args.scores_out.is_none() && args.ffsvc_scores.is_none() {
        return Err(UsageError::new(format!(
            "{} has no labels, so there are no error rates to report: \
             say where the scores go with --scores-out or --ffsvc-scores",
            args.trials.display()
        ))
        .into());
    }
    let scored = match (&args.scores, &args.embeddings) {
        (Some(file), _) => from_file(args, &trials, file)?,
        (None, Some(store)) => from_embeddings(args, &trials, store)?,
        (None, None) => return Err(UsageError::new("give --embeddings or --scores").into()),
    };
    warn_of(&scored);
    if let Some(path) = &args.scores_out {
        score_file::write(path, &trials, &scored.scores)?;
        info!("scores are in {}", path.display());
    }
    if let Some(path) = &args.ffsvc_scores {
        score_file::write_ffsvc(path, &scored.scores)?;
        info!("the submission's scores are in {}", path.display());
    }

    let definition = if args.compat { Definition::Compat } else { Definition::Tied };
    let metrics = match &trials.labels {
        None => None,
        Some(labels) => {
            let (target, nontarget) = scored.scores.split(labels)?;
            Some(
                metrics::evaluate(&target, &nontarget, definition, &costs)
                    .with_context(|| format!("no error rates for {}", args.trials.display()))?,
            )
        }
    };
    let report = Report {
        program: concat!("ffsvc-score ", env!("CARGO_PKG_VERSION")).to_owned(),
        trials: SourceFile::identify(&args.trials)?,
        skip_missing: args.skip_missing,
        counts: Counts {
            matched_by_suffix: scored.matched_by_suffix,
            surplus_scores: scored.surplus,
            ..Counts::of(&scored.scores, trials.labels.as_deref())
        },
        scores: scored.source,
        metrics,
    };
    if let Some(path) = &args.report {
        let mut json = serde_json::to_vec_pretty(&report)?;
        json.push(b'\n');
        ffsvc_atomic_file::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        ffsvc_cli::print_json(&report)
    } else {
        print!("{report}");
        Ok(())
    }
}

fn from_file(args: &Args, trials: &Trials, file: &Path) -> anyhow::Result<Scored> {
    let read = score_file::read(file, trials, args.skip_missing)?;
    Ok(Scored {
        scores: read.scores,
        source: ScoreSource::File(SourceFile::identify(file)?),
        matched_by_suffix: read.matched_by_suffix,
        surplus: read.surplus,
    })
}

fn from_embeddings(args: &Args, trials: &Trials, store: &Path) -> anyhow::Result<Scored> {
    let embeddings = Embeddings::read(store)?;
    info!("{} embeddings of {} dimensions", embeddings.len(), embeddings.dim());
    let enrolment = args.enrol_embeddings.as_ref().map(Embeddings::read).transpose()?;
    let mean = match &args.mean_subtract {
        None => None,
        Some(path) if path == store => Some(mean_embedding(&embeddings)),
        Some(path) => Some(mean_embedding(&Embeddings::read(path)?)),
    };
    let mean = mean.transpose()?;
    let test = Side { embeddings: &embeddings, mean: mean.as_deref() };
    let enrolment = Side { embeddings: enrolment.as_ref().unwrap_or(&embeddings), ..test };
    let cosines = score_trials(trials, enrolment, test, args.skip_missing)?;
    let shown = |path: &PathBuf| path.display().to_string();
    Ok(Scored {
        scores: cosines.scores,
        source: ScoreSource::Cosine {
            embeddings: store.display().to_string(),
            enrol_embeddings: args.enrol_embeddings.as_ref().map(shown),
            mean_subtracted: args.mean_subtract.as_ref().map(shown),
        },
        matched_by_suffix: cosines.matched_by_suffix,
        surplus: 0,
    })
}

fn warn_of(scored: &Scored) {
    if scored.matched_by_suffix > 0 {
        warn!(
            "{} utterance names matched only without, or only with, a .wav suffix",
            scored.matched_by_suffix
        );
    }
    if !scored.scores.skipped().is_empty() {
        warn!(
            "{} of {} trials have no score and are left out",
            scored.scores.skipped().len(),
            scored.scores.len()
        );
    }
    if scored.surplus > 0 {
        warn!("{} scores belong to no trial of the list", scored.surplus);
    }
}
