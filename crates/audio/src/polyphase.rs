//! Rate conversion by a fraction `to / from`. An output sample can have `to` places between two input samples, and each
//! place has its own filter. This is a polyphase filter bank (Crochiere & Rabiner, Multirate Digital Signal Processing,
//! 3.3).

use std::f64::consts::PI;
use std::fmt;

/// Numbers that are worked on side by side. The order of every sum is fixed, so the bits do not depend on the processor.
const LANES: usize = 16;
/// Outputs of one place that are made together, in vectors of [`LANES`].
const VECTORS: usize = 4;
const ROW: usize = VECTORS * LANES;
/// Up to this many places there is a filter for each.
const MOST_EXACT: u64 = 1024;
/// Beyond it there are filters for this many places, with linear interpolation between neighbours. The error is `(pi /
/// 512)^2 / 8`, 106 dB below the signal, at the upper end of the band, and less elsewhere.
const INTERPOLATED: usize = 512;

/// Filters for places between two input samples. Filter `p` of `P` is for the place `p / P`; the last, for 1, is the first
/// one shifted by a sample.
pub(crate) struct PhaseTable {
    taps: usize,
    /// Taps of a filter with the zeros that make it a multiple of [`LANES`].
    width: usize,
    phases: usize,
    /// `[phases + 1, width]`.
    coefficients: Vec<f32>,
}

impl PhaseTable {
    /// The low-pass of `taps` taps (even) with its -6 dB point at `cutoff` of the input's Nyquist frequency: a sinc under a
    /// four-term Blackman-Harris window (F. J. Harris, Proc. IEEE 66 (1978), 92 dB). Each filter passes a constant unchanged.
    pub(crate) fn windowed_sinc(places: u64, taps: usize, cutoff: f64) -> Self {
        let phases = if places <= MOST_EXACT { places as usize } else { INTERPOLATED };
        let width = taps.next_multiple_of(LANES);
        let half = (taps / 2) as f64;
        let mut coefficients = vec![0.0; (phases + 1) * width];
        let mut values = vec![0.0; taps];
        for (phase, filter) in coefficients.chunks_exact_mut(width).enumerate() {
            let place = phase as f64 / phases as f64;
            for (value, tap) in values.iter_mut().zip(0..) {
                let t = f64::from(tap) + 1.0 - half - place;
                *value = sinc(cutoff * t) * blackman_harris(t / half);
            }
            let gain = values.iter().sum::<f64>().recip();
            for (coefficient, value) in filter.iter_mut().zip(&values) {
                *coefficient = (value * gain) as f32;
            }
        }
        Self { taps, width, phases, coefficients }
    }

    fn filter(&self, phase: usize) -> &[[f32; LANES]] {
        self.coefficients[phase * self.width..][..self.width].as_chunks().0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The window at `x`, -1 to 1.
fn blackman_harris(x: f64) -> f64 {
    if x.abs() > 1.0 {
        return 0.0;
    }
    let c = (PI * x).cos();
    // cos 2a and cos 3a as polynomials of cos a.
    0.35875 + 0.48829 * c + 0.14128 * (2.0 * c * c - 1.0) + 0.01168 * (4.0 * c * c - 3.0) * c
}

/// Makes output sample `m` from the input around `m * from / to`; `from` and `to` have no common factor.
#[derive(Debug)]
pub(crate) struct Polyphase {
    from: u64,
    to: u64,
    table: PhaseTable,
    /// Every `from`-th input sample from each of the first `from` ones on, one such stream after the other.
    streams: Vec<f32>,
}

/// A part of the input that may reach beyond its ends.
pub(crate) struct InputRange {
    pub(crate) start: i64,
    pub(crate) count: usize,
}

impl Polyphase {
    pub(crate) fn new(from: u64, to: u64, table: PhaseTable) -> Self {
        Self { from, to, table, streams: Vec::new() }
    }

    pub(crate) fn taps(&self) -> usize {
        self.table.taps
    }

    /// How many outputs [`Self::run`] is best asked for at once: some rows for every place, little enough for the
    /// processor's cache.
    pub(crate) fn chunk(&self) -> usize {
        const MOST: usize = 8192;
        if self.is_exact() { (MOST / self.to as usize / ROW).max(1) * ROW * self.to as usize } else { MOST }
    }

    /// What [`Self::run`] wants to see for outputs `first..first + count`.
    pub(crate) fn input_range(&self, first: u64, count: usize) -> InputRange {
        let begin = self.place(first).0;
        let end = self.place(first + count as u64).0;
        let start = begin as i64 + 1 - (self.table.taps / 2) as i64;
        InputRange { start, count: (end - begin) as usize + self.table.width }
    }

    /// Whole input samples before output `m`, and how many `to`-ths of one more.
    fn place(&self, m: u64) -> (u64, u64) {
        let position = u128::from(m) * u128::from(self.from);
        ((position / u128::from(self.to)) as u64, (position % u128::from(self.to)) as u64)
    }

    /// Whether every place has a filter of its own.
    fn is_exact(&self) -> bool {
        self.table.phases as u64 == self.to
    }

    /// Fills `out` with outputs from `first` on; `window` is their [`Self::input_range`].
    pub(crate) fn run(&mut self, window: &[f32], first: u64, out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn with_avx2(filter: &mut Polyphase, window: &[f32], first: u64, out: &mut [f32]) {
                filter.convert(window, first, out);
            }
            #[target_feature(enable = "avx512f")]
            fn with_avx512(filter: &mut Polyphase, window: &[f32], first: u64, out: &mut [f32]) {
                filter.convert(window, first, out);
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has just said that it knows these instructions.
                return unsafe { with_avx512(self, window, first, out) };
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: as above.
                return unsafe { with_avx2(self, window, first, out) };
            }
        }
        self.convert(window, first, out);
    }

    /// Rust neither reorders nor fuses floating-point operations: compiled for any vectors this gives the same bits.
    #[inline(always)]
    fn convert(&mut self, window: &[f32], first: u64, out: &mut [f32]) {
        if self.is_exact() {
            self.convert_exact(window, first, out);
        } else {
            self.convert_interpolated(window, first, out);
        }
    }

    /// Outputs that are `to` apart have the same place between input samples and lie `from` input samples apart. So the
    /// input is sorted into `from` streams. Neighbouring outputs of one place then need neighbouring values of every
    /// stream.
    #[inline(always)]
    fn convert_exact(&mut self, window: &[f32], first: u64, out: &mut [f32]) {
        let (from, to) = (self.from as usize, self.to as usize);
        let rows = out.len().div_ceil(to).next_multiple_of(ROW);
        let length = window.len() / from + 1 + rows;
        self.streams.clear();
        self.streams.resize(from * length, 0.0);
        for (offset, stream) in self.streams.chunks_exact_mut(length).enumerate().take(window.len()) {
            for (value, &sample) in stream.iter_mut().zip(window[offset..].iter().step_by(from)) {
                *value = sample;
            }
        }
        let begin = self.place(first).0;
        for offset in 0..to.min(out.len()) {
            let (whole, phase) = self.place(first + offset as u64);
            let at = (whole - begin) as usize;
            let filter = &self.table.coefficients[phase as usize * self.table.width..][..self.table.taps];
            let mut places = out[offset..].iter_mut().step_by(to);
            for row in (0..places.len()).step_by(ROW) {
                let (mut stream, mut place) = (at % from, at / from + row);
                let mut sums = [[0f32; LANES]; VECTORS];
                for &coefficient in filter {
                    let inputs: &[[f32; LANES]] =
                        self.streams[stream * length + place..][..ROW].as_chunks().0;
                    for (sums, input) in sums.iter_mut().zip(inputs) {
                        for lane in 0..LANES {
                            sums[lane] += coefficient * input[lane];
                        }
                    }
                    stream += 1;
                    if stream == from {
                        (stream, place) = (0, place + 1);
                    }
                }
                // The sums first: the one that ends is asked first, and takes none of the other's.
                for (sum, place) in sums.as_flattened().iter().zip(places.by_ref()) {
                    *place = *sum;
                }
            }
        }
    }

    /// Between the filters of the two nearest places that have one.
    #[inline(always)]
    fn convert_interpolated(&self, window: &[f32], first: u64, out: &mut [f32]) {
        let begin = self.place(first).0;
        for (out, m) in out.iter_mut().zip(first..) {
            let (whole, numerator) = self.place(m);
            let place = numerator * self.table.phases as u64;
            let phase = (place / self.to) as usize;
            let share = ((place % self.to) as f64 / self.to as f64) as f32;
            let input = &window[(whole - begin) as usize..];
            let lower = sum_of_products(self.table.filter(phase), input);
            let upper = sum_of_products(self.table.filter(phase + 1), input);
            *out = lower + share * (upper - lower);
        }
    }
}

#[inline(always)]
fn sum_of_products(filter: &[[f32; LANES]], input: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for (coefficients, input) in filter.iter().zip(input.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] += coefficients[lane] * input[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

impl fmt::Debug for PhaseTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhaseTable").field("taps", &self.taps).field("phases", &self.phases).finish()
    }
}
