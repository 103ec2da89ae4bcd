//! 3x3 convolutions with a stride of 1 by Winograd's minimal filtering F(2x2, 3x3),
//! [Lavin and Gray 2015](https://arxiv.org/abs/1509.09308): a tile of 2x2 outputs takes 16 multiplications instead of 36.
//!
//! Input tiles of 4x4 and filters become 16 components each, which are multiplied as 16 matrices and turned back. The
//! gradient of the weights is the same bilinear form read the other way.
//!
//! A tile row has `pitch` positions, the last of which means nothing. Images are split into even and odd rows and columns, so
//! that each of the 16 values of a tile is a run of consecutive floats over consecutive tiles.

mod components;
mod forward;
mod weight_gradient;

use rayon::prelude::*;

use crate::correlation::widest_block;

/// Components of a tile.
const COMPONENTS: usize = 16;

/// Vectors of positions, or channels, that are computed together.
const VECTORS: usize = 3;

/// Floats of the widest vector.
const WIDEST: usize = 16;

/// Input channels whose filters are transformed together before any of them is written. The components are at distances
/// that are powers of two. A cache would otherwise evict the sixteen lines being written before they are full.
const TOGETHER: usize = 8;

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

    /// Components of the filters, `[blocks of output channels, components, input channels, block]`. `filter(output, input)` is
    /// where a filter's nine weights begin; `turned` takes them from the last to the first.
    pub(crate) fn filters(
        &self,
        weights: &[f32],
        filter: impl Fn(usize, usize) -> usize + Sync,
        turned: bool,
    ) -> Vec<f32> {
        if widest_block() == 8 {
            self.filters_in_blocks::<8>(weights, filter, turned)
        } else {
            self.filters_in_blocks::<4>(weights, filter, turned)
        }
    }

    fn filters_in_blocks<const BLOCK: usize>(
        &self,
        weights: &[f32],
        filter: impl Fn(usize, usize) -> usize + Sync,
        turned: bool,
    ) -> Vec<f32> {
        let len = COMPONENTS * self.channels_in * BLOCK;
        let mut filters = vec![0.0; self.channels_out.div_ceil(BLOCK) * len];
        filters.par_chunks_exact_mut(len).enumerate().for_each(|(b, filters)| {
            let (filters, _) = filters.as_chunks_mut::<BLOCK>();
            // Past the last channel it is taken again: nobody looks at those outputs.
            let channels: [usize; BLOCK] =
                std::array::from_fn(|c| (b * BLOCK + c).min(self.channels_out - 1));
            let mut some = [[[0.0; BLOCK]; TOGETHER]; COMPONENTS];
            for first in (0..self.channels_in).step_by(TOGETHER) {
                let together = TOGETHER.min(self.channels_in - first);
                for i in 0..together {
                    let weights = channels.map(|o| &weights[filter(o, first + i)..][..9]);
                    let mut taps: [[f32; BLOCK]; 9] =
                        std::array::from_fn(|tap| std::array::from_fn(|c| weights[c][tap]));
                    if turned {
                        taps.reverse();
                    }
                    let (rows, _) = taps.as_chunks::<3>();
                    let rows = [axis(rows[0]), axis(rows[1]), axis(rows[2])];
                    for column in 0..4 {
                        let components = axis([rows[0][column], rows[1][column], rows[2][column]]);
                        for (row, component) in components.into_iter().enumerate() {
                            some[4 * row + column][i] = component;
                        }
                    }
                }
                for (component, some) in some.iter().enumerate() {
                    filters[component * self.channels_in + first..][..together]
                        .copy_from_slice(&some[..together]);
                }
            }
        });
        filters
    }
}

/// One axis of the components of several filters.
fn axis<const BLOCK: usize>([a, b, c]: [[f32; BLOCK]; 3]) -> [[f32; BLOCK]; 4] {
    let ends: [f32; BLOCK] = std::array::from_fn(|i| 0.5 * (a[i] + c[i]));
    [a, std::array::from_fn(|i| ends[i] + 0.5 * b[i]), std::array::from_fn(|i| ends[i] - 0.5 * b[i]), c]
}
