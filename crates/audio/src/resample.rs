//! Any rate to any rate, like SoX `rate` at its default quality.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

use crate::error::{Cause, Fallible, MAX_RATIO, MAX_SAMPLES};

/// Taps of the filter at the lower of the two rates, and its -6 dB point relative to the lower Nyquist frequency. Both were
/// fitted to SoX 14.4.2's `rate -h`, whose pass band ends at 0.913 and whose stop band begins at 1.
const TAPS: u32 = 184;
const CUTOFF: f32 = 0.9568;
/// Output samples made at once.
const CHUNK: usize = 1024;
/// Up to this denominator of the ratio there is a filter for every phase; above it filters are interpolated.
const MAX_PHASES: u64 = 1024;

/// A rate converter for one channel, with linear phase and no delay: output sample `m` lies at the time of input sample
/// `m * from / to`.
///
/// The filter is a windowed sinc (Blackman-Harris, pass band flat to 0.91 of the lower Nyquist frequency, images and aliases
/// 90 dB down) run by rubato. Making one computes the filter table: from microseconds (48 to 16 kHz) to some milliseconds
/// (44.1 to 16 kHz), so keep it for many files.
pub struct Resampler {
    from: u64,
    to: u64,
    inner: Async<f32>,
    /// Input samples on either side of an output sample.
    half_width: i64,
    /// rubato's own offset: output `k` (from 1) of a stream lies at input `(k * from + shift) / to - half_width`.
    shift: u64,
    /// Modulo `to`: how many outputs after a whole input sample a stream's outputs fall on whole input samples.
    phase: u64,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Resampler {
    /// A converter from `from` Hz to `to` Hz.
    ///
    /// # Errors
    /// A rate is zero or above [`MAX_SAMPLE_RATE`](crate::MAX_SAMPLE_RATE), or the ratio is above [`MAX_RATIO`].
    pub fn new(from: u32, to: u32) -> Result<Self, Cause> {
        crate::require_rate(from)?;
        crate::require_rate(to)?;
        if from / to >= MAX_RATIO || to / from >= MAX_RATIO {
            return Err(Cause::Ratio { from, to });
        }
        let divisor = gcd(from, to);
        let (from, to) = (u64::from(from / divisor), u64::from(to / divisor));
        let taps = (u64::from(TAPS) * from.max(to)).div_ceil(to).next_multiple_of(8) as usize;
        let (phases, interpolation) = if to <= MAX_PHASES {
            (to, SincInterpolationType::Nearest)
        } else {
            // The filter's centre lies 1/phases of an input sample off rubato's grid; this choice makes that offset a
            // multiple of 1/to, the distance between output times, to within a millionth of a sample.
            let miss = |phases: &u64| ((to % phases).min(phases - to % phases), *phases);
            ((256..=MAX_PHASES).min_by_key(miss).unwrap_or(MAX_PHASES), SincInterpolationType::Cubic)
        };
        let parameters = SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris)
            .f_cutoff(CUTOFF)
            .oversampling_factor(phases as usize)
            .interpolation(interpolation);
        let inner = Async::new_sinc(to as f64 / from as f64, 1.0, &parameters, CHUNK, 1, FixedAsync::Output)
            .map_err(resampling)?;
        let shift = (to + phases / 2) / phases;
        let phase = (1..=to).find(|k| (k * from + shift) % to == 0).unwrap_or(to);
        let input = vec![0.0; inner.input_frames_max()];
        Ok(Self {
            from,
            to,
            inner,
            half_width: taps as i64 / 2,
            shift,
            phase,
            input,
            output: vec![0.0; CHUNK],
        })
    }

    /// Samples that `len` input samples become: `len * to / from` rounded to nearest, a half up, as SoX does.
    pub fn output_len(&self, len: u64) -> u64 {
        ((2 * u128::from(len) * u128::from(self.to) + u128::from(self.from)) / (2 * u128::from(self.from)))
            as u64
    }

    /// Converts a whole signal; before and after it there is silence.
    ///
    /// # Errors
    /// The output would be longer than [`MAX_SAMPLES`].
    pub fn process(&mut self, input: &[f32]) -> Result<Vec<f32>, Cause> {
        let len = self.output_len(input.len() as u64);
        if len > MAX_SAMPLES {
            return Err(Cause::TooLong);
        }
        let mut output = vec![0.0; len as usize];
        self.process_range(input, 0, 0, &mut output)?;
        Ok(output)
    }

    /// The input samples that outputs `start..start + len` depend on, ends not clipped to the signal.
    pub(crate) fn input_range(&self, start: u64, len: u64) -> std::ops::Range<i64> {
        let at = |m: u64| (u128::from(m) * u128::from(self.from) / u128::from(self.to)) as i64;
        at(start) - self.half_width - 1..at(start.saturating_add(len)) + self.half_width + 2
    }

    /// Fills `out` with output samples from `out_start` on, where `input[0]` is the signal's sample `input_start`. What
    /// lies outside of `input` counts as silence.
    pub(crate) fn process_range(
        &mut self,
        input: &[f32],
        input_start: u64,
        out_start: u64,
        out: &mut [f32],
    ) -> Fallible<()> {
        self.inner.reset();
        // A stream's outputs have fixed times relative to its first input sample, before which the filter sees silence. Find
        // the first output that has `out_start`'s place between input samples and the whole filter inside of the stream,
        // and from it the place in the signal where the stream begins.
        let earliest = (2 * self.half_width as u64 * self.to).div_ceil(self.from) + 1;
        let first = earliest + (out_start + self.phase + self.to - earliest % self.to) % self.to;
        let whole =
            (i128::from(out_start) - i128::from(first)) * i128::from(self.from) - i128::from(self.shift);
        let stream_start = (whole / i128::from(self.to)) as i64 + self.half_width;
        let mut position = stream_start - input_start as i64;
        let mut skip = (first - 1) as usize;
        let mut filled = 0;
        while filled < out.len() {
            let needed = self.inner.input_frames_next();
            copy_or_silence(input, position, &mut self.input[..needed]);
            position += needed as i64;
            let source = InterleavedSlice::new(&self.input, 1, needed).map_err(resampling)?;
            let mut sink = InterleavedSlice::new_mut(&mut self.output, 1, CHUNK).map_err(resampling)?;
            let (_, made) = self.inner.process_into_buffer(&source, &mut sink, None).map_err(resampling)?;
            let from = skip.min(made);
            skip -= from;
            let count = (made - from).min(out.len() - filled);
            out[filled..filled + count].copy_from_slice(&self.output[from..from + count]);
            filled += count;
        }
        Ok(())
    }
}

fn resampling(error: impl std::fmt::Display) -> Cause {
    Cause::Resampling(error.to_string())
}

/// `target[i] = source[position + i]`, zero outside of `source`.
fn copy_or_silence(source: &[f32], position: i64, target: &mut [f32]) {
    target.fill(0.0);
    let begin = position.clamp(0, source.len() as i64);
    let end = position.saturating_add(target.len() as i64).clamp(0, source.len() as i64);
    if begin < end {
        let offset = (begin - position) as usize;
        let part = &source[begin as usize..end as usize];
        target[offset..offset + part.len()].copy_from_slice(part);
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Runs `work` with this thread's converter for the two rates. The last few are kept, because a data set has few rates and
/// the filter table can cost more than the conversion of a short crop; a kept converter gives the same samples as a new one.
pub(crate) fn with_resampler<T>(
    from: u32,
    to: u32,
    work: impl FnOnce(&mut Resampler) -> Fallible<T>,
) -> Fallible<T> {
    use std::cell::RefCell;
    const KEPT: usize = 4;
    thread_local! {
        static CONVERTERS: RefCell<Vec<((u32, u32), Resampler)>> = const { RefCell::new(Vec::new()) };
    }
    let known = CONVERTERS.with_borrow_mut(|kept| {
        let index = kept.iter().position(|(rates, _)| *rates == (from, to))?;
        Some(kept.remove(index).1)
    });
    let mut resampler = match known {
        Some(resampler) => resampler,
        None => Resampler::new(from, to)?,
    };
    let result = work(&mut resampler);
    CONVERTERS.with_borrow_mut(|kept| {
        kept.truncate(KEPT - 1);
        kept.insert(0, ((from, to), resampler));
    });
    result
}
