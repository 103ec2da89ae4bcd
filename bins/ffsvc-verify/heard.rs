//! The model that hears recordings, and what is said about each.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ffsvc_audio::Channel;
use ffsvc_cli::{Range, RangeArg, RunFiles, UsageError};
use ffsvc_embeddings::Embeddings;
use ffsvc_features::QualityLimits;
use ffsvc_models::DeviceChoice;
use ffsvc_scoring::mean_embedding;
use ffsvc_verification::{Verifier, Voice};

use crate::import_first::import_first_to_extract;

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
    /// Adds the model to the files of the run.
    pub(crate) fn of(&self, files: RunFiles) -> RunFiles {
        files.input("--model", [&self.model])
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
        let device = self.device.open_one().map_err(|error| UsageError::new(format!("--device: {error}")))?;
        Ok(Verifier::open_on(&self.model, &device)
            .map_err(|error| match error {
                ffsvc_verification::Error::Model(error) => import_first_to_extract(error),
                error => error.into(),
            })?
            .with_channel(self.channel)
            .with_min_speech(self.min_speech))
    }
}

fn read_mean(store: &Path) -> anyhow::Result<Vec<f64>> {
    mean_embedding(&Embeddings::read(store)?).with_context(|| store.display().to_string())
}

/// A recording in a line, and a line for each warning.
pub(crate) fn describe(side: &str, voice: &Voice) -> String {
    let Voice { recording, quality, warnings, .. } = voice;
    let mut text =
        format!("{side:<9}  {recording}: {:.2} s, {:.2} s of speech\n", quality.duration_s, quality.speech_s);
    for warning in warnings {
        text += &format!("{:<9}  warning: {warning}\n", "");
    }
    text
}
