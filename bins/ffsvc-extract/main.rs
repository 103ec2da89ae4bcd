//! `ffsvc-extract`: a model and recordings in, an embedding store out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ffsvc_audio::{Channel, Limits};
use ffsvc_cli::{Failed, Interrupted, Logging, OutputPath, Progress, Range, RangeArg, RunFiles, UsageError};
use ffsvc_extraction::{
    Extractor, ExtractorOptions, FailureKind, InferencePrecision, Job, Recording, Report,
};
use ffsvc_kaldi_io::{DataDir, OpenOptions, WavSource};
use ffsvc_models::DeviceChoice;

#[path = "../import_first.rs"]
mod import_first;
mod sizes;
#[path = "../speech_rule.rs"]
mod speech_rule;

use import_first::import_first_to_extract;
use sizes::{MemorySize, Shard};
use speech_rule::Rule;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Extract speaker embeddings from whole recordings
///
/// Reads wav.scp of the data directory DATA and writes one embedding for each recording to STORE. The ending of STORE
/// decides its form: .ark (with a .scp beside it), .scp (with its .ark), .npz or .safetensors. The front end comes with
/// the model.
///
/// With --output, single recordings can be given in place of DATA. Their embeddings have the names of the files, without
/// folders. Two files of one name are an error. A pipe (/dev/stdin, <(command)) is read into memory once.
///
/// Recordings that cannot be embedded are listed on stderr and in STORE.failed. The others are written, and the exit
/// status is 1, or 0 with --allow-failures. A recording is not embedded if it cannot be read, is too short, is longer than
/// --max-seconds, needs more memory than there is, or has no speech (--speech-only).
///
/// What is ready is saved every two seconds in STORE.partial. After Ctrl-C or a kill, the same command goes on from there.
/// When STORE is complete, the same command does nothing. Another model, list, channel or precision starts
/// anew.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-extract",
    version,
    override_usage = "ffsvc-extract [OPTIONS] --model FILE DATA STORE\n       \
                      ffsvc-extract [OPTIONS] --model FILE --output STORE DATA|RECORDING...",
    after_long_help = "\
Examples:
  ffsvc-extract --model exp/resnet34/best.safetensors data/dev exp/resnet34/dev.ark
  ffsvc-extract --model exp/resnet34/best.safetensors a.wav b.wav -o ab.npz
  for i in 1 2 3 4; do ffsvc-extract --model M.safetensors --shard $i/4 data/dev exp/dev.$i.ark & done; wait

Exit status: 0 all extracted, 1 something failed, 2 wrong usage, 130 interrupted."
)]
struct Args {
    /// Model file (model.safetensors of ffsvc-train)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Data directory with wav.scp, then the store to write; with --output a data directory, or recordings
    #[arg(required = true, value_name = "DATA|RECORDING")]
    inputs: Vec<PathBuf>,

    /// Embedding store to write
    #[arg(short, long, value_name = "STORE")]
    output: Option<OutputPath>,

    /// Where to compute: cpu, auto (CUDA if there is any), cuda:0, wgpu:0, remote:HOST:PORT
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Only the I-th of N equal parts of the recordings, counted from 1
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// At most N recordings of equal length in one batch; 1: each alone. The embeddings agree to rounding
    #[arg(long, default_value_t = 16, value_name = "N", range = Range::at_least(1usize))]
    batch_size: usize,

    /// Recordings whose lengths differ by less than N frames may share a batch, padded, if the network can leave padding out;
    /// 1: equal lengths only. It saves time on accelerators. The embeddings agree to rounding
    #[arg(long, default_value_t = 1, value_name = "N", range = Range::at_least(1usize))]
    length_bucket: usize,

    /// At most N recordings in memory at once
    #[arg(long, default_value_t = 64, value_name = "N", range = Range::at_least(1usize))]
    jobs: usize,

    /// Memory that recordings may take together, with what the network makes of them: 4G, 500M, or bytes. Fewer are worked on
    /// at once to keep to it. Default: most of what the machine has left
    #[arg(long, value_name = "SIZE")]
    memory: Option<MemorySize>,

    /// What the network computes in: f32, or int8 for convolutions in 8 bits. That is faster on processors with AVX-512 VNNI, and a
    /// little less exact
    #[arg(long, value_name = "PRECISION", default_value_t)]
    precision: InferencePrecision,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, default_value = "first", value_name = "CHANNEL")]
    channel: Channel,

    /// Embed only the speech of each recording, which this rule finds; pauses shorter than 0.1 s belong to the speech
    #[arg(long, value_enum, value_name = "RULE")]
    speech_only: Option<Rule>,

    /// Weights of --speech-only silero: silero_vad_16k_op15.onnx of the Python package silero-vad 6
    #[arg(long, value_name = "FILE")]
    vad_model: Option<PathBuf>,

    /// Do not embed recordings longer than this, s
    #[arg(long, default_value_t = 14_400.0, value_name = "SECONDS", range = Range::above(0.0).at_most(1e9))]
    max_seconds: f64,

    /// Read at most so many bytes from a pipe or command
    #[arg(long, default_value_t = 1 << 30, value_name = "BYTES", range = Range::at_least(1u64))]
    max_bytes: u64,

    /// Run `command |` entries of wav.scp; whoever wrote the list decides what they do
    #[arg(long)]
    allow_pipes: bool,

    /// End with status 0 although some recordings failed
    #[arg(long)]
    allow_failures: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    logging: Logging,
}

fn main() -> ExitCode {
    ffsvc_cli::keep_freed_memory();
    ffsvc_cli::program(|args: Args| {
        args.logging.init();
        let (input, store) = input_and_store(&args)?;
        check_files(&args, &input, store)?;
        let result = extract(&args, &input, store)?;
        report(&args, store, &result)
    })
}

/// What is extracted.
enum Input<'a> {
    Data(&'a Path),
    Files(&'a [PathBuf]),
}

/// A folder is a data directory, anything else is a recording, and only --output allows recordings: a store that is
/// named last could not be told from one.
fn input_and_store(args: &Args) -> Result<(Input<'_>, &Path), UsageError> {
    let folder = args.inputs.iter().find(|input| input.is_dir());
    match (&args.output, args.inputs.as_slice()) {
        (Some(store), [data]) if data.is_dir() => Ok((Input::Data(data), store)),
        (Some(store), files) => match folder {
            None => Ok((Input::Files(files), store)),
            Some(folder) => Err(UsageError::new(format!(
                "{} is a folder, beside other arguments: give one data directory, or recordings only",
                folder.display()
            ))),
        },
        (None, [data, store]) if !data.is_file() => Ok((Input::Data(data), store)),
        (None, [data]) if data.is_dir() => Err(UsageError::new(format!(
            "no store: give it after {}, or with --output STORE",
            data.display()
        ))),
        (None, [first, ..]) if folder.is_none() || first.is_file() => {
            Err(UsageError::new(format!("{} is no folder: recordings need --output STORE", first.display())))
        }
        (None, inputs) => Err(UsageError::new(format!(
            "found {} arguments, expected DATA STORE, or --output STORE with a data directory or recordings",
            inputs.len()
        ))),
    }
}

/// Refuses what can be known to be wrong before anything is read.
fn check_files(args: &Args, input: &Input<'_>, store: &Path) -> Result<(), UsageError> {
    if args.allow_pipes && matches!(input, Input::Files(_)) {
        return Err(UsageError::new("--allow-pipes is for the wav.scp of a data directory"));
    }
    if args.vad_model.is_some() && args.speech_only.is_none() {
        return Err(UsageError::new("--vad-model is for --speech-only silero"));
    }
    if args.length_bucket > 1 && args.batch_size == 1 {
        return Err(UsageError::new(format!(
            "--length-bucket {}: with --batch-size 1 each recording is alone; leave one of them out",
            args.length_bucket
        )));
    }
    let named = if args.output.is_some() { "--output" } else { "STORE" };
    ffsvc_extraction::check_store(store).map_err(|error| UsageError::new(format!("{named} {error}")))?;
    let files = match input {
        Input::Data(data) => RunFiles::new().input("DATA", [data.join("wav.scp")]),
        Input::Files(files) => RunFiles::new().input("RECORDING", *files),
    };
    let files = files.input("--model", [&args.model]).input("--vad-model", &args.vad_model);
    files.regular_output(named, [store]).check(args.json)?;
    Ok(())
}

fn recordings(args: &Args, input: &Input<'_>) -> anyhow::Result<Vec<Recording>> {
    match input {
        Input::Files(files) => named_recordings(files),
        Input::Data(data) => {
            let dir = DataDir::open_with(data, OpenOptions { allow_pipes: args.allow_pipes })?;
            Ok(Recording::all_of(&dir))
        }
    }
}

/// Recordings by the names of their files.
fn named_recordings(files: &[PathBuf]) -> anyhow::Result<Vec<Recording>> {
    let mut named: BTreeMap<&str, &Path> = BTreeMap::new();
    let mut recordings = Vec::with_capacity(files.len());
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|name| !name.contains(char::is_whitespace))
            .ok_or_else(|| {
                UsageError::new(format!(
                    "{}: its name cannot be that of an embedding, expected UTF-8 without white space; \
                     list it in the wav.scp of a data directory",
                    file.display()
                ))
            })?;
        if let Some(other) = named.insert(name, file) {
            return Err(UsageError::new(format!(
                "{} and {} would both be {name}; list them in the wav.scp of a data directory",
                other.display(),
                file.display()
            ))
            .into());
        }
        recordings.push(Recording { id: name.into(), source: WavSource::File(file.clone()).into() });
    }
    Ok(recordings)
}

fn extract(args: &Args, input: &Input<'_>, store: &Path) -> anyhow::Result<Report> {
    let mut recordings = recordings(args, input)?;
    if let Some(Shard { index, parts }) = args.shard {
        let (from, to) = (recordings.len() * (index - 1) / parts, recordings.len() * index / parts);
        recordings = recordings[from..to].to_vec();
    }
    let device = args.device.open_one().map_err(|error| UsageError::new(error.to_string()))?;
    let limits = Limits::default()
        .with_max_bytes(args.max_bytes)
        .with_max_duration(Duration::from_secs_f64(args.max_seconds));
    let mut options = ExtractorOptions::default()
        .with_channel(args.channel)
        .with_batch_size(args.batch_size)
        .with_length_bucket(args.length_bucket)
        .with_jobs(args.jobs)
        .with_limits(limits);
    options.memory = args.memory.map(|MemorySize(bytes)| bytes);
    let speech = args.speech_only.map(|rule| rule.vad("--speech-only", args.vad_model.as_deref()));
    let mut extractor =
        Extractor::open(&args.model, &device).map_err(import_first_to_extract)?.with_options(options);
    if let Some(vad) = speech.transpose()? {
        extractor = extractor.with_speech_only(&vad).context("--speech-only")?;
    }
    let extractor = extractor
        .with_precision(args.precision)
        .map_err(|error| UsageError::new(format!("--precision {}: {error}", args.precision)))?;
    if !args.precision.is_fast_here() {
        tracing::warn!("--precision {}: this processor is slower in it (no AVX-512 VNNI)", args.precision);
    }
    let extractor = Arc::new(extractor);
    if args.length_bucket > 1 && !extractor.supports_padding() {
        return Err(UsageError::new(format!(
            "--length-bucket {}: the network of {} cannot leave padding out; leave the option out",
            args.length_bucket,
            args.model.display()
        ))
        .into());
    }
    let progress = Progress::begin(recordings.len() as u64, "recordings");
    let stop = ffsvc_cli::interrupt::flag();
    let result = Job::new(recordings, store, &extractor).run(&extractor, &stop, |done| {
        progress.inc((done as u64).saturating_sub(progress.position()));
    });
    progress.finish();
    let report = result?;
    for line in report.notices.lines(extractor.read_options()) {
        tracing::warn!("{line}");
    }
    Ok(report)
}

fn report(args: &Args, store: &Path, report: &Report) -> anyhow::Result<()> {
    write_failures(store, report)?;
    if let Some(changed) = &report.changed {
        tracing::warn!("{}: started anew, because of a change of {changed}", store.display());
    }
    if args.json {
        ffsvc_cli::print_json(report)?;
    } else if report.interrupted {
        let (ready, all) = (report.embeddings, report.recordings);
        eprintln!("interrupted; {ready} of {all} embeddings are saved, and the same command goes on");
    } else {
        println!("{}", summary(store, report));
    }
    if report.interrupted {
        return Err(Interrupted.into());
    }
    if !report.failed.is_empty() && !args.allow_failures {
        return Err(Failed.into());
    }
    Ok(())
}

/// Lists failures in STORE.failed and the first ones on stderr.
fn write_failures(store: &Path, report: &Report) -> anyhow::Result<()> {
    let mut list = store.to_path_buf().into_os_string();
    list.push(".failed");
    let list = PathBuf::from(list);
    if report.failed.is_empty() {
        // A list of an earlier attempt would mislead.
        let _ = std::fs::remove_file(&list);
        return Ok(());
    }
    let lines = report.failed.iter().map(|failure| format!("{} {}\n", failure.utterance, failure.reason));
    ffsvc_atomic_file::write(&list, lines.collect::<String>())
        .with_context(|| format!("cannot write {}", list.display()))?;
    for failure in report.failed.iter().take(10) {
        eprintln!("failed: {}: {}", failure.utterance, failure.reason);
    }
    let (failed, all) = (report.failed.len(), report.recordings);
    eprintln!("{failed} of {all} recordings failed; all are in {}", list.display());
    for (kind, option) in [
        (FailureKind::TooLong, "--max-seconds allows longer recordings"),
        (FailureKind::TooManyBytes, "--max-bytes allows longer pipes"),
    ] {
        let count = report.failed.iter().filter(|failure| failure.kind == kind).count();
        if count > 0 {
            eprintln!("{count} of them exceed a limit: {option}");
        }
    }
    Ok(())
}

/// The last line of a run.
fn summary(store: &Path, report: &Report) -> String {
    if report.already_complete {
        return format!("{} is already complete: {} embeddings", store.display(), report.embeddings);
    }
    let place = report.store.as_ref().map_or_else(
        || format!(", no {} written", store.display()),
        |store| format!(" in {}", store.display()),
    );
    let counts = format!(
        "{} embeddings{place} ({} taken over, {} failed)",
        report.embeddings,
        report.resumed,
        report.failed.len()
    );
    match (report.real_time_factor(), report.recordings_per_second()) {
        (Some(factor), Some(rate)) => format!(
            "{counts}; {:.1} h of speech in {:.1} s, {factor:.1} times real time, {rate:.1} utterances/s",
            report.audio_s / 3600.0,
            report.wall_s
        ),
        _ => counts,
    }
}
