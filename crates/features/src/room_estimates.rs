//! What a recording of speech says about its noise and its room: SNR and C50, estimated without anything else.

use serde::{Deserialize, Serialize};

use crate::vad::{FRAME_SHIFT_S, SpectralLevels, SpeechBands};
use crate::waveform::check_samples;
use crate::{Result, Scratch};

/// Frames of a lower level have no noise in them: digital silence. The least significant bit of 16 bits has -90 dB.
const DIGITAL_SILENCE_DBFS: f32 = -96.0;
/// With fewer audible frames than this nothing is estimated: 0.3 s.
const MIN_FRAMES: usize = 30;
/// With a smaller share of frames without speech, the quietest frames of the recording stand for them.
const QUIETEST_SHARE: f64 = 0.2;
/// Range of the SNR, dB: beyond it, the estimate is the end.
const SNR_DB: [f64; 2] = [-20.0, 60.0];

/// Frames of one slope: 70 ms of frame shifts.
const SLOPE_FRAMES: usize = 7;
/// Slopes count where the level at their end is above the noise floor of the band by at least this, dB: what decays into
/// the noise decays too slowly.
const ABOVE_FLOOR_DB: f32 = 10.0;
/// Percentile of a band's level that is its noise floor, as in [`NoiseFloorVad`](crate::NoiseFloorVad).
const FLOOR_PERCENTILE: f64 = 15.0;
/// With fewer falling slopes than this there is no estimate.
const MIN_SLOPES: usize = 100;
/// C50 in dB is `OFFSET + FACTOR * decay`, with the root mean square of the falling slopes in dB/s.
const C50_OFFSET_DB: f64 = -15.4;
const C50_FACTOR_S: f64 = 0.228;

/// Estimates of how far a recording is from a microphone close to the mouth in a silent room.
///
/// **SNR.** The noise is the median power of the frames without speech. If a detector leaves less than a fifth of the frames
/// without speech, the quietest fifth stands for them. Then `SNR = (P - N) / N`, with `P` the mean power of all frames. A
/// quantile of the power as the power of the noise is that of Stahl, Fischer & Bippus, *Quantile based noise estimation for
/// spectral subtraction and Wiener filtering* (ICASSP 2000). It is right for steady noise. Of sounds that come and go it sees
/// what is there most of the time.
///
/// **C50.** The share of the energy that arrives within 50 ms of the direct sound, against what arrives later (ISO 3382), in dB.
/// In a room, levels cannot fall faster than the room lets them. The distribution of the rates at which bands fall therefore
/// tells the room: Wen, Habets & Naylor, *Blind estimation of reverberation time based on the distribution of signal decay
/// rates* (ICASSP 2008); on mel bands, Eaton, Gaubitch & Naylor, *Noise-robust reverberation time estimation using spectral
/// decay distributions with reduced computational cost* (ICASSP 2013). The rate of a band is the regression line through seven
/// frames. The root mean square of the falling rates is mapped to C50 by a line. It was fitted to 240 simulated rooms with
/// recordings of speechocean762.
///
/// docs/data.md has the errors of both.
///
/// ```
/// use ffsvc_features::RoomEstimates;
///
/// // Two seconds: noise, and in every other fifth of a second a tone complex 20 dB above it.
/// let samples: Vec<f32> = (0..32_000_u32)
///     .map(|n| {
///         let noise = (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5;
///         let tones: f32 = (2..30).map(|k| (n as f32 * 0.05 * k as f32).sin()).sum();
///         0.01 * noise + if n / 3200 % 2 == 1 { 0.01 * tones } else { 0.0 }
///     })
///     .collect();
/// let speech: Vec<bool> = (0..198).map(|frame| (frame * 160 + 200) / 3200 % 2 == 1).collect();
/// let estimates = RoomEstimates::of(16_000, &samples, &speech)?;
/// // Mean powers: 28 tones of 0.01, half of the time; noise of 0.01 / sqrt(12).
/// let expected = 10.0 * f64::log10(28.0 * 0.5 / 2.0 * 12.0);
/// assert!((estimates.snr_db.unwrap_or_default() - expected).abs() < 1.0);
/// # Ok::<(), ffsvc_features::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RoomEstimates {
    /// Ratio of the mean power of the speech to that of the noise, dB, -20 to 60. `None` for less than 0.3 s of sound.
    pub snr_db: Option<f64>,
    /// Clarity of the room, dB. `None` where too few levels fall.
    pub c50_db: Option<f64>,
}

impl RoomEstimates {
    /// Estimates both of `samples` (full scale 1.0). `decisions` says which frames are speech, as
    /// [`SpeechDetector::detect`](crate::SpeechDetector::detect) does at any sample rate; frames past its end are not.
    ///
    /// # Errors
    /// The sample rate is out of range, or a sample is not finite.
    pub fn of(sample_rate: u32, samples: &[f32], decisions: &[bool]) -> Result<Self> {
        check_samples(samples)?;
        let bands = SpeechBands::new(sample_rate)?;
        let SpectralLevels { levels_dbfs, bands_db } = bands.levels(&mut Scratch::new(), samples)?;
        let audible: Vec<bool> = levels_dbfs.iter().map(|&level| level >= DIGITAL_SILENCE_DBFS).collect();
        if audible.iter().filter(|&&audible| audible).count() < MIN_FRAMES {
            return Ok(Self::default());
        }
        let is_speech = |t: usize| decisions.get(t).copied().unwrap_or(false);
        Ok(Self {
            snr_db: Some(snr_db(&levels_dbfs, &audible, is_speech)),
            c50_db: decay_rate(&bands_db, &audible).map(|rate| C50_OFFSET_DB + C50_FACTOR_S * rate),
        })
    }
}

fn snr_db(levels_dbfs: &[f32], audible: &[bool], is_speech: impl Fn(usize) -> bool) -> f64 {
    let power = |t: usize| 10f64.powf(f64::from(levels_dbfs[t]) / 10.0);
    let frames: Vec<usize> = (0..levels_dbfs.len()).filter(|&t| audible[t]).collect();
    let mean = frames.iter().map(|&t| power(t)).sum::<f64>() / frames.len() as f64;
    let quietest = (QUIETEST_SHARE * frames.len() as f64) as usize;
    let mut noise: Vec<f64> = frames.iter().filter(|&&t| !is_speech(t)).map(|&t| power(t)).collect();
    if noise.len() < quietest {
        noise = frames.iter().map(|&t| power(t)).collect();
        noise.sort_unstable_by(f64::total_cmp);
        noise.truncate(quietest);
    }
    let middle = noise.len() / 2;
    let noise = *noise.select_nth_unstable_by(middle, f64::total_cmp).1;
    let [low, high] = SNR_DB;
    if mean <= noise { low } else { (10.0 * ((mean - noise) / noise).log10()).clamp(low, high) }
}

/// The root mean square of the rates at which bands fall, dB/s.
fn decay_rate(bands_db: &[f32], audible: &[bool]) -> Option<f64> {
    let num_frames = audible.len();
    let (mut squares, mut count) = (0.0, 0);
    let mut sorted = Vec::with_capacity(num_frames);
    // Windows without digital silence in them, by their first frames.
    let windows: Vec<usize> = (0..num_frames.saturating_sub(SLOPE_FRAMES - 1))
        .filter(|&first| audible[first..first + SLOPE_FRAMES].iter().all(|&audible| audible))
        .collect();
    for band in bands_db.chunks_exact(num_frames) {
        sorted.clear();
        sorted.extend(band.iter().zip(audible).filter(|(_, audible)| **audible).map(|(level, _)| *level));
        let rank = (FLOOR_PERCENTILE / 100.0 * (sorted.len() - 1) as f64).round() as usize;
        let floor = *sorted.select_nth_unstable_by(rank, f32::total_cmp).1;
        for &first in &windows {
            let window = &band[first..first + SLOPE_FRAMES];
            if window[SLOPE_FRAMES - 1] - floor > ABOVE_FLOOR_DB {
                let slope = slope_db_per_s(window);
                if slope < 0.0 {
                    squares += slope * slope;
                    count += 1;
                }
            }
        }
    }
    (count >= MIN_SLOPES).then(|| (squares / count as f64).sqrt())
}

/// The slope of the regression line through levels that are a frame apart.
fn slope_db_per_s(levels_db: &[f32]) -> f64 {
    let middle = (levels_db.len() - 1) as f64 / 2.0;
    let times = || (0..levels_db.len()).map(|n| n as f64 - middle);
    let products: f64 = times().zip(levels_db).map(|(time, &level)| time * f64::from(level)).sum();
    products / times().map(|time| time * time).sum::<f64>() / FRAME_SHIFT_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_its_line() {
        let line: Vec<f32> = (0..7).map(|n| 3.0 - 0.5 * n as f32).collect();
        assert!((slope_db_per_s(&line) + 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_rate_of_bands_that_all_fall_alike_is_theirs() {
        // Saw teeth: 30 frames down by 1 dB each, and back at once. Only windows that fall count, except those over the jump.
        let band: Vec<f32> = (0..600).map(|t| -((t % 30) as f32)).collect();
        let rate = decay_rate(&band.repeat(3), &[true; 600]).unwrap();
        assert!((rate - 100.0).abs() < 12.0, "{rate}");
        assert_eq!(decay_rate(&[0.0; 600], &[true; 600]), None);
        // Digital silence between two levels is no slope.
        let silent: Vec<bool> = (0..600).map(|t| t % 30 < 6).collect();
        assert_eq!(decay_rate(&band, &silent), None);
    }
}
