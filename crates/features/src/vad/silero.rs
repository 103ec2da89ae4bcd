//! Silero's network as a speech detector.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::silero_network::{CHUNK, RATE};
use crate::{Error, Result};

/// The rule of Silero VAD (<https://github.com/snakers4/silero-vad>) on the probabilities of its network, one for each 32 ms of
/// speech at 16 kHz.
///
/// Speech begins where the probability reaches `threshold` and ends where it falls below `exit_threshold`, as in the
/// package's `get_speech_timestamps`. That function then leaves out short parts and pauses:
/// [`SpeechParts`](crate::SpeechParts) does this for every detector.
///
/// The network was trained on speech in thousands of languages, in noise and music. It tells speech from other sounds that
/// come and go, which rules on levels cannot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SileroVad {
    /// The weights: `silero_vad_16k_op15.onnx` of the Python package `silero-vad` 6, or another file that
    /// [`SileroNetwork::open`](crate::SileroNetwork::open) reads.
    pub model: PathBuf,
    /// Least probability at which speech begins, above 0 and up to 1. Default 0.5.
    #[serde(default = "threshold")]
    pub threshold: f32,
    /// Probability below which speech ends, at most `threshold`. Default 0.35.
    #[serde(default = "exit_threshold")]
    pub exit_threshold: f32,
}

fn threshold() -> f32 {
    0.5
}

fn exit_threshold() -> f32 {
    0.35
}

impl SileroVad {
    /// The rule with its defaults.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self { model: model.into(), threshold: threshold(), exit_threshold: exit_threshold() }
    }

    /// Says whether the options can be used. The model is not looked for.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn check(&self) -> Result<()> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(Error::option("threshold", self.threshold, "above 0 and at most 1"));
        }
        if !(self.exit_threshold > 0.0 && self.exit_threshold <= self.threshold) {
            let expected = format!("above 0 and at most threshold = {}", self.threshold);
            return Err(Error::option("exit_threshold", self.exit_threshold, expected));
        }
        Ok(())
    }

    /// Whether each of `num_frames` frames of 25 ms, every 10 ms, is speech: what the probability at its middle says.
    pub fn decide(&self, probabilities: &[f32], num_frames: usize) -> Vec<bool> {
        let mut is_speech = false;
        let chunks: Vec<bool> = probabilities
            .iter()
            .map(|&probability| {
                is_speech = probability >= if is_speech { self.exit_threshold } else { self.threshold };
                is_speech
            })
            .collect();
        let rate = RATE as usize;
        let middle = |frame: usize| frame * rate / 100 + rate / 80;
        (0..num_frames).map(|frame| chunks.get(middle(frame) / CHUNK).copied().unwrap_or(false)).collect()
    }
}
