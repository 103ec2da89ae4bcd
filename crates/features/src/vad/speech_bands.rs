//! The levels of frames, and of bands in which speech stands out of noise.

use crate::mel_banks::kaldi_mel;
use crate::{Error, Fbank, FbankOptions, Result, Scratch};

/// Bands of the spectrum at 8 kHz and above; fewer below, each as wide on the mel scale.
const NUM_BANDS: usize = 20;
/// Where speech stands out of noise: below lie hum, wind and rumble, above what telephones do not carry.
const BAND_EDGES_HZ: [f64; 2] = [150.0, 3800.0];
/// Decibels in one unit of a natural logarithm of power.
const DB_PER_NEPER: f32 = 4.342_945;
/// Level of a frame of unit RMS at the scale of [`FbankOptions::int16_scale`], dB.
const INT16_FULL_SCALE_DB: f32 = 90.309;

/// Frames of 25 ms every 10 ms, as Kaldi frames a signal (`snip_edges`), at one sample rate.
#[derive(Debug, Clone)]
pub(crate) struct SpeechBands {
    fbank: Fbank,
}

/// Levels of frames.
pub(crate) struct SpectralLevels {
    /// RMS of each frame, dB below full scale.
    pub(crate) levels_dbfs: Vec<f32>,
    /// Power of each band in dB at any scale, `[band, frame]`.
    pub(crate) bands_db: Vec<f32>,
}

impl SpeechBands {
    /// Plans the computation for signals of `sample_rate` hertz, 1000 to 768000.
    pub(crate) fn new(sample_rate: u32) -> Result<Self> {
        if !(1000..=768_000).contains(&sample_rate) {
            return Err(Error::option("sample_rate", sample_rate, "1000 to 768000 Hz"));
        }
        let [low_hz, full_high_hz] = BAND_EDGES_HZ;
        let high_hz = full_high_hz.min(f64::from(sample_rate) / 2.0);
        let share = (kaldi_mel(high_hz) - kaldi_mel(low_hz)) / (kaldi_mel(full_high_hz) - kaldi_mel(low_hz));
        let options = FbankOptions {
            num_mels: ((NUM_BANDS + 1) as f64 * share) as usize - 1,
            low_frequency_hz: low_hz,
            high_frequency_hz: high_hz,
            preemphasis: 0.0,
            use_energy: true,
            ..FbankOptions::default()
        };
        Ok(Self { fbank: Fbank::new(sample_rate, &options)? })
    }

    pub(crate) fn num_frames(&self, num_samples: usize) -> usize {
        self.fbank.num_frames(num_samples)
    }

    /// The natural logarithm of each frame's energy at the scale of 16-bit samples; at least one frame.
    pub(crate) fn log_energies(&self, scratch: &mut Scratch, samples: &[f32]) -> Result<Vec<f32>> {
        let mut energies = self.features(scratch, samples)?;
        energies.truncate(self.num_frames(samples.len()));
        Ok(energies)
    }

    /// The levels of frames and bands; of no frame, none.
    pub(crate) fn levels(&self, scratch: &mut Scratch, samples: &[f32]) -> Result<SpectralLevels> {
        let num_frames = self.num_frames(samples.len());
        if num_frames == 0 {
            return Ok(SpectralLevels { levels_dbfs: Vec::new(), bands_db: Vec::new() });
        }
        let mut levels_dbfs = self.features(scratch, samples)?;
        let mut bands_db = levels_dbfs.split_off(num_frames);
        bands_db.iter_mut().for_each(|value| *value *= DB_PER_NEPER);
        let full_scale_db = INT16_FULL_SCALE_DB + 10.0 * (self.fbank.min_samples() as f32).log10();
        for level in &mut levels_dbfs {
            *level = *level * DB_PER_NEPER - full_scale_db;
        }
        Ok(SpectralLevels { levels_dbfs, bands_db })
    }

    fn features(&self, scratch: &mut Scratch, samples: &[f32]) -> Result<Vec<f32>> {
        let mut features = vec![0.0; self.fbank.num_mels() * self.num_frames(samples.len())];
        self.fbank.compute_into(scratch, samples, &mut features)?;
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_rate_has_bands() {
        for rate in [1000, 1001, 4000, 6000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 768_000] {
            let bands = SpeechBands::new(rate).unwrap();
            let expected = if rate >= 8000 { NUM_BANDS } else { 2 };
            assert!(bands.fbank.num_mels() > expected, "{rate}");
            let second = vec![0.25; rate as usize];
            let levels = bands.levels(&mut Scratch::new(), &second).unwrap();
            assert_eq!(levels.levels_dbfs.len(), 98, "{rate}");
            assert_eq!(levels.bands_db.len(), 98 * (bands.fbank.num_mels() - 1), "{rate}");
        }
        assert!(SpeechBands::new(999).is_err());
    }
}
