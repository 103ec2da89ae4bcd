//! `ffsvc-data audio-quality`: how much speech, clipping, level, noise and reverberation is in each recording.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use ffsvc_audio::Channel;
use ffsvc_cli::{Failed, Interrupted, OutputPath, Progress, Range, RangeArg as _, RunFiles, print_json};
use ffsvc_dataset::{Recording, block_quality};
use ffsvc_features::{Quality as Measured, QualityLimits, QualityWarning};
use ffsvc_kaldi_io::{DataDir, NameList, OpenOptions, write_table};
use serde::Serialize;

use crate::detector::Detector;
use crate::shown::{SHOWN, shown};

/// Recordings that are in memory at once.
const WINDOW: usize = 64;

/// Range of `--min-speech`, s.
const SECONDS: Range<f64> = Range::at_least(0.0);

/// Measure the quality of recordings: duration, speech, clipping, level, noise, reverberation
///
/// Writes the tables utt2dur and utt2speech (seconds; speech without its pauses), utt2clipping (share of samples, from
/// 0 to 1), utt2level (RMS, dB below full scale), utt2snr and utt2c50 (estimates of the signal-to-noise ratio and of the
/// clarity of the room, dB) to OUT. Calibration with quality measures and --by of ffsvc-score read them. Also writes
/// utt2warning for recordings that are silent, clipped, off centre or have too little speech. A line for each kind of
/// warning says how many there are. OUT may be the data directory itself. The recordings are measured at their own
/// sample rate.
///
/// Recordings that cannot be read are left out of the tables and listed on stderr; the exit status is then 1, unless
/// --allow-failures is given.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data audio-quality data/dev data/dev
  dev00001-00002: too little speech: 1.34 s of at least 2 s
  too little speech: 1 recording (dev00001-00002)
  data/dev: 480 recordings, 0.53 h, 0.38 h of speech; 1 with a warning, 0 unreadable")]
pub(crate) struct Quality {
    /// The data directory
    dir: PathBuf,

    /// Folder for the tables; created if need be
    out: OutputPath,

    #[command(flatten)]
    detector: Detector,

    /// Warn of less speech than this, s
    #[arg(long, value_name = "SECONDS", default_value_t = QualityLimits::default().min_speech_s, range = SECONDS)]
    min_speech: f64,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, default_value = "first")]
    channel: Channel,

    /// Print at most so many warnings; default: 20 (all are in utt2warning and --json)
    #[arg(long, value_name = "N", range = SHOWN)]
    show: Option<usize>,

    /// Run `command |` entries of wav.scp; whoever wrote the list decides what they do
    #[arg(long)]
    allow_pipes: bool,

    /// End with status 0 although some recordings could not be read
    #[arg(long)]
    allow_failures: bool,
}

#[derive(Serialize)]
struct Summary {
    recordings: usize,
    duration_s: f64,
    speech_s: f64,
    warnings: BTreeMap<String, String>,
    /// Recordings with each kind of warning.
    kinds: BTreeMap<&'static str, NameList>,
    /// Recordings that could not be read, and why.
    failed: BTreeMap<String, String>,
}

/// The kind of a warning, in words.
fn kind(warning: &QualityWarning) -> &'static str {
    match warning {
        QualityWarning::Silent { .. } => "silent",
        QualityWarning::TooLittleSpeech { .. } => "too little speech",
        QualityWarning::Clipped { .. } => "clipped",
        QualityWarning::DcOffset { .. } => "constant offset",
        QualityWarning::LowSampleRate { .. } => "low sample rate",
        _ => "other",
    }
}

impl Quality {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let shown = shown(self.show, json)?;
        // The folder may be the data directory itself.
        self.detector.of(RunFiles::new()).output_folder("OUT", [&self.out]).check(json)?;
        let vad = self.detector.vad()?;
        let dir = DataDir::open_with(&self.dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let recordings = Recording::all_of(&dir);
        let limits = QualityLimits { min_speech_s: self.min_speech, ..QualityLimits::default() };
        let stop = ffsvc_cli::interrupt::flag();
        let progress = Progress::begin(recordings.len() as u64, "recordings");
        let mut measured: Vec<(&str, Measured)> = Vec::with_capacity(recordings.len());
        let mut failed = BTreeMap::new();
        for window in recordings.chunks(WINDOW) {
            if stop.load(Ordering::SeqCst) {
                return Err(Interrupted.into());
            }
            for (recording, quality) in window.iter().zip(block_quality(window, self.channel, &vad)) {
                match quality {
                    Ok(quality) => measured.push((&recording.id, quality)),
                    Err(error) => {
                        failed.insert(recording.id.clone(), error.of_recording());
                    }
                }
            }
            progress.inc(window.len() as u64);
        }
        progress.finish();
        for (id, reason) in &failed {
            eprintln!("failed: {id}: {reason}");
        }
        // The tables of a data directory are in byte order.
        measured.sort_unstable_by_key(|&(id, _)| id);
        if measured.is_empty() {
            anyhow::bail!(
                "{}: none of {} recordings could be measured; no table was written",
                self.dir.display(),
                recordings.len()
            );
        }
        let warnings = self.write_tables(&measured, &limits)?;
        let mut kinds: BTreeMap<&'static str, NameList> = BTreeMap::new();
        for (id, quality) in &measured {
            for warning in quality.warnings(&limits) {
                kinds.entry(kind(&warning)).or_default().push(|| (*id).to_owned());
            }
        }
        let total =
            |seconds: fn(&Measured) -> f64| measured.iter().map(|(_, quality)| seconds(quality)).sum();
        let summary = Summary {
            recordings: recordings.len(),
            duration_s: total(|quality| quality.duration_s),
            speech_s: total(|quality| quality.speech_s),
            warnings,
            kinds,
            failed,
        };
        if json {
            print_json(&summary)?;
        } else {
            for (id, warning) in summary.warnings.iter().take(shown) {
                println!("{id}: {warning}");
            }
            for (kind, recordings) in &summary.kinds {
                let plural = if recordings.total() == 1 { "" } else { "s" };
                println!("{kind}: {} recording{plural} ({})", recordings.total(), recordings.shown(3));
            }
            println!(
                "{}: {} recordings, {:.2} h, {:.2} h of speech; {} with a warning, {} unreadable",
                self.dir.display(),
                summary.recordings,
                summary.duration_s / 3600.0,
                summary.speech_s / 3600.0,
                summary.warnings.len(),
                summary.failed.len()
            );
        }
        if summary.failed.is_empty() || self.allow_failures { Ok(()) } else { Err(Failed.into()) }
    }

    /// Writes the tables; returns the warnings by utterance.
    fn write_tables(
        &self,
        measured: &[(&str, Measured)],
        limits: &QualityLimits,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create {}", self.out.display()))?;
        let table = |name: &str, value: &dyn Fn(&Measured) -> String| {
            let rows = measured.iter().map(|(id, quality)| (*id, value(quality)));
            write_table(self.out.join(name), rows)
        };
        table("utt2dur", &|quality| format!("{:.6}", quality.duration_s))?;
        table("utt2speech", &|quality| format!("{:.2}", quality.speech_s))?;
        table("utt2clipping", &|quality| format!("{:.6}", quality.levels.clipped_share))?;
        // Digital silence has no level in dB: the least of a 24-bit sample stands for it.
        table("utt2level", &|quality| format!("{:.2}", quality.levels.rms_dbfs().max(-144.5)))?;
        // Recordings that say nothing about the room have no line.
        let estimates = |name: &str, value: &dyn Fn(&Measured) -> Option<f64>| {
            let row = |(id, quality): &(_, _)| Some((*id, format!("{:.2}", value(quality)?)));
            write_table(self.out.join(name), measured.iter().filter_map(row))
        };
        estimates("utt2snr", &|quality| quality.room.snr_db)?;
        estimates("utt2c50", &|quality| quality.room.c50_db)?;
        let warnings: BTreeMap<String, String> = measured
            .iter()
            .map(|(id, quality)| {
                let warnings: Vec<String> =
                    quality.warnings(limits).iter().map(ToString::to_string).collect();
                ((*id).to_owned(), warnings.join("; "))
            })
            .filter(|(_, warnings)| !warnings.is_empty())
            .collect();
        write_table(self.out.join("utt2warning"), &warnings)?;
        Ok(warnings)
    }
}
