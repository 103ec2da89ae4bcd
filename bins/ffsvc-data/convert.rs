//! `ffsvc-data convert`: recordings decoded once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::bail;
use clap::Args;
use ffsvc_audio::Channel;
use ffsvc_cli::{Failed, Interrupted, OutputPath, Progress, Range, RangeArg as _, RunFiles, print_json};
use ffsvc_dataset::{Conversion, Recording};
use ffsvc_kaldi_io::{DataDir, OpenOptions, Output};
use serde::Serialize;

/// Range of `--sample-rate`, Hz.
const SAMPLE_RATE: Range<u32> = Range::of(1000, 768_000);
/// Recordings between two looks at Ctrl-C.
const WINDOW: usize = 64;

/// Decode the recordings of a data directory once, into 16-bit WAV files
///
/// Training cuts a crop from a recording in every epoch, and a coded file (VoxCeleb2's M4A, MP3, OGG) is decoded from its start
/// each time. This writes OUT/wav/UTTERANCE.wav, on all threads, and a data directory OUT with the same speakers and tables.
/// Segments become files of their own, as by Kaldi's extract-segments. Run it again after an interruption: what is written is
/// kept.
///
/// Recordings that cannot be read are listed on stderr, and OUT is no data directory yet; with --allow-failures it is, without
/// them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data convert data/vox2dev data/vox2dev-wav --sample-rate 16000")]
pub(crate) struct Convert {
    /// The data directory
    dir: PathBuf,

    /// Data directory to write
    out: OutputPath,

    /// Sample rate of the files, Hz [default: each recording's own]
    #[arg(long, value_name = "HZ", range = SAMPLE_RATE)]
    sample_rate: Option<u32>,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, default_value = "first")]
    channel: Channel,

    /// Run `command |` entries of wav.scp; whoever wrote the list decides what they do
    #[arg(long)]
    allow_pipes: bool,

    /// Leave out recordings that cannot be read
    #[arg(long)]
    allow_failures: bool,
}

#[derive(Serialize)]
struct Summary {
    path: PathBuf,
    utterances: usize,
    /// Files that were there already.
    kept: usize,
    /// Recordings that could not be read, and why.
    failed: BTreeMap<String, String>,
}

impl Convert {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new().input("DIR", [&self.dir]).output_folder("OUT", [&self.out]).check(json)?;
        let dir = DataDir::open_with(&self.dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let output = Output::new(&*self.out);
        output.check()?;
        let recordings = Recording::all_of(&dir);
        let conversion = Conversion::open(&self.out.join("wav"), self.sample_rate, self.channel)?;
        conversion.check(&recordings)?;
        let kept = recordings.iter().filter(|recording| conversion.is_done(&recording.id)).count();
        let stop = ffsvc_cli::interrupt::flag();
        let progress = Progress::begin(recordings.len() as u64, "recordings");
        let mut failed = BTreeMap::new();
        for window in recordings.chunks(WINDOW) {
            if stop.load(Ordering::SeqCst) {
                return Err(Interrupted.into());
            }
            for (recording, outcome) in window.iter().zip(conversion.run(window)) {
                if let Err(error) = outcome {
                    failed.insert(recording.id.clone(), format!("{:#}", anyhow::Error::new(error)));
                }
            }
            progress.inc(window.len() as u64);
        }
        progress.finish();
        for (id, reason) in &failed {
            eprintln!("failed: {id}: {reason}");
        }
        if failed.len() == recordings.len() {
            bail!("{}: none of {} recordings could be read", self.dir.display(), recordings.len());
        }
        let is_complete = failed.is_empty() || self.allow_failures;
        if is_complete {
            let path =
                |id: &str| (!failed.contains_key(id)).then(|| conversion.path_of(id).display().to_string());
            dir.with_recordings(path, &output)?;
        }
        let utterances = recordings.len() - failed.len();
        let summary = Summary { path: self.out.to_path_buf(), utterances, kept, failed };
        match json {
            true => print_json(&summary)?,
            false => println!("{}: {utterances} utterances, {kept} of them were there", self.out.display()),
        }
        if is_complete { Ok(()) } else { Err(Failed.into()) }
    }
}
