//! `ffsvc-data to-shards`: a data directory as WeSpeaker's shards.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use clap::Args;
use ffsvc_cli::{Interrupted, OutputPath, Progress, Range, RangeArg as _, RunFiles, print_json};
use ffsvc_dataset::{ReadError, ShardWriter};
use ffsvc_kaldi_io::{DataDir, OpenOptions, Output};
use serde::Serialize;

/// Range of `--utterances-per-shard`.
const PER_SHARD: Range<usize> = Range::of(1, 10_000_000);

/// Copy the recordings of a data directory into tar files, as WeSpeaker's shards are
///
/// Writes OUT/shards_000000000.tar, ..., OUT/shard.list, and a data directory OUT whose wav.scp names the recordings by their
/// places in the tar files. Speakers and other tables follow. WeSpeaker reads shard.list, and all programs here read OUT. A
/// thousand long files are faster to read than a million short ones where opening a file takes time: see sampler.shuffle_buffer.
///
/// The utterances are in a random order, as by WeSpeaker's make_shard_list.py --shuffle. The same seed gives the same bytes. A
/// whole recording keeps its bytes if it is WAV, FLAC, MP3, M4A, Ogg or Opus. Segments, outputs of commands and other formats
/// become 16-bit WAV of the first channel.
///
/// A recording that cannot be read ends the command. OUT is no data directory then, and has no shard.list.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data to-shards data/vox2dev data/vox2dev-shards
  data/vox2dev-shards: 1092009 utterances in 1093 tar files

Paths in wav.scp and shard.list begin with OUT as it is given here.")]
pub(crate) struct ToShards {
    /// The data directory
    dir: PathBuf,

    /// Folder for the tar files, and data directory to write
    out: OutputPath,

    /// Utterances of a tar file
    #[arg(long, value_name = "N", default_value_t = 1000, range = PER_SHARD)]
    utterances_per_shard: usize,

    /// Seed of the order
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Run `command |` entries of wav.scp; whoever wrote the list decides what they do
    #[arg(long)]
    allow_pipes: bool,

    /// Leave out recordings that cannot be read
    #[arg(long)]
    allow_failures: bool,

    /// Replace the tar files and tables of a data directory that is there already
    #[arg(long)]
    overwrite: bool,
}

#[derive(Serialize)]
struct Summary {
    path: PathBuf,
    utterances: usize,
    shards: usize,
    /// Recordings that could not be read, and why.
    failed: BTreeMap<String, String>,
}

impl ToShards {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new().input("DIR", [&self.dir]).output_folder("OUT", [&self.out]).check(json)?;
        let dir = DataDir::open_with(&self.dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let output = Output::new(&*self.out).overwrite(self.overwrite);
        output.check()?;
        let list_path = self.out.join("shard.list");
        if list_path.exists() && !self.overwrite {
            bail!("{} exists already (--overwrite)", list_path.display());
        }
        let writer = ShardWriter::new(&dir, &self.out, self.utterances_per_shard, self.seed)?;
        fs::create_dir_all(&*self.out).with_context(|| self.out.display().to_string())?;
        // What says that the folder is complete goes first and comes last.
        remove(&self.out.join("wav.scp"))?;
        remove(&list_path)?;
        let stop = ffsvc_cli::interrupt::flag();
        let progress = Progress::begin(dir.len() as u64, "recordings");
        let failed = Mutex::new(BTreeMap::new());
        let done = |utterance: &str, error: Option<ReadError>| {
            let may_go_on = error.is_none() || self.allow_failures;
            if let Some(error) = error {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.insert(utterance.to_owned(), error.to_string());
            }
            progress.inc(1);
            may_go_on && !stop.load(Ordering::SeqCst)
        };
        let places = writer.write(done)?;
        progress.finish();
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (utterance, reason) in &failed {
            eprintln!("failed: {utterance}: {reason}");
        }
        let Some(places) = places else {
            if stop.load(Ordering::SeqCst) {
                return Err(Interrupted.into());
            }
            bail!(
                "{} is not complete; --allow-failures leaves out recordings that cannot be read",
                self.out.display()
            );
        };
        if places.is_empty() {
            bail!("{}: none of {} recordings could be read", self.dir.display(), dir.len());
        }
        let paths: Vec<PathBuf> = writer.paths().collect();
        let list: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        ffsvc_atomic_file::write(&list_path, list).with_context(|| list_path.display().to_string())?;
        let utterances = dir.with_recordings(|utterance| places.get(utterance).cloned(), &output)?;
        let summary = Summary { path: self.out.to_path_buf(), utterances, shards: paths.len(), failed };
        if json {
            return print_json(&summary);
        }
        println!("{}: {utterances} utterances in {} tar files", self.out.display(), summary.shards);
        Ok(())
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
