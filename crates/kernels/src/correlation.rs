//! The inner loops: many output channels of a correlation over shifted planes.

use pulp::{Simd, WithSimd};

use crate::memory::with_buffer;

/// Output channels that are computed together, by number of vector registers.
pub(crate) const fn channels_together(registers: usize) -> usize {
    if registers >= 32 { 8 } else { 4 }
}

/// [`channels_together`] of this processor.
pub(crate) fn widest_block() -> usize {
    struct Query;
    impl WithSimd for Query {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            channels_together(S::REGISTER_COUNT)
        }
    }
    pulp::Arch::new().dispatch(Query)
}

/// Channels of a block where there are `channels` of them: the [`widest_block`], or 1, 2 or 4 if that is enough.
pub(crate) fn channel_block(channels: usize) -> usize {
    let widest = widest_block();
    if channels >= widest { widest } else { channels.max(1).next_power_of_two() }
}

/// Floats past the end of the last plane that may be read, and past the end of the outputs that may be written: less than a tile has.
pub(crate) const SLACK: usize = 64;

/// Output positions that are computed before they are written out.
pub(crate) const CHUNK: usize = 1024;

/// For each channel of one block of output channels and each position p:
/// `out[channel][p] = sum over (input channel i, tap t) of weights[i][t][channel] * planes[i][taps[t] + p]`.
pub(crate) struct Correlation<'a> {
    /// `[input channels, plane_size]` and [`SLACK`] more.
    pub(crate) planes: &'a [f32],
    /// Floats from one input channel to the next.
    pub(crate) plane_size: usize,
    pub(crate) channels_in: usize,
    /// Output channels of the block, a [`channel_block`].
    pub(crate) block: usize,
    /// Offset of each tap into an input channel's planes.
    pub(crate) taps: &'a [usize],
    /// `[input channels, taps, block]`
    pub(crate) weights: &'a [f32],
    /// Rows of the output.
    pub(crate) rows: usize,
    /// Positions from one output row to the next.
    pub(crate) pitch: usize,
    /// Positions of a row that mean something.
    pub(crate) columns: usize,
}

impl Correlation<'_> {
    /// Calls `write(channel of the block, row, values)` for every row of every channel.
    pub(crate) fn run(&self, write: impl FnMut(usize, usize, &[f32])) {
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let rows_together = (CHUNK / self.pitch).clamp(1, self.rows);
        let stride = rows_together * self.pitch + SLACK;
        // Not within the dispatched code: what is called there and not inlined is compiled without vectors.
        with_buffer(self.block * stride, |scratch| {
            pulp::Arch::new().dispatch(Job { correlation: self, rows_together, stride, scratch, write });
        });
    }
}

struct Job<'a, W> {
    correlation: &'a Correlation<'a>,
    rows_together: usize,
    /// Floats of the scratch from one channel to the next.
    stride: usize,
    scratch: &'a mut [f32],
    write: W,
}

impl<W: FnMut(usize, usize, &[f32])> WithSimd for Job<'_, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.correlation.block {
            1 => run::<S, 1, W>(simd, self),
            2 => run::<S, 2, W>(simd, self),
            4 => run::<S, 4, W>(simd, self),
            _ => run::<S, 8, W>(simd, self),
        }
    }
}

#[inline(always)]
fn run<S: Simd, const CHANNELS: usize, W: FnMut(usize, usize, &[f32])>(simd: S, job: Job<'_, W>) {
    let Job { correlation: job, rows_together, stride, scratch, mut write } = job;
    for first_row in (0..job.rows).step_by(rows_together) {
        let rows = rows_together.min(job.rows - first_row);
        let positions = (rows - 1) * job.pitch + job.columns;
        let from = first_row * job.pitch;
        let mut at = 0;
        while at < positions {
            let left = (positions - at).div_ceil(S::F32_LANES);
            let vectors = match left {
                // So few channels leave registers for more sums, without which each would wait for the one before.
                8.. if CHANNELS == 1 => {
                    tile::<S, CHANNELS, 8>(simd, job, from + at, &mut scratch[at..], stride)
                }
                4.. if CHANNELS <= 2 => {
                    tile::<S, CHANNELS, 4>(simd, job, from + at, &mut scratch[at..], stride)
                }
                1 => tile::<S, CHANNELS, 1>(simd, job, from + at, &mut scratch[at..], stride),
                2 | 4 => tile::<S, CHANNELS, 2>(simd, job, from + at, &mut scratch[at..], stride),
                _ => tile::<S, CHANNELS, 3>(simd, job, from + at, &mut scratch[at..], stride),
            };
            at += vectors * S::F32_LANES;
        }
        for channel in 0..CHANNELS {
            for row in 0..rows {
                let at = channel * stride + row * job.pitch;
                write(channel, first_row + row, &scratch[at..at + job.columns]);
            }
        }
    }
}

/// `CHANNELS x VECTORS` vectors of outputs, which all stay in registers. Returns `VECTORS`.
#[inline(always)]
fn tile<S: Simd, const CHANNELS: usize, const VECTORS: usize>(
    simd: S,
    job: &Correlation<'_>,
    position: usize,
    out: &mut [f32],
    stride: usize,
) -> usize {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; CHANNELS];
    let mut weights = job.weights;
    for channel in 0..job.channels_in {
        let plane = &job.planes[channel * job.plane_size + position..];
        for &tap in job.taps {
            let (x, _) = S::as_simd_f32s(&plane[tap..tap + VECTORS * S::F32_LANES]);
            let x: [S::f32s; VECTORS] = std::array::from_fn(|v| x[v]);
            let (w, rest) = weights.split_at(CHANNELS);
            weights = rest;
            for c in 0..CHANNELS {
                let w = simd.splat_f32s(w[c]);
                for v in 0..VECTORS {
                    sums[c][v] = simd.mul_add_e_f32s(x[v], w, sums[c][v]);
                }
            }
        }
    }
    for (c, sums) in sums.iter().enumerate() {
        let at = c * stride;
        let (out, _) = S::as_mut_simd_f32s(&mut out[at..at + VECTORS * S::F32_LANES]);
        out.copy_from_slice(sums);
    }
    VECTORS
}
