//! The loops over vectors: dot products, sums on a grid, and the best and second best of a row of scores.
//!
//! Each is a type with a `with_simd`, and not a closure, because only the former is compiled into the function that may use
//! the processor's widest vectors.

use pulp::{Arch, Simd, WithSimd};

use crate::product::LANES;

/// The largest and second largest of some scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Top {
    pub(crate) best: f32,
    /// Place of the best, the first of equals.
    pub(crate) at: u32,
    /// Largest of the others.
    pub(crate) second: f32,
}

/// For each row of `products` (`[n, columns]`) minus `half_norms` (`[columns]`), the largest of every `group` columns to
/// `maxima` (`[n, columns / group]`), and the top of the group that has the largest of all to `tops` (`[n]`). A place
/// counts from the row's first column. If another group has an equally large one, `second` is as large as `best`.
pub(crate) fn scan(
    arch: Arch,
    products: &[f32],
    half_norms: &[f32],
    group: usize,
    maxima: &mut [f32],
    tops: &mut [Top],
) {
    arch.dispatch(Scan { products, half_norms, group, maxima, tops });
}

struct Scan<'a> {
    products: &'a [f32],
    half_norms: &'a [f32],
    group: usize,
    maxima: &'a mut [f32],
    tops: &'a mut [Top],
}

impl WithSimd for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { products, half_norms, group, maxima, tops } = self;
        let columns = half_norms.len();
        let rows = products.chunks_exact(columns).zip(maxima.chunks_exact_mut(columns / group));
        for ((row, maxima), out) in rows.zip(tops) {
            if let [only] = maxima {
                *out = top(row, half_norms);
                *only = out.best;
                continue;
            }
            let groups = row.chunks_exact(group).zip(half_norms.chunks_exact(group));
            for ((products, half_norms), largest) in groups.zip(maxima.iter_mut()) {
                let (products, _) = S::as_simd_f32s(products);
                let (half_norms, _) = S::as_simd_f32s(half_norms);
                let mut lanes = simd.splat_f32s(f32::NEG_INFINITY);
                for (&product, &half_norm) in products.iter().zip(half_norms) {
                    lanes = simd.max_f32s(lanes, simd.sub_f32s(product, half_norm));
                }
                *largest = simd.reduce_max_f32s(lanes);
            }
            let (mut home, mut tie) = (0, false);
            for at in 1..maxima.len() {
                if maxima[at] > maxima[home] {
                    (home, tie) = (at, false);
                } else if maxima[at] == maxima[home] {
                    tie = true;
                }
            }
            let first = home * group;
            *out = top(&row[first..][..group], &half_norms[first..][..group]);
            out.at += first as u32;
            out.second = if tie { out.best } else { out.second };
        }
    }
}

#[inline(always)]
fn top(products: &[f32], half_norms: &[f32]) -> Top {
    let mut best = [f32::NEG_INFINITY; LANES];
    let mut second = [f32::NEG_INFINITY; LANES];
    let mut at = [0i32; LANES];
    let chunks = products.as_chunks::<LANES>().0.iter().zip(half_norms.as_chunks::<LANES>().0);
    for (chunk, (products, half_norms)) in chunks.enumerate() {
        for lane in 0..LANES {
            let score = products[lane] - half_norms[lane];
            let better = score > best[lane];
            let loser = if better { best[lane] } else { score };
            second[lane] = if loser > second[lane] { loser } else { second[lane] };
            best[lane] = if better { score } else { best[lane] };
            at[lane] = if better { chunk as i32 } else { at[lane] };
        }
    }
    let highest = max(&best);
    // The first of equals: of the lanes that have the highest, the least place.
    let mut place = [i32::MAX; LANES];
    for lane in 0..LANES {
        let here = at[lane] * LANES as i32 + lane as i32;
        place[lane] = if best[lane] == highest { here } else { i32::MAX };
    }
    let place = min_i32(&place);
    let winner = (place as usize) % LANES;
    let mut rest = best;
    for lane in 0..LANES {
        rest[lane] = if lane == winner { second[lane] } else { best[lane] };
    }
    Top { best: highest, at: place as u32, second: max(&rest) }
}

#[inline(always)]
fn max(values: &[f32; LANES]) -> f32 {
    let mut m = *values;
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            m[lane] = if m[lane + half] > m[lane] { m[lane + half] } else { m[lane] };
        }
        half /= 2;
    }
    m[0]
}

#[inline(always)]
fn min_i32(values: &[i32; LANES]) -> i32 {
    let mut m = *values;
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            m[lane] = if m[lane + half] < m[lane] { m[lane + half] } else { m[lane] };
        }
        half /= 2;
    }
    m[0]
}

/// Least of `stored[i] - spent[i]`.
pub(crate) fn least_difference(arch: Arch, stored: &[f32], spent: &[f32]) -> f32 {
    arch.dispatch(LeastDifference { stored, spent })
}

struct LeastDifference<'a> {
    stored: &'a [f32],
    spent: &'a [f32],
}

impl WithSimd for LeastDifference<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let mut least = f32::INFINITY;
        for (a, b) in self.stored.iter().zip(self.spent) {
            let left = a - b;
            least = if left < least { left } else { least };
        }
        least
    }
}

/// Dot product, in 32 bits with [`LANES`] sums.
pub(crate) fn dot(arch: Arch, a: &[f32], b: &[f32]) -> f32 {
    arch.dispatch(SumOver::<false> { a, b })
}

/// Squared distance, in 32 bits with [`LANES`] sums.
pub(crate) fn square_distance(arch: Arch, a: &[f32], b: &[f32]) -> f32 {
    arch.dispatch(SumOver::<true> { a, b })
}

/// The sum over two vectors of their squared differences (`DISTANCE`) or of their products.
struct SumOver<'a, const DISTANCE: bool> {
    a: &'a [f32],
    b: &'a [f32],
}

impl<const DISTANCE: bool> WithSimd for SumOver<'_, DISTANCE> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let (a, a_rest) = self.a.as_chunks::<LANES>();
        let (b, b_rest) = self.b.as_chunks::<LANES>();
        let mut sums = [0.0f32; LANES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] += term::<DISTANCE>(a[lane], b[lane]);
            }
        }
        let mut rest = 0.0;
        for (&a, &b) in a_rest.iter().zip(b_rest) {
            rest += term::<DISTANCE>(a, b);
        }
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                sums[lane] += sums[lane + half];
            }
            half /= 2;
        }
        sums[0] + rest
    }
}

#[inline(always)]
fn term<const DISTANCE: bool>(a: f32, b: f32) -> f32 {
    if DISTANCE { (a - b) * (a - b) } else { a * b }
}

/// Adds a row to sums (`sign` 1), or takes it away (-1), each value rounded to the grid that `shift` stands for
/// ([`ClusterSums`](crate::sums::ClusterSums)).
pub(crate) fn accumulate(arch: Arch, sums: &mut [f64], row: &[f32], shift: f64, sign: f64) {
    arch.dispatch(Accumulate { sums, row, shift, sign });
}

struct Accumulate<'a> {
    sums: &'a mut [f64],
    row: &'a [f32],
    shift: f64,
    sign: f64,
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { sums, row, shift, sign } = self;
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += sign * ((f64::from(value) + shift) - shift);
        }
    }
}
