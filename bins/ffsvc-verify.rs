//! `ffsvc-verify`: two recordings in, a score and a decision out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ffsvc_audio::{AudioFile, Channel, Limits};
use ffsvc_cli::{Logging, UsageError};
use ffsvc_dataset::{file_quality, open_audio};
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::{Extractor, ExtractorOptions};
use ffsvc_features::{Quality, QualityLimits, Vad};
use ffsvc_kaldi_io::{TrialColumns, Trials, WavSource};
use ffsvc_models::DeviceChoice;
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::threshold::{Origin, Point, Threshold};
use ffsvc_scoring::{Side, mean_embedding, score_trials};
use serde::Serialize;

#[path = "import_first.rs"]
mod import_first;
use import_first::import_first_to_extract;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROGRAM: &str = concat!("ffsvc-verify ", env!("CARGO_PKG_VERSION"));

/// Compare two recordings: their score, and a decision where there is a threshold
///
/// The score is the cosine of the embeddings of both whole recordings. It becomes a decision by a threshold, which has
/// to come from trials of recordings like these: --threshold-from takes it from the report of a scoring run with the same
/// model. Without a threshold there is no decision.
///
/// Each recording's seconds of speech are printed with the score, and a warning where it is silent, has too little
/// speech, is clipped or off centre, or has a lower sample rate than the model. Of a silent recording there is no
/// decision.
#[derive(Debug, Parser)]
#[command(
    name = "ffsvc-verify",
    version,
    after_long_help = "\
Examples:
  ffsvc-verify --model exp/best.safetensors a.wav b.wav
  ffsvc-score --trials data/dev/trials --embeddings exp/dev.scp --report-out exp/dev.json
  ffsvc-verify --model exp/best.safetensors a.wav b.wav --threshold-from exp/dev.json --at min-dcf:0.01

Exit status: 0 compared, whatever the decision; 1 failed, 2 wrong usage."
)]
struct Args {
    /// Model file (model.safetensors of ffsvc-train)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Recording of the enrolled speaker
    #[arg(value_name = "A")]
    enrolment: PathBuf,

    /// Recording of the speaker in question
    #[arg(value_name = "B")]
    test: PathBuf,

    /// Accept from this score on
    #[arg(
        long,
        value_name = "SCORE",
        allow_negative_numbers = true,
        value_parser = finite,
        conflicts_with = "threshold_from"
    )]
    threshold: Option<f64>,

    /// Take the threshold from this report (ffsvc-score --report-out)
    #[arg(long, value_name = "FILE")]
    threshold_from: Option<PathBuf>,

    /// Operating point of the report: eer, or min-dcf:P with the prior P of a target trial
    #[arg(long, value_name = "POINT", default_value = "eer", requires = "threshold_from")]
    at: Point,

    /// Use a threshold of another model's trials
    #[arg(long, requires = "threshold_from")]
    allow_other_model: bool,

    /// Subtract the mean of these embeddings (in-domain audio, labels not needed) from both before scoring
    #[arg(long, value_name = "STORE")]
    mean_subtract: Option<PathBuf>,

    /// Where to compute: cpu, auto (CUDA if there is any), cuda:0, wgpu:0, remote:HOST:PORT
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, default_value = "first")]
    channel: Channel,

    /// Warn of less speech than this, s
    #[arg(long, value_name = "SECONDS", value_parser = finite, default_value_t = QualityLimits::default().min_speech_s)]
    min_speech: f64,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    logging: Logging,
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "expected a number".to_owned())
}

fn main() -> ExitCode {
    ffsvc_cli::keep_freed_memory();
    ffsvc_cli::program(|args: Args| {
        args.logging.init();
        args.run()
    })
}

/// What was found out about two recordings.
#[derive(Serialize)]
struct Comparison {
    program: &'static str,
    model: SourceFile,
    enrolment: Compared,
    test: Compared,
    /// Store whose mean embedding was subtracted from both.
    mean_subtracted: Option<String>,
    score: f64,
    threshold: Option<Threshold>,
    /// Absent where there is no decision.
    same_speaker: Option<bool>,
    /// Why there is none.
    no_decision: Option<String>,
}

#[derive(Serialize)]
struct Compared {
    recording: String,
    #[serde(flatten)]
    quality: Quality,
    warnings: Vec<String>,
}

impl Args {
    fn run(&self) -> anyhow::Result<()> {
        // What is quickly read first: a wrong report costs no extraction.
        let threshold = self.find_threshold()?;
        let model_file = SourceFile::identify(&self.model)?;
        if let Some(threshold) = &threshold {
            self.check_model(threshold, &model_file)?;
        }
        let mean = self.mean_subtract.as_deref().map(read_mean).transpose()?;

        let device = self.device.open_one().map_err(|error| UsageError::new(error.to_string()))?;
        let options = ExtractorOptions::default().with_channel(self.channel).with_batch_size(1);
        let extractor =
            Extractor::open(&self.model, &device).map_err(import_first_to_extract)?.with_options(options);
        let limits = QualityLimits {
            min_speech_s: self.min_speech,
            min_sample_rate: extractor.sample_rate(),
            ..QualityLimits::default()
        };
        // Each is opened once: a pipe gives its audio once.
        let mut enrolment_file = self.open(&self.enrolment)?;
        let mut test_file = self.open(&self.test)?;
        let enrolment = self.look_at(&mut enrolment_file, &limits)?;
        let test = self.look_at(&mut test_file, &limits)?;
        let score = score(&extractor, [&mut enrolment_file, &mut test_file], mean.as_deref())?;

        let silent = [&enrolment, &test].into_iter().find(|compared| compared.quality.is_silent(&limits));
        let no_decision = match (silent, &threshold) {
            (Some(silent), _) => Some(format!("{} is silent", silent.recording)),
            (None, None) => Some("no threshold was given (--threshold, --threshold-from)".to_owned()),
            (None, Some(_)) => None,
        };
        let same_speaker = match &threshold {
            Some(threshold) if no_decision.is_none() => Some(threshold.accepts(score)),
            _ => None,
        };
        let comparison = Comparison {
            program: PROGRAM,
            model: model_file,
            enrolment,
            test,
            mean_subtracted: self.mean_subtract.as_ref().map(|path| path.display().to_string()),
            score,
            threshold,
            same_speaker,
            no_decision,
        };
        if self.json {
            return ffsvc_cli::print_json(&comparison);
        }
        print!("{comparison}");
        Ok(())
    }

    /// Refuses a threshold of another model's trials.
    fn check_model(&self, threshold: &Threshold, model: &SourceFile) -> anyhow::Result<()> {
        match threshold.check_model(&model.path, &model.sha256) {
            Ok(remark) => remark.iter().for_each(|remark| tracing::warn!("{remark}")),
            Err(error) if self.allow_other_model => tracing::warn!("{error}"),
            Err(error) => anyhow::bail!("{error} (--allow-other-model)"),
        }
        Ok(())
    }

    /// The threshold, if one was asked for.
    fn find_threshold(&self) -> anyhow::Result<Option<Threshold>> {
        let Some(report) = &self.threshold_from else {
            return Ok(self.threshold.map(Threshold::given));
        };
        let threshold = Threshold::from_report(report, self.at)?;
        if let Origin::Report { mean_subtracted, .. } = &threshold.origin {
            let report = report.display();
            match (mean_subtracted, &self.mean_subtract) {
                (None, None) => {}
                (Some(theirs), Some(ours)) => {
                    if Path::new(theirs) != ours {
                        tracing::warn!(
                            "the threshold is for scores after the mean of {theirs} was subtracted, not that of {}",
                            ours.display()
                        );
                    }
                }
                (Some(theirs), None) => {
                    return Err(UsageError::new(format!(
                        "the thresholds of {report} are for scores after the mean of {theirs} was subtracted: \
                         give --mean-subtract"
                    ))
                    .into());
                }
                (None, Some(_)) => {
                    return Err(UsageError::new(format!(
                        "the thresholds of {report} are for scores without a mean subtracted: \
                         leave out --mean-subtract"
                    ))
                    .into());
                }
            }
        }
        Ok(Some(threshold))
    }

    fn open(&self, recording: &Path) -> anyhow::Result<AudioFile> {
        Ok(open_audio(&WavSource::File(recording.to_path_buf()), Limits::default())?)
    }

    fn look_at(&self, file: &mut AudioFile, limits: &QualityLimits) -> anyhow::Result<Compared> {
        let recording = file.name().display().to_string();
        let quality = file_quality(file, &recording, self.channel, &Vad::default())?;
        let warnings = quality.warnings(limits).iter().map(ToString::to_string).collect();
        Ok(Compared { recording, quality, warnings })
    }
}

/// The score of the pair, by the way of a trial list, so that it is the one that such a list gives.
fn score(extractor: &Extractor, pair: [&mut AudioFile; 2], mean: Option<&[f64]>) -> anyhow::Result<f64> {
    // The first vector decides on the dimension.
    let mut embeddings = Embeddings::new(0);
    for (name, file) in ["enrolment", "test"].into_iter().zip(pair) {
        let embedding = extractor.embed_file(file).map_err(|error| of_recording(error, file.name()))?;
        embeddings.push(name, &embedding.values)?;
    }
    let trials = Trials::parse("the pair", b"enrolment test\n".to_vec(), TrialColumns::NoLabel)?;
    let side = Side { embeddings: &embeddings, mean };
    score_trials(&trials, side, side, false)?.scores.get(0).context("the pair has no score")
}

fn read_mean(store: &Path) -> anyhow::Result<Vec<f64>> {
    mean_embedding(&Embeddings::read(store)?).with_context(|| store.display().to_string())
}

/// Names the recording in errors that do not.
fn of_recording(error: ffsvc_extraction::Error, recording: &Path) -> anyhow::Error {
    match error {
        ffsvc_extraction::Error::Recording(_) => error.into(),
        _ => anyhow::Error::new(error).context(recording.display().to_string()),
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, compared) in [("enrolment", &self.enrolment), ("test", &self.test)] {
            let Quality { duration_s, speech_s, .. } = compared.quality;
            writeln!(f, "{side:<9}  {}: {duration_s:.2} s, {speech_s:.2} s of speech", compared.recording)?;
            for warning in &compared.warnings {
                writeln!(f, "{:<9}  warning: {warning}", "")?;
            }
        }
        write!(f, "score      {:.6}", self.score)?;
        match &self.mean_subtracted {
            Some(store) => writeln!(f, " (cosine, minus the mean of {store})")?,
            None => writeln!(f, " (cosine)")?,
        }
        if let Some(threshold) = &self.threshold {
            writeln!(f, "threshold  {:.6} ({})", threshold.value, threshold.origin)?;
        }
        match (self.same_speaker, &self.no_decision) {
            (Some(true), _) => writeln!(f, "decision   same speaker"),
            (Some(false), _) => writeln!(f, "decision   different speakers"),
            (None, reason) => writeln!(f, "decision   none: {}", reason.as_deref().unwrap_or("unknown")),
        }
    }
}
