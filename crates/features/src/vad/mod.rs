//! Voice activity detection: which frames of a signal are speech.

mod energy;
mod noise_floor;
mod parts;
mod silero;
mod silero_network;

use serde::{Deserialize, Serialize};

pub use energy::EnergyVad;
pub use noise_floor::NoiseFloorVad;
pub use parts::SpeechParts;
pub use silero::SileroVad;
pub use silero_network::SileroNetwork;

use crate::mel_banks::kaldi_mel;
use crate::{Error, Fbank, FbankOptions, Result, Scratch};

/// Time from one decision to the next, s.
pub(crate) const FRAME_SHIFT_S: f64 = 0.01;
/// Bands of the detector's spectrum at 8 kHz and above; fewer below, each as wide on the mel scale.
const NUM_BANDS: usize = 20;
/// Where speech stands out of noise: below lie hum, wind and rumble, above what telephones do not carry.
const BAND_EDGES_HZ: [f64; 2] = [150.0, 3800.0];
/// Decibels in one unit of a natural logarithm of power.
const DB_PER_NEPER: f32 = 4.342_945;
/// Level of a frame of unit RMS at the scale of [`FbankOptions::int16_scale`], dB.
const INT16_FULL_SCALE_DB: f32 = 90.309;

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
    fbank: Fbank,
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
        if !(1000..=768_000).contains(&sample_rate) {
            return Err(Error::option("sample_rate", sample_rate, "1000 to 768000 Hz"));
        }
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
        let [low_hz, full_high_hz] = BAND_EDGES_HZ;
        let high_hz = full_high_hz.min(f64::from(sample_rate) / 2.0);
        let share = (kaldi_mel(high_hz) - kaldi_mel(low_hz)) / (kaldi_mel(full_high_hz) - kaldi_mel(low_hz));
        let fbank = FbankOptions {
            num_mels: ((NUM_BANDS + 1) as f64 * share) as usize - 1,
            low_frequency_hz: low_hz,
            high_frequency_hz: high_hz,
            preemphasis: 0.0,
            use_energy: true,
            ..FbankOptions::default()
        };
        Ok(Self { rule, fbank: Fbank::new(sample_rate, &fbank)? })
    }

    /// Whether each frame of `samples` (full scale 1.0) is speech; empty for less than one frame.
    ///
    /// # Errors
    /// A sample is not finite or beyond all measure.
    pub fn detect(&self, scratch: &mut Scratch, samples: &[f32]) -> Result<Vec<bool>> {
        let num_frames = self.fbank.num_frames(samples.len());
        if num_frames == 0 {
            return Ok(Vec::new());
        }
        let mut levels_and_bands = || {
            let mut features = vec![0.0; self.fbank.num_mels() * num_frames];
            self.fbank.compute_into(scratch, samples, &mut features)?;
            Ok(features)
        };
        match &self.rule {
            Rule::Silero(vad, network) => Ok(vad.decide(&network.probabilities(samples)?, num_frames)),
            Rule::Energy(vad) => Ok(vad.decide(&levels_and_bands()?[..num_frames])),
            Rule::NoiseFloor(vad) => {
                let mut features: Vec<f32> = levels_and_bands()?;
                let (levels, bands) = features.split_at_mut(num_frames);
                bands.iter_mut().for_each(|value| *value *= DB_PER_NEPER);
                let frame_length = self.fbank.min_samples() as f32;
                let full_scale_db = INT16_FULL_SCALE_DB + 10.0 * frame_length.log10();
                for level in levels.iter_mut() {
                    *level = *level * DB_PER_NEPER - full_scale_db;
                }
                Ok(vad.decide(levels, bands))
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
    fn every_sample_rate_has_bands() {
        for rate in [1000, 1001, 4000, 6000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 768_000] {
            let detector = SpeechDetector::new(rate, &Vad::default()).unwrap();
            let expected = if rate >= 8000 { NUM_BANDS } else { 2 };
            assert!(detector.fbank.num_mels() > expected, "{rate}");
            let second = vec![0.25; rate as usize];
            assert_eq!(detector.detect(&mut Scratch::new(), &second).unwrap().len(), 98, "{rate}");
        }
        assert!(SpeechDetector::new(999, &Vad::default()).is_err());
    }

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
