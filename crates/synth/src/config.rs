//! How large and how hard a corpus is.

use ffsvc_ranges::Range;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Options of a corpus. The defaults make one for a recipe of a few minutes: small enough for two CPU
/// cores, hard enough that a network has something to learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SynthConfig {
    /// Seed of everything. Default 0.
    pub seed: u64,
    /// Speakers to train on. Default 40.
    pub train_speakers: u32,
    /// Utterances of each of them. Default 20.
    pub train_utterances: u32,
    /// Speakers to test on, none of whom is in training. Default 20.
    pub dev_speakers: u32,
    /// Utterances of each of them. Default 8.
    pub dev_utterances: u32,
    /// Range of the duration of an utterance, s. Default 2.5 to 4.
    pub seconds: [f64; 2],
    /// Range of the signal-to-noise ratio, dB: uniform. Lower is harder. Default 10 to 30.
    pub snr_db: [f64; 2],
    /// Range of the reverberation time, s: uniform on a logarithmic scale. Higher is harder. Default 0.15 to 0.6.
    pub rt60_s: [f64; 2],
    /// Range of the distance to the microphone, m: uniform on a logarithmic scale. Default 0.2 to 3.
    pub distance_m: [f64; 2],
    /// Largest gain or cut of each band of the recording channel, dB. Higher is harder. Default 4.
    pub channel_db: f64,
    /// At most this many target trials, else as many as there are pairs. Default 1000.
    pub max_target_trials: u32,
    /// Nontarget trials, half of them within a sex, as far as there are pairs. Default 2000.
    pub nontarget_trials: u32,
}

impl Default for SynthConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            train_speakers: 40,
            train_utterances: 20,
            dev_speakers: 20,
            dev_utterances: 8,
            seconds: [2.5, 4.0],
            snr_db: [10.0, 30.0],
            rt60_s: [0.15, 0.6],
            distance_m: [0.2, 3.0],
            channel_db: 4.0,
            max_target_trials: 1_000,
            nontarget_trials: 2_000,
        }
    }
}

impl SynthConfig {
    /// Range of [`train_speakers`](Self::train_speakers) and [`train_utterances`](Self::train_utterances).
    pub const TRAIN_COUNT: Range<u32> = Range::of(1, 99_999);
    /// Range of [`dev_speakers`](Self::dev_speakers) and [`dev_utterances`](Self::dev_utterances): trials need two of each.
    pub const DEV_COUNT: Range<u32> = Range::of(2, 99_999);
    /// Range of the ends of [`seconds`](Self::seconds).
    pub const SECONDS: Range<f64> = Range::of(0.1, 3_600.0);
    /// Range of the ends of [`snr_db`](Self::snr_db).
    pub const SNR_DB: Range<f64> = Range::of(-30.0, 100.0);
    /// Range of the ends of [`rt60_s`](Self::rt60_s).
    pub const RT60_S: Range<f64> = Range::of(0.05, 5.0);
    /// Range of the ends of [`distance_m`](Self::distance_m).
    pub const DISTANCE_M: Range<f64> = Range::of(0.05, 10.0);
    /// Range of [`channel_db`](Self::channel_db).
    pub const CHANNEL_DB: Range<f64> = Range::of(0.0, 30.0);
    /// Range of [`max_target_trials`](Self::max_target_trials) and [`nontarget_trials`](Self::nontarget_trials).
    pub const TRIALS: Range<u32> = Range::at_least(0);

    /// Checks that the corpus can be made.
    ///
    /// # Errors
    /// [`Error::Option`] names the option, what was found and what is expected.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("train_speakers", self.train_speakers, Self::TRAIN_COUNT),
            ("train_utterances", self.train_utterances, Self::TRAIN_COUNT),
            ("dev_speakers", self.dev_speakers, Self::DEV_COUNT),
            ("dev_utterances", self.dev_utterances, Self::DEV_COUNT),
        ];
        for (name, found, range) in counts {
            if !range.contains(found) {
                return Err(Error::option(name, found, range.to_string()));
            }
        }
        let spans = [
            ("seconds", self.seconds, Self::SECONDS),
            ("snr_db", self.snr_db, Self::SNR_DB),
            ("rt60_s", self.rt60_s, Self::RT60_S),
            ("distance_m", self.distance_m, Self::DISTANCE_M),
        ];
        for (name, [low, high], range) in spans {
            if !(range.contains(low) && range.contains(high) && low <= high) {
                let expected = format!("two numbers in ascending order, each {range}");
                return Err(Error::option(name, format!("{low},{high}"), expected));
            }
        }
        if !Self::CHANNEL_DB.contains(self.channel_db) {
            return Err(Error::option("channel_db", self.channel_db, Self::CHANNEL_DB.to_string()));
        }
        Ok(())
    }
}
