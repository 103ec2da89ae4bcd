//! What is done to one crop, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::room::Room;
use crate::spec_augment::Mask;

/// Everything that is done to one crop. The default does nothing.
///
/// A plan names files and numbers, never the state of anything: the same plan and samples give the same result on any
/// thread, in any order, today or later. As JSON it is a line that a person can read, and what is printed is
/// exact, because the planner draws numbers of few decimals.
///
/// The steps are in the order of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// The baseline's formulas for noise and reverberation ([`compat`](crate::compat)).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compat: bool,
    /// Factor of the speed; 1.0 for none.
    pub speed: f64,
    /// The room that the speech is put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverb: Option<Reverb>,
    /// What is added to the (reverberated) speech. Every SNR counts from the speech alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noises: Vec<Noise>,
    /// Level and transmission.
    #[serde(skip_serializing_if = "Channel::is_clean")]
    pub channel: Channel,
    /// Bands of the features that become zero.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            compat: false,
            speed: 1.0,
            reverb: None,
            noises: Vec::new(),
            channel: Channel::default(),
            masks: Vec::new(),
        }
    }
}

impl Plan {
    /// The plan without what has to be read from files: what remains possible when one of them cannot be read.
    pub fn without_files(&self) -> Self {
        let reverb = self.reverb.clone().filter(|reverb| !matches!(reverb, Reverb::File { .. }));
        Self { reverb, noises: Vec::new(), ..self.clone() }
    }

    /// Whether applying the plan reads files.
    pub fn needs_files(&self) -> bool {
        !self.noises.is_empty() || matches!(self.reverb, Some(Reverb::File { .. }))
    }
}

/// A room impulse response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reverb {
    /// A measured one.
    File {
        /// The sound file.
        path: PathBuf,
        /// Its channel, from 0.
        channel: usize,
    },
    /// A simulated one.
    Simulated(Room),
}

/// What kind of sound a noise is. The list that it came from says so, not its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// Sounds of things, animals and places.
    Noise,
    /// Music.
    Music,
    /// Several other speakers at once.
    Babble,
}

impl NoiseKind {
    /// The name in configurations and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Music => "music",
            Self::Babble => "babble",
        }
    }
}

/// One additive noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The kind.
    pub kind: NoiseKind,
    /// One sound; for babble one of every talker, all made equally loud before they are added.
    pub sounds: Vec<SoundCrop>,
    /// Ratio of the mean power of the speech to that of this noise, in dB. In a `compat` plan the baseline's number, which
    /// is no such ratio.
    pub snr_db: f64,
    /// The room that the noise is put into before its power is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverb: Option<Reverb>,
}

/// A part of a sound file, as long as the speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoundCrop {
    /// The file; its first channel is taken.
    pub path: PathBuf,
    /// The part of the file that the sound is, from one time to another in seconds (`null`: to its end); none for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_s: Option<(f64, Option<f64>)>,
    /// Where it begins, as a share (0 to below 1) of the possible starts; a sound shorter than the speech is repeated, and
    /// the share is of its length.
    pub place: f64,
}

/// Level and transmission, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channel {
    /// Gain in dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain_db: Option<f64>,
    /// Samples are cut off at this share of the crop's peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// The telephone's band, 300 to 3400 Hz.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub telephone_band: bool,
    /// Companding by mu-law.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mu_law: bool,
    /// Coding by Opus, with so many kbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opus_kbps: Option<f64>,
}

impl Channel {
    /// Whether it leaves every sample as it is.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}
