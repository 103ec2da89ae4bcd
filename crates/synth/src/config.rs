//! How large and how hard a corpus is.

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
    /// Checks that the corpus can be made.
    ///
    /// # Errors
    /// [`Error::Option`] names the option, what was found and what is expected.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("train_speakers", self.train_speakers, 1),
            ("train_utterances", self.train_utterances, 1),
            ("dev_speakers", self.dev_speakers, 2),
            ("dev_utterances", self.dev_utterances, 2),
        ];
        for (name, found, least) in counts {
            if !(least..=99_999).contains(&found) {
                return Err(Error::option(name, found, format!("{least} to 99999")));
            }
        }
        let ranges = [
            ("seconds", self.seconds, 0.1, 3_600.0),
            ("snr_db", self.snr_db, -30.0, 100.0),
            ("rt60_s", self.rt60_s, 0.05, 5.0),
            ("distance_m", self.distance_m, 0.05, 10.0),
            ("channel_db", [0.0, self.channel_db], 0.0, 30.0),
        ];
        for (name, [low, high], least, most) in ranges {
            // Written so that NaN fails.
            if !(least <= low && low <= high && high <= most) {
                let expected = format!("LOW,HIGH with {least} <= LOW <= HIGH <= {most}");
                return Err(Error::option(name, format!("{low},{high}"), expected));
            }
        }
        Ok(())
    }
}
