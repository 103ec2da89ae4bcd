//! `ffsvc-data segment`: the speech of long recordings as utterances.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::bail;
use clap::Args;
use ffsvc_audio::Channel;
use ffsvc_cli::{Failed, Interrupted, OutputPath, Progress, Range, RangeArg as _, RunFiles, print_json};
use ffsvc_dataset::{Recording, block_speech};
use ffsvc_features::SpeechParts;
use ffsvc_kaldi_io::{DataDir, NameList, OpenOptions, Output};
use serde::Serialize;

use crate::detector::Detector;

/// Range of the times, s.
const SECONDS: Range<f64> = Range::at_least(0.0).at_most(3600.0);
/// Recordings that are in memory at once.
const WINDOW: usize = 64;

/// Find the speech in recordings, and make an utterance of each part
///
/// Writes a data directory OUT with the table segments: a line `UTTERANCE RECORDING START END` for each part that is speech.
/// No audio is copied. All programs read such directories; `ffsvc-data convert` writes the parts as files. An utterance is
/// named by its recording, its start and its end in hundredths of a second, and has the speaker of its recording. The tables
/// by speaker (spk2*) and by recording (reco2*) follow. If DIR has segments itself, they are cut further.
///
/// Recordings without speech are left out and counted. Recordings that cannot be read are listed on stderr, and OUT is not
/// written; with --allow-failures it is, without them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data segment data/calls data/calls-speech --vad silero --vad-model silero_vad_16k_op15.onnx
  data/calls-speech: 1240 utterances in 48 of 50 recordings, 3.12 h of 5.70 h

silero_vad_16k_op15.onnx is in the wheel of the Python package silero-vad 6 (1.3 MB, MIT licence):
  pip download silero-vad==6.2.3 --no-deps && unzip -j silero_vad-*.whl '*/silero_vad_16k_op15.onnx'")]
pub(crate) struct Segment {
    /// The data directory
    dir: PathBuf,

    /// Data directory to write
    out: OutputPath,

    #[command(flatten)]
    detector: Detector,

    /// Leave out shorter parts, s
    #[arg(long, value_name = "SECONDS", default_value_t = SpeechParts::default().min_speech_s, range = SECONDS)]
    min_part: f64,

    /// Shorter pauses belong to the speech around them, s
    #[arg(long, value_name = "SECONDS", default_value_t = SpeechParts::default().min_pause_s, range = SECONDS)]
    min_pause: f64,

    /// Add so much before and after each part, at most half of the pause there, s
    #[arg(long, value_name = "SECONDS", default_value_t = SpeechParts::default().pad_s, range = SECONDS)]
    pad: f64,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, default_value = "first")]
    channel: Channel,

    /// Run `command |` entries of wav.scp; whoever wrote the list decides what they do
    #[arg(long)]
    allow_pipes: bool,

    /// Leave out recordings that cannot be read
    #[arg(long)]
    allow_failures: bool,

    /// Replace the tables of a data directory that is there already
    #[arg(long)]
    overwrite: bool,
}

#[derive(Serialize)]
struct Summary {
    path: PathBuf,
    /// Recordings of DIR, or its utterances where it has segments.
    recordings: usize,
    /// Utterances of OUT.
    utterances: usize,
    duration_s: f64,
    /// Total length of the utterances.
    speech_s: f64,
    #[serde(skip_serializing_if = "NameList::is_empty")]
    without_speech: NameList,
    /// Recordings that could not be read, and why.
    failed: BTreeMap<String, String>,
}

impl Segment {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let files = RunFiles::new().input("DIR", [&self.dir]).output_folder("OUT", [&self.out]);
        self.detector.of(files).check(json)?;
        let vad = self.detector.vad()?;
        let dir = DataDir::open_with(&self.dir, OpenOptions { allow_pipes: self.allow_pipes })?;
        let output = Output::new(&*self.out).overwrite(self.overwrite);
        output.check()?;
        let recordings = Recording::all_of(&dir);
        let rule = SpeechParts { min_speech_s: self.min_part, min_pause_s: self.min_pause, pad_s: self.pad };
        let stop = ffsvc_cli::interrupt::flag();
        let progress = Progress::begin(recordings.len() as u64, "recordings");
        let mut parts: HashMap<&str, Vec<(f64, f64)>> = HashMap::new();
        let mut summary = Summary {
            path: self.out.to_path_buf(),
            recordings: recordings.len(),
            utterances: 0,
            duration_s: 0.0,
            speech_s: 0.0,
            without_speech: NameList::default(),
            failed: BTreeMap::new(),
        };
        for window in recordings.chunks(WINDOW) {
            if stop.load(Ordering::SeqCst) {
                return Err(Interrupted.into());
            }
            for (recording, speech) in window.iter().zip(block_speech(window, self.channel, &vad)) {
                let speech = match speech {
                    Ok(speech) => speech,
                    Err(error) => {
                        summary.failed.insert(recording.id.clone(), error.of_recording());
                        continue;
                    }
                };
                summary.duration_s += speech.duration_s;
                let found = rule.of(&speech.decisions, speech.duration_s)?;
                summary.speech_s += found.iter().map(|(from, to)| to - from).sum::<f64>();
                if found.is_empty() {
                    summary.without_speech.push(|| recording.id.clone());
                } else {
                    parts.insert(&recording.id, found);
                }
            }
            progress.inc(window.len() as u64);
        }
        progress.finish();
        for (id, reason) in &summary.failed {
            eprintln!("failed: {id}: {reason}");
        }
        if parts.is_empty() {
            bail!("{}: no speech was found in {} recordings", self.dir.display(), recordings.len());
        }
        let is_complete = summary.failed.is_empty() || self.allow_failures;
        if is_complete {
            summary.utterances = dir.cut(|id| parts.get(id).cloned().unwrap_or_default(), &output)?;
        }
        self.print(&summary, parts.len(), json)?;
        if is_complete { Ok(()) } else { Err(Failed.into()) }
    }

    fn print(&self, summary: &Summary, with_speech: usize, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(summary);
        }
        let Summary { without_speech, recordings, .. } = summary;
        if !without_speech.is_empty() {
            println!("no speech in {}: {}", without_speech.total(), without_speech.shown(3));
        }
        println!(
            "{}: {} utterances in {with_speech} of {recordings} recordings, {:.2} h of {:.2} h",
            self.out.display(),
            summary.utterances,
            summary.speech_s / 3600.0,
            summary.duration_s / 3600.0
        );
        Ok(())
    }
}
