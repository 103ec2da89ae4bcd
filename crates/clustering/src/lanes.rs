//! The loops over vectors: dot products, sums on a grid, and the best and second best of a row of scores.

use pulp::Arch;

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

/// For each row of `products` (`[n, columns]`) minus `half_norms` (`[columns]`), the top of every `group` columns, to
/// `out` (`[n, columns / group]`). A place counts from the group's first column.
pub(crate) fn tops(arch: Arch, products: &[f32], half_norms: &[f32], group: usize, out: &mut [Top]) {
    arch.dispatch(
        #[inline(always)]
        || {
            let columns = half_norms.len();
            let rows = products.chunks_exact(columns).zip(out.chunks_exact_mut(columns / group));
            for (row, out) in rows {
                let groups = row.chunks_exact(group).zip(half_norms.chunks_exact(group));
                for ((products, half_norms), out) in groups.zip(out) {
                    *out = top(products, half_norms);
                }
            }
        },
    );
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
    arch.dispatch(
        #[inline(always)]
        || {
            let mut least = f32::INFINITY;
            for (a, b) in stored.iter().zip(spent) {
                let left = a - b;
                least = if left < least { left } else { least };
            }
            least
        },
    )
}

/// Dot product, in 32 bits with `LANES` sums.
pub(crate) fn dot(arch: Arch, a: &[f32], b: &[f32]) -> f32 {
    arch.dispatch(
        #[inline(always)]
        || {
            let (a, a_rest) = a.as_chunks::<LANES>();
            let (b, b_rest) = b.as_chunks::<LANES>();
            let mut sums = [0.0f32; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
                }
            }
            let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
            total(&sums) + rest
        },
    )
}

/// Squared distance, in 32 bits with `LANES` sums.
pub(crate) fn square_distance(arch: Arch, a: &[f32], b: &[f32]) -> f32 {
    arch.dispatch(
        #[inline(always)]
        || {
            let (a, a_rest) = a.as_chunks::<LANES>();
            let (b, b_rest) = b.as_chunks::<LANES>();
            let mut sums = [0.0f32; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    let difference = a[lane] - b[lane];
                    sums[lane] = difference.mul_add(difference, sums[lane]);
                }
            }
            let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
            total(&sums) + rest
        },
    )
}

#[inline(always)]
fn total(values: &[f32; LANES]) -> f32 {
    let mut sums = *values;
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Adds a row to sums, or takes it away, each value rounded to the grid that `shift` stands for
/// ([`Grid`](crate::sums::Grid)).
pub(crate) fn accumulate(arch: Arch, sums: &mut [f64], row: &[f32], shift: f64, add: bool) {
    arch.dispatch(
        #[inline(always)]
        || {
            if add {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += (f64::from(value) + shift) - shift;
                }
            } else {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum -= (f64::from(value) + shift) - shift;
                }
            }
        },
    );
}
