//! 3x3 convolutions with a stride of 1 by Winograd's minimal filtering F(2x2, 3x3),
//! [Lavin and Gray 2015](https://arxiv.org/abs/1509.09308): a tile of 2x2 outputs takes 16 multiplications instead of 36.
//!
//! Input tiles of 4x4 and filters become 16 components each, which are multiplied as 16 matrices and turned back. The
//! gradient of the weights is the same bilinear form read the other way.
//!
//! A tile row has `pitch` positions, the last of which means nothing. Images are split into even and odd rows and columns, so
//! that each of the 16 values of a tile is a run of consecutive floats over consecutive tiles.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::correlation::{SLACK, channel_block};
use crate::memory::with_buffer;

/// Components of a tile.
const COMPONENTS: usize = 16;

/// Vectors of positions that are computed together.
const VECTORS: usize = 3;

/// Floats of a group's components: about three quarters of a second-level cache.
const GROUP: usize = 384 * 1024;

/// Positions over which the weights' gradient is summed at a time: eight rows fill most of a first-level cache.
const SEGMENT: usize = 1024;

/// Floats of the widest vector.
const WIDEST: usize = 16;

/// A 3x3 convolution of one image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Winograd {
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    pub(crate) padding: [usize; 2],
}

impl Winograd {
    fn output_size(&self) -> [usize; 2] {
        std::array::from_fn(|axis| self.size[axis] + 2 * self.padding[axis] - 2)
    }

    /// Rows and columns of tiles.
    fn tiles(&self) -> [usize; 2] {
        self.output_size().map(|len| len.div_ceil(2))
    }

    /// Components of the filters, `[blocks of output channels, components, input channels, block]`. `at(output, input, tap)` is
    /// a weight's place.
    pub(crate) fn filters(&self, weights: &[f32], at: impl Fn(usize, usize, usize) -> usize) -> Vec<f32> {
        let block = channel_block();
        let len = COMPONENTS * self.channels_in * block;
        let mut filters = vec![0.0; self.channels_out.div_ceil(block) * len];
        for (b, filters) in filters.chunks_exact_mut(len).enumerate() {
            let channels = block.min(self.channels_out - b * block);
            for i in 0..self.channels_in {
                for c in 0..channels {
                    let o = b * block + c;
                    let rows: [[f32; 4]; 3] = std::array::from_fn(|row| {
                        filter([0, 1, 2].map(|column| weights[at(o, i, 3 * row + column)]))
                    });
                    for column in 0..4 {
                        let components = filter(rows.map(|row| row[column]));
                        for (row, component) in components.into_iter().enumerate() {
                            filters[((4 * row + column) * self.channels_in + i) * block + c] = component;
                        }
                    }
                }
            }
        }
        filters
    }

    /// Images of `input`, `[batch, channels in, height, width]`, to images of `output`.
    pub(crate) fn forward(&self, input: &[f32], filters: &[f32], output: &mut [f32]) {
        let [height, width] = self.output_size();
        let [tile_rows, tile_columns] = self.tiles();
        let image_in = self.channels_in * self.size[0] * self.size[1];
        let of_channel = height * width;
        let row = COMPONENTS * self.channels_in * (tile_columns + 1);
        let most = tile_rows.div_ceil(rayon::current_num_threads());
        let rows = (GROUP / row).clamp(1, most);
        let mut groups = Vec::new();
        for (image, output) in output.chunks_mut(self.channels_out * of_channel).enumerate() {
            let first = groups.len();
            groups.extend((0..tile_rows).step_by(rows).map(|row| (image, row, Vec::new())));
            for channel in output.chunks_mut(of_channel) {
                for (part, group) in channel.chunks_mut(2 * rows * width).zip(&mut groups[first..]) {
                    group.2.push(part);
                }
            }
        }
        let pitch = tile_columns + 1;
        let panels = (rows * pitch).div_ceil(WIDEST) + VECTORS;
        let block = channel_block();
        groups.into_par_iter().for_each(|(image, first, mut parts)| {
            with_buffer(4 * (rows + 1) * pitch + 2 * SLACK, |planes| {
                with_buffer(COMPONENTS * self.channels_in * panels * WIDEST, |components| {
                    with_buffer((COMPONENTS * block + 8) * VECTORS * WIDEST, |scratch| {
                        pulp::Arch::new().dispatch(Group {
                            conv: self,
                            image: &input[image * image_in..][..image_in],
                            filters,
                            first,
                            rows: rows.min(tile_rows - first),
                            parts: &mut parts,
                            planes,
                            components,
                            scratch,
                        });
                    });
                });
            });
        });
    }

    /// The loss's gradient with respect to the weights, `[channels out, channels in, 3, 3]`.
    pub(crate) fn weight_gradient(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) {
        let [height, width] = self.output_size();
        let [tile_rows, tile_columns] = self.tiles();
        let pitch = tile_columns + 1;
        let block = channel_block();
        let outputs = self.channels_out.next_multiple_of(block);
        let (of_input, of_output) = (self.size[0] * self.size[1], height * width);
        // Runs of tile rows, as many to a segment as fit.
        let rows = (SEGMENT / pitch).clamp(1, tile_rows);
        let run = (rows * pitch).next_multiple_of(WIDEST);
        let runs_together = (SEGMENT / run).max(1);
        let batch = input.len() / (self.channels_in * of_input);
        let runs: Vec<(usize, usize)> =
            (0..batch).flat_map(|image| (0..tile_rows).step_by(rows).map(move |row| (image, row))).collect();
        // Not a power of two, so that rows do not compete for the same places of the cache.
        let stride = run * runs_together + WIDEST;
        let plane = (rows + 1) * pitch + 2 * WIDEST;
        let mut sums = vec![0.0; COMPONENTS * outputs * self.channels_in];
        with_buffer(self.channels_in * COMPONENTS * stride, |inputs| {
            with_buffer(outputs * COMPONENTS * stride, |gradients| {
                for runs in runs.chunks(runs_together) {
                    let positions = runs.len() * run;
                    inputs.par_chunks_mut(COMPONENTS * stride).enumerate().for_each(|(channel, out)| {
                        with_buffer(4 * plane, |planes| {
                            for (&(image, first), at) in runs.iter().zip((0..).step_by(run)) {
                                let channel =
                                    &input[(image * self.channels_in + channel) * of_input..][..of_input];
                                pulp::Arch::new().dispatch(InputComponents {
                                    channel,
                                    split: Split {
                                        size: self.size,
                                        padding: self.padding,
                                        first,
                                        rows: rows + 1,
                                        pitch,
                                        plane,
                                    },
                                    planes,
                                    out: &mut out[at..],
                                    stride,
                                    positions: run,
                                });
                            }
                        });
                    });
                    gradients.par_chunks_mut(COMPONENTS * stride).enumerate().for_each(|(channel, out)| {
                        if channel >= self.channels_out {
                            out.fill(0.0);
                            return;
                        }
                        with_buffer(4 * plane, |planes| {
                            for (&(image, first), at) in runs.iter().zip((0..).step_by(run)) {
                                let channel = (image * self.channels_out + channel) * of_output;
                                pulp::Arch::new().dispatch(GradientComponents {
                                    channel: &output_gradient[channel..][..of_output],
                                    split: Split {
                                        size: [height, width],
                                        padding: [0, 0],
                                        first,
                                        rows: rows.min(tile_rows - first),
                                        pitch,
                                        plane,
                                    },
                                    planes,
                                    out: &mut out[at..],
                                    stride,
                                    positions: run,
                                });
                            }
                        });
                    });
                    let (inputs, gradients) = (&*inputs, &*gradients);
                    sums.par_chunks_mut(outputs * self.channels_in).enumerate().for_each(
                        |(component, sums)| {
                            pulp::Arch::new().dispatch(Dots {
                                inputs: &inputs[component * stride..],
                                gradients: &gradients[component * stride..],
                                stride: COMPONENTS * stride,
                                positions,
                                channels_in: self.channels_in,
                                sums,
                            });
                        },
                    );
                }
            });
        });
        let matrix = outputs * self.channels_in;
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

/// One axis of a filter's components.
fn filter([a, b, c]: [f32; 3]) -> [f32; 4] {
    let ends = 0.5 * (a + c);
    [a, ends + 0.5 * b, ends - 0.5 * b, c]
}

/// One axis of the taps' gradient, from that of the components: the transpose of [`filter`].
fn taps([a, b, c, d]: [f32; 4]) -> [f32; 3] {
    [a + 0.5 * (b + c), 0.5 * (b - c), 0.5 * (b + c) + d]
}

/// How rows of an image are split into planes of even and odd rows and columns.
#[derive(Debug, Clone, Copy)]
struct Split {
    size: [usize; 2],
    padding: [usize; 2],
    /// Row of tiles to begin with.
    first: usize,
    /// Rows of a plane.
    rows: usize,
    pitch: usize,
    /// Floats from one plane to the next; what is behind the rows becomes 0.
    plane: usize,
}

impl Split {
    /// Four planes: even rows and even columns, even and odd, odd and even, odd and odd.
    #[inline(always)]
    fn run(&self, channel: &[f32], planes: &mut [f32]) {
        let Self { size, padding: [above, left], first, rows, pitch, plane } = *self;
        for (phase, planes) in planes.chunks_exact_mut(2 * plane).take(2).enumerate() {
            let (even, odd) = planes.split_at_mut(plane);
            even[rows * pitch..].fill(0.0);
            odd[rows * pitch..].fill(0.0);
            let lines = even.chunks_exact_mut(pitch).zip(odd.chunks_exact_mut(pitch));
            for (row, (even, odd)) in lines.take(rows).enumerate() {
                even.fill(0.0);
                odd.fill(0.0);
                let row = (2 * (first + row) + phase).checked_sub(above).filter(|row| *row < size[0]);
                let Some(row) = row else { continue };
                let (pairs, last) = channel[row * size[1]..][..size[1]].as_chunks::<2>();
                let (firsts, seconds) = if left % 2 == 0 {
                    (&mut even[left / 2..], &mut odd[left / 2..])
                } else {
                    (&mut odd[left / 2..], &mut even[left / 2 + 1..])
                };
                for (([x, y], first), second) in pairs.iter().zip(&mut *firsts).zip(seconds) {
                    *first = *x;
                    *second = *y;
                }
                if let ([x], Some(first)) = (last, firsts.get_mut(pairs.len())) {
                    *first = *x;
                }
            }
        }
    }
}

/// The components of input tiles from `position` on.
#[inline(always)]
fn input_components<S: Simd>(
    simd: S,
    planes: &[f32],
    plane: usize,
    pitch: usize,
    position: usize,
) -> [[S::f32s; 4]; 4] {
    let axis = |[a, b, c, d]: [S::f32s; 4]| {
        [simd.sub_f32s(a, c), simd.add_f32s(b, c), simd.sub_f32s(c, b), simd.sub_f32s(b, d)]
    };
    let mut rows = [[simd.splat_f32s(0.0); 4]; 4];
    for (r, row) in rows.iter_mut().enumerate() {
        let mut values = [simd.splat_f32s(0.0); 4];
        for (c, value) in values.iter_mut().enumerate() {
            let at = (2 * (r % 2) + c % 2) * plane + position + r / 2 * pitch + c / 2;
            *value = S::as_simd_f32s(&planes[at..at + S::F32_LANES]).0[0];
        }
        *row = axis(values);
    }
    let mut out = rows;
    for c in 0..4 {
        let column = axis([rows[0][c], rows[1][c], rows[2][c], rows[3][c]]);
        for r in 0..4 {
            out[r][c] = column[r];
        }
    }
    out
}

/// Some rows of tiles of one image, all channels.
struct Group<'a, 'b> {
    conv: &'a Winograd,
    image: &'a [f32],
    filters: &'a [f32],
    first: usize,
    rows: usize,
    /// The rows of each output channel.
    parts: &'a mut [&'b mut [f32]],
    planes: &'a mut [f32],
    /// `[panels, components, input channels, vectors of a panel]`
    components: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl WithSimd for Group<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            group::<S, 8>(simd, self);
        } else {
            group::<S, 4>(simd, self);
        }
    }
}

#[inline(always)]
fn group<S: Simd, const CHANNELS: usize>(simd: S, group: Group<'_, '_>) {
    let Group { conv, image, filters, first, rows, parts, planes, components, scratch } = group;
    let [_, tile_columns] = conv.tiles();
    let [_, width] = conv.output_size();
    let pitch = tile_columns + 1;
    let plane = (rows + 1) * pitch;
    let positions = rows * pitch - 1;
    let lanes = S::F32_LANES;
    let panel = VECTORS * lanes;
    let vectors = |at: usize| (positions - at).div_ceil(lanes).min(VECTORS);
    let of_component = conv.channels_in * panel;
    let of_panel = COMPONENTS * of_component;

    let split = Split { size: conv.size, padding: conv.padding, first, rows: rows + 1, pitch, plane };
    for (i, channel) in image.chunks_exact(conv.size[0] * conv.size[1]).enumerate() {
        split.run(channel, planes);
        for (at, out) in (0..positions).step_by(panel).zip(components.chunks_exact_mut(of_panel)) {
            for v in 0..vectors(at) {
                let tiles = input_components(simd, planes, plane, pitch, at + v * lanes);
                for (r, row) in tiles.iter().enumerate() {
                    for (c, value) in row.iter().enumerate() {
                        let place = (4 * r + c) * of_component + i * panel + v * lanes;
                        S::as_mut_simd_f32s(&mut out[place..place + lanes]).0[0] = *value;
                    }
                }
            }
        }
    }

    let (products, lines) = scratch.split_at_mut(COMPONENTS * CHANNELS * panel);
    let (halves, lines) = lines.split_at_mut(4 * panel);
    let filters = filters.chunks_exact(COMPONENTS * conv.channels_in * CHANNELS);
    for (parts, filters) in parts.chunks_mut(CHANNELS).zip(filters) {
        for (at, components) in (0..positions).step_by(panel).zip(components.chunks_exact(of_panel)) {
            let filters = filters.chunks_exact(conv.channels_in * CHANNELS);
            let products_of = products.chunks_exact_mut(CHANNELS * panel);
            for ((filters, components), out) in
                filters.zip(components.chunks_exact(of_component)).zip(products_of)
            {
                match vectors(at) {
                    1 => tile::<S, CHANNELS, 1>(simd, filters, components, out),
                    2 => tile::<S, CHANNELS, 2>(simd, filters, components, out),
                    _ => tile::<S, CHANNELS, 3>(simd, filters, components, out),
                }
            }
            for (c, part) in parts.iter_mut().enumerate() {
                for v in 0..vectors(at) {
                    outputs(
                        simd,
                        products,
                        c * panel + v * lanes,
                        CHANNELS * panel,
                        &mut halves[v * lanes..],
                        panel,
                    );
                }
                for a in 0..2 {
                    let (even, odd) = halves[2 * a * panel..][..2 * panel].split_at(panel);
                    let (pairs, _) = lines[2 * a * panel..][..2 * panel].as_chunks_mut::<2>();
                    for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
                        *pair = [*even, *odd];
                    }
                }
                let past = (at + panel).min(positions);
                for row in at / pitch..=(past - 1) / pitch {
                    let from = at.max(row * pitch);
                    let columns = 2 * (from - row * pitch)..(2 * (past - row * pitch)).min(width);
                    for a in 0..2 {
                        let start = (2 * row + a) * width;
                        if start < part.len() && !columns.is_empty() {
                            let line = &lines[2 * a * panel + 2 * (from - at)..][..columns.len()];
                            part[start + columns.start..start + columns.end].copy_from_slice(line);
                        }
                    }
                }
            }
        }
    }
}

/// `CHANNELS x N` vectors of one component's products, which all stay in registers.
#[inline(always)]
fn tile<S: Simd, const CHANNELS: usize, const N: usize>(
    simd: S,
    filters: &[f32],
    panel: &[f32],
    out: &mut [f32],
) {
    let mut sums = [[simd.splat_f32s(0.0); N]; CHANNELS];
    let (filters, _) = filters.as_chunks::<CHANNELS>();
    let (panel, _) = S::as_simd_f32s(panel);
    let (panel, _) = panel.as_chunks::<VECTORS>();
    for (w, x) in filters.iter().zip(panel) {
        for c in 0..CHANNELS {
            let w = simd.splat_f32s(w[c]);
            for v in 0..N {
                sums[c][v] = simd.mul_add_e_f32s(x[v], w, sums[c][v]);
            }
        }
    }
    let (out, _) = S::as_mut_simd_f32s(out);
    for (out, sums) in out.chunks_exact_mut(VECTORS).zip(&sums) {
        out[..N].copy_from_slice(sums);
    }
}

/// Four vectors of outputs, `step` apart (rows first), from 16 vectors of products, `stride` apart.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "it runs over a column of rows")]
fn outputs<S: Simd>(simd: S, products: &[f32], at: usize, stride: usize, out: &mut [f32], step: usize) {
    let lanes = S::F32_LANES;
    let axis = |[a, b, c, d]: [S::f32s; 4]| {
        [simd.add_f32s(simd.add_f32s(a, b), c), simd.sub_f32s(simd.sub_f32s(b, c), d)]
    };
    let mut rows = [[simd.splat_f32s(0.0); 2]; 4];
    for (r, row) in rows.iter_mut().enumerate() {
        let mut values = [simd.splat_f32s(0.0); 4];
        for (c, value) in values.iter_mut().enumerate() {
            let at = at + (4 * r + c) * stride;
            *value = S::as_simd_f32s(&products[at..at + lanes]).0[0];
        }
        *row = axis(values);
    }
    for b in 0..2 {
        let column = axis([rows[0][b], rows[1][b], rows[2][b], rows[3][b]]);
        for (a, value) in column.into_iter().enumerate() {
            let at = (2 * a + b) * step;
            S::as_mut_simd_f32s(&mut out[at..at + lanes]).0[0] = value;
        }
    }
}

/// The components of one channel's input tiles, each component a row of `stride` floats.
struct InputComponents<'a> {
    channel: &'a [f32],
    split: Split,
    planes: &'a mut [f32],
    out: &'a mut [f32],
    stride: usize,
    positions: usize,
}

impl WithSimd for InputComponents<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { channel, split, planes, out, stride, positions } = self;
        split.run(channel, planes);
        for at in (0..positions).step_by(S::F32_LANES) {
            let tiles = input_components(simd, planes, split.plane, split.pitch, at);
            for (r, row) in tiles.iter().enumerate() {
                for (c, value) in row.iter().enumerate() {
                    let place = (4 * r + c) * stride + at;
                    S::as_mut_simd_f32s(&mut out[place..place + S::F32_LANES]).0[0] = *value;
                }
            }
        }
    }
}

/// The components of the gradient of one channel's output tiles.
struct GradientComponents<'a> {
    channel: &'a [f32],
    split: Split,
    planes: &'a mut [f32],
    out: &'a mut [f32],
    stride: usize,
    positions: usize,
}

impl WithSimd for GradientComponents<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { channel, split, planes, out, stride, positions } = self;
        let lanes = S::F32_LANES;
        let axis = |[a, b]: [S::f32s; 2]| {
            [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.sub_f32s(simd.splat_f32s(0.0), b)]
        };
        split.run(channel, planes);
        for at in (0..positions).step_by(lanes) {
            let load = |phase: usize| {
                let at = phase * split.plane + at;
                S::as_simd_f32s(&planes[at..at + lanes]).0[0]
            };
            let (even, odd) = (axis([load(0), load(1)]), axis([load(2), load(3)]));
            for c in 0..4 {
                for (r, value) in axis([even[c], odd[c]]).into_iter().enumerate() {
                    let place = (4 * r + c) * stride + at;
                    S::as_mut_simd_f32s(&mut out[place..place + lanes]).0[0] = value;
                }
            }
        }
    }
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
