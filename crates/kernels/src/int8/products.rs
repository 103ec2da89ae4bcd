//! The inner loops.

use pulp::{Simd, WithSimd};

use crate::correlation::{CHUNK, SLACK};
use crate::memory::with_buffer;

/// Output channels that are computed together.
pub(super) const BLOCK: usize = 8;

/// Lanes of the widest vector.
const LANES: usize = 16;

/// Vectors of positions that are computed together: their sums stay in registers.
const VECTORS: usize = 3;

/// For each channel of one block of output channels and each position p:
/// `out[channel][p] = factors[channel] * (sum over (quad i, tap t, byte k) of weights[i][t][channel][k] * lanes[i][taps[t] + p][k] - addends[channel])`.
pub(super) struct Products<'a> {
    /// `[quads, plane_size]` and [`SLACK`] more.
    pub(super) lanes: &'a [u32],
    /// Lanes from one quad to the next.
    pub(super) plane_size: usize,
    /// Offset of each tap into a quad's planes.
    pub(super) taps: &'a [usize],
    /// `[quads, taps]`
    pub(super) weights: &'a [[u32; BLOCK]],
    pub(super) addends: [i32; BLOCK],
    pub(super) factors: [f32; BLOCK],
    /// Rows of the output.
    pub(super) rows: usize,
    /// Positions from one output row to the next.
    pub(super) pitch: usize,
    /// Positions of a row that mean something.
    pub(super) columns: usize,
}

/// Whether this processor has an instruction for such products.
pub(super) fn has_instruction() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

impl Products<'_> {
    /// Calls `write(channel of the block, row, values)` for every row of every channel.
    pub(super) fn run(&self, write: impl FnMut(usize, usize, &[f32])) {
        self.run_with(true, write);
    }

    /// With this processor's instruction for such products, or without.
    fn run_with(&self, instruction: bool, mut write: impl FnMut(usize, usize, &[f32])) {
        let together = (CHUNK / self.pitch).clamp(1, self.rows);
        let stride = together * self.pitch + SLACK;
        with_buffer(BLOCK * stride, |scratch| {
            for first in (0..self.rows).step_by(together) {
                let rows = together.min(self.rows - first);
                let chunk = Chunk {
                    of: self,
                    from: first * self.pitch,
                    positions: (rows - 1) * self.pitch + self.columns,
                    scratch,
                    stride,
                };
                chunk.compute(instruction);
                for channel in 0..BLOCK {
                    for row in 0..rows {
                        let at = channel * stride + row * self.pitch;
                        write(channel, first + row, &scratch[at..at + self.columns]);
                    }
                }
            }
        });
    }

    /// What sums of a channel become.
    #[inline(always)]
    fn finished(&self, channel: usize, sum: i32) -> f32 {
        self.factors[channel] * sum.wrapping_sub(self.addends[channel]) as f32
    }
}

/// Some positions.
struct Chunk<'a, 'b> {
    of: &'a Products<'a>,
    from: usize,
    positions: usize,
    /// `[BLOCK, stride]`
    scratch: &'b mut [f32],
    stride: usize,
}

impl Chunk<'_, '_> {
    fn compute(self, instruction: bool) {
        #[cfg(target_arch = "x86_64")]
        if instruction && has_instruction() {
            // SAFETY: the processor has what the function is compiled for.
            unsafe { vnni::compute(self) };
            return;
        }
        let _ = instruction; // There is none on other processors.
        pulp::Arch::new().dispatch(Plainly(self));
    }
}

/// Without an instruction of its own.
struct Plainly<'a, 'b>(Chunk<'a, 'b>);

impl WithSimd for Plainly<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Chunk { of, from, positions, scratch, stride } = self.0;
        for at in (0..positions).step_by(LANES) {
            let mut sums = [[0i32; LANES]; BLOCK];
            for (quad, weights) in of.weights.chunks_exact(of.taps.len()).enumerate() {
                let start = quad * of.plane_size + from + at;
                for (tap, weights) in of.taps.iter().zip(weights) {
                    let lanes = &of.lanes[start + tap..][..LANES];
                    for (sums, weights) in sums.iter_mut().zip(weights) {
                        let weights = weights.to_le_bytes().map(|weight| i32::from(weight.cast_signed()));
                        for (sum, lane) in sums.iter_mut().zip(lanes) {
                            let bytes = lane.to_le_bytes().map(i32::from);
                            for (weight, byte) in weights.iter().zip(bytes) {
                                *sum += weight * byte;
                            }
                        }
                    }
                }
            }
            for (channel, sums) in sums.iter().enumerate() {
                let out = &mut scratch[channel * stride + at..][..LANES];
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = of.finished(channel, *sum);
                }
            }
        }
    }
}

/// AVX-512 with the instruction that adds four products of bytes to a 32-bit sum (VNNI).
#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512};

    use super::{BLOCK, Chunk, LANES, Products, VECTORS};

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn compute(chunk: Chunk<'_, '_>) {
        let Chunk { of, from, positions, scratch, stride } = chunk;
        let mut at = 0;
        while at < positions {
            let out = &mut scratch[at..];
            let vectors = match (positions - at).div_ceil(LANES) {
                1 => tile::<1>(of, from + at, out, stride),
                2 | 4 => tile::<2>(of, from + at, out, stride),
                _ => tile::<VECTORS>(of, from + at, out, stride),
            };
            at += vectors * LANES;
        }
    }

    /// `BLOCK x N` vectors of outputs. Returns `N`.
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn tile<const N: usize>(of: &Products<'_>, position: usize, out: &mut [f32], stride: usize) -> usize {
        let mut sums = [[_mm512_setzero_si512(); N]; BLOCK];
        for (quad, weights) in of.weights.chunks_exact(of.taps.len()).enumerate() {
            let lanes = &of.lanes[quad * of.plane_size + position..];
            for (tap, weights) in of.taps.iter().zip(weights) {
                let (lanes, _) = lanes[*tap..*tap + N * LANES].as_chunks::<LANES>();
                let mut x = [_mm512_setzero_si512(); N];
                for v in 0..N {
                    x[v] = pulp::cast::<[u32; LANES], __m512i>(lanes[v]);
                }
                for c in 0..BLOCK {
                    let weight = _mm512_set1_epi32(weights[c].cast_signed());
                    for v in 0..N {
                        sums[c][v] = _mm512_dpbusd_epi32(sums[c][v], x[v], weight);
                    }
                }
            }
        }
        for c in 0..BLOCK {
            let out = &mut out[c * stride..][..N * LANES];
            for (out, sums) in out.chunks_exact_mut(LANES).zip(sums[c]) {
                let sums = pulp::cast::<__m512i, [i32; LANES]>(sums);
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = of.finished(c, sum);
                }
            }
        }
        N
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// To the last bit, and what the definition says.
        #[test]
        fn the_instruction_and_plain_sums_agree(
            lanes in prop::collection::vec(any::<u32>(), 400..500),
            weights in prop::collection::vec(any::<[u32; BLOCK]>(), 6),
            addends: [i16; BLOCK], rows in 1usize..4, columns in 1usize..17,
        ) {
            let products = Products {
                lanes: &[lanes.clone(), vec![0; SLACK]].concat(),
                plane_size: lanes.len() / 2,
                taps: &[0, 3, 40],
                weights: &weights,
                addends: addends.map(i32::from),
                factors: [0.5; BLOCK],
                rows,
                pitch: 20,
                columns,
            };
            let mut both = [vec![], vec![]];
            for (values, instruction) in both.iter_mut().zip([true, false]) {
                products.run_with(instruction, |channel, row, of_row| {
                    values.push((channel, row, of_row.to_vec()));
                });
            }
            prop_assert_eq!(&both[0], &both[1]);
            let bytes = |word: u32| word.to_le_bytes();
            for (channel, row, values) in &both[0] {
                for (column, value) in values.iter().enumerate() {
                    let mut sum = 0;
                    for (place, weights) in weights.iter().enumerate() {
                        let at = place / 3 * products.plane_size + products.taps[place % 3] + row * 20 + column;
                        for (number, weight) in bytes(products.lanes[at]).into_iter().zip(bytes(weights[*channel])) {
                            sum += i32::from(number) * i32::from(weight.cast_signed());
                        }
                    }
                    prop_assert_eq!(*value, 0.5 * (sum - products.addends[*channel]) as f32);
                }
            }
        }
    }
}
