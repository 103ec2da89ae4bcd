//! Log-mel features by torchaudio's conventions, as the FFSVC2022 baseline computes them.

use serde::{Deserialize, Serialize};

use crate::mel_banks::upper_edge_hz;
use crate::mel_spectrogram::{Frames, MelSpectrogram};
use crate::natural_log::ln;
use crate::waveform::check_samples;
use crate::window::{Symmetry, WindowType};
use crate::{Error, Features, MelBanks, Result, Scratch};

/// Options of [`LogMel`]; the default is the baseline's (80 bands at 16 kHz).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LogMelOptions {
    /// Number of mel bands, the rows of the output. Default 80.
    pub num_mels: usize,
    /// Length of the Fourier transform in samples, even. Default 512. Half of it is also the reflected padding at each
    /// end, so a signal needs `n_fft / 2 + 1` samples.
    pub n_fft: usize,
    /// Length of the window in samples, centred in `n_fft`. Default 400 (25 ms at 16 kHz).
    pub window_length: usize,
    /// Samples from one frame to the next. Default 160 (10 ms at 16 kHz).
    pub hop_length: usize,
    /// Shape of the window (periodic). Default `"hann"`.
    pub window: WindowType,
    /// Lower edge of the lowest band in hertz. Default 0.
    pub low_frequency_hz: f64,
    /// Upper edge of the highest band in hertz; values up to 0 count from the Nyquist frequency. Default 0: the
    /// Nyquist frequency.
    pub high_frequency_hz: f64,
    /// Each sample loses this share of the one before it, from 0 to 1. Default 0: none. The first sample loses that share of the
    /// second one, as in ReDimNet's front end.
    #[serde(skip_serializing_if = "is_zero")]
    pub preemphasis: f64,
    /// Added to a band's energy before the logarithm, so that silence has a finite value. Default 1e-6. A larger one hides what
    /// is quiet: with [`WaveformNorm::MeanStd`](crate::WaveformNorm::MeanStd) 3 is below speech and above the pauses of a clean
    /// recording, which then is more like one in a room with noise.
    pub log_offset: f32,
}

impl Default for LogMelOptions {
    fn default() -> Self {
        Self {
            num_mels: 80,
            n_fft: 512,
            window_length: 400,
            hop_length: 160,
            window: WindowType::Hann,
            low_frequency_hz: 0.0,
            high_frequency_hz: 0.0,
            preemphasis: 0.0,
            log_offset: 1e-6,
        }
    }
}

/// Files of models without pre-emphasis stay as they were before there was one.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// `ln(mel(|STFT|^2) + offset)`: torchaudio's `MelSpectrogram` (centred frames, reflected padding, power, HTK
/// bands without normalisation) and the baseline's logarithm.
///
/// Neither waveform normalisation nor CMN is part of it: see [`FrontEnd`](crate::FrontEnd).
#[derive(Debug, Clone)]
pub struct LogMel {
    options: LogMelOptions,
    window: Vec<f32>,
    mel: MelSpectrogram<f32>,
}

impl LogMel {
    /// Plans the computation for signals of `sample_rate` hertz.
    ///
    /// # Errors
    /// An option is out of range; the error names it and says what it may be.
    pub fn new(sample_rate: u32, options: &LogMelOptions) -> Result<Self> {
        let o = options;
        let high_hz = upper_edge_hz(o.high_frequency_hz, sample_rate);
        let banks = MelBanks::htk(o.num_mels, o.n_fft, sample_rate, o.low_frequency_hz, high_hz)?;
        if !(1..=o.n_fft).contains(&o.window_length) {
            return Err(Error::option("window_length", o.window_length, format!("1 to n_fft ({})", o.n_fft)));
        }
        if !(1..=65_536).contains(&o.hop_length) {
            return Err(Error::option("hop_length", o.hop_length, "1 to 65536 samples"));
        }
        if !(0.0..=1.0).contains(&o.preemphasis) {
            return Err(Error::option("preemphasis", o.preemphasis, "0 to 1"));
        }
        if !(o.log_offset >= f32::MIN_POSITIVE && o.log_offset <= 1e30) {
            return Err(Error::option("log_offset", o.log_offset, "1.2e-38 to 1e30"));
        }
        let window = o.window.values(o.window_length, Symmetry::Periodic);
        Ok(Self {
            window: window.into_iter().map(|w| w as f32).collect(),
            mel: MelSpectrogram::new(o.n_fft, banks, false),
            options: options.clone(),
        })
    }

    /// Rows of the output.
    pub fn num_mels(&self) -> usize {
        self.options.num_mels
    }

    /// Columns of the output: `num_samples / hop_length + 1`, or 0 below [`Self::min_samples`].
    pub fn num_frames(&self, num_samples: usize) -> usize {
        if num_samples < self.min_samples() { 0 } else { num_samples / self.options.hop_length + 1 }
    }

    /// Shortest signal accepted: one sample more than the reflected padding (257 by default).
    pub fn min_samples(&self) -> usize {
        self.options.n_fft / 2 + 1
    }

    /// Samples from one frame to the next.
    pub fn frame_shift(&self) -> usize {
        self.options.hop_length
    }

    /// Features of one signal, `[num_mels, num_frames]`.
    ///
    /// # Errors
    /// The signal is too short, or has a sample that is not finite or beyond all measure.
    pub fn compute(&self, samples: &[f32]) -> Result<Features> {
        let mut features = Features::zeros(self.num_mels(), self.num_frames(samples.len()));
        self.compute_into(&mut Scratch::new(), samples, &mut features.data)?;
        Ok(features)
    }

    /// [`Self::compute`] into the caller's `out`, `[num_mels, num_frames]`, without any allocation once `scratch` has grown.
    ///
    /// # Errors
    /// As [`Self::compute`]; also when `out` has another length.
    pub fn compute_into(&self, scratch: &mut Scratch, samples: &[f32], out: &mut [f32]) -> Result<()> {
        check_samples(samples)?;
        Features::check_shape(
            samples.len(),
            self.min_samples(),
            self.num_mels(),
            self.num_frames(samples.len()),
            out,
        )?;
        let num_frames = self.num_frames(samples.len());
        let mut emphasised = std::mem::take(&mut scratch.emphasised);
        let samples = match self.options.preemphasis {
            0.0 => samples,
            share => {
                preemphasise(samples, share as f32, &mut emphasised);
                &emphasised
            }
        };
        let frames = LogMelFrames { log_mel: self, samples };
        self.mel.compute(&mut scratch.single, &mut scratch.block, num_frames, out, frames);
        scratch.emphasised = emphasised;
        Ok(())
    }

    /// Window times samples at the front of `values`, zeros behind. torchaudio has the window in the middle; its
    /// place changes the phase only, never the power.
    #[inline(always)]
    fn load(&self, samples: &[f32], frame: usize, values: &mut [f32]) {
        let (windowed, padding) = values.split_at_mut(self.window.len());
        padding.fill(0.0);
        let left_margin = (self.options.n_fft - self.window.len()) / 2;
        let start =
            (frame * self.options.hop_length + left_margin) as isize - (self.options.n_fft / 2) as isize;
        let inside =
            usize::try_from(start).ok().and_then(|start| samples.get(start..start + self.window.len()));
        match inside {
            Some(samples) => {
                for ((value, &window), &sample) in windowed.iter_mut().zip(&self.window).zip(samples) {
                    *value = window * sample;
                }
            }
            None => {
                for ((value, &window), at) in windowed.iter_mut().zip(&self.window).zip(start..) {
                    *value = window * samples[reflect(at, samples.len())];
                }
            }
        }
    }
}

/// `x_t - share x_(t-1)`, with the second sample before the first.
fn preemphasise(samples: &[f32], share: f32, out: &mut Vec<f32>) {
    out.clear();
    let before = samples.get(1).into_iter().chain(samples);
    out.extend(samples.iter().zip(before).map(|(&sample, &before)| sample - share * before));
}

struct LogMelFrames<'a> {
    log_mel: &'a LogMel,
    samples: &'a [f32],
}

impl Frames<f32> for LogMelFrames<'_> {
    #[inline(always)]
    fn load(&mut self, frame: usize, values: &mut [f32]) {
        self.log_mel.load(self.samples, frame, values);
    }

    #[inline(always)]
    fn finish(&self, energy: f32) -> f32 {
        ln(energy + self.log_mel.options.log_offset)
    }
}

/// Index of a sample mirrored at the first or last one, which is not repeated (`pad_mode="reflect"`).
fn reflect(at: isize, len: usize) -> usize {
    let at = at.unsigned_abs();
    if at < len { at } else { 2 * (len - 1) - at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goldens::Golden;

    /// Largest difference relative to the largest golden value of the same frame.
    fn assert_columns_close(ours: &[f32], golden: &[f32], frames: usize, tolerance: f32, what: &str) {
        assert_eq!(ours.len(), golden.len(), "{what}");
        for frame in 0..frames {
            let column =
                |data: &[f32]| data.iter().skip(frame).step_by(frames).copied().collect::<Vec<f32>>();
            let (ours, golden) = (column(ours), column(golden));
            let peak = golden.iter().copied().fold(0.0, f32::max);
            for (row, (a, b)) in ours.iter().zip(&golden).enumerate() {
                assert!((a - b).abs() <= tolerance * peak, "{what} row {row} frame {frame}: {a} and {b}");
            }
        }
    }

    /// The bands before the logarithm.
    struct Energies<'a>(LogMelFrames<'a>);

    impl Frames<f32> for Energies<'_> {
        fn load(&mut self, frame: usize, values: &mut [f32]) {
            self.0.load(frame, values);
        }

        fn finish(&self, energy: f32) -> f32 {
            energy
        }
    }

    fn energies(log_mel: &LogMel, samples: &[f32]) -> Vec<f32> {
        let num_frames = log_mel.num_frames(samples.len());
        let mut out = vec![0.0; log_mel.mel.banks().num_mels() * num_frames];
        let frames = Energies(LogMelFrames { log_mel, samples });
        let mut scratch = Scratch::new();
        log_mel.mel.compute(&mut scratch.single, &mut scratch.block, num_frames, &mut out, frames);
        out
    }

    #[test]
    fn power_and_mel_are_torchaudios() {
        let log_mel = LogMel::new(16000, &LogMelOptions::default()).unwrap();
        let mut every_bin = log_mel.clone();
        let identity = MelBanks::from_weights(257, 257, |band, bin| f32::from(u8::from(band == bin)));
        every_bin.mel = MelSpectrogram::new(512, identity, false);
        for golden in Golden::all("features").iter().filter(|g| g.has("power")) {
            let norm = golden.f32("norm");
            let frames = log_mel.num_frames(norm.len());
            let power = energies(&every_bin, &norm);
            assert_columns_close(
                &power,
                &golden.f32("power"),
                frames,
                1e-6,
                &format!("{} power", golden.name),
            );
            let mel = energies(&log_mel, &norm);
            assert_columns_close(
                &mel,
                &golden.f32("mel"),
                frames,
                1e-5, // torchaudio's bank is off by up to 6e-6 in float32
                &format!("{} mel", golden.name),
            );
        }
    }

    /// Parseval: the power of all bins is the energy of the windowed frame.
    #[test]
    fn power_sums_to_the_energy_of_the_frame() {
        let mut log_mel = LogMel::new(16000, &LogMelOptions::default()).unwrap();
        // Bins 1 to 255 stand for two of the full spectrum.
        let full = MelBanks::from_weights(1, 257, |_, bin| if bin == 0 || bin == 256 { 1.0 } else { 2.0 });
        log_mel.mel = MelSpectrogram::new(512, full, false);
        let samples: Vec<f32> =
            (0..2000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5).collect();
        let power = energies(&log_mel, &samples);
        let hann = WindowType::Hann.values(400, Symmetry::Periodic);
        for (frame, power) in power.iter().enumerate() {
            let energy: f64 = (0..400)
                .map(|i| {
                    (hann[i] * f64::from(samples[reflect((frame * 160 + i) as isize - 200, 2000)])).powi(2)
                })
                .sum();
            assert!((f64::from(*power) / 512.0 / energy - 1.0).abs() < 1e-5, "frame {frame}");
        }
    }

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        let mirrored: Vec<usize> = (-3..8).map(|at| reflect(at, 5)).collect();
        assert_eq!(mirrored, [3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1]);
    }
}
