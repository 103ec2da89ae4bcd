//! Matrix products of points and centres, in the one shape that every step of this crate uses.

use gemm::Parallelism;

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
        let mut half_norms = vec![f32::INFINITY; columns];
        for (column, &row) in order.iter().enumerate() {
            let centre = &centres[row as usize * dim..][..dim];
            for (depth, &value) in centre.iter().enumerate() {
                data[depth * columns + column] = value;
            }
            let norm: f64 = centre.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            half_norms[column] = (norm / 2.0) as f32;
        }
        Self { dim, columns, data, half_norms }
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
}
