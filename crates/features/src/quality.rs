//! How well a recording can stand for its speaker.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::waveform::check_samples;
use crate::{Levels, Result, RoomEstimates, Scratch, SpeechDetector, Vad};

/// What a score has to be judged by, besides itself: how much speech there is, how it was recorded, and where.
///
/// ```
/// use ffsvc_features::{Quality, QualityLimits, Vad};
///
/// let quality = Quality::measure(16_000, &[0.0; 16_000], &Vad::default())?;
/// assert_eq!((quality.duration_s, quality.speech_s), (1.0, 0.0));
/// let warnings = quality.warnings(&QualityLimits::default());
/// assert_eq!(warnings[0].to_string(), "silent: all samples are equal");
/// # Ok::<(), ffsvc_features::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Sample rate of the recording, Hz.
    pub sample_rate: u32,
    /// Its length, s.
    pub duration_s: f64,
    /// Speech without its pauses, s.
    pub speech_s: f64,
    /// Levels and clipping.
    #[serde(flatten)]
    pub levels: Levels,
    /// Noise and reverberation, as far as they can be estimated.
    #[serde(flatten)]
    pub room: RoomEstimates,
}

/// Where [`Quality::warnings`] begins to warn. These are conventions of this project: what a system loses by less
/// speech or by clipping has to be measured with its own trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityLimits {
    /// Least speech, s. Default 2: below, the error rates of every system rise steeply.
    pub min_speech_s: f64,
    /// Largest share of clipped samples, 0 to 1. Default 0.001.
    pub max_clipped_share: f64,
    /// A recording whose peak is lower is silent, dB below full scale. Default -60.
    pub silence_dbfs: f64,
    /// Largest constant offset, as a share of full scale. Default 0.05.
    pub max_dc_offset: f64,
    /// Least sample rate, Hz: the one that a model was trained at. Default 0.
    pub min_sample_rate: u32,
}

impl Default for QualityLimits {
    fn default() -> Self {
        Self {
            min_speech_s: 2.0,
            max_clipped_share: 0.001,
            silence_dbfs: -60.0,
            max_dc_offset: 0.05,
            min_sample_rate: 0,
        }
    }
}

/// Why a recording may not stand for its speaker.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum QualityWarning {
    /// There is nothing in it.
    Silent {
        /// Its peak; negative infinity for a constant signal.
        peak_dbfs: f64,
        /// The limit.
        limit_dbfs: f64,
    },
    /// There is little speech in it.
    TooLittleSpeech {
        /// Speech found, s.
        speech_s: f64,
        /// The limit, s.
        limit_s: f64,
    },
    /// It was recorded too loudly.
    Clipped {
        /// Share of clipped samples.
        share: f64,
    },
    /// Its samples are not centred at zero.
    DcOffset {
        /// Mean of the samples.
        offset: f64,
    },
    /// It lacks the upper part of the spectrum that a model looks at.
    LowSampleRate {
        /// Sample rate of the recording, Hz.
        found: u32,
        /// The limit, Hz.
        limit: u32,
    },
}

impl Quality {
    /// Measures `samples` (full scale 1.0) as they were recorded: clipping does not survive a change of the sample rate.
    ///
    /// # Errors
    /// The sample rate or an option of the detector is out of range; a sample is not finite.
    pub fn measure(sample_rate: u32, samples: &[f32], vad: &Vad) -> Result<Self> {
        check_samples(samples)?;
        let detector = SpeechDetector::new(sample_rate, vad)?;
        let decisions = detector.detect(&mut Scratch::new(), samples)?;
        Self::with_decisions(sample_rate, samples, &decisions)
    }

    /// As [`measure`](Self::measure), where the frames of speech were found at another sample rate ([`Vad::sample_rate`]).
    ///
    /// # Errors
    /// The sample rate is out of range, or a sample is not finite.
    pub fn with_decisions(sample_rate: u32, samples: &[f32], decisions: &[bool]) -> Result<Self> {
        check_samples(samples)?;
        let duration_s = samples.len() as f64 / f64::from(sample_rate);
        Ok(Self {
            sample_rate,
            duration_s,
            speech_s: SpeechDetector::speech_s(decisions),
            levels: Levels::measure(samples),
            room: RoomEstimates::of(sample_rate, samples, decisions)?,
        })
    }

    /// Whether there is nothing in the recording by the measure of `limits`.
    pub fn is_silent(&self, limits: &QualityLimits) -> bool {
        self.levels.peak_dbfs() < limits.silence_dbfs
    }

    /// What is to be said against the recording, the worst first. Of a silent one, that it is silent is enough.
    pub fn warnings(&self, limits: &QualityLimits) -> Vec<QualityWarning> {
        let Levels { dc_offset, clipped_share, .. } = self.levels;
        let mut warnings = Vec::new();
        if self.is_silent(limits) {
            let (peak_dbfs, limit_dbfs) = (self.levels.peak_dbfs(), limits.silence_dbfs);
            warnings.push(QualityWarning::Silent { peak_dbfs, limit_dbfs });
        } else if self.speech_s < limits.min_speech_s {
            let (speech_s, limit_s) = (self.speech_s, limits.min_speech_s);
            warnings.push(QualityWarning::TooLittleSpeech { speech_s, limit_s });
        }
        if clipped_share > limits.max_clipped_share {
            warnings.push(QualityWarning::Clipped { share: clipped_share });
        }
        if dc_offset.abs() > limits.max_dc_offset {
            warnings.push(QualityWarning::DcOffset { offset: dc_offset });
        }
        if self.sample_rate < limits.min_sample_rate {
            let (found, limit) = (self.sample_rate, limits.min_sample_rate);
            warnings.push(QualityWarning::LowSampleRate { found, limit });
        }
        warnings
    }
}

impl fmt::Display for QualityWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Silent { peak_dbfs, .. } if peak_dbfs == f64::NEG_INFINITY => {
                f.write_str("silent: all samples are equal")
            }
            Self::Silent { peak_dbfs, limit_dbfs } => {
                write!(f, "silent: its peak is {peak_dbfs:.1} dB of full scale, below {limit_dbfs} dB")
            }
            Self::TooLittleSpeech { speech_s, limit_s } => {
                write!(f, "too little speech: {speech_s:.2} s of at least {limit_s} s")
            }
            Self::Clipped { share } => write!(f, "clipped: {:.2} % of samples", 100.0 * share),
            Self::DcOffset { offset } => write!(f, "constant offset: {:.1} % of full scale", 100.0 * offset),
            Self::LowSampleRate { found, limit } => {
                write!(f, "sample rate: {found} Hz of at least {limit} Hz")
            }
        }
    }
}
