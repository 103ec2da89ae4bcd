//! Images through a convolution, a group of tile rows at a time.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::components::{Split, input_components, store};
use super::{COMPONENTS, VECTORS, WIDEST, Winograd};
use crate::correlation::{SLACK, widest_block};
use crate::epilogue::Epilogue;
use crate::memory::with_buffer;

/// Floats of a group's components: about three quarters of a second-level cache.
const GROUP: usize = 384 * 1024;

impl Winograd {
    /// Images of `input`, `[batch, channels in, height, width]`, to images of `output`.
    pub(crate) fn forward(
        &self,
        input: &[f32],
        filters: &[f32],
        epilogue: &Epilogue<'_>,
        output: &mut [f32],
    ) {
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
        let block = widest_block();
        groups.into_par_iter().for_each(|(image, first, mut parts)| {
            with_buffer(4 * (rows + 1) * pitch + 2 * SLACK, |planes| {
                with_buffer(COMPONENTS * self.channels_in * panels * WIDEST, |components| {
                    with_buffer((COMPONENTS * block + 8) * VECTORS * WIDEST, |scratch| {
                        pulp::Arch::new().dispatch(Group {
                            conv: self,
                            image: &input[image * image_in..][..image_in],
                            filters,
                            epilogue,
                            place: image * self.channels_out * of_channel,
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
}

/// Some rows of tiles of one image, all channels.
struct Group<'a, 'b> {
    conv: &'a Winograd,
    image: &'a [f32],
    filters: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    /// Where the image begins in the whole output.
    place: usize,
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
    let Group { conv, image, filters, epilogue, place, first, rows, parts, planes, components, scratch } =
        group;
    let [_, tile_columns] = conv.tiles();
    let [height, width] = conv.output_size();
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
                store::<S>(tiles, &mut out[i * panel + v * lanes..], of_component);
            }
        }
    }

    let (products, lines) = scratch.split_at_mut(COMPONENTS * CHANNELS * panel);
    let (halves, lines) = lines.split_at_mut(4 * panel);
    let filters = filters.chunks_exact(COMPONENTS * conv.channels_in * CHANNELS);
    let plainly = epilogue.is_nothing();
    for (block, (parts, filters)) in parts.chunks_mut(CHANNELS).zip(filters).enumerate() {
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
                let channel = block * CHANNELS + c;
                let (finish, channel) = (epilogue.of(channel), place + channel * height * width);
                let past = (at + panel).min(positions);
                for row in at / pitch..=(past - 1) / pitch {
                    let from = at.max(row * pitch);
                    let columns = 2 * (from - row * pitch)..(2 * (past - row * pitch)).min(width);
                    for a in 0..2 {
                        let start = (2 * row + a) * width;
                        if start < part.len() && !columns.is_empty() {
                            let line = &lines[2 * a * panel + 2 * (from - at)..][..columns.len()];
                            let out = &mut part[start + columns.start..start + columns.end];
                            if plainly {
                                out.copy_from_slice(line);
                            } else {
                                let place = channel + 2 * first * width + start + columns.start;
                                let residual = epilogue.residual_at(place, line.len());
                                finish.run_with(simd, Some(line), residual, out);
                            }
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
