//! Convolution with a long filter by overlap-save (Oppenheim & Schafer, Discrete-Time Signal Processing, 8.7.3).

use std::collections::HashMap;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A filter prepared for signals of one length: the spectrum of its taps at the FFT size that costs least.
///
/// The output has the input's length and is `y[n] = sum_k taps[k] x[n + delay - k]`, with silence before and after the
/// input: `delay` is the tap that keeps its place in time.
#[derive(Debug, Clone)]
pub struct Filter {
    taps: usize,
    delay: usize,
    block: usize,
    spectrum: Vec<Complex<f32>>,
}

impl Filter {
    /// Prepares `taps` for signals of `len` samples (others are filtered as well, at a higher cost).
    ///
    /// Taps from `len + delay` on meet no sample of such a signal and are dropped. For longer signals use a new filter.
    pub fn new(taps: &[f32], delay: usize, len: usize, convolver: &mut Convolver) -> Self {
        let taps = &taps[..taps.len().min(len.saturating_add(delay).max(1))];
        let block = block_size(taps.len().max(1), len.max(1));
        let plan = convolver.plan(block);
        let mut padded = vec![0.0; block];
        padded[..taps.len()].copy_from_slice(taps);
        let mut spectrum = vec![Complex::default(); block / 2 + 1];
        transform(&plan.forward, &mut padded, &mut spectrum, &mut convolver.work);
        // The inverse transform is not normalised.
        let scale = 1.0 / block as f32;
        spectrum.iter_mut().for_each(|bin| *bin *= scale);
        Self { taps: taps.len(), delay, block, spectrum }
    }

    /// Bytes that the filter occupies.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.spectrum.len() * size_of::<Complex<f32>>()
    }
}

/// The transforms and buffers of one thread.
#[derive(Default)]
pub struct Convolver {
    plans: HashMap<usize, Plan>,
    planner: Option<RealFftPlanner<f32>>,
    input: Vec<f32>,
    segment: Vec<f32>,
    bins: Vec<Complex<f32>>,
    work: Vec<Complex<f32>>,
}

#[derive(Clone)]
struct Plan {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl std::fmt::Debug for Convolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Convolver").field("sizes", &self.plans.keys()).finish_non_exhaustive()
    }
}

impl Convolver {
    /// Filters `samples` in place.
    pub fn apply(&mut self, filter: &Filter, samples: &mut [f32]) {
        let history = filter.taps.saturating_sub(1);
        let hop = filter.block - history;
        let plan = self.plan(filter.block);
        self.input.clear();
        self.input.extend_from_slice(samples);
        self.segment.resize(filter.block, 0.0);
        self.bins.resize(filter.block / 2 + 1, Complex::default());
        for (index, out) in samples.chunks_mut(hop).enumerate() {
            let first = (index * hop + filter.delay) as isize - history as isize;
            copy_or_silence(&self.input, first, &mut self.segment);
            transform(&plan.forward, &mut self.segment, &mut self.bins, &mut self.work);
            for (bin, gain) in self.bins.iter_mut().zip(&filter.spectrum) {
                *bin *= gain;
            }
            invert(&plan.inverse, &mut self.bins, &mut self.segment, &mut self.work);
            out.copy_from_slice(&self.segment[history..history + out.len()]);
        }
    }

    fn plan(&mut self, size: usize) -> Plan {
        let planner = self.planner.get_or_insert_with(RealFftPlanner::new);
        self.plans
            .entry(size)
            .or_insert_with(|| Plan {
                forward: planner.plan_fft_forward(size),
                inverse: planner.plan_fft_inverse(size),
            })
            .clone()
    }
}

fn transform(
    plan: &Arc<dyn RealToComplex<f32>>,
    input: &mut [f32],
    bins: &mut [Complex<f32>],
    work: &mut Vec<Complex<f32>>,
) {
    work.resize(plan.get_scratch_len().max(work.len()), Complex::default());
    let done = plan.process_with_scratch(input, bins, work);
    debug_assert!(done.is_ok(), "buffers have the plan's sizes");
}

fn invert(
    plan: &Arc<dyn ComplexToReal<f32>>,
    bins: &mut [Complex<f32>],
    output: &mut [f32],
    work: &mut Vec<Complex<f32>>,
) {
    // Rounding leaves imaginary parts that a real signal's first and last bin cannot have.
    if let [first, .., last] = bins {
        first.im = 0.0;
        last.im = 0.0;
    }
    work.resize(plan.get_scratch_len().max(work.len()), Complex::default());
    let done = plan.process_with_scratch(bins, output, work);
    debug_assert!(done.is_ok(), "buffers have the plan's sizes");
}

/// The FFT size for `taps` taps and signals of `len` samples. It is the cheapest among `2^n` and `3 * 2^n`, from the
/// filter's own length (many small blocks) to the length of the whole result (one block).
fn block_size(taps: usize, len: usize) -> usize {
    let cost = |block: usize| {
        let blocks = len.div_ceil(block - (taps - 1));
        blocks as f64 * block as f64 * (block as f64).log2()
    };
    let sizes = (3..usize::BITS - 2).flat_map(|n| [1usize << n, 3usize << (n - 1)]);
    let enough = (taps + len).max(8);
    let mut best = enough.next_power_of_two();
    for size in sizes.skip_while(|size| *size < taps.max(8)).take_while(|size| *size < 2 * enough) {
        if cost(size) < cost(best) {
            best = size;
        }
    }
    best
}

/// `target[i] = source[first + i]`, zero outside of `source`.
fn copy_or_silence(source: &[f32], first: isize, target: &mut [f32]) {
    target.fill(0.0);
    let end = first.saturating_add_unsigned(target.len()).clamp(0, source.len() as isize) as usize;
    let begin = first.clamp(0, source.len() as isize) as usize;
    if begin < end {
        let offset = (begin as isize - first) as usize;
        target[offset..offset + end - begin].copy_from_slice(&source[begin..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn direct(signal: &[f32], taps: &[f32], delay: usize) -> Vec<f64> {
        let at = |n: isize| if n < 0 { 0.0 } else { signal.get(n as usize).map_or(0.0, |v| f64::from(*v)) };
        (0..signal.len())
            .map(|n| {
                let terms = taps.iter().enumerate();
                terms.map(|(k, tap)| f64::from(*tap) * at((n + delay) as isize - k as isize)).sum()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn equals_the_direct_sum(
            signal in prop::collection::vec(-1.0f32..1.0, 1..700), taps in prop::collection::vec(-1.0f32..1.0, 1..300),
            delay in 0usize..320, prepared_for in 1usize..700,
        ) {
            let mut convolver = Convolver::default();
            // A filter for another length may drop taps that this signal meets, so only longer ones are allowed.
            let filter = Filter::new(&taps, delay, prepared_for.max(signal.len()), &mut convolver);
            let expected = direct(&signal, &taps, delay);
            let mut found = signal;
            convolver.apply(&filter, &mut found);
            let norm = taps.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((f64::from(*found) - expected).abs() < 2e-6 * (1.0 + 10.0 * norm), "{found} {expected}");
            }
        }
    }

    #[test]
    fn blocks_fit_the_work() {
        for (taps, len) in
            [(1, 1), (1, 32_000), (37, 31_840), (8000, 32_000), (24_000, 32_000), (500_000, 100)]
        {
            let block = block_size(taps, len);
            assert!(block >= taps && block.is_multiple_of(2), "{taps} {len}: {block}");
        }
    }
}
