//! Voice activity detection: which frames of a signal are speech.

mod energy;
mod noise_floor;
mod parts;
mod silero;
mod silero_network;
mod speech_bands;

use serde::{Deserialize, Serialize};

pub use energy::EnergyVad;
pub use noise_floor::NoiseFloorVad;
pub use parts::SpeechParts;
pub use silero::SileroVad;
pub use silero_network::SileroNetwork;
pub(crate) use speech_bands::{SpectralLevels, SpeechBands};

use crate::{Error, Result, Scratch};

/// Time from one decision to the next, s.
pub(crate) const FRAME_SHIFT_S: f64 = 0.01;
/// How speech is told from pauses. In TOML: `{ type = "noise-floor" }`, `{ type = "energy", energy_threshold = 5.5 }`,
/// `{ type = "silero", model = "silero_vad_16k_op15.onnx" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Vad {
    /// Speech rises above the noise floor of its recording, in many bands at once.
    NoiseFloor(NoiseFloorVad),
    /// Kaldi's `compute-vad`.
    Energy(EnergyVad),
    /// A network: Silero VAD.
    Silero(SileroVad),
}

impl Vad {
    /// The only sample rate at which the detector works, Hz; `None` where it works at any.
    pub fn sample_rate(&self) -> Option<u32> {
        match self {
            Self::NoiseFloor(_) | Self::Energy(_) => None,
            Self::Silero(_) => Some(silero_network::RATE),
        }
    }
}

impl Default for Vad {
    fn default() -> Self {
        Self::NoiseFloor(NoiseFloorVad::default())
    }
}

/// Finds speech in signals of one sample rate.
///
/// There is one decision for each frame of 25 ms, every 10 ms, as Kaldi frames a signal (`snip_edges`).
///
/// ```
/// use ffsvc_features::{Scratch, SpeechDetector, Vad};
///
/// let detector = SpeechDetector::new(16_000, &Vad::default())?;
/// // A second of faint noise with a loud tone complex in its middle third.
/// let signal: Vec<f32> = (0..16_000_u32)
///     .map(|n| {
///         let noise = (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5;
///         let tones: f32 = (2..30).map(|k| (n as f32 * 0.05 * k as f32).sin()).sum();
///         0.002 * noise + if (5_333..10_667).contains(&n) { 0.01 * tones } else { 0.0 }
///     })
///     .collect();
/// let speech = detector.detect(&mut Scratch::new(), &signal)?;
/// assert_eq!(speech.len(), 98);
/// assert!(!speech[10] && speech[50] && !speech[90]);
/// # Ok::<(), ffsvc_features::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpeechDetector {
    rule: Rule,
    bands: SpeechBands,
}

#[derive(Debug, Clone)]
enum Rule {
    NoiseFloor(NoiseFloorVad),
    Energy(EnergyVad),
    Silero(SileroVad, SileroNetwork),
}

impl SpeechDetector {
    /// Plans the computation for signals of `sample_rate` hertz, 1000 to 768000, and reads the model of a detector that has
    /// one.
    ///
    /// # Errors
    /// The sample rate or an option is out of range; the rate is not [`Vad::sample_rate`]; the model cannot be read.
    pub fn new(sample_rate: u32, vad: &Vad) -> Result<Self> {
        let bands = SpeechBands::new(sample_rate)?;
        if let Some(rate) = vad.sample_rate().filter(|&rate| rate != sample_rate) {
            return Err(Error::option("sample_rate", sample_rate, format!("{rate} Hz for this detector")));
        }
        let rule = match vad {
            Vad::NoiseFloor(options) => options.check().map(|()| Rule::NoiseFloor(*options)),
            Vad::Energy(options) => options.check().map(|()| Rule::Energy(*options)),
            Vad::Silero(options) => options
                .check()
                .and_then(|()| Ok(Rule::Silero(options.clone(), SileroNetwork::open(&options.model)?))),
        }?;
        Ok(Self { rule, bands })
    }

    /// Whether each frame of `samples` (full scale 1.0) is speech; empty for less than one frame.
    ///
    /// # Errors
    /// A sample is not finite or beyond all measure.
    pub fn detect(&self, scratch: &mut Scratch, samples: &[f32]) -> Result<Vec<bool>> {
        let num_frames = self.bands.num_frames(samples.len());
        if num_frames == 0 {
            return Ok(Vec::new());
        }
        match &self.rule {
            Rule::Silero(vad, network) => Ok(vad.decide(&network.probabilities(samples)?, num_frames)),
            Rule::Energy(vad) => Ok(vad.decide(&self.bands.log_energies(scratch, samples)?)),
            Rule::NoiseFloor(vad) => {
                let SpectralLevels { levels_dbfs, bands_db } = self.bands.levels(scratch, samples)?;
                Ok(vad.decide(&levels_dbfs, &bands_db))
            }
        }
    }

    /// Seconds of speech that decisions stand for.
    pub fn speech_s(decisions: &[bool]) -> f64 {
        decisions.iter().filter(|&&speech| speech).count() as f64 * FRAME_SHIFT_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_a_frame_is_its_rms_against_full_scale() {
        // A burst over a background: 1 dB above the level that counts as silence the background is the noise floor and
        // the burst stands out, 1 dB below it there is nothing but the burst, which is then the floor itself.
        let noise = |n: usize| if (n as u32).wrapping_mul(2_654_435_761) >> 31 == 0 { 1.0 } else { -1.0 };
        let level = |level_db: f32| 10f32.powf(level_db / 20.0);
        for (background_db, stands_out) in [(-74.0, true), (-76.0, false)] {
            let signal: Vec<f32> = (0..32_000)
                .map(|n| noise(n) * level(if (12_000..20_000).contains(&n) { -60.0 } else { background_db }))
                .collect();
            let detector = SpeechDetector::new(16_000, &Vad::default()).unwrap();
            let found = detector.detect(&mut Scratch::new(), &signal).unwrap();
            assert_eq!(found[100], stands_out, "{background_db} dB");
        }
    }
}
