//! The inner loops of a convolution's weight gradient: dot products of an output's gradient with shifted inputs.

use pulp::{Simd, WithSimd};

use crate::memory::with_buffer;

/// Floats of the widest vector.
const WIDEST: usize = 16;

/// Taps that are computed together.
const TAPS: usize = 3;

/// Floats of the output gradient that are kept in the first-level cache.
const CACHED: usize = 8192;

/// Sums over a group of images: `out[i][t][c] += sum over (image n, position p) of gradient[n][c][p] * planes[n][i][taps[t] + p]`
/// for the channels c of one block of output channels and some input channels i.
#[derive(Clone)]
pub(crate) struct Dots<'a> {
    /// `[images, planes_image]` and slack.
    pub(crate) planes: &'a [f32],
    /// Floats from one image to the next in `planes`.
    pub(crate) planes_image: usize,
    /// Floats from one input channel to the next.
    pub(crate) plane_size: usize,
    /// Offsets of the input channels' taps.
    pub(crate) taps: &'a [usize],
    /// First float of the block in each image's gradient; `[images, gradient_image]`, rows of `gradient_size`, zero where a
    /// position means nothing.
    pub(crate) gradient: &'a [f32],
    pub(crate) gradient_image: usize,
    /// Floats from one output channel to the next: a multiple of the vector length.
    pub(crate) gradient_size: usize,
    pub(crate) images: usize,
    /// Output positions.
    pub(crate) positions: usize,
    /// Output channels of the block, a [`channel_block`](crate::correlation::channel_block).
    pub(crate) block: usize,
    /// The input channels.
    pub(crate) channels: std::ops::Range<usize>,
}

impl Dots<'_> {
    /// Adds to `out`, `[input channels of the range, taps, channel block]`.
    pub(crate) fn add_to(&self, out: &mut [f32]) {
        // A vector for each sum, of the widest kind.
        let sums = self.channels.len() * self.taps.len().next_multiple_of(TAPS) * self.block * WIDEST;
        // Not within the dispatched code: what is called there and not inlined is compiled without vectors.
        with_buffer(sums, |sums| {
            sums.fill(0.0);
            pulp::Arch::new().dispatch(Job { dots: self, sums, out });
        });
    }
}

struct Job<'a> {
    dots: &'a Dots<'a>,
    sums: &'a mut [f32],
    out: &'a mut [f32],
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.dots.block {
            1 => run::<S, 1>(simd, self),
            2 => run::<S, 2>(simd, self),
            4 => run::<S, 4>(simd, self),
            _ => run::<S, 8>(simd, self),
        }
    }
}

#[inline(always)]
fn run<S: Simd, const CHANNELS: usize>(simd: S, job: Job<'_>) {
    let Job { dots, sums: all, out } = job;
    let lanes = S::F32_LANES;
    let vectors = dots.positions.div_ceil(lanes);
    // Segments of positions; as many images' segments at a time as the cache holds.
    let segment = vectors.min(CACHED / CHANNELS / lanes).max(1);
    let together = (CACHED / (CHANNELS * segment * lanes)).clamp(1, dots.images.max(1));
    let group = CHANNELS * TAPS * lanes;
    for first_image in (0..dots.images).step_by(together) {
        let images = first_image..(first_image + together).min(dots.images);
        for from in (0..vectors).step_by(segment) {
            let positions = from..(from + segment).min(vectors);
            let mut sums = all.chunks_exact_mut(group);
            for channel in dots.channels.clone() {
                for taps in dots.taps.chunks(TAPS) {
                    let Some(sums) = sums.next() else { return };
                    let (images, positions) = (images.clone(), positions.clone());
                    match *taps {
                        [a, b, c] => {
                            part::<S, CHANNELS, 3>(simd, dots, images, positions, channel, [a, b, c], sums);
                        }
                        [a, b] => {
                            part::<S, CHANNELS, 2>(simd, dots, images, positions, channel, [a, b], sums)
                        }
                        [a] => part::<S, CHANNELS, 1>(simd, dots, images, positions, channel, [a], sums),
                        _ => {}
                    }
                }
            }
        }
    }
    let of_channel = dots.taps.len() * CHANNELS;
    let sums_of_channel = dots.taps.len().div_ceil(TAPS) * group;
    for (out, sums) in out.chunks_exact_mut(of_channel).zip(all.chunks_exact(sums_of_channel)) {
        let (sums, _) = S::as_simd_f32s(sums);
        let mut out = out.chunks_exact_mut(CHANNELS);
        for (taps, sums) in dots.taps.chunks(TAPS).zip(sums.chunks_exact(CHANNELS * TAPS)) {
            for t in 0..taps.len() {
                let Some(out) = out.next() else { return };
                for (c, out) in out.iter_mut().enumerate() {
                    *out += simd.reduce_sum_f32s(sums[c * TAPS + t]);
                }
            }
        }
    }
}

#[inline(always)]
fn part<S: Simd, const CHANNELS: usize, const N: usize>(
    simd: S,
    dots: &Dots<'_>,
    images: std::ops::Range<usize>,
    positions: std::ops::Range<usize>,
    channel: usize,
    taps: [usize; N],
    kept: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let (kept, _) = S::as_mut_simd_f32s(kept);
    let mut sums: [[S::f32s; N]; CHANNELS] =
        std::array::from_fn(|c| std::array::from_fn(|t| kept[c * TAPS + t]));
    for image in images {
        let plane = image * dots.planes_image + channel * dots.plane_size + positions.start * lanes;
        let n = positions.len();
        let x: [&[S::f32s]; N] = std::array::from_fn(|t| {
            &S::as_simd_f32s(&dots.planes[plane + taps[t]..plane + taps[t] + n * lanes]).0[..n]
        });
        let gradient = image * dots.gradient_image + positions.start * lanes;
        let g: [&[S::f32s]; CHANNELS] = std::array::from_fn(|c| {
            let at = gradient + c * dots.gradient_size;
            &S::as_simd_f32s(&dots.gradient[at..at + n * lanes]).0[..n]
        });
        for p in 0..n {
            let x: [S::f32s; N] = std::array::from_fn(|t| x[t][p]);
            for c in 0..CHANNELS {
                let g = g[c][p];
                for t in 0..N {
                    sums[c][t] = simd.mul_add_e_f32s(g, x[t], sums[c][t]);
                }
            }
        }
    }
    for c in 0..CHANNELS {
        for t in 0..N {
            kept[c * TAPS + t] = sums[c][t];
        }
    }
}
