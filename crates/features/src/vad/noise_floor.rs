//! Speech against the noise floor of its own recording.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The spectrum of a frame against the spectrum of the recording's noise.
///
/// The noise floor of a band is a low percentile of its level over the recording, after a moving average over five
/// frames. A frame is speech when its bands are above their floors by `margin_db` on average (each by at most 20 dB,
/// averaged over five frames). Words begin and end softly, so `lead_frames` before and `hangover_frames` after it count
/// as speech too. Steady noise of any level and colour is not speech. Sounds that come and go (a bark, a door) are, as
/// with every detector that only looks at levels.
///
/// The table gives the time that each rule takes for speech, on ten recordings of speechocean762. The unit is the time
/// found by a plain level threshold on the clean recordings. The whole recording is 1.40. The other rule is Kaldi's
/// ([`EnergyVad`](crate::EnergyVad)).
///
/// | | clean | rain, 20 dB | rain, 10 dB | white noise, 10 dB |
/// | --- | --- | --- | --- | --- |
/// | noise floor | 1.10 | 0.97 | 0.86 | 0.79 |
/// | Kaldi | 1.11 | 1.37 | 1.40 | 1.40 |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseFloorVad {
    /// Least mean excess over the noise floor, dB, above 0. Default 3.5.
    pub margin_db: f32,
    /// Percentile of a band's level that is its noise floor, between 0 and 100. Default 15: a recording without
    /// pauses has that many weaker moments in every band.
    pub floor_percentile: f32,
    /// Frames of a lower RMS level, dB below full scale, are neither speech nor noise: digital silence, and what
    /// converters add. Default -75.
    pub silence_dbfs: f32,
    /// Frames that belong to the speech after them. Default 1.
    pub lead_frames: usize,
    /// Frames that belong to the speech before them. Default 3.
    pub hangover_frames: usize,
}

/// Frames on each side in moving averages.
const SMOOTHING: usize = 2;
/// The most that one band says in favour of speech, dB: a loud tone alone is none.
const EXCESS_LIMIT_DB: f32 = 20.0;

impl Default for NoiseFloorVad {
    fn default() -> Self {
        Self {
            margin_db: 3.5,
            floor_percentile: 15.0,
            silence_dbfs: -75.0,
            lead_frames: 1,
            hangover_frames: 3,
        }
    }
}

impl NoiseFloorVad {
    /// Says whether the options can be used.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn check(&self) -> Result<()> {
        if !(self.margin_db > 0.0 && self.margin_db < EXCESS_LIMIT_DB) {
            let expected = format!("between 0 and {EXCESS_LIMIT_DB} dB, exclusive");
            return Err(Error::option("margin_db", self.margin_db, expected));
        }
        if !(0.0..=100.0).contains(&self.floor_percentile) {
            return Err(Error::option("floor_percentile", self.floor_percentile, "0 to 100"));
        }
        if self.silence_dbfs.is_nan() || self.silence_dbfs > 0.0 {
            return Err(Error::option("silence_dbfs", self.silence_dbfs, "at most 0 dB"));
        }
        Ok(())
    }

    /// Decides on each frame. `levels` are the frames' RMS in dB below full scale, `bands` their bands in dB at any
    /// scale, `[band, frame]`.
    ///
    /// # Panics
    /// `bands` is not a whole number of rows as long as `levels`.
    pub fn decide(&self, levels: &[f32], bands: &[f32]) -> Vec<bool> {
        let num_frames = levels.len();
        if num_frames == 0 {
            return Vec::new();
        }
        assert!(bands.len().is_multiple_of(num_frames), "{} values for {num_frames} frames", bands.len());
        let audible = |t: usize| levels[t] >= self.silence_dbfs;
        let mut excess = vec![0f32; num_frames];
        let mut sorted = Vec::with_capacity(num_frames);
        for band in bands.chunks_exact(num_frames) {
            let smooth = moving_average(band);
            sorted.clear();
            sorted.extend((0..num_frames).filter(|&t| audible(t)).map(|t| smooth[t]));
            if sorted.is_empty() {
                return vec![false; num_frames];
            }
            let rank = (self.floor_percentile / 100.0 * (sorted.len() - 1) as f32).round() as usize;
            let floor = *sorted.select_nth_unstable_by(rank, f32::total_cmp).1;
            for (sum, level) in excess.iter_mut().zip(band) {
                *sum += (level - floor).clamp(0.0, EXCESS_LIMIT_DB);
            }
        }
        let limit = self.margin_db * (bands.len() / num_frames) as f32;
        let above: Vec<bool> = moving_average(&excess).into_iter().map(|excess| excess > limit).collect();
        let mut speech = vec![false; num_frames];
        for t in (0..num_frames).filter(|&t| above[t] && audible(t)) {
            let end = t.saturating_add(self.hangover_frames).saturating_add(1).min(num_frames);
            speech[t.saturating_sub(self.lead_frames)..end].fill(true);
        }
        for (t, decision) in speech.iter_mut().enumerate() {
            *decision &= audible(t);
        }
        speech
    }
}

/// Mean over each frame and its neighbours, fewer at the ends.
fn moving_average(values: &[f32]) -> Vec<f32> {
    (0..values.len())
        .map(|t| {
            let window = &values[t.saturating_sub(SMOOTHING)..(t + SMOOTHING + 1).min(values.len())];
            window.iter().sum::<f32>() / window.len() as f32
        })
        .collect()
}
