//! What is done to training crops, and how often.

use std::path::PathBuf;

use ffsvc_ranges::{Checklist, Range, Section};
use serde::{Deserialize, Serialize};

use crate::channel::{ChannelConfig, ClippingConfig, GainConfig};
use crate::error::{Error, Result};
use crate::room::RoomRanges;
use crate::spec_augment::{SHARE, SpecAugment};
use crate::speed::SpeedConfig;

/// Range of how often a kind of noise is drawn.
const WEIGHT: Range<f64> = Range::of(0.0, 1e6);
/// Range of signal-to-noise ratios.
const SNR_DB: Range<f64> = Range::of(-60.0, 100.0);
/// Range of the number of noises, and of talkers.
const COUNT: Range<usize> = Range::of(1, 100);

/// Section `[augment]`. The default does nothing.
///
/// Every step is drawn on its own, with its own probability; noise over reverberation, the far-field case, comes about as
/// often as the product of theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// The baseline's steps, shares and formulas: noise or music for a quarter of the crops, reverberation for a quarter,
    /// one mask for a third ([`compat`](crate::compat)). It needs `additive.noise.list`, `additive.music.list` and
    /// `reverb.list`, and leaves no other choice. Default false.
    pub compat: bool,
    /// Speed.
    pub speed: SpeedConfig,
    /// Rooms.
    pub reverb: ReverbConfig,
    /// Noise, music and babble.
    pub additive: AdditiveConfig,
    /// Level.
    pub gain: GainConfig,
    /// Overload.
    pub clipping: ClippingConfig,
    /// Telephone.
    pub channel: ChannelConfig,
    /// Masks on the features. Absent (default): none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_augment: Option<SpecAugment>,
    /// Memory for decoded sounds, in MiB, shared by all workers. The samples do not depend on it. Default 256.
    pub sound_cache_mib: usize,
    /// Memory for the spectra of impulse responses, in MiB, shared by all workers. Default 256.
    pub rir_cache_mib: usize,
    /// The run stops if sounds or impulse responses could not be read for more than this share of the crops that need
    /// any. Until then such a crop goes without, and is counted. Default 0.01.
    pub max_failed_share: f64,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            compat: false,
            speed: SpeedConfig::default(),
            reverb: ReverbConfig::default(),
            additive: AdditiveConfig::default(),
            gain: GainConfig::default(),
            clipping: ClippingConfig::default(),
            channel: ChannelConfig::default(),
            spec_augment: None,
            sound_cache_mib: 256,
            rir_cache_mib: 256,
            max_failed_share: 0.01,
        }
    }
}

/// Section `[augment.reverb]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReverbConfig {
    /// Share of the crops that get a room. Default 0.
    pub probability: f64,
    /// List of impulse response files, one path a line, or a folder of them. One of a file's channels is drawn for each use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
    /// `[augment.reverb.simulated]`: simulated rooms. With a list as well, each reverberated crop takes one or the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedConfig>,
}

/// Section `[augment.reverb.simulated]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SimulatedConfig {
    /// Share of simulated rooms among all where there is a list too. Default 0.5.
    pub share: f64,
    /// How many rooms are drawn when training begins; crops choose among them. Default 1000.
    pub rooms: usize,
    /// What they are drawn from. Default: the distances of the FFSVC recordings ([`RoomRanges::ffsvc`]).
    pub ranges: RoomRanges,
}

impl SimulatedConfig {
    /// Range of [`rooms`](Self::rooms).
    pub const ROOMS: Range<usize> = Range::of(1, 1_000_000);
}

impl Default for SimulatedConfig {
    fn default() -> Self {
        Self { share: 0.5, rooms: 1000, ranges: RoomRanges::ffsvc() }
    }
}

/// Section `[augment.additive]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AdditiveConfig {
    /// Share of the crops that get noise. Default 0.
    pub probability: f64,
    /// How many noises such a crop gets, least and most. Default 1 and 1.
    pub count: [usize; 2],
    /// Share of the noises over reverberated speech that are put into the same room: through the same measured response,
    /// or from another place of the simulated room. Default 0.5.
    pub reverberated: f64,
    /// Sounds of things, animals and places.
    pub noise: NoiseConfig,
    /// Music.
    pub music: MusicConfig,
    /// Other training speakers, talking at once. Absent (default): none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub babble: Option<BabbleConfig>,
}

impl Default for AdditiveConfig {
    fn default() -> Self {
        Self {
            probability: 0.0,
            count: [1, 1],
            reverberated: 0.5,
            noise: NoiseConfig::default(),
            music: MusicConfig::default(),
            babble: None,
        }
    }
}

/// Section `[augment.additive.noise]`: sounds of things, animals and places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NoiseConfig {
    /// List of sound files, one path a line, or a folder of them. Absent (default): this kind is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
    /// How often this kind is drawn, in proportion to the others. Default 1.
    pub weight: f64,
    /// Lowest and highest SNR in dB. Default 0 and 15.
    pub snr_db: [f64; 2],
}

impl Default for NoiseConfig {
    fn default() -> Self {
        Self { list: None, weight: 1.0, snr_db: [0.0, 15.0] }
    }
}

/// Section `[augment.additive.music]`: music.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MusicConfig {
    /// List of sound files, one path a line, or a folder of them. Absent (default): this kind is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
    /// How often this kind is drawn, in proportion to the others. Default 1.
    pub weight: f64,
    /// Lowest and highest SNR in dB. Default 5 and 15.
    pub snr_db: [f64; 2],
}

impl Default for MusicConfig {
    fn default() -> Self {
        Self { list: None, weight: 1.0, snr_db: [5.0, 15.0] }
    }
}

/// Section `[augment.additive.babble]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BabbleConfig {
    /// How often babble is drawn, in proportion to the other kinds. Default 1.
    pub weight: f64,
    /// Lowest and highest SNR in dB. Default 13 and 20.
    pub snr_db: [f64; 2],
    /// How many talkers, least and most. The speaker of the crop is never one of them. Default 3 and 7.
    pub talkers: [usize; 2],
}

impl Default for BabbleConfig {
    fn default() -> Self {
        Self { weight: 1.0, snr_db: [13.0, 20.0], talkers: [3, 7] }
    }
}

impl AugmentConfig {
    /// Range of [`sound_cache_mib`](Self::sound_cache_mib) and [`rir_cache_mib`](Self::rir_cache_mib).
    pub const CACHE_MIB: Range<usize> = Range::of(0, 1 << 20);

    /// Whether any samples are changed (masks on features do not count).
    pub fn changes_samples(&self) -> bool {
        let Self { compat, speed, reverb, additive, gain, clipping, channel, .. } = self;
        *compat
            || [speed.probability, reverb.probability, additive.probability, gain.probability]
                .into_iter()
                .chain([clipping.probability, channel.telephone_band, channel.opus])
                .any(|probability| probability > 0.0)
    }

    /// Checks every number and [`check_consistency`](Self::check_consistency).
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check(&self) -> Result<()> {
        let mut checklist = Checklist::default();
        self.add_numbers(&mut checklist.section("augment"));
        if let Some(fault) = checklist.faults().next() {
            return Err(fault.clone().into());
        }
        self.check_consistency()
    }

    /// Adds every number, with its range, to the section `augment`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("sound_cache_mib", self.sound_cache_mib, Self::CACHE_MIB);
        section.number("rir_cache_mib", self.rir_cache_mib, Self::CACHE_MIB);
        section.number("max_failed_share", self.max_failed_share, SHARE);

        let mut speed = section.section("speed");
        speed.number("probability", self.speed.probability, SHARE);
        speed.numbers("factors", &self.speed.factors, SpeedConfig::FACTORS);

        let mut reverb = section.section("reverb");
        reverb.number("probability", self.reverb.probability, SHARE);
        if let Some(SimulatedConfig { share, rooms, ranges }) = &self.reverb.simulated {
            let mut simulated = reverb.section("simulated");
            simulated.number("share", *share, SHARE);
            simulated.number("rooms", *rooms, SimulatedConfig::ROOMS);
            ranges.add_numbers(&mut simulated.section("ranges"));
        }

        let AdditiveConfig { probability, count, reverberated, noise, music, babble } = &self.additive;
        let mut additive = section.section("additive");
        additive.number("probability", *probability, SHARE);
        additive.span("count", *count, COUNT);
        additive.number("reverberated", *reverberated, SHARE);
        let kinds = [
            Some(("noise", noise.weight, noise.snr_db)),
            Some(("music", music.weight, music.snr_db)),
            babble.as_ref().map(|babble| ("babble", babble.weight, babble.snr_db)),
        ];
        for (kind, weight, snr_db) in kinds.into_iter().flatten() {
            let mut kind = additive.section(kind);
            kind.number("weight", weight, WEIGHT);
            kind.span("snr_db", snr_db, SNR_DB);
        }
        if let Some(babble) = babble {
            additive.section("babble").span("talkers", babble.talkers, COUNT);
        }

        let mut gain = section.section("gain");
        gain.number("probability", self.gain.probability, SHARE);
        gain.span("gain_db", self.gain.gain_db, GainConfig::GAIN_DB);
        let mut clipping = section.section("clipping");
        clipping.number("probability", self.clipping.probability, SHARE);
        clipping.span("level", self.clipping.level, ClippingConfig::LEVEL);
        let mut channel = section.section("channel");
        channel.number("telephone_band", self.channel.telephone_band, SHARE);
        channel.number("mu_law", self.channel.mu_law, SHARE);
        channel.number("opus", self.channel.opus, SHARE);
        channel.span("opus_kbps", self.channel.opus_kbps, ChannelConfig::OPUS_KBPS);
        if let Some(masks) = &self.spec_augment {
            masks.add_numbers(&mut section.section("spec_augment"));
        }
    }

    /// Checks that every step has what it needs and that settings agree with each other.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check_consistency(&self) -> Result<()> {
        let factors = &self.speed.factors;
        // Thousandths make the rate conversions; what they cannot tell apart would be the same voice under two labels.
        let exact = |factor: &f64| (factor * 1000.0).round() / 1000.0 == *factor;
        let distinct = factors.iter().enumerate().all(|(i, f)| *f != 1.0 && !factors[..i].contains(f));
        if factors.is_empty() || !factors.iter().all(exact) || !distinct {
            let expected = "different factors, without 1, of three decimals at most";
            return Err(invalid("speed.factors", format!("{factors:?}"), expected));
        }
        if self.compat {
            return self.check_compat();
        }
        let AdditiveConfig { probability, noise, music, babble, .. } = &self.additive;
        let usable = [
            noise.list.is_some() && noise.weight > 0.0,
            music.list.is_some() && music.weight > 0.0,
            babble.is_some_and(|babble| babble.weight > 0.0),
        ];
        if *probability > 0.0 && !usable.contains(&true) {
            let expected = "noise.list, music.list or [augment.additive.babble]";
            return Err(invalid("additive.probability", probability, format!("0 without any of {expected}")));
        }
        if self.reverb.probability > 0.0 && self.reverb.list.is_none() && self.reverb.simulated.is_none() {
            let expected = "0 without reverb.list or [augment.reverb.simulated]";
            return Err(invalid("reverb.probability", self.reverb.probability, expected));
        }
        if let Some(simulated) = &self.reverb.simulated {
            simulated.ranges.validate()?;
        }
        Ok(())
    }

    fn check_compat(&self) -> Result<()> {
        let lists = [
            ("additive.noise.list", &self.additive.noise.list),
            ("additive.music.list", &self.additive.music.list),
            ("reverb.list", &self.reverb.list),
        ];
        if let Some((key, _)) = lists.into_iter().find(|(_, list)| list.is_none()) {
            return Err(invalid(key, "absent", "a list of files: the baseline (compat) uses all three"));
        }
        // Whatever else is set would be ignored, which its author should know.
        let with_lists = AugmentConfig {
            compat: true,
            reverb: ReverbConfig { list: self.reverb.list.clone(), ..Default::default() },
            additive: AdditiveConfig {
                noise: NoiseConfig { list: self.additive.noise.list.clone(), ..Default::default() },
                music: MusicConfig { list: self.additive.music.list.clone(), ..Default::default() },
                ..Default::default()
            },
            sound_cache_mib: self.sound_cache_mib,
            rir_cache_mib: self.rir_cache_mib,
            max_failed_share: self.max_failed_share,
            ..Default::default()
        };
        if *self != with_lists {
            let expected =
                "false, or nothing else beside the three lists: the baseline's steps and shares are fixed";
            return Err(invalid("compat", "true", expected));
        }
        Ok(())
    }
}

fn invalid(key: &str, found: impl ToString, expected: impl Into<String>) -> Error {
    Error::Config { key: key.to_string(), found: found.to_string(), expected: expected.into() }
}
