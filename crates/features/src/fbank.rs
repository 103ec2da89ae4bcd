//! Log-mel filter-bank features by Kaldi's conventions (`compute-fbank-feats`).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::mel_banks::upper_edge_hz;
use crate::mel_spectrogram::{Frames, MelSpectrogram};
use crate::natural_log::ln;
use crate::reduction::sum_by;
use crate::waveform::check_samples;
use crate::window::{Symmetry, WindowType};
use crate::{Error, Features, MelBanks, Result, Scratch};

/// Factor between a full scale of 1.0 and that of 16-bit samples.
const INT16_FULL_SCALE: f64 = 32768.0;

/// Options of [`Fbank`], with Kaldi's names and defaults except where a field says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FbankOptions {
    /// Number of mel bands. Default 80 (Kaldi: 23), as the models of WeSpeaker, 3D-Speaker and sherpa-onnx.
    pub num_mels: usize,
    /// Length of a frame in milliseconds; frames are zero-padded to the next power of two. Default 25.
    pub frame_length_ms: f64,
    /// Time from one frame to the next in milliseconds. Default 10.
    pub frame_shift_ms: f64,
    /// Shape of the window (symmetric). Default `"povey"`; WeSpeaker uses `"hamming"`.
    pub window: WindowType,
    /// Samples are multiplied by 32768 first, because Kaldi reads 16-bit samples as they are and its floors and
    /// dither belong to that scale. Default true: give samples with a full scale of 1.0. 3D-Speaker leaves it out.
    pub int16_scale: bool,
    /// Standard deviation of the Gaussian noise added to each frame, at the scale after `int16_scale`. Default 0, none
    /// (Kaldi: 1), so that features repeat.
    pub dither: f64,
    /// Seed of the dither; every signal starts from it. Default 0. No effect where `dither` is 0.
    pub dither_seed: u64,
    /// Subtracts each frame's mean. Default true.
    pub remove_dc_offset: bool,
    /// Coefficient `c` of `x[i] -= c * x[i-1]` inside each frame, 0 to 1. Default 0.97; 0 turns it off.
    pub preemphasis: f64,
    /// True: only frames that lie inside the signal, `1 + (samples - length) / shift`. False: one frame for each shift, the
    /// ends mirrored. Default true.
    pub snip_edges: bool,
    /// Lower edge of the lowest band in hertz. Default 20.
    pub low_frequency_hz: f64,
    /// Upper edge of the highest band in hertz; values up to 0 count from the Nyquist frequency (-400 at
    /// 16 kHz: 7600). Default 0.
    pub high_frequency_hz: f64,
    /// Puts the logarithm of each frame's energy before the bands, as row 0. Default false.
    pub use_energy: bool,
    /// The energy is that of the frame before pre-emphasis and window; false: after them. Default true. No effect
    /// without `use_energy`.
    pub raw_energy: bool,
    /// Least energy (not its logarithm) of the energy row. Default 0: 1.2e-7, the least that 32 bits add to 1.
    pub energy_floor: f64,
    /// Bands are sums of power; false: of magnitudes. Default true.
    pub use_power: bool,
    /// Takes the natural logarithm of the bands, floored at 1.2e-7. Default true.
    pub use_log: bool,
}

impl Default for FbankOptions {
    fn default() -> Self {
        Self {
            num_mels: 80,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            window: WindowType::Povey,
            int16_scale: true,
            dither: 0.0,
            dither_seed: 0,
            remove_dc_offset: true,
            preemphasis: 0.97,
            snip_edges: true,
            low_frequency_hz: 20.0,
            high_frequency_hz: 0.0,
            use_energy: false,
            raw_energy: true,
            energy_floor: 0.0,
            use_power: true,
            use_log: true,
        }
    }
}

/// Kaldi's filter-bank features.
///
/// Frames are transformed in 64 bits. After pre-emphasis, the quiet bands of speech are far below the loudest bin. The
/// rounding of a 32-bit transform would show in their logarithm.
#[derive(Debug, Clone)]
pub struct Fbank {
    options: FbankOptions,
    frame_length: usize,
    frame_shift: usize,
    window: Vec<f64>,
    mel: MelSpectrogram<f64>,
}

impl Fbank {
    /// Plans the computation for signals of `sample_rate` hertz.
    ///
    /// # Errors
    /// An option is out of range; the error names it and says what it may be.
    pub fn new(sample_rate: u32, options: &FbankOptions) -> Result<Self> {
        let o = options;
        let frame_length = in_samples("frame_length_ms", o.frame_length_ms, sample_rate, 2)?;
        let frame_shift = in_samples("frame_shift_ms", o.frame_shift_ms, sample_rate, 1)?;
        if !(0.0..=1.0).contains(&o.preemphasis) {
            return Err(Error::option("preemphasis", o.preemphasis, "0 to 1"));
        }
        if !(0.0..=1e6).contains(&o.dither) {
            return Err(Error::option("dither", o.dither, "0 to 1e6"));
        }
        if !(0.0..=1e30).contains(&o.energy_floor) {
            return Err(Error::option("energy_floor", o.energy_floor, "0 to 1e30"));
        }
        let n_fft = frame_length.next_power_of_two();
        let high_hz = upper_edge_hz(o.high_frequency_hz, sample_rate);
        let banks = MelBanks::kaldi(o.num_mels, n_fft, sample_rate, o.low_frequency_hz, high_hz)?;
        Ok(Self {
            frame_length,
            frame_shift,
            window: o.window.values(frame_length, Symmetry::Symmetric),
            mel: MelSpectrogram::new(n_fft, banks, !o.use_power),
            options: options.clone(),
        })
    }

    /// Rows of the output: the mel bands, and one more with `use_energy`.
    pub fn num_mels(&self) -> usize {
        self.mel.banks().num_mels() + usize::from(self.options.use_energy)
    }

    /// Columns of the output; 0 for a signal below [`Self::min_samples`].
    pub fn num_frames(&self, num_samples: usize) -> usize {
        if num_samples < self.min_samples() {
            0
        } else if self.options.snip_edges {
            1 + (num_samples - self.frame_length) / self.frame_shift
        } else {
            (num_samples + self.frame_shift / 2) / self.frame_shift
        }
    }

    /// Shortest signal with a frame: a frame's length, or half a shift without `snip_edges`.
    pub fn min_samples(&self) -> usize {
        if self.options.snip_edges { self.frame_length } else { self.frame_shift - self.frame_shift / 2 }
    }

    /// Samples from one frame to the next.
    pub fn frame_shift(&self) -> usize {
        self.frame_shift
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
        let num_frames = self.num_frames(samples.len());
        Features::check_shape(samples.len(), self.min_samples(), self.num_mels(), num_frames, out)?;
        let energy_places = if self.options.use_energy { num_frames } else { 0 };
        let (energies, bands) = out.split_at_mut(energy_places);
        let rng = ChaCha8Rng::seed_from_u64(self.options.dither_seed);
        let frames = FbankFrames { fbank: self, samples, energies, rng };
        self.mel.compute(&mut scratch.double, &mut scratch.block, num_frames, bands, frames);
        Ok(())
    }

    /// Writes the processed frame and its zero padding to `values`; returns its energy where that is wanted. The order of
    /// steps is that of Kaldi's `ProcessWindow`.
    #[inline(always)]
    fn load(&self, samples: &[f32], frame: usize, values: &mut [f64], rng: &mut ChaCha8Rng) -> f64 {
        let o = &self.options;
        let (values, padding) = values.split_at_mut(self.frame_length);
        padding.fill(0.0);
        self.extract(samples, frame, values);
        if o.dither > 0.0 {
            for value in values.iter_mut() {
                let noise: f64 = StandardNormal.sample(rng);
                *value += o.dither * noise;
            }
        }
        if o.remove_dc_offset {
            let mean = sum_by(values, |x| x) / values.len() as f64;
            values.iter_mut().for_each(|x| *x -= mean);
        }
        let energy_of = |values: &[f64], wanted: bool| {
            if wanted { sum_by(values, |x| x * x) } else { 0.0 }
        };
        let raw_energy = energy_of(values, o.use_energy && o.raw_energy);
        // The first sample has itself as predecessor.
        let mut previous = values[0];
        for (value, &window) in values.iter_mut().zip(&self.window) {
            let x = *value;
            *value = (x - o.preemphasis * previous) * window;
            previous = x;
        }
        if o.raw_energy { raw_energy } else { energy_of(values, o.use_energy) }
    }

    /// The samples of a frame, mirrored at both ends of the signal where it reaches beyond them.
    #[inline(always)]
    fn extract(&self, samples: &[f32], frame: usize, values: &mut [f64]) {
        let scale = if self.options.int16_scale { INT16_FULL_SCALE } else { 1.0 };
        let start = if self.options.snip_edges {
            (frame * self.frame_shift) as isize
        } else {
            (frame * self.frame_shift + self.frame_shift / 2) as isize - (self.frame_length / 2) as isize
        };
        let inside =
            usize::try_from(start).ok().and_then(|start| samples.get(start..start + self.frame_length));
        match inside {
            Some(samples) => {
                for (value, &sample) in values.iter_mut().zip(samples) {
                    *value = f64::from(sample) * scale;
                }
            }
            None => {
                for (value, at) in values.iter_mut().zip(start..) {
                    *value = f64::from(samples[mirror(at, samples.len())]) * scale;
                }
            }
        }
    }

    fn log_energy(&self, energy: f64) -> f32 {
        energy.max(f64::from(f32::EPSILON)).max(self.options.energy_floor).ln() as f32
    }
}

struct FbankFrames<'a> {
    fbank: &'a Fbank,
    samples: &'a [f32],
    /// The energy row, empty where it is not wanted.
    energies: &'a mut [f32],
    rng: ChaCha8Rng,
}

impl Frames<f64> for FbankFrames<'_> {
    #[inline(always)]
    fn load(&mut self, frame: usize, values: &mut [f64]) {
        let energy = self.fbank.load(self.samples, frame, values, &mut self.rng);
        if let Some(place) = self.energies.get_mut(frame) {
            *place = self.fbank.log_energy(energy);
        }
    }

    #[inline(always)]
    fn finish(&self, energy: f32) -> f32 {
        if self.fbank.options.use_log { ln(energy.max(f32::EPSILON)) } else { energy }
    }
}

/// Index of a sample mirrored at the ends, the first and last one repeated, as often as a short signal needs.
fn mirror(at: isize, len: usize) -> usize {
    let period = 2 * len as isize;
    let at = at.rem_euclid(period) as usize;
    if at < len { at } else { 2 * len - 1 - at }
}

/// Kaldi rounds towards zero.
fn in_samples(option: &'static str, ms: f64, sample_rate: u32, least: usize) -> Result<usize> {
    let samples = f64::from(sample_rate) * 0.001 * ms;
    if samples >= least as f64 && samples <= 65536.0 {
        Ok(samples as usize)
    } else {
        Err(Error::option(
            option,
            ms,
            format!("a time of {least} to 65536 samples at {sample_rate} Hz; it is {samples}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirroring_repeats_the_edge_and_goes_on_for_short_signals() {
        let mirrored: Vec<usize> = (-4..7).map(|at| mirror(at, 3)).collect();
        assert_eq!(mirrored, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
        assert_eq!((-5..5).map(|at| mirror(at, 1)).max(), Some(0));
    }
}
