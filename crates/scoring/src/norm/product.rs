//! Products of rows with a cohort: one matrix times the transpose of another, a tile at a time.
//!
//! Each product is one sum over the dimensions in their order, whichever rows and columns it is computed beside.
//! General matrix products choose their loops by the shapes, and with them the order of the sums. With them an
//! utterance's statistics would depend on the other utterances in its block.

use pulp::{Simd, WithSimd};

/// Columns that are kept together, a multiple of the lanes of every kind of vector.
const PANEL: usize = 32;

/// Rows that are kept together.
const GROUP: usize = 12;

/// Columns of a tile: with [`ROWS`] of them, half a second-level cache.
const COLUMNS: usize = 1024;

/// Rows of a tile.
pub(super) const ROWS: usize = 10 * GROUP;

/// Vectors, `[columns, dim]`, laid out to be multiplied with.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    /// `[panels, dim, PANEL]`, zero beyond the last column.
    data: Vec<f32>,
    columns: usize,
    dim: usize,
}

impl Panels {
    /// `rows` is `[columns, dim]`.
    pub(super) fn new(rows: &[f32], dim: usize) -> Self {
        let dim = dim.max(1);
        let columns = rows.len() / dim;
        let mut data = vec![0.0; columns.div_ceil(PANEL) * PANEL * dim];
        for (panel, rows) in data.chunks_exact_mut(PANEL * dim).zip(rows.chunks(PANEL * dim)) {
            interleave::<PANEL>(rows, dim, panel);
        }
        Self { data, columns, dim }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Multiplies up to [`ROWS`] rows, `[rows, dim]`, with all columns, a tile of them at a time: `tile(row, products)` is
    /// called for each row of each tile, by rising column.
    pub(super) fn multiply(&self, rows: &[f32], scratch: &mut Scratch, mut take: impl FnMut(usize, &[f32])) {
        let count = rows.len() / self.dim;
        let groups = count.div_ceil(GROUP);
        scratch.rows.resize(groups * GROUP * self.dim, 0.0);
        for (group, rows) in
            scratch.rows.chunks_exact_mut(GROUP * self.dim).zip(rows.chunks(GROUP * self.dim))
        {
            group.fill(0.0);
            interleave::<GROUP>(rows, self.dim, group);
        }
        scratch.tile.resize(groups * GROUP * COLUMNS, 0.0);
        for (at, panels) in self.data.chunks(COLUMNS * self.dim).enumerate() {
            let tile = Tile { rows: &scratch.rows, panels, dim: self.dim, out: &mut scratch.tile };
            pulp::Arch::new().dispatch(tile);
            let columns = COLUMNS.min(self.columns - at * COLUMNS);
            for (row, products) in scratch.tile.chunks_exact(COLUMNS).take(count).enumerate() {
                take(row, &products[..columns]);
            }
        }
    }
}

/// What [`Panels::multiply`] works in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    rows: Vec<f32>,
    tile: Vec<f32>,
}

/// `[rows, dim]` to `[dim, WIDTH]`; fewer rows leave the rest as it is.
fn interleave<const WIDTH: usize>(rows: &[f32], dim: usize, out: &mut [f32]) {
    for (place, row) in rows.chunks_exact(dim).enumerate() {
        for (values, &value) in out.chunks_exact_mut(WIDTH).zip(row) {
            values[place] = value;
        }
    }
}

struct Tile<'a> {
    /// `[groups, dim, GROUP]`
    rows: &'a [f32],
    /// `[panels, dim, PANEL]`
    panels: &'a [f32],
    dim: usize,
    /// `[groups, GROUP, COLUMNS]`
    out: &'a mut [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as registers hold beside a row of the panel and a broadcast.
        if S::REGISTER_COUNT >= 32 {
            run::<S, 12>(simd, self);
        } else {
            run::<S, 6>(simd, self);
        }
    }
}

#[inline(always)]
fn run<S: Simd, const TOGETHER: usize>(simd: S, tile: Tile<'_>) {
    let Tile { rows, panels, dim, out } = tile;
    // One panel stays in the first-level cache while all rows pass by.
    for (panel_at, panel) in panels.chunks_exact(dim * PANEL).enumerate() {
        for (group, out) in rows.chunks_exact(dim * GROUP).zip(out.chunks_exact_mut(GROUP * COLUMNS)) {
            for part in 0..GROUP / TOGETHER {
                for column in (0..PANEL).step_by(2 * S::F32_LANES) {
                    let mut sums = [[simd.splat_f32s(0.0); 2]; TOGETHER];
                    let (group, _) = group.as_chunks::<GROUP>();
                    let (panel, _) = panel.as_chunks::<PANEL>();
                    for (row, panel) in group.iter().zip(panel) {
                        let (vectors, _) = S::as_simd_f32s(panel);
                        let at = column / S::F32_LANES;
                        let (a, b) = (vectors[at], vectors[at + 1]);
                        for (sums, &value) in sums.iter_mut().zip(&row[part * TOGETHER..]) {
                            let value = simd.splat_f32s(value);
                            sums[0] = simd.mul_add_e_f32s(value, a, sums[0]);
                            sums[1] = simd.mul_add_e_f32s(value, b, sums[1]);
                        }
                    }
                    for (row, sums) in sums.iter().enumerate() {
                        let start = (part * TOGETHER + row) * COLUMNS + panel_at * PANEL + column;
                        let (out, _) = S::as_mut_simd_f32s(&mut out[start..start + 2 * S::F32_LANES]);
                        out.copy_from_slice(sums);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_are_the_plain_sums(
            rows in 1..30_usize,
            columns in 1..80_usize,
            dim in 1..20_usize,
            wide in any::<bool>(),
        ) {
            let columns = if wide { columns + COLUMNS } else { columns };
            let value = |n: usize| ((n * 7919) % 101) as f32 - 50.0;
            let left: Vec<f32> = (0..rows * dim).map(value).collect();
            let right: Vec<f32> = (0..columns * dim).map(|n| value(n + 13)).collect();
            let mut found = vec![Vec::new(); rows];
            let panels = Panels::new(&right, dim);
            panels.multiply(&left, &mut Scratch::default(), |row, products| {
                found[row].extend_from_slice(products);
            });
            for (row, found) in left.chunks(dim).zip(found) {
                // Whole numbers: exact in any order.
                let plain: Vec<f32> = right
                    .chunks(dim)
                    .map(|column| row.iter().zip(column).map(|(a, b)| a * b).sum())
                    .collect();
                prop_assert_eq!(found, plain);
            }
        }
    }
}
