//! `ffsvc-extract`: a model and recordings in, an embedding store out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use burn::module::Module;
use clap::Parser;
use ffsvc_audio::{Channel, ReadOptions};
use ffsvc_cli::{Failed, Interrupted, Logging, Progress, UsageError};
use ffsvc_extraction::{Extractor, Job, Recording, Report};
use ffsvc_kaldi_io::{DataDir, OpenOptions, WavSource};
use ffsvc_models::DeviceChoice;

#[path = "import_first.rs"]
mod import_first;
use import_first::import_first;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Extract speaker embeddings from whole recordings
///
/// Reads wav.scp of the data directory DATA and writes one embedding for each recording to STORE, whose ending
/// decides its form: .ark (with a .scp beside it), .scp (with its .ark), .npz or .safetensors. The front end
/// comes with the model.
///
/// With --out, single recordings can be given in place of DATA. Their embeddings have the names of the files, without
/// folders; two files of one name are an error.
///
/// Recordings that cannot be read, or are too short, are listed on stderr and in STORE.failed; the others are
/// written all the same and the exit status is 1, unless --allow-failures is given. An interrupted extraction
/// goes on where it was when the same command is given again.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-extract",
    version,
    override_usage = "ffsvc-extract [OPTIONS] --model FILE DATA STORE\n       \
                      ffsvc-extract [OPTIONS] --model FILE --out STORE DATA|RECORDING...",
    after_long_help = "\
Examples:
  ffsvc-extract --model exp/resnet34/best.safetensors data/dev exp/resnet34/dev.ark
  ffsvc-extract --model exp/resnet34/best.safetensors a.wav b.wav --out ab.npz
  for i in 1 2 3 4; do ffsvc-extract --model M.safetensors --shard $i/4 data/dev exp/dev.$i.ark & done; wait

Exit status: 0 all extracted, 1 something failed, 2 wrong usage, 130 interrupted."
)]
struct Args {
    /// Model file (model.safetensors of ffsvc-train)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Data directory with wav.scp, then the store to write; with --out a data directory, or recordings
    #[arg(required = true, value_name = "DATA|RECORDING")]
    inputs: Vec<PathBuf>,

    /// Embedding store to write
    #[arg(long, value_name = "STORE")]
    out: Option<PathBuf>,

    /// Where to compute: cpu, auto (CUDA if there is any), cuda:0, wgpu:0, remote:HOST:PORT
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Only the I-th of N equal parts of the recordings, counted from 1
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,

    /// At most so many recordings of equal length in one batch; 1: each alone. The embeddings agree to rounding
    #[arg(long, default_value_t = 16, value_name = "N")]
    batch_size: usize,

    /// Recordings whose lengths differ by less than N frames may share a batch, padded, if the network can leave padding out;
    /// 1: equal lengths only. It saves time on accelerators; the embeddings agree to rounding
    #[arg(long, default_value_t = 1, value_name = "N")]
    length_bucket: usize,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, default_value = "first")]
    channel: String,

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
        let result = extract(&args, &input, store)?;
        report(&args, store, &result)
    })
}

/// What is extracted.
enum Input<'a> {
    Data(&'a Path),
    Files(&'a [PathBuf]),
}

/// A folder is a data directory, anything else is a recording, and only --out allows recordings: a store that is
/// named last could not be told from one.
fn input_and_store(args: &Args) -> Result<(Input<'_>, &Path), UsageError> {
    let folder = args.inputs.iter().find(|input| input.is_dir());
    match (&args.out, args.inputs.as_slice()) {
        (Some(store), [data]) if data.is_dir() => Ok((Input::Data(data), store)),
        (Some(store), files) => match folder {
            None => Ok((Input::Files(files), store)),
            Some(folder) => Err(UsageError::new(format!(
                "{} is a folder, beside other arguments: give one data directory, or recordings only",
                folder.display()
            ))),
        },
        (None, [data, store]) if !data.is_file() => Ok((Input::Data(data), store)),
        (None, [data]) if data.is_dir() => {
            Err(UsageError::new(format!("no store: give it after {}, or with --out STORE", data.display())))
        }
        (None, [first, ..]) if folder.is_none() || first.is_file() => {
            Err(UsageError::new(format!("{} is no folder: recordings need --out STORE", first.display())))
        }
        (None, inputs) => Err(UsageError::new(format!(
            "found {} arguments, expected DATA STORE, or --out STORE with a data directory or recordings",
            inputs.len()
        ))),
    }
}

fn recordings(args: &Args, input: &Input<'_>) -> anyhow::Result<Vec<Recording>> {
    match input {
        Input::Files(files) => named_recordings(files),
        Input::Data(data) => {
            let dir = DataDir::open_with(data, OpenOptions { allow_pipes: args.allow_pipes })?;
            Ok(dir
                .utterances()
                .map(|utterance| Recording {
                    id: utterance.id.into(),
                    source: WavSource::parse(utterance.wav),
                })
                .collect())
        }
    }
}

/// Recordings by the names of their files.
fn named_recordings(files: &[PathBuf]) -> anyhow::Result<Vec<Recording>> {
    let mut named: BTreeMap<&str, &Path> = BTreeMap::new();
    let mut recordings = Vec::with_capacity(files.len());
    for file in files {
        // A misspelt name is found before anything is extracted.
        std::fs::metadata(file).with_context(|| file.display().to_string())?;
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
        recordings.push(Recording { id: name.into(), source: WavSource::File(file.clone()) });
    }
    Ok(recordings)
}

fn extract(args: &Args, input: &Input<'_>, store: &Path) -> anyhow::Result<Report> {
    let channel: Channel = args.channel.parse().map_err(|_| {
        UsageError::new(format!("--channel {}: expected first, mix or an index from 0", args.channel))
    })?;
    let mut recordings = recordings(args, input)?;
    if let Some(shard) = &args.shard {
        let (index, parts) = parse_shard(shard)?;
        let (from, to) = (recordings.len() * (index - 1) / parts, recordings.len() * index / parts);
        recordings = recordings[from..to].to_vec();
    }
    let device = args.device.open_one().map_err(|error| UsageError::new(error.to_string()))?;
    let (model, _, info) = ffsvc_models::load_model(&args.model, &device).map_err(import_first)?;
    let checksum = ffsvc_extraction::checksum(&args.model)?;
    let read = ReadOptions { sample_rate: None, channel, compat_lowpass: info.compat_lowpass };
    let extractor = Extractor::new(model.valid(), &info.front_end, &read, args.batch_size, &device)?
        .with_length_buckets(args.length_bucket)
        .subtracting(info.embedding_mean);

    let progress = Progress::begin(recordings.len() as u64, "recordings");
    let stop = ffsvc_cli::interrupt::flag();
    // What is read decides the embeddings as much as the model does.
    let identity = format!("{checksum} {read:?}");
    let result = Job::new(recordings, store, &identity).run(&extractor, &stop, |done| {
        progress.inc((done as u64).saturating_sub(progress.position()));
    });
    progress.finish();
    Ok(result?)
}

fn parse_shard(text: &str) -> Result<(usize, usize), UsageError> {
    text.split_once('/')
        .and_then(|(index, parts)| Some((index.parse().ok()?, parts.parse().ok()?)))
        .filter(|&(index, parts): &(usize, usize)| index >= 1 && index <= parts)
        .ok_or_else(|| UsageError::new(format!("--shard {text}: expected I/N with I from 1 to N, e.g. 2/8")))
}

fn report(args: &Args, store: &Path, report: &Report) -> anyhow::Result<()> {
    let mut failed_list = store.to_path_buf().into_os_string();
    failed_list.push(".failed");
    if report.failed.is_empty() {
        // A list of an earlier attempt would mislead.
        let _ = std::fs::remove_file(&failed_list);
    } else {
        let lines: String = report
            .failed
            .iter()
            .map(|failure| format!("{} {}\n", failure.utterance, failure.reason))
            .collect();
        ffsvc_atomic_file::write(&failed_list, lines)
            .with_context(|| format!("cannot write {}", PathBuf::from(&failed_list).display()))?;
        for failure in report.failed.iter().take(10) {
            eprintln!("failed: {}: {}", failure.utterance, failure.reason);
        }
        eprintln!(
            "{} of {} recordings failed; all are in {}",
            report.failed.len(),
            report.recordings,
            PathBuf::from(&failed_list).display()
        );
    }
    if args.json {
        ffsvc_cli::print_json(report)?;
    } else if report.interrupted {
        eprintln!("interrupted; the same command goes on");
    } else {
        println!(
            "{} embeddings{} ({} taken over, {} failed); {:.1} h of speech in {:.1} s, {:.1} times real time, \
             {:.1} utterances/s",
            report.embeddings,
            report.store.as_ref().map_or_else(String::new, |store| format!(" in {}", store.display())),
            report.resumed,
            report.failed.len(),
            report.audio_s / 3600.0,
            report.wall_s,
            report.real_time_factor(),
            report.recordings_per_second()
        );
    }
    if report.interrupted {
        return Err(Interrupted.into());
    }
    if !report.failed.is_empty() && !args.allow_failures {
        return Err(Failed.into());
    }
    Ok(())
}
