//! Tiles of images and of gradients as components.

use pulp::{Simd, WithSimd};

/// How rows of an image are split into planes of even and odd rows and columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) size: [usize; 2],
    pub(super) padding: [usize; 2],
    /// Row of tiles to begin with.
    pub(super) first: usize,
    /// Rows of a plane.
    pub(super) rows: usize,
    pub(super) pitch: usize,
    /// Floats from one plane to the next; what is behind the rows becomes 0.
    pub(super) plane: usize,
}

impl Split {
    /// Four planes: even rows and even columns, even and odd, odd and even, odd and odd.
    #[inline(always)]
    pub(super) fn run(&self, channel: &[f32], planes: &mut [f32]) {
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
pub(super) fn input_components<S: Simd>(
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

/// The components of the gradient of output tiles from `position` on: the transpose of what makes outputs of products.
#[inline(always)]
fn gradient_components<S: Simd>(simd: S, planes: &[f32], plane: usize, position: usize) -> [[S::f32s; 4]; 4] {
    let axis = |[a, b]: [S::f32s; 2]| {
        [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.sub_f32s(simd.splat_f32s(0.0), b)]
    };
    let load = |phase: usize| {
        let at = phase * plane + position;
        S::as_simd_f32s(&planes[at..at + S::F32_LANES]).0[0]
    };
    let (even, odd) = (axis([load(0), load(1)]), axis([load(2), load(3)]));
    let mut out = [[simd.splat_f32s(0.0); 4]; 4];
    for c in 0..4 {
        let column = axis([even[c], odd[c]]);
        for r in 0..4 {
            out[r][c] = column[r];
        }
    }
    out
}

/// Writes a vector of each component, `stride` floats from one to the next.
#[inline(always)]
pub(super) fn store<S: Simd>(tiles: [[S::f32s; 4]; 4], out: &mut [f32], stride: usize) {
    for (component, value) in tiles.as_flattened().iter().enumerate() {
        let place = component * stride;
        S::as_mut_simd_f32s(&mut out[place..place + S::F32_LANES]).0[0] = *value;
    }
}

/// What tiles are of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tiles {
    Input,
    OutputGradient,
}

/// The components of one channel's tiles, each component a row of `stride` floats.
pub(super) struct Components<'a> {
    pub(super) of: Tiles,
    pub(super) channel: &'a [f32],
    pub(super) split: Split,
    pub(super) planes: &'a mut [f32],
    pub(super) out: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) positions: usize,
}

impl WithSimd for Components<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, channel, split, planes, out, stride, positions } = self;
        let Split { plane, pitch, .. } = split;
        split.run(channel, planes);
        for at in (0..positions).step_by(S::F32_LANES) {
            let tiles = match of {
                Tiles::Input => input_components(simd, planes, plane, pitch, at),
                Tiles::OutputGradient => gradient_components(simd, planes, plane, at),
            };
            store::<S>(tiles, &mut out[at..], stride);
        }
    }
}
