//! Matrix products of points and centres, in the one shape that every step of this crate uses.

use gemm::Parallelism;
use pulp::{Arch, Simd, WithSimd};

/// Centres come in columns of a multiple of so many: a vector register of the widest kernels.
pub(crate) const LANES: usize = 16;

/// Depth of one pass over the dimensions. The products' library never splits a depth of so much, so the order of its
/// additions depends on the dimension alone.
const DEPTH: usize = 512;

/// `[dim, columns]`: centres as columns.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    dim: usize,
    columns: usize,
    data: Vec<f32>,
    /// The same numbers, `[columns / LANES, dim, LANES]`: a few columns side by side.
    strips: Vec<f32>,
    /// Half of each column's squared length; infinite for the padding, which so never is the nearest.
    half_norms: Vec<f32>,
}

impl Columns {
    /// The rows of a matrix (`[count, dim]`) as columns, in their order.
    pub(crate) fn in_order(rows: &[f32], dim: usize) -> Self {
        let order: Vec<u32> = (0..(rows.len() / dim) as u32).collect();
        Self::new(rows, dim, &order, LANES)
    }

    /// Turns centres (`[count, dim]`) into columns, in the given order of the rows, and pads their number to a multiple
    /// of `group`, which is one of [`LANES`].
    pub(crate) fn new(centres: &[f32], dim: usize, order: &[u32], group: usize) -> Self {
        let columns = order.len().next_multiple_of(group);
        let mut data = vec![0.0; dim * columns];
        let mut strips = vec![0.0; dim * columns];
        let mut half_norms = vec![f32::INFINITY; columns];
        for (column, &row) in order.iter().enumerate() {
            let centre = &centres[row as usize * dim..][..dim];
            for (depth, &value) in centre.iter().enumerate() {
                data[depth * columns + column] = value;
                strips[(column / LANES * dim + depth) * LANES + column % LANES] = value;
            }
            let norm: f64 = centre.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            half_norms[column] = (norm / 2.0) as f32;
        }
        Self { dim, columns, data, strips, half_norms }
    }

    pub(crate) fn half_norms(&self) -> &[f32] {
        &self.half_norms
    }

    /// Writes the dot products of `rows` (`[n, dim]`) with the columns `first..first + count` to `out`
    /// (`[n, count]`). `first` and `count` are multiples of [`LANES`].
    ///
    /// A product is the same to the bit whichever rows and columns are beside it: each is one chain of fused
    /// multiply-adds over the dimensions.
    pub(crate) fn dot(&self, rows: &[f32], first: usize, count: usize, out: &mut [f32]) {
        let n = rows.len() / self.dim;
        assert_eq!((rows.len(), out.len()), (n * self.dim, n * count));
        assert!(first + count <= self.columns && first.is_multiple_of(LANES) && count.is_multiple_of(LANES));
        if n == 1 {
            // The library has a kernel of its own for a single vector, which sums in another order.
            let twice = [rows, rows].concat();
            let mut both = vec![0.0; 2 * count];
            self.dot(&twice, first, count, &mut both);
            out.copy_from_slice(&both[..count]);
            return;
        }
        if n == 0 || count == 0 {
            return;
        }
        for begin in (0..self.dim).step_by(DEPTH) {
            let depth = DEPTH.min(self.dim - begin);
            // SAFETY: the pointers and strides describe `out` as [n, count], `rows[.., begin..begin + depth]` as
            // [n, depth] with a stride of `dim`, and `data[begin.., first..]` as [depth, count] with a stride of
            // `columns`; the asserts above say that these lie within the slices. `out` is borrowed mutably, so that it
            // overlaps neither.
            unsafe {
                gemm::gemm(
                    n,
                    count,
                    depth,
                    out.as_mut_ptr(),
                    1,
                    count as isize,
                    begin > 0,
                    rows.as_ptr().add(begin),
                    1,
                    self.dim as isize,
                    self.data.as_ptr().add(begin * self.columns + first),
                    1,
                    self.columns as isize,
                    1.0f32,
                    1.0f32,
                    false,
                    false,
                    false,
                    Parallelism::None,
                );
            }
        }
    }

    /// Writes the dot products of the chosen rows of a matrix (`[_, dim]`) with the columns `first..first + count` to
    /// `out` (`[chosen, count]`). The result is the same to the bit as [`dot`](Self::dot) of a copy of these rows. It
    /// needs no copy and is meant for few columns. `first` and `count` are multiples of [`LANES`].
    pub(crate) fn dot_chosen(
        &self,
        arch: Arch,
        rows: &[f32],
        chosen: &[u32],
        (first, count): (usize, usize),
        out: &mut [f32],
    ) {
        assert_eq!(out.len(), chosen.len() * count);
        assert!(first + count <= self.columns && first.is_multiple_of(LANES) && count.is_multiple_of(LANES));
        let strips = &self.strips[first * self.dim..][..count * self.dim];
        arch.dispatch(Chosen { dim: self.dim, strips, rows, chosen, out });
    }
}

/// Rows whose products with a strip are computed at once.
const ROWS: usize = 8;

struct Chosen<'a> {
    dim: usize,
    strips: &'a [f32],
    rows: &'a [f32],
    chosen: &'a [u32],
    out: &'a mut [f32],
}

impl WithSimd for Chosen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.with_registers::<S, 1>(simd),
            8 => self.with_registers::<S, 2>(simd),
            4 => self.with_registers::<S, 4>(simd),
            _ => self.with_registers::<S, LANES>(simd),
        }
    }
}

impl Chosen<'_> {
    /// `REGISTERS` vectors are [`LANES`] numbers.
    #[inline(always)]
    fn with_registers<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let Self { dim, strips, rows, chosen, out } = self;
        let count = strips.len() / dim;
        for (chosen, out) in chosen.chunks(ROWS).zip(out.chunks_mut(ROWS * count)) {
            // The last one again where there are fewer.
            let row = |at: usize| &rows[chosen[at.min(chosen.len() - 1)] as usize * dim..][..dim];
            let rows: [&[f32]; ROWS] = std::array::from_fn(row);
            for (number, strip) in strips.chunks_exact(dim * LANES).enumerate() {
                let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
                for (begin, strip) in (0..dim).step_by(DEPTH).zip(strip.chunks(DEPTH * LANES)) {
                    let depth = strip.len() / LANES;
                    let part = products::<S, REGISTERS>(simd, rows.map(|row| &row[begin..][..depth]), strip);
                    for (sums, part) in sums.iter_mut().zip(part) {
                        for (sum, part) in sums.iter_mut().zip(part) {
                            *sum = if begin == 0 { part } else { simd.add_f32s(*sum, part) };
                        }
                    }
                }
                for (out, sums) in out.chunks_exact_mut(count).zip(sums) {
                    let (out, _) = S::as_mut_simd_f32s(&mut out[number * LANES..][..LANES]);
                    out.copy_from_slice(&sums);
                }
            }
        }
    }
}

/// One chain of fused multiply-adds for each row and column of a strip (`[depth, LANES]`).
#[inline(always)]
fn products<S: Simd, const REGISTERS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    strip: &[f32],
) -> [[S::f32s; REGISTERS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); REGISTERS]; ROWS];
    let depth = strip.len() / LANES;
    let rows = rows.map(|row| &row[..depth]);
    let columns = S::as_simd_f32s(strip).0.as_chunks::<REGISTERS>().0;
    for at in 0..depth {
        let columns = &columns[at];
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let value = simd.splat_f32s(row[at]);
            for (sum, &column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add_f32s(value, column, *sum);
            }
        }
    }
    sums
}
