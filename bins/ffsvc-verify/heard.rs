//! The model that hears recordings, and what is said about each.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ffsvc_audio::Channel;
use ffsvc_cli::{Range, RangeArg, RunFiles, UsageError};
use ffsvc_embeddings::Embeddings;
use ffsvc_features::QualityLimits;
use ffsvc_models::DeviceChoice;
use ffsvc_scoring::mean_embedding;
use ffsvc_verification::{EmbeddedSpeech, Verifier, Voice};

use crate::import_first::import_first_to_extract;
use crate::speech_rule::Rule as DetectorRule;

/// Seconds.
const SECONDS: Range<f64> = Range::at_least(0.0);

/// Options of the commands that hear recordings.
#[derive(Debug, clap::Args)]
pub(crate) struct HearingArgs {
    /// Model file (final.safetensors of ffsvc-train, or one that ffsvc-model import has made)
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Where to compute: cpu, auto (CUDA if there is any), cuda:0, wgpu:0, remote:HOST:PORT
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,

    /// Channel of recordings with several: first, mix, or an index from 0
    #[arg(long, value_name = "CHANNEL", default_value = "first")]
    channel: Channel,

    /// Embed only the speech of each recording, which this rule finds; pauses shorter than 0.1 s belong to the speech
    #[arg(long, value_enum, value_name = "RULE")]
    speech_only: Option<DetectorRule>,

    /// Weights of --speech-only silero: silero_vad_16k_op15.onnx of the Python package silero-vad 6
    #[arg(long, value_name = "FILE")]
    vad_model: Option<PathBuf>,

    /// Warn of less speech than this, s
    #[arg(long, value_name = "SECONDS", default_value_t = QualityLimits::default().min_speech_s, range = SECONDS)]
    min_speech: f64,
}

/// Option of the commands that compare.
#[derive(Debug, clap::Args)]
pub(crate) struct MeanArgs {
    /// Subtract the mean of these embeddings (in-domain audio, labels not needed) from all before they are compared
    #[arg(long, value_name = "STORE")]
    mean_subtract: Option<PathBuf>,
}

impl MeanArgs {
    /// The store, if there is one.
    pub(crate) fn store(&self) -> Option<&Path> {
        self.mean_subtract.as_deref()
    }

    /// Adds it to the files of the run.
    pub(crate) fn of(&self, files: RunFiles) -> RunFiles {
        files.input("--mean-subtract", &self.mean_subtract)
    }
}

impl HearingArgs {
    /// Adds the models to the files of the run.
    pub(crate) fn of(&self, files: RunFiles) -> RunFiles {
        files.input("--model", [&self.model]).input("--vad-model", &self.vad_model)
    }

    /// Opens the model, to compare with the mean of a store subtracted.
    pub(crate) fn open_with(&self, mean: &MeanArgs) -> anyhow::Result<Verifier> {
        let mean = mean.store().map(read_mean).transpose()?;
        let verifier = self.open()?;
        Ok(match mean {
            Some(mean) => verifier.with_mean(mean),
            None => verifier,
        })
    }

    /// Opens the model.
    pub(crate) fn open(&self) -> anyhow::Result<Verifier> {
        let speech = match (self.speech_only, &self.vad_model) {
            (None, Some(_)) => return Err(UsageError::new("--vad-model is for --speech-only silero").into()),
            (None, None) => None,
            (Some(rule), model) => Some(rule.vad("--speech-only", model.as_deref())?),
        };
        let device = self.device.open_one().map_err(|error| UsageError::new(format!("--device: {error}")))?;
        let verifier = Verifier::open_on(&self.model, &device)
            .map_err(|error| match error {
                ffsvc_verification::Error::Model(error) => import_first_to_extract(error),
                error => error.into(),
            })?
            .with_channel(self.channel)
            .with_min_speech(self.min_speech);
        match speech {
            Some(vad) => verifier.with_speech_only(&vad).context("--speech-only"),
            None => Ok(verifier),
        }
    }
}

fn read_mean(store: &Path) -> anyhow::Result<Vec<f64>> {
    mean_embedding(&Embeddings::read(store)?).with_context(|| store.display().to_string())
}

/// A recording in a line, what was embedded of it, and a line for each warning.
pub(crate) fn describe(side: &str, voice: &Voice) -> String {
    let Voice { recording, quality, warnings, speech_only, .. } = voice;
    let mut text =
        format!("{side:<9}  {recording}: {:.2} s, {:.2} s of speech", quality.duration_s, quality.speech_s);
    for (name, estimate) in [("SNR", quality.room.snr_db), ("C50", quality.room.c50_db)] {
        if let Some(db) = estimate {
            text += &format!(", {name} about {db:.0} dB");
        }
    }
    text.push('\n');
    if let Some(EmbeddedSpeech { detector, embedded_s, left_out_s, parts }) = speech_only {
        let plural = if parts.len() == 1 { "" } else { "s" };
        text += &format!(
            "{:<9}  embedded: {embedded_s:.2} s in {} part{plural} ({detector}); left out: {left_out_s:.2} s\n",
            "",
            parts.len()
        );
    }
    for warning in warnings {
        text += &format!("{:<9}  warning: {warning}\n", "");
    }
    text
}
