//! Embeddings of the speech of recordings, without their pauses.

use ffsvc_features::{Scratch, SpeechDetector, SpeechParts, Vad};

use crate::error::{Error, Result};

/// Parts of a recording, from and to, s.
type Parts = Vec<(f64, f64)>;

/// Takes the pauses out of recordings.
#[derive(Debug, Clone)]
pub(crate) struct SpeechOnly {
    vad: Vad,
    detector: SpeechDetector,
    sample_rate: u32,
}

impl SpeechOnly {
    pub(crate) fn new(sample_rate: u32, vad: &Vad) -> Result<Self> {
        Ok(Self { vad: vad.clone(), detector: SpeechDetector::new(sample_rate, vad)?, sample_rate })
    }

    pub(crate) fn vad(&self) -> &Vad {
        &self.vad
    }

    /// The detector's name, as configurations have it: its numbers follow from the program's version.
    pub(crate) fn name(&self) -> &'static str {
        match self.vad {
            Vad::NoiseFloor(_) => "noise-floor",
            Vad::Energy(_) => "energy",
            Vad::Silero(_) => "silero",
        }
    }

    /// The parts that are speech, one after the other, and where they are in the recording, s.
    pub(crate) fn of(&self, samples: &[f32]) -> Result<(Vec<f32>, Parts)> {
        let decisions = self.detector.detect(&mut Scratch::new(), samples)?;
        let rate = f64::from(self.sample_rate);
        let duration_s = samples.len() as f64 / rate;
        let mut speech = Vec::new();
        let parts = SpeechParts::default().of(&decisions, duration_s)?;
        for &(from_s, to_s) in &parts {
            let place = |seconds: f64| ((seconds * rate).round() as usize).min(samples.len());
            speech.extend_from_slice(&samples[place(from_s)..place(to_s)]);
        }
        if speech.is_empty() { Err(Error::NoSpeech { duration_s }) } else { Ok((speech, parts)) }
    }
}
