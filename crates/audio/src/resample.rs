//! Any rate to any rate, like SoX `rate` at its default quality.

use crate::error::{Cause, Fallible, MAX_RATIO, MAX_SAMPLES};
use crate::polyphase::{PhaseTable, Polyphase};

/// Taps of the filter at the lower of the two rates, and its -6 dB point relative to the lower Nyquist frequency. Both were
/// fitted to SoX 14.4.2's `rate -h`, whose pass band ends at 0.913 and whose stop band begins at 1.
const TAPS: u32 = 184;
const CUTOFF: f64 = 0.9568;

/// A rate converter for one channel, with linear phase and no delay: output sample `m` lies at the time of input sample
/// `m * from / to`.
///
/// The filter is a windowed sinc (Blackman-Harris, pass band flat to 0.91 of the lower Nyquist frequency, images and aliases
/// 90 dB down). Making one computes the filter table: from microseconds (48 to 16 kHz) to some milliseconds (44.1 to
/// 16 kHz), so keep it for many files.
#[derive(Debug)]
pub struct Resampler {
    from: u64,
    to: u64,
    filter: Polyphase,
    /// The part of the input that a chunk of the output needs.
    window: Vec<f32>,
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
        let cutoff = CUTOFF * (to as f64 / from as f64).min(1.0);
        let filter = Polyphase::new(from, to, PhaseTable::windowed_sinc(to, taps, cutoff));
        Ok(Self { from, to, filter, window: Vec::new() })
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
        let half_width = self.filter.taps() as i64 / 2;
        let at = |m: u64| (u128::from(m) * u128::from(self.from) / u128::from(self.to)) as i64;
        at(start) - half_width..at(start.saturating_add(len)) + half_width + 1
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
        let size = self.filter.chunk();
        for (chunk, first) in out.chunks_mut(size).zip((out_start..).step_by(size)) {
            let range = self.filter.input_range(first, chunk.len());
            self.window.resize(range.count, 0.0);
            copy_or_silence(input, range.start - input_start as i64, &mut self.window);
            self.filter.run(&self.window, first, chunk);
        }
        Ok(())
    }
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

/// Runs `work` with this thread's converter for the two rates. The last few are kept, because a data set has few rates
/// and the filter table can cost more than the conversion of a short crop. A kept converter gives the same samples as a
/// new one.
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
