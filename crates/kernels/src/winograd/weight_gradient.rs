//! The gradient of the weights: dot products of input components with gradient components, a segment of positions at a time.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::components::{Components, Split, Tiles};
use super::{COMPONENTS, VECTORS, WIDEST, Winograd};
use crate::correlation::widest_block;
use crate::memory::with_buffer;

/// Positions over which the weights' gradient is summed at a time: eight rows fill most of a first-level cache.
const SEGMENT: usize = 1024;

/// Images `[batch, channels, height, width]` whose tiles are taken.
struct Images<'a> {
    of: Tiles,
    data: &'a [f32],
    channels: usize,
    size: [usize; 2],
    padding: [usize; 2],
}

/// Runs of tile rows and where their components go.
struct Segment<'a> {
    /// Image and first row of tiles of each run.
    runs: &'a [(usize, usize)],
    /// Rows of tiles and positions of a run.
    rows: usize,
    positions: usize,
    pitch: usize,
    /// Floats from one component to the next.
    stride: usize,
}

impl Segment<'_> {
    /// Components of all channels, `[channels, components, stride]`; those of channels that there are not are 0.
    fn components(&self, images: &Images<'_>, out: &mut [f32]) {
        let &Self { runs, rows, positions, pitch, stride } = self;
        let &Images { of, data, channels, size, padding } = images;
        let of_channel = size[0] * size[1];
        let plane = (rows + 1) * pitch + 2 * WIDEST;
        // An input tile reaches into the next row.
        let rows = match of {
            Tiles::Input => rows + 1,
            Tiles::OutputGradient => rows,
        };
        out.par_chunks_mut(COMPONENTS * stride).enumerate().for_each(|(channel, out)| {
            if channel >= channels {
                out.fill(0.0);
                return;
            }
            with_buffer(4 * plane, |planes| {
                for (&(image, first), at) in runs.iter().zip((0..).step_by(positions)) {
                    pulp::Arch::new().dispatch(Components {
                        of,
                        channel: &data[(image * channels + channel) * of_channel..][..of_channel],
                        split: Split { size, padding, first, rows, pitch, plane },
                        planes,
                        out: &mut out[at..],
                        stride,
                        positions,
                    });
                }
            });
        });
    }
}

impl Winograd {
    /// The loss's gradient with respect to the weights, `[channels out, channels in, 3, 3]`.
    pub(crate) fn weight_gradient(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) {
        let [_, tile_columns] = self.tiles();
        let pitch = tile_columns + 1;
        let outputs = self.channels_out.next_multiple_of(widest_block());
        // Runs of tile rows, as many to a segment as fit.
        let rows = (SEGMENT / pitch).clamp(1, self.tiles()[0]);
        let run = (rows * pitch).next_multiple_of(WIDEST);
        let runs_together = (SEGMENT / run).max(1);
        let batch = input.len() / (self.channels_in * self.size[0] * self.size[1]);
        let runs: Vec<(usize, usize)> = (0..batch)
            .flat_map(|image| (0..self.tiles()[0]).step_by(rows).map(move |row| (image, row)))
            .collect();
        // Not a power of two, so that rows do not compete for the same places of the cache.
        let stride = run * runs_together + WIDEST;
        let images = Images {
            of: Tiles::Input,
            data: input,
            channels: self.channels_in,
            size: self.size,
            padding: self.padding,
        };
        let output_gradients = Images {
            of: Tiles::OutputGradient,
            data: output_gradient,
            channels: self.channels_out,
            size: self.output_size(),
            padding: [0, 0],
        };
        let matrix = outputs * self.channels_in;
        let mut sums = vec![0.0; COMPONENTS * matrix];
        with_buffer(self.channels_in * COMPONENTS * stride, |inputs| {
            with_buffer(outputs * COMPONENTS * stride, |gradients| {
                for runs in runs.chunks(runs_together) {
                    let segment = Segment { runs, rows, positions: run, pitch, stride };
                    segment.components(&images, inputs);
                    segment.components(&output_gradients, gradients);
                    let (inputs, gradients) = (&*inputs, &*gradients);
                    sums.par_chunks_mut(matrix).enumerate().for_each(|(component, sums)| {
                        pulp::Arch::new().dispatch(Dots {
                            inputs: &inputs[component * stride..],
                            gradients: &gradients[component * stride..],
                            stride: COMPONENTS * stride,
                            positions: runs.len() * run,
                            channels_in: self.channels_in,
                            sums,
                        });
                    });
                }
            });
        });
        for (place, out) in weight_gradient.chunks_exact_mut(9).enumerate() {
            let rows: [[f32; 3]; 4] = std::array::from_fn(|row| {
                taps(std::array::from_fn(|column| sums[(4 * row + column) * matrix + place]))
            });
            for column in 0..3 {
                for (row, tap) in taps(rows.map(|row| row[column])).into_iter().enumerate() {
                    out[3 * row + column] = tap;
                }
            }
        }
    }
}

/// One axis of the taps' gradient, from that of the components: the transpose of [`filter`](super::filter).
fn taps([a, b, c, d]: [f32; 4]) -> [f32; 3] {
    [a + 0.5 * (b + c), 0.5 * (b - c), 0.5 * (b + c) + d]
}

/// `sums[o][i] += gradients[o] . inputs[i]`
struct Dots<'a> {
    inputs: &'a [f32],
    gradients: &'a [f32],
    stride: usize,
    positions: usize,
    channels_in: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { dots::<S, 8>(simd, self) } else { dots::<S, 4>(simd, self) }
    }
}

#[inline(always)]
fn dots<S: Simd, const CHANNELS: usize>(simd: S, job: Dots<'_>) {
    let Dots { inputs, gradients, stride, positions, channels_in, sums } = job;
    for (b, sums) in sums.chunks_exact_mut(CHANNELS * channels_in).enumerate() {
        let gradients = &gradients[b * CHANNELS * stride..];
        for i in (0..channels_in).step_by(VECTORS) {
            match channels_in - i {
                1 => dot::<S, CHANNELS, 1>(simd, inputs, gradients, stride, positions, i, channels_in, sums),
                2 => dot::<S, CHANNELS, 2>(simd, inputs, gradients, stride, positions, i, channels_in, sums),
                _ => dot::<S, CHANNELS, 3>(simd, inputs, gradients, stride, positions, i, channels_in, sums),
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the state of the loops around it")]
fn dot<S: Simd, const CHANNELS: usize, const N: usize>(
    simd: S,
    inputs: &[f32],
    gradients: &[f32],
    stride: usize,
    positions: usize,
    channel: usize,
    channels_in: usize,
    out: &mut [f32],
) {
    let x: [&[S::f32s]; N] = std::array::from_fn(|n| {
        let at = (channel + n) * stride;
        S::as_simd_f32s(&inputs[at..at + positions]).0
    });
    let g: [&[S::f32s]; CHANNELS] = std::array::from_fn(|c| {
        let at = c * stride;
        S::as_simd_f32s(&gradients[at..at + positions]).0
    });
    let len = positions / S::F32_LANES;
    let (x, g) = (x.map(|x| &x[..len]), g.map(|g| &g[..len]));
    let mut sums = [[simd.splat_f32s(0.0); N]; CHANNELS];
    for p in 0..len {
        let x: [S::f32s; N] = std::array::from_fn(|n| x[n][p]);
        for c in 0..CHANNELS {
            let g = g[c][p];
            for n in 0..N {
                sums[c][n] = simd.mul_add_e_f32s(g, x[n], sums[c][n]);
            }
        }
    }
    for c in 0..CHANNELS {
        for n in 0..N {
            out[c * channels_in + channel + n] += simd.reduce_sum_f32s(sums[c][n]);
        }
    }
}
