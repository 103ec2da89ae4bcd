//! Dot products in double precision.

use pulp::{Simd, WithSimd};

/// Partial sums of a dot product. A fixed number in a fixed order: the same bits on every machine, and room for
/// the compiler to use vector instructions.
const LANES: usize = 16;

/// The dot product of two vectors. Products of `f32` are exact in `f64`, so fused and separate instructions agree to the
/// bit; so do vectors of any width, because the sums are always the same.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f64; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *sum += f64::from(a) * f64::from(b);
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
    }
    sums[0]
}

/// The dot products of many pairs of rows, by the widest instructions that the machine has.
pub(crate) fn dots(pairs: &[(u32, u32)], left: &[f32], right: &[f32], dim: usize, out: &mut [f64]) {
    pulp::Arch::new().dispatch(Dots { pairs, left, right, dim, out });
}

struct Dots<'a> {
    pairs: &'a [(u32, u32)],
    left: &'a [f32],
    right: &'a [f32],
    dim: usize,
    out: &'a mut [f64],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    // No vectors are named: the compiler makes them of the fixed sums, as wide as it may here.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let dim = self.dim;
        for (out, &(a, b)) in self.out.iter_mut().zip(self.pairs) {
            let (a, b) = (a as usize * dim, b as usize * dim);
            *out = dot(&self.left[a..a + dim], &self.right[b..b + dim]);
        }
    }
}
